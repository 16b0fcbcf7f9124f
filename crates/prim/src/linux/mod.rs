//! What Linux does beyond POSIX: the same modules as in `unix/`, as far as they differ.

mod file;
mod group;

pub(crate) mod clock;
pub(crate) mod config;
#[cfg(target_arch = "aarch64")]
pub(crate) mod context_aarch64;
#[cfg(target_arch = "x86_64")]
pub(crate) mod context_x86_64;
#[cfg(target_arch = "x86")]
pub(crate) mod elf32;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
pub(crate) mod elf64;
pub(crate) mod entropy;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub(crate) mod find_object;
pub(crate) mod futex;
pub(crate) mod mem;
pub(crate) mod modules;
pub(crate) mod numa;
pub(crate) mod pin;
pub(crate) mod process;
pub(crate) mod stack;
