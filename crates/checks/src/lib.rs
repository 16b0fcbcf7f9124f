//! `libferrimalloc-checks`: the C library's functions that copy, in front of it. Each asks `libferrimalloc` whether
//! what it reads and what it writes stays inside of a block, and has it reported if not. The idea is snmalloc's (its
//! guarded `memcpy`).
//!
//! It is a library of its own, to be preloaded beside the first, and has no part of the allocator: both must speak of
//! one heap. So it knows the first by four symbols of the process, which the dynamic linker looks up wherever they are
//! (`check`). Without them it copies and checks nothing.
//!
//! * `next`: the functions behind, which do the work; `check`: the questions.
//! * `memory`, `strings`: the functions of `<string.h>`; `wide`: those of `<wchar.h>` that take a length.
//! * `fortified`: the names by which `_FORTIFY_SOURCE` calls them.
//!
//! The dynamic linker calls functions of this library while libraries are being loaded, perhaps before its own words
//! are filled in: until [`start`] has run, everything is copied byte by byte, and nothing is called.
#![no_std]
// The safety contract of every exported function is that of its C original.
#![allow(clippy::missing_safety_doc)]

mod check;
mod fortified;
mod memory;
mod next;
mod strings;
mod wide;

ferrimalloc_prim::at_load!(start);

extern "C" fn start() {
    next::find();
    check::begin();
}

/// Nothing here panics; a bug that does must not unwind into C.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = info;
    ferrimalloc_prim::output::write_stderr(b"ferrimalloc-checks: error: internal invariant violated\n");
    ferrimalloc_prim::process::abort()
}
