//! Aligned allocation. The `_at` functions align `result + offset`. An alignment that is no power of two gives null and
//! is reported (`EINVAL`); there is no largest one.

use core::ffi::c_void;

use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::base::Zero;

use super::args::{array, resized_anywhere};
use super::export;

export! {
    /// Allocates `size` bytes.
    fn mi_malloc_aligned(size: usize, alignment: usize) -> *mut c_void {
        alloc::malloc_aligned(size, alignment, Zero::Any).cast()
    }

    /// Allocates `size` bytes.
    fn mi_malloc_aligned_at(size: usize, alignment: usize, offset: usize) -> *mut c_void {
        alloc::malloc_aligned_at(size, alignment, offset, Zero::Any).cast()
    }

    /// Allocates `size` bytes that read as zero.
    fn mi_zalloc_aligned(size: usize, alignment: usize) -> *mut c_void {
        alloc::malloc_aligned(size, alignment, Zero::Zeroed).cast()
    }

    /// Allocates `size` bytes that read as zero.
    fn mi_zalloc_aligned_at(size: usize, alignment: usize, offset: usize) -> *mut c_void {
        alloc::malloc_aligned_at(size, alignment, offset, Zero::Zeroed).cast()
    }

    /// Allocates `count` zeroed elements.
    fn mi_calloc_aligned(count: usize, size: usize, alignment: usize) -> *mut c_void {
        array(count, size, |bytes| alloc::malloc_aligned(bytes, alignment, Zero::Zeroed).cast())
    }

    /// Allocates `count` zeroed elements.
    fn mi_calloc_aligned_at(count: usize, size: usize, alignment: usize, offset: usize) -> *mut c_void {
        array(count, size, |bytes| alloc::malloc_aligned_at(bytes, alignment, offset, Zero::Zeroed).cast())
    }

    /// Resizes block `p` (null: none); it stays where it is only if that is aligned.
    fn mi_realloc_aligned(p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void {
        resized_anywhere(p, newsize, Alignment { align: alignment, offset: 0 }, Zero::Any)
    }

    /// Resizes block `p` (null: none); it stays where it is only if that is aligned.
    fn mi_realloc_aligned_at(p: *mut c_void, newsize: usize, alignment: usize, offset: usize) -> *mut c_void {
        resized_anywhere(p, newsize, Alignment { align: alignment, offset }, Zero::Any)
    }
}
