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

use ferrimalloc_core::alloc::{self, Stated};
use ferrimalloc_core::options::CHECKS_FREES;
use ferrimalloc_prim::{cxx, symbol_forward, symbol_word, with_32_bits, with_64_bits};

use crate::new::{DEFAULT_ALIGN, new, new_aligned, new_aligned_nothrow, new_nothrow};
use crate::standard::aliases;

/// Defines the operators. Those that take a size have it in their names, so they come from the caller.
macro_rules! operators {
    (
        $new:ident $new_array:ident $new_aligned:ident $new_array_aligned:ident
        $new_nothrow:ident $new_array_nothrow:ident $new_aligned_nothrow:ident $new_array_aligned_nothrow:ident
        $delete_sized:ident $delete_array_sized:ident $delete_sized_aligned:ident $delete_array_sized_aligned:ident
    ) => {
        // What the process has under the names of the operators.
        symbol_word!(NEW, stringify!($new), "ferrimalloc_process_new");
        symbol_word!(NEW_ARRAY, stringify!($new_array), "ferrimalloc_process_new_array");
        symbol_word!(NEW_ALIGNED, stringify!($new_aligned), "ferrimalloc_process_new_aligned");
        symbol_word!(NEW_ARRAY_ALIGNED, stringify!($new_array_aligned), "ferrimalloc_process_new_array_aligned");
        symbol_word!(DELETE, "_ZdlPv", "ferrimalloc_process_delete");
        symbol_word!(DELETE_ARRAY, "_ZdaPv", "ferrimalloc_process_delete_array");
        symbol_word!(DELETE_ALIGNED, "_ZdlPvSt11align_val_t", "ferrimalloc_process_delete_aligned");
        symbol_word!(DELETE_ARRAY_ALIGNED, "_ZdaPvSt11align_val_t", "ferrimalloc_process_delete_array_aligned");

        // What we have under four of these names, whatever the process has.
        global_asm!(
            ".hidden ferrimalloc_new",
            concat!(".set ferrimalloc_new, ", stringify!($new)),
            ".hidden ferrimalloc_new_array",
            concat!(".set ferrimalloc_new_array, ", stringify!($new_array)),
            ".hidden ferrimalloc_new_aligned",
            concat!(".set ferrimalloc_new_aligned, ", stringify!($new_aligned)),
            ".hidden ferrimalloc_new_array_aligned",
            concat!(".set ferrimalloc_new_array_aligned, ", stringify!($new_array_aligned)),
        );
        symbol_word!(OWN_NEW, "ferrimalloc_new", "ferrimalloc_own_new");
        symbol_word!(OWN_NEW_ARRAY, "ferrimalloc_new_array", "ferrimalloc_own_new_array");
        symbol_word!(OWN_NEW_ALIGNED, "ferrimalloc_new_aligned", "ferrimalloc_own_new_aligned");
        symbol_word!(OWN_NEW_ARRAY_ALIGNED, "ferrimalloc_new_array_aligned", "ferrimalloc_own_new_array_aligned");

        aliases! {
            $new => [(size: usize) -> *mut c_void] = new;
            $new_aligned => [(size: usize, align: usize) -> *mut c_void] = new_aligned;
            _ZdlPv => [(p: *mut c_void)] = delete;
            _ZdlPvSt11align_val_t => [(p: *mut c_void, align: usize)] = delete_aligned;
            $new_nothrow => [(size: usize, tag: *const c_void) -> *mut c_void] = process_new_nothrow;
            $new_array_nothrow => [(size: usize, tag: *const c_void) -> *mut c_void] = process_new_array_nothrow;
            $new_aligned_nothrow
                => [(size: usize, align: usize, tag: *const c_void) -> *mut c_void] = process_new_aligned_nothrow;
            $new_array_aligned_nothrow
                => [(size: usize, align: usize, tag: *const c_void) -> *mut c_void] = process_new_array_aligned_nothrow;
        }

        symbol_forward! {
            $new_array => NEW;
            $new_array_aligned => NEW_ALIGNED;
            $delete_sized => DELETE, checked by checked_delete where CHECKS_FREES;
            _ZdlPvRKSt9nothrow_t => DELETE;
            _ZdaPv => DELETE;
            $delete_array_sized => DELETE_ARRAY, checked by checked_delete_array where CHECKS_FREES;
            _ZdaPvRKSt9nothrow_t => DELETE_ARRAY;
            $delete_sized_aligned => DELETE_ALIGNED, without second, checked by checked_delete_aligned where CHECKS_FREES;
            _ZdlPvSt11align_val_tRKSt9nothrow_t => DELETE_ALIGNED;
            _ZdaPvSt11align_val_t => DELETE_ALIGNED;
            $delete_array_sized_aligned
                => DELETE_ARRAY_ALIGNED, without second, checked by checked_delete_array_aligned where CHECKS_FREES;
            _ZdaPvSt11align_val_tRKSt9nothrow_t => DELETE_ARRAY_ALIGNED;
        }
    };
}

// `std::size_t` is `unsigned long`, or `unsigned int`.
with_64_bits! {
    operators! {
        _Znwm _Znam _ZnwmSt11align_val_t _ZnamSt11align_val_t
        _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t _ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t
        _ZdlPvm _ZdaPvm _ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t
    }
}
with_32_bits! {
    operators! {
        _Znwj _Znaj _ZnwjSt11align_val_t _ZnajSt11align_val_t
        _ZnwjRKSt9nothrow_t _ZnajRKSt9nothrow_t _ZnwjSt11align_val_tRKSt9nothrow_t _ZnajSt11align_val_tRKSt9nothrow_t
        _ZdlPvj _ZdaPvj _ZdlPvjSt11align_val_t _ZdaPvjSt11align_val_t
    }
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
    if alloc::check_free(p.cast(), None, align) {
        // SAFETY: as above.
        unsafe { delete(p) }
    }
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
    if alloc::check_free(p.cast(), Some(Stated::bytes(size)), DEFAULT_ALIGN) {
        // SAFETY: the contract of `operator delete`.
        unsafe { call(DELETE, p, DEFAULT_ALIGN) }
    }
}

unsafe extern "C" fn checked_delete_array(p: *mut c_void, size: usize) {
    if alloc::check_free(p.cast(), Some(Stated::bytes(size)), DEFAULT_ALIGN) {
        // SAFETY: as above.
        unsafe { call(DELETE_ARRAY, p, DEFAULT_ALIGN) }
    }
}

unsafe extern "C" fn checked_delete_aligned(p: *mut c_void, size: usize, align: usize) {
    if alloc::check_free(p.cast(), Some(Stated::bytes(size)), align) {
        // SAFETY: as above.
        unsafe { call(DELETE_ALIGNED, p, align) }
    }
}

unsafe extern "C" fn checked_delete_array_aligned(p: *mut c_void, size: usize, align: usize) {
    if alloc::check_free(p.cast(), Some(Stated::bytes(size)), align) {
        // SAFETY: as above.
        unsafe { call(DELETE_ARRAY_ALIGNED, p, align) }
    }
}
