//! A thread's part of a heap. Only the thread that got a theap may use it; null stands for the one in the main heap.

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::heap::visit_page;
use ferrimalloc_core::runtime;
use ferrimalloc_core::theap::Theap;

use super::args::{aligned_block, array, block, bytes_of, force, malloc_through, own_theap, resized, theap_in};
use super::export;
use super::types::{BlockVisitFn, HeapPtr, TheapPtr};
use super::visiting::{depth, visitor};

fn as_ptr(theap: Option<&'static Theap>) -> TheapPtr {
    theap.map_or(ptr::null_mut(), |theap| ptr::from_ref(theap).cast_mut())
}

export! {
    /// This thread's theap in a heap, made if there is none; null without memory. It lives until the thread or the heap
    /// ends.
    fn mi_heap_theap(heap: HeapPtr) -> TheapPtr {
        as_ptr(theap_in(heap))
    }

    /// Makes a theap of this thread the one that plain allocation uses; answers the one before. Null changes nothing.
    fn mi_theap_set_default(theap: TheapPtr) -> TheapPtr {
        let before = as_ptr(runtime::live_theap());
        if !theap.is_null() && let Some(theap) = own_theap(theap) {
            runtime::set_default_theap(theap);
        }
        before
    }

    /// The theap that plain allocation uses on this thread.
    fn mi_theap_get_default() -> TheapPtr {
        as_ptr(runtime::live_theap())
    }

    /// Releases what the theap keeps without need; with `force` everything that is empty.
    fn mi_theap_collect(theap: TheapPtr, is_forced: bool) {
        if let Some(theap) = own_theap(theap) {
            theap.collect(force(is_forced));
        }
    }

    /// [`mi_malloc`](super::basic::mi_malloc) through a theap.
    fn mi_theap_malloc(theap: TheapPtr, size: usize) -> *mut c_void {
        malloc_through(theap, size)
    }

    /// [`mi_zalloc`](super::basic::mi_zalloc) through a theap.
    fn mi_theap_zalloc(theap: TheapPtr, size: usize) -> *mut c_void {
        block(own_theap(theap), size, Zero::Zeroed)
    }

    /// [`mi_calloc`](super::basic::mi_calloc) through a theap.
    fn mi_theap_calloc(theap: TheapPtr, count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| block(own_theap(theap), bytes, Zero::Zeroed))
    }

    /// As [`mi_theap_malloc`].
    fn mi_theap_malloc_small(theap: TheapPtr, size: usize) -> *mut c_void {
        malloc_through(theap, size)
    }

    /// As [`mi_theap_zalloc`].
    fn mi_theap_zalloc_small(theap: TheapPtr, size: usize) -> *mut c_void {
        block(own_theap(theap), size, Zero::Zeroed)
    }

    /// [`mi_theap_malloc`] of so many words.
    fn mi_theap_wmalloc_small(theap: TheapPtr, wsize: usize) -> *mut c_void {
        malloc_through(theap, bytes_of(wsize))
    }

    /// [`mi_theap_zalloc`] of so many words.
    fn mi_theap_wzalloc_small(theap: TheapPtr, wsize: usize) -> *mut c_void {
        block(own_theap(theap), bytes_of(wsize), Zero::Zeroed)
    }

    /// [`mi_theap_malloc`] for callers that can't use the header's inline function.
    fn mi_theap_malloc_csize(theap: TheapPtr, size: usize) -> *mut c_void {
        malloc_through(theap, size)
    }

    /// [`mi_theap_zalloc`], likewise.
    fn mi_theap_zalloc_csize(theap: TheapPtr, size: usize) -> *mut c_void {
        block(own_theap(theap), size, Zero::Zeroed)
    }

    /// Aligned and zeroed allocation through a theap.
    fn mi_theap_zalloc_aligned(theap: TheapPtr, size: usize, alignment: usize) -> *mut c_void {
        aligned_block(own_theap(theap), size, Alignment { align: alignment, offset: 0 }, Zero::Zeroed)
    }

    /// Aligned allocation through a theap.
    fn mi_theap_malloc_aligned(theap: TheapPtr, size: usize, alignment: usize) -> *mut c_void {
        aligned_block(own_theap(theap), size, Alignment { align: alignment, offset: 0 }, Zero::Any)
    }

    /// Resizes into the theap's heap.
    fn mi_theap_realloc(theap: TheapPtr, p: *mut c_void, newsize: usize) -> *mut c_void {
        resized(own_theap(theap), p, newsize, Alignment::NATURAL, Zero::Any)
    }

    /// [`mi_rezalloc`](super::rezalloc::mi_rezalloc) into the theap's heap.
    fn mi_theap_rezalloc(theap: TheapPtr, p: *mut c_void, newsize: usize) -> *mut c_void {
        resized(own_theap(theap), p, newsize, Alignment::NATURAL, Zero::Zeroed)
    }

    /// Resizes into the theap's heap, aligned.
    fn mi_theap_realloc_aligned(theap: TheapPtr, p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void {
        resized(own_theap(theap), p, newsize, Alignment { align: alignment, offset: 0 }, Zero::Any)
    }

    /// [`mi_theap_rezalloc`], aligned.
    fn mi_theap_rezalloc_aligned(theap: TheapPtr, p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void {
        resized(own_theap(theap), p, newsize, Alignment { align: alignment, offset: 0 }, Zero::Zeroed)
    }

    /// Ends a theap of this thread; its pages are left to others, its heap and its blocks live on. The main theap only gives
    /// its pages up. Null, and what is no theap of this thread (any more), change nothing.
    fn mi_theap_delete(theap: TheapPtr) {
        runtime::theap_delete(theap);
    }

    /// Leaves the theap's pages to others; the theap and its blocks live on. For this thread's theaps, and for another's that is
    /// outside of the allocator meanwhile; no heap may end meanwhile. Null, and a theap that has ended, change nothing.
    fn mi_theap_quiescent_abandon(theap: *const Theap) {
        // The memory of theaps that have ended stays readable.
        if let Some(theap) = theap.as_ref() {
            runtime::theap_abandon(theap);
        }
    }

    /// The thread that owns the page around `p`, or would have it back, as the address of its thread pointer; 0 if it has ended,
    /// and for addresses that are not ours.
    fn mi_thread_id_of(p: *const c_void) -> usize {
        alloc::thread_of(p.cast())
    }

    /// From now on one of `sample_rate` allocations through the theap gets a guard OS page behind it (0: none);
    /// `seed` determines which (0: chance).
    fn mi_theap_guarded_set_sample_rate(theap: TheapPtr, sample_rate: usize, seed: usize) {
        if let Some(theap) = own_theap(theap) {
            theap.sample_guarded(sample_rate, seed);
        }
    }

    /// Only sizes from `min` to `max` are guarded, and counted in the sampling.
    fn mi_theap_guarded_set_size_bound(theap: TheapPtr, min: usize, max: usize) {
        if let Some(theap) = own_theap(theap) {
            theap.bound_guarded(min, max);
        }
    }

    /// Shows `visitor` the pages that the theap allocates from, and with `visit_blocks` their blocks. Full pages belong
    /// to the heap alone. False without a theap or a visitor, and if that ended the visit.
    fn mi_theap_visit_blocks(theap: *const Theap, visit_blocks: bool, call: Option<BlockVisitFn>, arg: *mut c_void) -> bool {
        let theap = if theap.is_null() { None } else { own_theap(theap.cast_mut()) };
        let (Some(theap), Some(call)) = (theap, call) else { return false };
        let mut visitor = visitor(theap.heap(), call, arg);
        let mut goes_on = true;
        theap.for_each_page(|page| goes_on = goes_on && visit_page(page, depth(visit_blocks), &mut visitor));
        goes_on
    }
}
