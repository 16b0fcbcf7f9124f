//! The only part of ferrimalloc that knows an operating system or a processor.
//!
//! Every other crate of the allocator is portable Rust; what it needs from below is named here by subject:
//!
//! | module | question it answers |
//! |---|---|
//! | [`mem`] | where does address space and memory come from, how does it go back |
//! | [`thread`] | who am I, tell me when I end |
//! | [`tls_word!`], [`range_table!`] | the one thread-local word that the fast path reads, and the table that it enters |
//! | [`futex`] | sleep until a word changes |
//! | [`load`] | call me when I am loaded |
//! | [`stack`], [`modules`] | what may a walk of the stack read, whose code is this |
//! | [`fault`] | call me when inaccessible memory is accessed |
//! | [`pin`] | don't unload me |
//! | [`deepbind`] | plugins shall find my functions, too |
//! | `imports` (Windows) | modules shall import my functions in place of others |
//! | [`interpose`] | which function stands behind mine of the same name |
//! | [`valgrind`], [`asan`] | does a tool that watches memory know about our blocks |
//! | [`trace`] | where can a tracer look |
//! | [`clock`], [`numa`], [`env`](mod@env), [`entropy`], [`output`], [`process`] | what their names say |
//!
//! # Rules that hold for every function here
//! * It never allocates through the C or Rust allocator and never touches the standard library's thread-locals: it may be
//!   called from inside `malloc`.
//! * It leaves the C library's `errno` as it was. Failures are values, [`Errno`]; only [`errno::set`] writes it.
//! * It may be called before the C library's constructors have run.
//!
//! # How it is built
//! The subject modules are thin fronts. Behind them `unix/` has what POSIX offers, `linux/` what Linux does better, `windows/` what
//! Windows has, `wasm/` what WebAssembly has, `unsupported/` what those answer that lack something, `sim/` an in-memory operating system for tests. `platform.rs` is the one file that chooses between them.
#![no_std]
#![warn(missing_docs)]

#[cfg(test)]
extern crate std;

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86")
))]
#[macro_use]
mod weak;

pub mod asan;
pub mod clock;
pub mod cpu;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub mod cxx;
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
#[path = "cxx_unknown.rs"]
pub mod cxx;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86")
))]
pub mod deepbind;
pub mod entropy;
pub mod env;
pub mod errno;
pub mod fault;
pub mod futex;
#[cfg(windows)]
pub mod imports;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86")
))]
pub mod interpose;
pub mod load;
pub mod mem;
pub mod modules;
pub mod numa;
#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64", target_arch = "x86")
))]
mod object;
pub mod output;
pub mod pin;
pub mod process;
pub mod qsbr;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stack;
mod table;
pub mod thread;
pub mod tls;
pub mod trace;
pub mod valgrind;
pub mod width;

#[cfg(target_os = "linux")]
#[cfg_attr(feature = "sim", allow(dead_code, unused_imports, reason = "the simulated system needs less"))]
mod linux;
mod once;
mod platform;
#[cfg(any(target_family = "wasm", test))]
mod ranges;
#[cfg(unix)]
#[allow(dead_code, unused_imports, reason = "Linux replaces some of it; it is compiled and tested there all the same")]
mod unix;
#[cfg_attr(
    any(unix, windows),
    allow(dead_code, reason = "some systems have interfaces for all of it; it is compiled there all the same")
)]
mod unsupported;
#[cfg(target_family = "wasm")]
mod wasm;
#[cfg(windows)]
mod windows;

// The crate `libc` has the linker look for the C library, but not for musl's, which it leaves to the standard library. That stands
// before us in a program without one of its own, and where libraries are archives the order counts.
#[cfg(target_env = "musl")]
#[link(name = "c")]
unsafe extern "C" {}

pub use errno::Errno;

#[doc(inline)]
pub use platform::{at_load, range_table, tls_word};
