//! The allocation functions of ISO C, POSIX and glibc, under all their names.
//!
//! A program may have a `malloc` of its own, or stand under a library whose `malloc` puts a header before each block of
//! ours. Then `free` is theirs, too, and expects blocks of theirs. So a function that the C library implements *on top of*
//! `malloc` (`strdup`, `reallocarray`, `asprintf`, `getline`, …) is left to it: it calls what the process has under that
//! name. Functions of other systems that are such (`reallocf`, `free_sized`) call that, too.
//!
//! In the static archive there are `strdup`, `strndup` and `reallocarray` all the same: in a plugin that hides its copy of us
//! the C library's would go to another `malloc` than the plugin's `free`. These are weak, and call by name like the others.

use core::arch::global_asm;
use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use ferrimalloc_core::alloc::{self, Stated};
use ferrimalloc_core::options::CHECKS_FREES;
use ferrimalloc_prim::{symbol_forward, symbol_word};

use crate::calls::{
    do_aligned, do_calloc, do_free, do_malloc, do_malloc_aligned, do_posix_memalign, do_pvalloc, do_realloc,
    do_usable_size, do_valloc, overflow, reallocf_by,
};

/// Defines exported functions that are other names of one implementation.
macro_rules! aliases {
    ($($name:ident $(, $more:ident)* => $signature:tt = $body:path;)*) => {$(
        aliases!(@define $name $signature = $body);
        $(aliases!(@define $more $signature = $body);)*
    )*};
    (@define $name:ident [($($arg:ident: $ty:ty),*) $(-> $ret:ty)?] = $body:path) => {
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the contract of the C function.
            #[allow(unused_unsafe)]
            unsafe { $body($($arg),*) }
        }
    };
}
pub(crate) use aliases;

aliases! {
    malloc, __libc_malloc => [(size: usize) -> *mut c_void] = do_malloc;
    calloc, __libc_calloc => [(count: usize, size: usize) -> *mut c_void] = do_calloc;
    realloc, __libc_realloc => [(p: *mut c_void, size: usize) -> *mut c_void] = do_realloc;
    free, __libc_free, __libc_cfree => [(p: *mut c_void)] = do_free;
    memalign, __libc_memalign => [(align: usize, size: usize) -> *mut c_void] = do_aligned;
    aligned_alloc => [(align: usize, size: usize) -> *mut c_void] = do_aligned;
    _aligned_malloc => [(size: usize, align: usize) -> *mut c_void] = do_malloc_aligned;
    posix_memalign, __posix_memalign => [(out: *mut *mut c_void, align: usize, size: usize) -> c_int] = do_posix_memalign;
    valloc, __libc_valloc => [(size: usize) -> *mut c_void] = do_valloc;
    pvalloc, __libc_pvalloc => [(size: usize) -> *mut c_void] = do_pvalloc;
    malloc_usable_size => [(p: *const c_void) -> usize] = do_usable_size;
    malloc_good_size => [(size: usize) -> usize] = alloc::good_size;
    reallocf => [(p: *mut c_void, size: usize) -> *mut c_void] = process_reallocf;
    reallocarr => [(ptrp: *mut c_void, count: usize, size: usize) -> c_int] = process_reallocarr;
}

// What the process has under these names.
symbol_word!(MALLOC, "malloc", "ferrimalloc_process_malloc");
symbol_word!(REALLOC, "realloc", "ferrimalloc_process_realloc");
symbol_word!(FREE, "free", "ferrimalloc_process_free");
symbol_word!(USABLE_SIZE, "malloc_usable_size", "ferrimalloc_process_usable_size");

symbol_forward! {
    cfree => FREE;
    vfree => FREE;
    free_sized => FREE, checked by checked_free_sized where CHECKS_FREES;
    free_aligned_sized => FREE, checked by checked_free_aligned_sized where CHECKS_FREES;
    malloc_size => USABLE_SIZE;
}

// In the static archive only: what assembly defines is not exported by the shared library.
global_asm!(
    ".weak strdup",
    ".type strdup, %function",
    ".set strdup, {strdup}",
    ".weak strndup",
    ".type strndup, %function",
    ".set strndup, {strndup}",
    ".weak reallocarray",
    ".type reallocarray, %function",
    ".set reallocarray, {reallocarray}",
    strdup = sym process_strdup,
    strndup = sym process_strndup,
    reallocarray = sym process_reallocarray,
);

/// C23's sized forms of `free`, while the levels ask for a look at what they pass along.
unsafe extern "C" fn checked_free_sized(p: *mut c_void, size: usize) {
    if alloc::check_free(p.cast(), Some(Stated::bytes(size)), 1) {
        // SAFETY: the contract of the C function.
        unsafe { process_free(p) }
    }
}

unsafe extern "C" fn checked_free_aligned_sized(p: *mut c_void, align: usize, size: usize) {
    if alloc::check_free(p.cast(), Some(Stated::bytes(size)), align) {
        // SAFETY: as above.
        unsafe { process_free(p) }
    }
}

/// The process's `malloc`.
unsafe fn process_malloc(size: usize) -> *mut c_void {
    // SAFETY: the word holds the address of a function of this type.
    unsafe { core::mem::transmute::<usize, unsafe extern "C" fn(usize) -> *mut c_void>(MALLOC)(size) }
}

/// The process's `realloc`.
unsafe fn process_realloc(p: *mut c_void, size: usize) -> *mut c_void {
    type Realloc = unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void;
    // SAFETY: as above; the block is the caller's.
    unsafe { core::mem::transmute::<usize, Realloc>(REALLOC)(p, size) }
}

/// The process's `free`.
unsafe fn process_free(p: *mut c_void) {
    // SAFETY: as above.
    unsafe { core::mem::transmute::<usize, unsafe extern "C" fn(*mut c_void)>(FREE)(p) }
}

unsafe extern "C" fn process_strdup(s: *const c_char) -> *mut c_char {
    // SAFETY: `s` is a C string.
    unsafe { duplicate(s, libc::strlen(s)) }
}

unsafe extern "C" fn process_strndup(s: *const c_char, max: usize) -> *mut c_char {
    // SAFETY: `s` is a string or has `max` bytes.
    unsafe { duplicate(s, libc::strnlen(s, max)) }
}

/// # Safety
/// `s` has `len` bytes.
unsafe fn duplicate(s: *const c_char, len: usize) -> *mut c_char {
    // SAFETY: the block has `len + 1` bytes.
    unsafe {
        let copy: *mut c_char = process_malloc(len + 1).cast();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(s, copy, len);
            copy.add(len).write(0);
        }
        copy
    }
}

unsafe extern "C" fn process_reallocarray(p: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the contract of `reallocarray`.
        Some(bytes) => unsafe { process_realloc(p, bytes) },
        None => overflow(count, size),
    }
}

/// Frees `p` if it can't be resized.
unsafe fn process_reallocf(p: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contract of `reallocf`.
    unsafe { reallocf_by(p, size, |p, size| process_realloc(p, size), |p| process_free(p)) }
}

unsafe fn process_reallocarr(ptrp: *mut c_void, count: usize, size: usize) -> c_int {
    // SAFETY: the contract of `reallocarr`.
    unsafe { crate::mi::reallocarr(ptrp.cast(), count, size, |p, size| process_realloc(p, size), |p| process_free(p)) }
}
