//! WebAssembly with one thread: memory that grows and never shrinks, and next to no operating system.
//!
//! What little a host may offer is in `wasi.rs`; without a host, in `nobody.rs`.

pub(crate) mod clock;
pub(crate) mod entropy;
pub(crate) mod environ;
pub(crate) mod errno;
pub(crate) mod futex;
pub(crate) mod key;
pub(crate) mod mem;
#[cfg(not(target_os = "wasi"))]
pub(crate) mod nobody;
pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod service;
#[cfg(target_os = "wasi")]
pub(crate) mod wasi;
