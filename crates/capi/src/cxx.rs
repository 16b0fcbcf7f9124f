//! C++'s `operator new` and `operator delete`.
//!
//! The throwing forms try again after each call of the program's new-handler, and throw `std::bad_alloc` when there
//! is none (see `ferrimalloc_prim::cxx`). In a process without libstdc++ they report and abort, since a C++ program
//! never expects null from them.
//!
//! A program may replace some of these functions only, mostly `new(size)` and `delete(p)`. Then the others have to reach the
//! program's, as C++ says (ISO C++, \[new.delete\]): `new[]` calls `new`, a `nothrow` form the throwing one, a sized
//! `delete` the plain one, `delete[]` calls `delete`; and the aligned forms do so among themselves. So our own memory stands
//! behind four functions alone, `new(size)`, `new(size, align)`, `delete(p)` and `delete(p, align)`; all others are jumps
//! to what *the process* has under a name, by words that the linker fills in. If that is ours, a jump is what they cost.

use core::arch::global_asm;
use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::options::CHECKS_FREES;
use ferrimalloc_prim::{cxx, cxx_new_loop, output, process, symbol_forward, symbol_word};

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

// What the process has under the names of the operators.
symbol_word!(NEW, "_Znwm", "ferrimalloc_process_new");
symbol_word!(NEW_ARRAY, "_Znam", "ferrimalloc_process_new_array");
symbol_word!(NEW_ALIGNED, "_ZnwmSt11align_val_t", "ferrimalloc_process_new_aligned");
symbol_word!(NEW_ARRAY_ALIGNED, "_ZnamSt11align_val_t", "ferrimalloc_process_new_array_aligned");
symbol_word!(DELETE, "_ZdlPv", "ferrimalloc_process_delete");
symbol_word!(DELETE_ARRAY, "_ZdaPv", "ferrimalloc_process_delete_array");
symbol_word!(DELETE_ALIGNED, "_ZdlPvSt11align_val_t", "ferrimalloc_process_delete_aligned");
symbol_word!(DELETE_ARRAY_ALIGNED, "_ZdaPvSt11align_val_t", "ferrimalloc_process_delete_array_aligned");

// What we have under four of these names, whatever the process has.
global_asm!(
    ".hidden ferrimalloc_new",
    ".set ferrimalloc_new, _Znwm",
    ".hidden ferrimalloc_new_array",
    ".set ferrimalloc_new_array, _Znam",
    ".hidden ferrimalloc_new_aligned",
    ".set ferrimalloc_new_aligned, _ZnwmSt11align_val_t",
    ".hidden ferrimalloc_new_array_aligned",
    ".set ferrimalloc_new_array_aligned, _ZnamSt11align_val_t",
);
symbol_word!(OWN_NEW, "ferrimalloc_new", "ferrimalloc_own_new");
symbol_word!(OWN_NEW_ARRAY, "ferrimalloc_new_array", "ferrimalloc_own_new_array");
symbol_word!(OWN_NEW_ALIGNED, "ferrimalloc_new_aligned", "ferrimalloc_own_new_aligned");
symbol_word!(OWN_NEW_ARRAY_ALIGNED, "ferrimalloc_new_array_aligned", "ferrimalloc_own_new_array_aligned");

aliases! {
    _Znwm => [(size: usize) -> *mut c_void] = new;
    _ZnwmSt11align_val_t => [(size: usize, align: usize) -> *mut c_void] = new_aligned;
    _ZdlPv => [(p: *mut c_void)] = delete;
    _ZdlPvSt11align_val_t => [(p: *mut c_void, align: usize)] = delete_aligned;
    _ZnwmRKSt9nothrow_t => [(size: usize, tag: *const c_void) -> *mut c_void] = process_new_nothrow;
    _ZnamRKSt9nothrow_t => [(size: usize, tag: *const c_void) -> *mut c_void] = process_new_array_nothrow;
    _ZnwmSt11align_val_tRKSt9nothrow_t
        => [(size: usize, align: usize, tag: *const c_void) -> *mut c_void] = process_new_aligned_nothrow;
    _ZnamSt11align_val_tRKSt9nothrow_t
        => [(size: usize, align: usize, tag: *const c_void) -> *mut c_void] = process_new_array_aligned_nothrow;
}

symbol_forward! {
    _Znam => NEW;
    _ZnamSt11align_val_t => NEW_ALIGNED;
    _ZdlPvm => DELETE, checked by checked_delete where CHECKS_FREES;
    _ZdlPvRKSt9nothrow_t => DELETE;
    _ZdaPv => DELETE;
    _ZdaPvm => DELETE_ARRAY, checked by checked_delete_array where CHECKS_FREES;
    _ZdaPvRKSt9nothrow_t => DELETE_ARRAY;
    _ZdlPvmSt11align_val_t => DELETE_ALIGNED, without second, checked by checked_delete_aligned where CHECKS_FREES;
    _ZdlPvSt11align_val_tRKSt9nothrow_t => DELETE_ALIGNED;
    _ZdaPvSt11align_val_t => DELETE_ALIGNED;
    _ZdaPvmSt11align_val_t => DELETE_ARRAY_ALIGNED, without second, checked by checked_delete_array_aligned where CHECKS_FREES;
    _ZdaPvSt11align_val_tRKSt9nothrow_t => DELETE_ARRAY_ALIGNED;
}

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

