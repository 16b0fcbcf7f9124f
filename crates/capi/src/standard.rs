//! The allocation functions of ISO C, POSIX and glibc, under all their names.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::diag::{self, Detail, ErrorKind};
use ferrimalloc_core::os;
use ferrimalloc_prim::{Errno, errno};

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
    free, cfree, vfree, __libc_free, __libc_cfree => [(p: *mut c_void)] = do_free;
    memalign, __libc_memalign => [(align: usize, size: usize) -> *mut c_void] = do_aligned;
    aligned_alloc => [(align: usize, size: usize) -> *mut c_void] = do_aligned;
    _aligned_malloc => [(size: usize, align: usize) -> *mut c_void] = do_malloc_aligned;
    posix_memalign, __posix_memalign => [(out: *mut *mut c_void, align: usize, size: usize) -> c_int] = do_posix_memalign;
    valloc, __libc_valloc => [(size: usize) -> *mut c_void] = do_valloc;
    pvalloc, __libc_pvalloc => [(size: usize) -> *mut c_void] = do_pvalloc;
    malloc_usable_size, malloc_size => [(p: *const c_void) -> usize] = do_usable_size;
    malloc_good_size => [(size: usize) -> usize] = alloc::good_size;
    reallocarray => [(p: *mut c_void, count: usize, size: usize) -> *mut c_void] = do_reallocarray;
    reallocf => [(p: *mut c_void, size: usize) -> *mut c_void] = do_reallocf;
    strdup => [(s: *const c_char) -> *mut c_char] = do_strdup;
    strndup => [(s: *const c_char, max: usize) -> *mut c_char] = do_strndup;
    free_sized => [(p: *mut c_void, size: usize)] = do_free_sized;
    free_aligned_sized => [(p: *mut c_void, align: usize, size: usize)] = do_free_aligned_sized;
}

#[inline(always)]
pub(crate) fn do_malloc(size: usize) -> *mut c_void {
    alloc::malloc(size).cast()
}

/// Null with `ENOMEM` where `count * size` overflows.
#[inline(always)]
pub(crate) fn do_calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => alloc::zalloc(bytes).cast(),
        None => overflow(count, size),
    }
}

/// Reports that `count * size` overflows; null, with `ENOMEM`.
#[cold]
#[inline(never)]
fn overflow(count: usize, bytes_each: usize) -> *mut c_void {
    diag::error(ErrorKind::CountOverflow, ptr::null(), Detail::Array { count, bytes_each });
    too_large()
}

#[cold]
fn too_large() -> *mut c_void {
    errno::set(Errno::ENOMEM);
    ptr::null_mut()
}

#[inline(always)]
pub(crate) unsafe fn do_realloc(p: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contract of `realloc`.
    unsafe { alloc::realloc(p.cast(), size).cast() }
}

#[inline(always)]
pub(crate) unsafe fn do_free(p: *mut c_void) {
    // SAFETY: the contract of `free`.
    unsafe { alloc::free(p.cast()) }
}

#[inline]
pub(crate) fn do_aligned(align: usize, size: usize) -> *mut c_void {
    do_malloc_aligned(size, align)
}

/// An alignment that is no power of two gives null with `EINVAL`.
#[inline]
pub(crate) fn do_malloc_aligned(size: usize, align: usize) -> *mut c_void {
    if !align.is_power_of_two() {
        errno::set(Errno::EINVAL);
        return ptr::null_mut();
    }
    alloc::malloc_aligned(size, align, Zero::Any).cast()
}

pub(crate) unsafe fn do_posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if out.is_null() || !align.is_power_of_two() || !align.is_multiple_of(size_of::<*mut c_void>()) {
        return Errno::EINVAL.0;
    }
    let before = errno::get();
    let p = alloc::malloc_aligned(size, align, Zero::Any);
    errno::set(before);
    if p.is_null() {
        return Errno::ENOMEM.0;
    }
    // SAFETY: `out` is the caller's variable.
    unsafe { out.write(p.cast()) };
    0
}

pub(crate) fn do_valloc(size: usize) -> *mut c_void {
    do_malloc_aligned(size, os::os_page_bytes())
}

pub(crate) fn do_pvalloc(size: usize) -> *mut c_void {
    let page = os::os_page_bytes();
    match size.checked_next_multiple_of(page) {
        Some(bytes) => do_malloc_aligned(bytes.max(page), page),
        None => too_large(),
    }
}

pub(crate) fn do_usable_size(p: *const c_void) -> usize {
    alloc::usable_size(p.cast())
}

pub(crate) unsafe fn do_reallocarray(p: *mut c_void, count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the contract of `reallocarray`.
        Some(bytes) => unsafe { do_realloc(p, bytes) },
        None => overflow(count, size),
    }
}

/// Frees `p` if it can't be resized.
pub(crate) unsafe fn do_reallocf(p: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contract of `reallocf`.
    unsafe {
        let moved = do_realloc(p, size);
        if moved.is_null() {
            do_free(p);
        }
        moved
    }
}

pub(crate) unsafe fn do_strdup(s: *const c_char) -> *mut c_char {
    // SAFETY: `s` is null or a C string.
    unsafe { if s.is_null() { ptr::null_mut() } else { duplicate(s, libc::strlen(s)) } }
}

pub(crate) unsafe fn do_strndup(s: *const c_char, max: usize) -> *mut c_char {
    // SAFETY: `s` is null or a string of at most `max` bytes.
    unsafe { if s.is_null() { ptr::null_mut() } else { duplicate(s, libc::strnlen(s, max)) } }
}

/// # Safety
/// `s` has `len` bytes.
unsafe fn duplicate(s: *const c_char, len: usize) -> *mut c_char {
    let copy: *mut c_char = alloc::malloc(len + 1).cast();
    if !copy.is_null() {
        // SAFETY: the block has `len + 1` bytes.
        unsafe {
            ptr::copy_nonoverlapping(s, copy, len);
            copy.add(len).write(0);
        }
    }
    copy
}

unsafe fn do_free_sized(p: *mut c_void, _size: usize) {
    // SAFETY: the contract of C23's `free_sized` is stronger than that of `free`.
    unsafe { do_free(p) }
}

unsafe fn do_free_aligned_sized(p: *mut c_void, _align: usize, _size: usize) {
    // SAFETY: as above.
    unsafe { do_free(p) }
}

aliases! {
    reallocarr => [(ptrp: *mut c_void, count: usize, size: usize) -> c_int] = crate::mi::reallocarr;
}
