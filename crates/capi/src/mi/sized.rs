//! Allocation that tells the block's size. The size is written where it is wanted (not null); it is 0 where there is no
//! block.

use core::ffi::c_void;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Zero;

use super::args::{array, tell};
use super::export;
use crate::calls::do_free;

/// Tells the size of a block, which may be null.
///
/// # Safety
/// `size` is null or may be written.
unsafe fn sized(p: *mut c_void, size: *mut usize) -> *mut c_void {
    // SAFETY: the precondition.
    unsafe { tell(size, alloc::usable_size(p.cast())) };
    p
}

export! {
    /// [`mi_malloc`](super::basic::mi_malloc), telling the usable size.
    fn mi_umalloc(size: usize, block_size: *mut usize) -> *mut c_void {
        sized(alloc::malloc(size).cast(), block_size)
    }

    /// [`mi_calloc`](super::basic::mi_calloc), telling the usable size.
    fn mi_ucalloc(count: usize, size: usize, block_size: *mut usize) -> *mut c_void {
        sized(array(count, size, |bytes| alloc::zalloc(bytes).cast()), block_size)
    }

    /// [`mi_realloc`](super::basic::mi_realloc), telling the usable sizes before and after.
    fn mi_urealloc(p: *mut c_void, newsize: usize, block_size_pre: *mut usize, block_size_post: *mut usize) -> *mut c_void {
        sized(p, block_size_pre);
        sized(alloc::realloc(p.cast(), newsize).cast(), block_size_post)
    }

    /// [`mi_free`](super::basic::mi_free), telling the size that the block had.
    fn mi_ufree(p: *mut c_void, block_size: *mut usize) {
        do_free(sized(p, block_size));
    }

    /// Allocates aligned, telling the usable size.
    fn mi_umalloc_aligned(size: usize, alignment: usize, block_size: *mut usize) -> *mut c_void {
        sized(alloc::malloc_aligned(size, alignment, Zero::Any).cast(), block_size)
    }

    /// Allocates aligned and zeroed, telling the usable size.
    fn mi_uzalloc_aligned(size: usize, alignment: usize, block_size: *mut usize) -> *mut c_void {
        sized(alloc::malloc_aligned(size, alignment, Zero::Zeroed).cast(), block_size)
    }

    /// As [`mi_umalloc`].
    fn mi_umalloc_small(size: usize, block_size: *mut usize) -> *mut c_void {
        sized(alloc::malloc(size).cast(), block_size)
    }

    /// As [`mi_umalloc`], and the block reads as zero.
    fn mi_uzalloc_small(size: usize, block_size: *mut usize) -> *mut c_void {
        sized(alloc::zalloc(size).cast(), block_size)
    }
}
