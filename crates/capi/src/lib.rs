//! `libferrimalloc`: the C library's `malloc` family, C++'s `operator new` and `delete`, and mimalloc's interface, over
//! the core.
//!
//! * `standard`: what ISO C, POSIX and glibc call the allocation functions.
//! * `cxx`: the C++ operators.
//! * `glibc`: statistics and tuning functions that glibc programs link against.
//! * `dlopen`: plugins that would find the C library's functions find these.
//! * `mi`: mimalloc's interface.
#![cfg_attr(not(test), no_std)]
// The safety contract of every exported function is that of its C original.
#![allow(clippy::missing_safety_doc)]

mod cxx;
mod dlopen;
mod glibc;
mod mi;
mod standard;

/// Nothing here panics; a bug that does must not unwind into C.
#[cfg(not(test))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = info;
    ferrimalloc_prim::output::write_stderr(b"ferrimalloc: error: internal invariant violated\n");
    ferrimalloc_prim::process::abort()
}
