//! C++'s `operator new` and `operator delete`.
//!
//! The throwing forms try again after each call of the program's new-handler, and throw `std::bad_alloc` when there
//! is none (see `ferrimalloc_prim::cxx`). In a process without libstdc++ they report and abort, since a C++ program
//! never expects null from them.

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Zero;
use ferrimalloc_prim::{cxx, cxx_new_loop, output, process};

use crate::standard::aliases;

/// The alignment of `operator new` without one.
const DEFAULT_ALIGN: usize = 1;

extern "C" fn attempt(size: usize, align: usize) -> *mut u8 {
    if align <= DEFAULT_ALIGN { alloc::malloc(size) } else { alloc::malloc_aligned(size, align, Zero::Any) }
}

pub(crate) extern "C" fn give_up() -> *mut u8 {
    output::write_stderr(b"ferrimalloc: error: out of memory in operator new, and no libstdc++ to throw from\n");
    process::abort()
}

cxx_new_loop!(new_loop, "ferrimalloc_new_loop", attempt = attempt, give_up = give_up);

aliases! {
    _Znwm, _Znam => [(size: usize) -> *mut c_void] = new;
    _ZnwmRKSt9nothrow_t, _ZnamRKSt9nothrow_t => [(size: usize, tag: *const c_void) -> *mut c_void] = new_nothrow;
    _ZnwmSt11align_val_t, _ZnamSt11align_val_t => [(size: usize, align: usize) -> *mut c_void] = new_aligned;
    _ZnwmSt11align_val_tRKSt9nothrow_t, _ZnamSt11align_val_tRKSt9nothrow_t
        => [(size: usize, align: usize, tag: *const c_void) -> *mut c_void] = new_aligned_nothrow;
    _ZdlPv, _ZdaPv => [(p: *mut c_void)] = delete;
    _ZdlPvm, _ZdaPvm => [(p: *mut c_void, size: usize)] = delete_hinted;
    _ZdlPvSt11align_val_t, _ZdaPvSt11align_val_t => [(p: *mut c_void, align: usize)] = delete_hinted;
    _ZdlPvmSt11align_val_t, _ZdaPvmSt11align_val_t => [(p: *mut c_void, size: usize, align: usize)] = delete_hinted_twice;
    _ZdlPvRKSt9nothrow_t, _ZdaPvRKSt9nothrow_t => [(p: *mut c_void, tag: *const c_void)] = delete_tagged;
    _ZdlPvSt11align_val_tRKSt9nothrow_t, _ZdaPvSt11align_val_tRKSt9nothrow_t
        => [(p: *mut c_void, align: usize, tag: *const c_void)] = delete_hinted_tagged;
}

#[inline(always)]
pub(crate) unsafe fn new(size: usize) -> *mut c_void {
    let p = alloc::malloc(size);
    // SAFETY: the loop is a C function of these parameters; it may unwind, and nothing here needs to be dropped.
    if p.is_null() { unsafe { new_failed(size) } } else { p.cast() }
}

/// What `operator new` does when it has no memory, which has been reported: the program's handler may find some.
#[inline(always)]
pub(crate) unsafe fn new_failed(size: usize) -> *mut c_void {
    // SAFETY: as in `new`.
    unsafe { new_loop(size, DEFAULT_ALIGN).cast() }
}

pub(crate) unsafe fn new_aligned(size: usize, align: usize) -> *mut c_void {
    let p = alloc::malloc_aligned(size, align, Zero::Any);
    // SAFETY: as in `new`.
    if p.is_null() { unsafe { new_loop(size, align).cast() } } else { p.cast() }
}

pub(crate) unsafe fn new_nothrow(size: usize, _tag: *const c_void) -> *mut c_void {
    retrying(|| attempt(size, DEFAULT_ALIGN))
}

pub(crate) unsafe fn new_aligned_nothrow(size: usize, align: usize, _tag: *const c_void) -> *mut c_void {
    retrying(|| attempt(size, align))
}

/// Calls the new-handler between attempts; null when there is none.
fn retrying(attempt: impl Fn() -> *mut u8) -> *mut c_void {
    loop {
        let p = attempt();
        if !p.is_null() {
            return p.cast();
        }
        match cxx::new_handler() {
            // SAFETY: a new-handler may be called whenever `new` fails.
            Some(handler) => unsafe { handler() },
            None => return ptr::null_mut(),
        }
    }
}

#[inline(always)]
unsafe fn delete(p: *mut c_void) {
    // SAFETY: the contract of `operator delete` is that of `free`.
    unsafe { alloc::free(p.cast()) }
}

#[inline(always)]
unsafe fn delete_hinted(p: *mut c_void, _size_or_align: usize) {
    // SAFETY: as above.
    unsafe { delete(p) }
}

#[inline(always)]
unsafe fn delete_hinted_twice(p: *mut c_void, _size: usize, _align: usize) {
    // SAFETY: as above.
    unsafe { delete(p) }
}

#[inline(always)]
unsafe fn delete_tagged(p: *mut c_void, _tag: *const c_void) {
    // SAFETY: as above.
    unsafe { delete(p) }
}

#[inline(always)]
unsafe fn delete_hinted_tagged(p: *mut c_void, _align: usize, _tag: *const c_void) {
    // SAFETY: as above.
    unsafe { delete(p) }
}
