//! First-class heaps: any thread may allocate in any of them, and free any block. A null heap is the main one.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use ferrimalloc_core::alloc::Alignment;
use ferrimalloc_core::arena::{self, Arena};
use ferrimalloc_core::base::{SLICE_BYTES, Zero};
use ferrimalloc_core::diag::{self, Detail, ErrorKind};
use ferrimalloc_core::heap::{Heap, PostponeHooks};
use ferrimalloc_core::runtime;
use ferrimalloc_prim::qsbr::{self, Functions};

use super::arenas::find_arena;
use super::args::{aligned_block, array, block, force, heap_or_main, resized, theap_in};
use super::types::{ArenaId, HeapPtr};
use super::{export, strings};
use crate::calls::do_free;

const NATURAL: Alignment = Alignment::NATURAL;

fn as_ptr(heap: Option<&'static Heap>) -> HeapPtr {
    heap.map_or(ptr::null_mut(), |heap| ptr::from_ref(heap).cast_mut())
}

export! {
    /// A new heap in this thread's sub-process; null without memory.
    fn mi_heap_new() -> HeapPtr {
        as_ptr(runtime::heap_new())
    }

    /// A new heap for a runtime whose threads read objects that may have been freed: a page stays as it is after its last block
    /// was freed until the runtime's `mi_page_qsbr_should_delay` lets it go. Null without the runtime's functions (reported),
    /// and without memory. Such a heap can be destroyed, not deleted.
    fn mi_heap_new_qsbr() -> HeapPtr {
        match qsbr::functions() {
            Some(Functions { heap_init: init, page_clear: clear, should_delay }) => {
                as_ptr(runtime::heap_new_postponing(PostponeHooks { init, clear, should_delay }))
            }
            None => refuse(ptr::null(), "mi_heap_new_qsbr without the functions of mimalloc-qsbr.h"),
        }
    }

    /// A new heap that takes memory from one arena only; with null from any. Null for an arena that is not there.
    fn mi_heap_new_in_arena(arena_id: ArenaId) -> HeapPtr {
        if arena_id.is_null() {
            return as_ptr(runtime::heap_new());
        }
        match find_arena(arena_id) {
            Some(arena) => as_ptr(new_in(arena)),
            None => refuse(arena_id, "mi_heap_new_in_arena"),
        }
    }

    /// Ends a heap; its blocks live on in the main heap. No thread may be allocating in it. The main heap is refused.
    fn mi_heap_delete(heap: HeapPtr) {
        end(heap, "mi_heap_delete of the main heap", "mi_heap_delete", |heap| runtime::heap_delete(heap));
    }

    /// Ends a heap and all its blocks at once. No thread may use any of them. The main heap is refused.
    fn mi_heap_destroy(heap: HeapPtr) {
        end(heap, "mi_heap_destroy of the main heap", "mi_heap_destroy", |heap| runtime::heap_destroy(heap));
    }

    /// Takes new pages from a NUMA node, if they can be had there; a negative one means the thread's own.
    fn mi_heap_set_numa_affinity(heap: HeapPtr, numa_node: c_int) {
        if let Some(heap) = heap_or_main(heap) {
            heap.set_numa(usize::try_from(numa_node).ok());
        }
    }

    /// At debug levels, leaves the first `preserve` bytes of the heap's blocks as they are when memory is filled: for a
    /// runtime whose threads look at freed objects.
    fn mi_heap_set_debug_fill_preserve(heap: HeapPtr, preserve: usize) {
        if let Some(heap) = heap_or_main(heap) {
            heap.set_fill_preserve(preserve);
        }
    }

    /// Limits the memory of a heap's pages to so many bytes, rounded down to 64 KiB; 0: no limit. What is in use stays, if it is
    /// more. (Not in mimalloc.)
    fn mi_heap_set_limit(heap: HeapPtr, bytes: usize) {
        if let Some(heap) = heap_or_main(heap) {
            heap.limit().set(arena::limit_slices(bytes));
        }
    }

    /// That limit, in bytes; 0: none. (Not in mimalloc.)
    fn mi_heap_limit(heap: HeapPtr) -> usize {
        heap_or_main(heap).and_then(|heap| heap.limit().most()).map_or(0, |slices| slices * SLICE_BYTES)
    }

    /// What counts against it now, in bytes; counted without a limit, too. (Not in mimalloc.)
    fn mi_heap_charged(heap: HeapPtr) -> usize {
        heap_or_main(heap).map_or(0, |heap| heap.limit().charged() * SLICE_BYTES)
    }

    /// Releases what this thread keeps of the heap without need; with `force` everything that is empty, and gives
    /// memory back to the system.
    fn mi_heap_collect(heap: HeapPtr, is_forced: bool) {
        if let Some(theap) = theap_in(heap) {
            theap.collect(force(is_forced));
            theap.heap().subproc().arenas().purge_due(force(is_forced));
        }
    }

    /// The heap of plain allocations, in this thread's sub-process.
    fn mi_heap_main() -> HeapPtr {
        as_ptr(runtime::heap_main())
    }

    /// [`mi_malloc`](super::basic::mi_malloc) in a heap.
    fn mi_heap_malloc(heap: HeapPtr, size: usize) -> *mut c_void {
        block(theap_in(heap), size, Zero::Any)
    }

    /// [`mi_zalloc`](super::basic::mi_zalloc) in a heap.
    fn mi_heap_zalloc(heap: HeapPtr, size: usize) -> *mut c_void {
        block(theap_in(heap), size, Zero::Zeroed)
    }

    /// [`mi_calloc`](super::basic::mi_calloc) in a heap.
    fn mi_heap_calloc(heap: HeapPtr, count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| block(theap_in(heap), bytes, Zero::Zeroed))
    }

    /// [`mi_mallocn`](super::basic::mi_mallocn) in a heap.
    fn mi_heap_mallocn(heap: HeapPtr, count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| block(theap_in(heap), bytes, Zero::Any))
    }

    /// As [`mi_heap_malloc`].
    fn mi_heap_malloc_small(heap: HeapPtr, size: usize) -> *mut c_void {
        block(theap_in(heap), size, Zero::Any)
    }

    /// As [`mi_heap_zalloc`].
    fn mi_heap_zalloc_small(heap: HeapPtr, size: usize) -> *mut c_void {
        block(theap_in(heap), size, Zero::Zeroed)
    }

    /// Resizes into the heap: a block of another heap moves.
    fn mi_heap_realloc(heap: HeapPtr, p: *mut c_void, newsize: usize) -> *mut c_void {
        resized(theap_in(heap), p, newsize, NATURAL, Zero::Any)
    }

    /// [`mi_heap_realloc`] to `count * size` bytes.
    fn mi_heap_reallocn(heap: HeapPtr, p: *mut c_void, count: usize, size: usize) -> *mut c_void {
        array(count, size, |bytes| resized(theap_in(heap), p, bytes, NATURAL, Zero::Any))
    }

    /// [`mi_heap_realloc`] that frees `p` on failure.
    fn mi_heap_reallocf(heap: HeapPtr, p: *mut c_void, newsize: usize) -> *mut c_void {
        let moved = resized(theap_in(heap), p, newsize, NATURAL, Zero::Any);
        if moved.is_null() {
            do_free(p);
        }
        moved
    }

    /// A copy of a string in the heap; null for null.
    fn mi_heap_strdup(heap: HeapPtr, s: *const c_char) -> *mut c_char {
        strings::copy(s, usize::MAX, |bytes| block(theap_in(heap), bytes, Zero::Any))
    }

    /// A copy of at most `n` bytes of a string in the heap.
    fn mi_heap_strndup(heap: HeapPtr, s: *const c_char, n: usize) -> *mut c_char {
        strings::copy(s, n, |bytes| block(theap_in(heap), bytes, Zero::Any))
    }

    /// `realpath(3)`, the result in the heap unless a buffer is given.
    fn mi_heap_realpath(heap: HeapPtr, fname: *const c_char, resolved_name: *mut c_char) -> *mut c_char {
        strings::real_path(fname, resolved_name, |bytes| block(theap_in(heap), bytes, Zero::Any))
    }

    /// Aligned allocation in a heap.
    fn mi_heap_malloc_aligned(heap: HeapPtr, size: usize, alignment: usize) -> *mut c_void {
        aligned_block(theap_in(heap), size, Alignment { align: alignment, offset: 0 }, Zero::Any)
    }

    /// Aligned allocation in a heap.
    fn mi_heap_malloc_aligned_at(heap: HeapPtr, size: usize, alignment: usize, offset: usize) -> *mut c_void {
        aligned_block(theap_in(heap), size, Alignment { align: alignment, offset }, Zero::Any)
    }

    /// Aligned and zeroed allocation in a heap.
    fn mi_heap_zalloc_aligned(heap: HeapPtr, size: usize, alignment: usize) -> *mut c_void {
        aligned_block(theap_in(heap), size, Alignment { align: alignment, offset: 0 }, Zero::Zeroed)
    }

    /// Aligned and zeroed allocation in a heap.
    fn mi_heap_zalloc_aligned_at(heap: HeapPtr, size: usize, alignment: usize, offset: usize) -> *mut c_void {
        aligned_block(theap_in(heap), size, Alignment { align: alignment, offset }, Zero::Zeroed)
    }

    /// An aligned and zeroed array in a heap.
    fn mi_heap_calloc_aligned(heap: HeapPtr, count: usize, size: usize, alignment: usize) -> *mut c_void {
        array(count, size, |bytes| mi_heap_zalloc_aligned(heap, bytes, alignment))
    }

    /// An aligned and zeroed array in a heap.
    fn mi_heap_calloc_aligned_at(heap: HeapPtr, count: usize, size: usize, alignment: usize, offset: usize) -> *mut c_void {
        array(count, size, |bytes| mi_heap_zalloc_aligned_at(heap, bytes, alignment, offset))
    }

    /// Resizes into the heap, aligned.
    fn mi_heap_realloc_aligned(heap: HeapPtr, p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void {
        resized(theap_in(heap), p, newsize, Alignment { align: alignment, offset: 0 }, Zero::Any)
    }

    /// Resizes into the heap, aligned.
    fn mi_heap_realloc_aligned_at(heap: HeapPtr, p: *mut c_void, newsize: usize, alignment: usize, offset: usize) -> *mut c_void {
        resized(theap_in(heap), p, newsize, Alignment { align: alignment, offset }, Zero::Any)
    }
}

fn new_in(arena: &'static Arena) -> Option<&'static Heap> {
    runtime::heap_new_in_arena(arena)
}

#[cold]
fn refuse(handle: *const c_void, name: &'static str) -> HeapPtr {
    diag::error(ErrorKind::InvalidHandle, handle.cast(), Detail::Named(name));
    ptr::null_mut()
}

/// Ends a heap by `how`, unless it is null, none of ours (any more), or the main one.
fn end(heap: HeapPtr, of_main: &'static str, name: &'static str, how: impl FnOnce(&'static Heap) -> bool) {
    if heap.is_null() {
        return diag::warning(|line| _ = line.text(name).text(" of no heap"));
    }
    match runtime::find_heap(heap) {
        Some(heap) if heap.is_main() => _ = refuse(ptr::from_ref(heap).cast(), of_main),
        Some(heap) if how(heap) => {}
        _ => _ = refuse(heap.cast(), name),
    }
}
