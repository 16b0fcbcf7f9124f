//! What stands behind the exported names: the C library's contracts, over the core. Errors are told by `errno`.

use core::ffi::{c_int, c_void};
use core::ptr;

use ferrimalloc_core::alloc::{self, Stated};
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::diag::{self, Detail, ErrorKind};
use ferrimalloc_core::os;
use ferrimalloc_prim::{Errno, errno};

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
pub(crate) fn overflow(count: usize, bytes_each: usize) -> *mut c_void {
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

#[inline(always)]
pub(crate) unsafe fn do_free_as(p: *mut c_void, stated: Stated, align: usize) {
    // SAFETY: the contract of the sized frees is that of `free`.
    unsafe { alloc::free_as(p.cast(), stated, align) }
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

/// Frees `p` if it can't be resized.
pub(crate) unsafe fn do_reallocf(p: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the contract of `reallocf`.
    unsafe { reallocf_by(p, size, |p, size| do_realloc(p, size), |p| do_free(p)) }
}

pub(crate) fn reallocf_by(
    p: *mut c_void,
    size: usize,
    realloc: impl FnOnce(*mut c_void, usize) -> *mut c_void,
    free: impl FnOnce(*mut c_void),
) -> *mut c_void {
    let moved = realloc(p, size);
    if moved.is_null() {
        free(p);
    }
    moved
}
