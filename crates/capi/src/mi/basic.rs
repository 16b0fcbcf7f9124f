//! Basic allocation.

use core::ffi::c_void;

use ferrimalloc_core::alloc::{self, Stated};
use ferrimalloc_core::base::WORD_BYTES;

use super::args::{array, bytes_of};
use super::export;
use crate::calls::{do_free, do_free_as, do_reallocf};

export! {
    /// Allocates `size` bytes.
    fn mi_malloc(size: usize) -> *mut c_void {
        alloc::malloc(size).cast()
    }

    /// Allocates `size` bytes that read as zero.
    fn mi_zalloc(size: usize) -> *mut c_void {
        alloc::zalloc(size).cast()
    }

    /// Allocates an array of `count` zeroed elements of `size` bytes.
    fn mi_calloc(count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| alloc::zalloc(bytes).cast())
    }

    /// Allocates an array of `count` elements of `size` bytes.
    fn mi_mallocn(count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| alloc::malloc(bytes).cast())
    }

    /// As [`mi_malloc`]: sizes up to 1024 bytes are no special case here.
    fn mi_malloc_small(size: usize) -> *mut c_void {
        alloc::malloc(size).cast()
    }

    /// As [`mi_zalloc`].
    fn mi_zalloc_small(size: usize) -> *mut c_void {
        alloc::zalloc(size).cast()
    }

    /// Resizes block `p` (null: none) and keeps its contents; it may move. On failure null, and `p` is as it was. Size
    /// 0 gives a smallest block.
    fn mi_realloc(p: *mut c_void, newsize: usize) -> *mut c_void {
        alloc::realloc(p.cast(), newsize).cast()
    }

    /// [`mi_realloc`] to `count * size` bytes.
    fn mi_reallocn(p: *mut c_void, count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| alloc::realloc(p.cast(), bytes).cast())
    }

    /// [`mi_realloc`] that frees `p` on failure.
    fn mi_reallocf(p: *mut c_void, newsize: usize) -> *mut c_void {
        do_reallocf(p, newsize)
    }

    /// `p` if its block has `newsize` bytes, or can get them where it is; else null, and nothing has changed. A big block
    /// that needs much less gives the rest back.
    fn mi_expand(p: *mut c_void, newsize: usize) -> *mut c_void {
        alloc::expand(p.cast(), newsize).cast()
    }

    /// Frees a block, on any thread; null is fine. Leaves `errno` alone. An address that is no block of ours is
    /// reported and left alone.
    fn mi_free(p: *mut c_void) {
        do_free(p);
    }

    /// [`mi_free`] of a block of at most 1024 bytes: as fast, and where blocks have canaries a larger one is refused.
    fn mi_free_small(p: *mut c_void) {
        do_free_as(p, Stated::SMALL, 1);
    }

    /// As [`mi_free_small`]; null is fine all the same.
    fn mi_free_small_nonnull(p: *mut c_void) {
        do_free_as(p, Stated::SMALL, 1);
    }

    /// As [`mi_free_small`]; a block of another thread's page is fine all the same.
    fn mi_free_small_local(p: *mut c_void) {
        do_free_as(p, Stated::SMALL, 1);
    }

    /// As [`mi_free_small_local`].
    fn mi_free_small_local_nonnull(p: *mut c_void) {
        do_free_as(p, Stated::SMALL, 1);
    }

    /// Allocates `wsize` words.
    fn mi_wmalloc_small(wsize: usize) -> *mut c_void {
        alloc::malloc_words(wsize).cast()
    }

    /// Allocates `wsize` words that read as zero.
    fn mi_wzalloc_small(wsize: usize) -> *mut c_void {
        alloc::zalloc(bytes_of(wsize)).cast()
    }

    /// The words that hold `size` bytes.
    fn mi_wsize_from_size(size: usize) -> usize {
        size.div_ceil(WORD_BYTES)
    }

    /// [`mi_malloc`] for callers that can't use the header's inline function.
    fn mi_malloc_csize(size: usize) -> *mut c_void {
        alloc::malloc(size).cast()
    }

    /// [`mi_zalloc`], likewise.
    fn mi_zalloc_csize(size: usize) -> *mut c_void {
        alloc::zalloc(size).cast()
    }

    /// How many bytes of the block the program may use, at least what it asked for; 0 for null and foreign addresses.
    fn mi_usable_size(p: *const c_void) -> usize {
        alloc::usable_size(p.cast())
    }

    /// How many bytes there are from `p`, which may lie inside of a block, to the block's end; 0 in memory of ours
    /// where no block is in use, as far as that is known; `SIZE_MAX` where the memory isn't ours. Any thread, any
    /// address, also in signal handlers.
    fn mi_remaining_size(p: *const c_void) -> usize {
        alloc::remaining(p.cast())
    }

    /// The usable size that a block of `size` bytes would have.
    fn mi_good_size(size: usize) -> usize {
        alloc::good_size(size)
    }
}
