//! The thread-local word: where a thread finds its part of the allocator.
//!
//! `tls_word!(pub(crate) mod name, init = STATIC)` declares one pointer-sized variable per thread, with the functions
//! `name::get() -> *mut u8` and `name::set(*mut u8)`. In a thread that has never called `set`, its value is the address of
//! `STATIC`, so that the reader needs no test for "not there yet". `name::look(id, value)` tells whether another
//! thread's is still `value`. Setting null is not portable: it may read as that address.
//!
//! Stable Rust offers no such thing: `thread_local!` needs the standard library, and in a shared library calls
//! `__tls_get_addr`, which may allocate. One file per way to do it:
//! * `initial_exec.rs`: the *initial-exec* model of the ELF specification for thread-local storage (U. Drepper, "ELF Handling
//!   For Thread-Local Storage"), with the instructions of a machine in `x86_64.rs`, `aarch64.rs`, `riscv64.rs`. The word lies in `.tdata`, its offset from the thread pointer in the global offset
//!   table: two loads, which the linker turns into one in an executable. Works in libraries that are preloaded or loaded by
//!   `dlopen`, as the dynamic loader keeps room for small ones.
//! * `key.rs`: a pthread slot, on any other Unix; a slot of `TlsAlloc` on Windows, which is read without a call.
//! * `single.rs`: a variable, where there is one thread.
//!
//! The macro is expanded in the crate that owns the word, and `get` is inlined into crates above it: the symbol is global to
//! the linker, hidden from other libraries, and carries crate, name and version, so that several copies of the allocator can
//! live in one process.

#[macro_use]
mod symbol;
#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod initial_exec;
mod key;
#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_family = "wasm")]
mod single;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[doc(hidden)]
pub use crate::platform::key::Key;

#[cfg(test)]
mod tests;
