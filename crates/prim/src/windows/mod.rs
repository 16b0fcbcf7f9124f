//! Windows 8 and later, without the C runtime but where the contract is about it (`errno`, handlers at exit, streams).
//!
//! Reserving, committing and giving back are three things here (`mem`); a thread's own words lie in its environment block
//! (`teb_*`, `key`); the loader tells about threads that end (`thread_end`).

pub(crate) mod aligned;
pub(crate) mod clock;
pub(crate) mod entropy;
pub(crate) mod environ;
pub(crate) mod errno;
pub(crate) mod futex;
pub(crate) mod key;
pub(crate) mod large_pages;
pub(crate) mod last_error;
pub(crate) mod mem;
pub(crate) mod numa;
pub(crate) mod output;
pub(crate) mod pin;
pub(crate) mod process;
pub(crate) mod resident;
pub(crate) mod service;
#[cfg(target_arch = "aarch64")]
pub(crate) mod teb_aarch64;
#[cfg(target_arch = "x86")]
pub(crate) mod teb_x86;
#[cfg(target_arch = "x86_64")]
pub(crate) mod teb_x86_64;
mod text;
mod thread_end;
