//! Resizing with zeros: what goes beyond the old block's usable size reads as zero. So a block that was allocated zeroed
//! and is only ever resized by these is zero wherever the program has not written.

use core::ffi::c_void;

use ferrimalloc_core::alloc::Alignment;
use ferrimalloc_core::base::Zero;

use super::args::{array, resized, resized_anywhere, theap_in};
use super::export;
use super::types::HeapPtr;

const NATURAL: Alignment = Alignment::NATURAL;

export! {
    /// Resizes block `p` (null: none).
    fn mi_rezalloc(p: *mut c_void, newsize: usize) -> *mut c_void {
        resized_anywhere(p, newsize, NATURAL, Zero::Zeroed)
    }

    /// [`mi_rezalloc`] to `newcount * size` bytes.
    fn mi_recalloc(p: *mut c_void, newcount: usize, size: usize) -> *mut c_void {
        array(newcount, size, |bytes| mi_rezalloc(p, bytes))
    }

    /// [`mi_rezalloc`] to an alignment.
    fn mi_rezalloc_aligned(p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void {
        mi_rezalloc_aligned_at(p, newsize, alignment, 0)
    }

    /// [`mi_rezalloc`] to an alignment of `result + offset`.
    fn mi_rezalloc_aligned_at(p: *mut c_void, newsize: usize, alignment: usize, offset: usize) -> *mut c_void {
        resized_anywhere(p, newsize, Alignment { align: alignment, offset }, Zero::Zeroed)
    }

    /// [`mi_rezalloc_aligned`] to `newcount * size` bytes.
    fn mi_recalloc_aligned(p: *mut c_void, newcount: usize, size: usize, alignment: usize) -> *mut c_void {
        array(newcount, size, |bytes| mi_rezalloc_aligned_at(p, bytes, alignment, 0))
    }

    /// [`mi_rezalloc_aligned_at`] to `newcount * size` bytes.
    fn mi_recalloc_aligned_at(p: *mut c_void, newcount: usize, size: usize, alignment: usize, offset: usize) -> *mut c_void {
        array(newcount, size, |bytes| mi_rezalloc_aligned_at(p, bytes, alignment, offset))
    }

    /// [`mi_rezalloc`] into a heap.
    fn mi_heap_rezalloc(heap: HeapPtr, p: *mut c_void, newsize: usize) -> *mut c_void {
        resized(theap_in(heap), p, newsize, NATURAL, Zero::Zeroed)
    }

    /// [`mi_recalloc`] into a heap.
    fn mi_heap_recalloc(heap: HeapPtr, p: *mut c_void, newcount: usize, size: usize) -> *mut c_void {
        array(newcount, size, |bytes| mi_heap_rezalloc(heap, p, bytes))
    }

    /// [`mi_rezalloc_aligned`] into a heap.
    fn mi_heap_rezalloc_aligned(heap: HeapPtr, p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void {
        mi_heap_rezalloc_aligned_at(heap, p, newsize, alignment, 0)
    }

    /// [`mi_rezalloc_aligned_at`] into a heap.
    fn mi_heap_rezalloc_aligned_at(heap: HeapPtr, p: *mut c_void, newsize: usize, alignment: usize, offset: usize) -> *mut c_void {
        resized(theap_in(heap), p, newsize, Alignment { align: alignment, offset }, Zero::Zeroed)
    }

    /// [`mi_recalloc_aligned`] into a heap.
    fn mi_heap_recalloc_aligned(heap: HeapPtr, p: *mut c_void, newcount: usize, size: usize, alignment: usize) -> *mut c_void {
        array(newcount, size, |bytes| mi_heap_rezalloc_aligned_at(heap, p, bytes, alignment, 0))
    }

    /// [`mi_recalloc_aligned_at`] into a heap.
    fn mi_heap_recalloc_aligned_at(heap: HeapPtr, p: *mut c_void, newcount: usize, size: usize, alignment: usize, offset: usize) -> *mut c_void {
        array(newcount, size, |bytes| mi_heap_rezalloc_aligned_at(heap, p, bytes, alignment, offset))
    }
}
