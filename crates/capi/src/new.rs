//! `operator new` over our own memory, whatever the process has under that name: the loops that call the program's
//! new-handler, and throw or answer null when there is none.

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Zero;
use ferrimalloc_prim::{cxx, cxx_new_loop, output, process};

/// The alignment of `operator new` without one.
pub(crate) const DEFAULT_ALIGN: usize = 1;

extern "C" fn attempt(size: usize, align: usize) -> *mut u8 {
    if align <= DEFAULT_ALIGN { alloc::malloc(size) } else { alloc::malloc_aligned(size, align, Zero::Any) }
}

pub(crate) extern "C" fn give_up() -> *mut u8 {
    output::write_stderr(b"ferrimalloc: error: out of memory in operator new, and no libstdc++ to throw from\n");
    process::abort()
}

extern "C" fn no_memory() -> *mut u8 {
    ptr::null_mut()
}

cxx_new_loop!(new_loop, "ferrimalloc_new_loop", attempt = attempt, throw = cxx::THROW_BAD_ALLOC, give_up = give_up);

cxx_new_loop!(
    nothrow_loop,
    "ferrimalloc_nothrow_loop",
    attempt = attempt,
    throw = cxx::THROW_NOTHING,
    give_up = no_memory
);

#[inline(always)]
pub(crate) unsafe fn new(size: usize) -> *mut c_void {
    let p = alloc::malloc_at_once(size);
    // SAFETY: the contract of `operator new`.
    if p.is_null() { unsafe { new_slow(size) } } else { p.cast() }
}

#[inline(never)]
unsafe extern "C" fn new_slow(size: usize) -> *mut c_void {
    let p = alloc::malloc(size);
    // SAFETY: the loop is a C function of these parameters; it may unwind, and nothing here needs to be dropped.
    if p.is_null() { unsafe { new_failed(size) } } else { p.cast() }
}

/// What `operator new` does when it has no memory, which has been reported: the program's handler may find some.
#[inline(always)]
pub(crate) unsafe fn new_failed(size: usize) -> *mut c_void {
    // SAFETY: as in `new_slow`.
    unsafe { new_loop(size, DEFAULT_ALIGN).cast() }
}

pub(crate) unsafe fn new_aligned(size: usize, align: usize) -> *mut c_void {
    let p = alloc::malloc_aligned(size, align, Zero::Any);
    // SAFETY: as in `new_slow`.
    if p.is_null() { unsafe { new_loop(size, align).cast() } } else { p.cast() }
}

/// `new(size, nothrow)` with our memory, whatever the process has under the name of `new`.
#[inline(always)]
pub(crate) unsafe fn new_nothrow(size: usize) -> *mut c_void {
    let p = alloc::malloc_at_once(size);
    if p.is_null() { new_nothrow_slow(size) } else { p.cast() }
}

#[inline(never)]
extern "C" fn new_nothrow_slow(size: usize) -> *mut c_void {
    let p = alloc::malloc(size);
    if p.is_null() { nothrow_failed(size, DEFAULT_ALIGN) } else { p.cast() }
}

/// The same with an alignment.
pub(crate) unsafe fn new_aligned_nothrow(size: usize, align: usize) -> *mut c_void {
    let p = alloc::malloc_aligned(size, align, Zero::Any);
    if p.is_null() { nothrow_failed(size, align) } else { p.cast() }
}

/// The new-handler may find memory. What it throws ends here, and null is the answer. Without a handler nobody throws, so that
/// programs without exceptions (and without tables for them) get their null, too.
#[cold]
#[inline(never)]
extern "C" fn nothrow_failed(size: usize, align: usize) -> *mut c_void {
    if cxx::new_handler().is_none() {
        return ptr::null_mut();
    }
    // SAFETY: the loop takes any size, and the alignment that failed before.
    unsafe { cxx::null_for_exceptions(size, align, nothrow_loop).cast() }
}
