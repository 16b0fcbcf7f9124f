//! `libferrimalloc`: the functions of `ferrimalloc-capi` as a shared and a static library.
//!
//! * `dlopen`: plugins that would find the C library's functions find these; in the shared library only.
#![no_std]

#[cfg(not(windows))]
mod dlopen;

// Its functions are exported by their C names.
extern crate ferrimalloc_capi as _;

/// Nothing here panics; a bug that does must not unwind into C.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = info;
    ferrimalloc_prim::output::write_stderr(b"ferrimalloc: error: internal invariant violated\n");
    ferrimalloc_prim::process::abort()
}