/// `new(size, nothrow)`: the process's `new(size)`, null for what that throws.
unsafe fn process_new_nothrow(size: usize, _tag: *const c_void) -> *mut c_void {
    // SAFETY: the words hold addresses; the one of `new` is that of a function of a size.
    unsafe { if NEW == OWN_NEW { new_nothrow(size) } else { caught(NEW, size, DEFAULT_ALIGN) } }
}

/// `new[](size, nothrow)`: the process's `new[](size)`, which, if it is ours, is its `new(size)`.
unsafe fn process_new_array_nothrow(size: usize, _tag: *const c_void) -> *mut c_void {
    // SAFETY: as above.
    unsafe {
        let is_ours = NEW_ARRAY == OWN_NEW_ARRAY && NEW == OWN_NEW;
        if is_ours { new_nothrow(size) } else { caught(NEW_ARRAY, size, DEFAULT_ALIGN) }
    }
}

unsafe fn process_new_aligned_nothrow(size: usize, align: usize, _tag: *const c_void) -> *mut c_void {
    // SAFETY: as above; this function takes an alignment, too.
    unsafe {
        if NEW_ALIGNED == OWN_NEW_ALIGNED { new_aligned_nothrow(size, align) } else { caught(NEW_ALIGNED, size, align) }
    }
}

unsafe fn process_new_array_aligned_nothrow(size: usize, align: usize, _tag: *const c_void) -> *mut c_void {
    // SAFETY: as above.
    unsafe {
        let is_ours = NEW_ARRAY_ALIGNED == OWN_NEW_ARRAY_ALIGNED && NEW_ALIGNED == OWN_NEW_ALIGNED;
        if is_ours { new_aligned_nothrow(size, align) } else { caught(NEW_ARRAY_ALIGNED, size, align) }
    }
}

/// What the process's form of `new` at this address answers; null if it throws.
///
/// # Safety
/// The address is that of a function of a size, or of a size and an alignment.
#[cold]
#[inline(never)]
unsafe extern "C" fn caught(form: usize, size: usize, align: usize) -> *mut c_void {
    // SAFETY: the precondition: a function may be called with an argument more, in C's convention.
    unsafe { cxx::null_for_exceptions(size, align, core::mem::transmute::<usize, cxx::Allocate>(form)).cast() }
}

#[inline(always)]
unsafe fn delete(p: *mut c_void) {
    // SAFETY: the contract of `operator delete` is that of `free`.
    unsafe { alloc::free(p.cast()) }
}

#[inline(always)]
unsafe fn delete_aligned(p: *mut c_void, align: usize) {
    alloc::check_free(p.cast(), None, align);
    // SAFETY: as above.
    unsafe { delete(p) }
}

/// Calls the function of a pointer, or of a pointer and an alignment, whose address a word holds.
///
/// # Safety
/// There is such a function, and the block is its to delete.
unsafe fn call(form: usize, p: *mut c_void, align: usize) {
    // SAFETY: the precondition: a function may be called with an argument more, in C's convention.
    unsafe { core::mem::transmute::<usize, unsafe extern "C" fn(*mut c_void, usize)>(form)(p, align) }
}

/// Sized forms of `delete`, while the levels ask for a look at what they pass along.
unsafe extern "C" fn checked_delete(p: *mut c_void, size: usize) {
    alloc::check_free(p.cast(), Some(size), DEFAULT_ALIGN);
    // SAFETY: the contract of `operator delete`.
    unsafe { call(DELETE, p, DEFAULT_ALIGN) }
}

unsafe extern "C" fn checked_delete_array(p: *mut c_void, size: usize) {
    alloc::check_free(p.cast(), Some(size), DEFAULT_ALIGN);
    // SAFETY: as above.
    unsafe { call(DELETE_ARRAY, p, DEFAULT_ALIGN) }
}

unsafe extern "C" fn checked_delete_aligned(p: *mut c_void, size: usize, align: usize) {
    alloc::check_free(p.cast(), Some(size), align);
    // SAFETY: as above.
    unsafe { call(DELETE_ALIGNED, p, align) }
}

unsafe extern "C" fn checked_delete_array_aligned(p: *mut c_void, size: usize, align: usize) {
    alloc::check_free(p.cast(), Some(size), align);
    // SAFETY: as above.
    unsafe { call(DELETE_ARRAY_ALIGNED, p, align) }
}
