//! The POSIX, Unix and Windows names.

use core::ffi::{c_int, c_void};
use core::ptr;

use ferrimalloc_core::alloc::{self, Stated};
use ferrimalloc_prim::{Errno, errno};

use super::args::{array, no_memory};
use super::export;
use super::rezalloc::{mi_recalloc_aligned, mi_recalloc_aligned_at};
use crate::calls::{do_aligned, do_free, do_free_as, do_posix_memalign, do_pvalloc, do_valloc};

export! {
    /// [`mi_free`](super::basic::mi_free), which leaves addresses that are not ours alone without a report, and says so.
    fn mi_cfree(p: *mut c_void) -> bool {
        let is_ours = alloc::is_ours(p.cast());
        if is_ours {
            do_free(p);
        }
        is_ours
    }

    /// [`mi_expand`](super::basic::mi_expand) that sets `errno` to `ENOMEM` when it can't.
    fn mi__expand(p: *mut c_void, newsize: usize) -> *mut c_void {
        let expanded = alloc::expand(p.cast(), newsize);
        if expanded.is_null() { no_memory() } else { expanded.cast() }
    }

    /// [`mi_usable_size`](super::basic::mi_usable_size).
    fn mi_malloc_size(p: *const c_void) -> usize {
        alloc::usable_size(p.cast())
    }

    /// [`mi_usable_size`](super::basic::mi_usable_size).
    fn mi_malloc_usable_size(p: *const c_void) -> usize {
        alloc::usable_size(p.cast())
    }

    /// [`mi_good_size`](super::basic::mi_good_size).
    fn mi_malloc_good_size(size: usize) -> usize {
        alloc::good_size(size)
    }

    /// `posix_memalign(3)`: an alignment that is no power of two, or smaller than a pointer, is `EINVAL`; `*p` is
    /// written on success only.
    fn mi_posix_memalign(p: *mut *mut c_void, alignment: usize, size: usize) -> c_int {
        do_posix_memalign(p, alignment, size)
    }

    /// `memalign(3)`; any power of two.
    fn mi_memalign(alignment: usize, size: usize) -> *mut c_void {
        do_aligned(alignment, size)
    }

    /// `aligned_alloc(3)`; the size need not be a multiple of the alignment.
    fn mi_aligned_alloc(alignment: usize, size: usize) -> *mut c_void {
        do_aligned(alignment, size)
    }

    /// Aligned to OS pages.
    fn mi_valloc(size: usize) -> *mut c_void {
        do_valloc(size)
    }

    /// Whole OS pages.
    fn mi_pvalloc(size: usize) -> *mut c_void {
        do_pvalloc(size)
    }

    /// `reallocarray(3)`.
    fn mi_reallocarray(p: *mut c_void, count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| alloc::realloc(p.cast(), bytes).cast())
    }

    /// NetBSD's: `*ptrp` is resized in place of returning it. 0, or an error number with `*ptrp` as it was. A count or
    /// size of 0 frees.
    fn mi_reallocarr(ptrp: *mut c_void, count: usize, size: usize) -> c_int {
        reallocarr(ptrp.cast(), count, size, |p, size| alloc::realloc(p.cast(), size).cast(), |p| do_free(p))
    }

    /// Windows' `_aligned_recalloc`.
    fn mi_aligned_recalloc(p: *mut c_void, newcount: usize, size: usize, alignment: usize) -> *mut c_void {
        mi_recalloc_aligned(p, newcount, size, alignment)
    }

    /// Windows' `_aligned_offset_recalloc`.
    fn mi_aligned_offset_recalloc(p: *mut c_void, newcount: usize, size: usize, alignment: usize, offset: usize) -> *mut c_void {
        mi_recalloc_aligned_at(p, newcount, size, alignment, offset)
    }

    /// [`mi_free`](super::basic::mi_free) of a block of `size` bytes: as fast, and where blocks have canaries one of
    /// another size is refused.
    fn mi_free_size(p: *mut c_void, size: usize) {
        do_free_as(p, Stated::bytes(size), 1);
    }

    /// The same of an aligned block.
    fn mi_free_size_aligned(p: *mut c_void, size: usize, alignment: usize) {
        do_free_as(p, Stated::bytes(size), alignment);
    }

    /// Frees a block whose alignment the caller knows.
    fn mi_free_aligned(p: *mut c_void, alignment: usize) {
        if alloc::check_free(p.cast(), None, alignment) {
            do_free(p);
        }
    }

    /// C23's `free_sized`: as [`mi_free_size`].
    fn mi_free_sized(p: *mut c_void, size: usize) {
        do_free_as(p, Stated::bytes(size), 1);
    }

    /// C23's `free_aligned_sized`: as [`mi_free_size_aligned`].
    fn mi_free_aligned_sized(p: *mut c_void, alignment: usize, size: usize) {
        do_free_as(p, Stated::bytes(size), alignment);
    }

    /// [`mi_free_size`] for callers that can't use the header's inline function.
    fn mi_free_csize(p: *mut c_void, size: usize) {
        do_free_as(p, Stated::bytes(size), 1);
    }

    /// As [`mi_free_csize`]; null is fine all the same.
    fn mi_free_csize_nonnull(p: *mut c_void, size: usize) {
        do_free_as(p, Stated::bytes(size), 1);
    }

    /// As [`mi_free_csize`], of an aligned block.
    fn mi_free_csize_aligned(p: *mut c_void, size: usize, alignment: usize) {
        do_free_as(p, Stated::bytes(size), alignment);
    }

    /// As [`mi_free_csize_aligned`]; null is fine all the same.
    fn mi_free_csize_aligned_nonnull(p: *mut c_void, size: usize, alignment: usize) {
        do_free_as(p, Stated::bytes(size), alignment);
    }
}

fn failed(error: Errno) -> c_int {
    errno::set(error);
    error.0
}

/// NetBSD's `reallocarr` by these functions.
///
/// # Safety
/// `slot` is null, or holds null or a block of theirs.
pub unsafe fn reallocarr(
    slot: *mut *mut c_void,
    count: usize,
    size: usize,
    realloc: impl FnOnce(*mut c_void, usize) -> *mut c_void,
    free: impl FnOnce(*mut c_void),
) -> c_int {
    if slot.is_null() {
        return failed(Errno::EINVAL);
    }
    match count.checked_mul(size) {
        None => return failed(Errno::EOVERFLOW),
        // SAFETY: the precondition.
        Some(0) => free(unsafe { slot.replace(ptr::null_mut()) }),
        Some(bytes) => {
            // SAFETY: the precondition.
            let moved = realloc(unsafe { slot.read() }, bytes);
            if moved.is_null() {
                return failed(Errno::ENOMEM);
            }
            // SAFETY: the precondition.
            unsafe { slot.write(moved) };
        }
    }
    0
}
