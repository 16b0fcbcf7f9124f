//! Visiting heaps, areas and blocks; asking whose an address is. No question follows the address it is about: foreign
//! ones are answered "no".

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::alloc;
use ferrimalloc_core::heap::{Area, Depth, Heap};
use ferrimalloc_core::page::Page;
use ferrimalloc_core::runtime;
use ferrimalloc_core::theap::Theap;

use super::args::heap_or_main;
use super::export;
use super::types::{BlockVisitFn, HeapArea, HeapPtr};

impl From<&Area> for HeapArea {
    fn from(area: &Area) -> HeapArea {
        HeapArea {
            blocks: area.blocks.cast(),
            reserved: area.reserved_bytes,
            committed: area.committed_bytes,
            used: area.used,
            block_size: area.usable_bytes,
            full_block_size: area.block_bytes,
            reserved1: ptr::null_mut(),
        }
    }
}

pub fn depth(with_blocks: bool) -> Depth {
    if with_blocks { Depth::Blocks } else { Depth::Areas }
}

/// A visitor from C, made into the core's; the address of an area's description stays the same for all its blocks.
///
/// # Safety
/// `visitor` may be called with `arg`.
pub unsafe fn visitor(
    heap: &Heap,
    visitor: BlockVisitFn,
    arg: *mut c_void,
) -> impl FnMut(&Area, Option<*mut u8>) -> bool {
    let heap: *const c_void = ptr::from_ref(heap).cast();
    let mut shown: Option<HeapArea> = None;
    move |area, block| {
        if block.is_none() {
            shown = None;
        }
        let shown = shown.get_or_insert_with(|| HeapArea::from(area));
        let block = block.map_or(ptr::null_mut(), |block| block.cast());
        // SAFETY: the precondition.
        unsafe { visitor(heap, shown, block, shown.block_size, arg) }
    }
}

/// Nobody owns it, and the thread that did has ended.
fn is_abandoned(page: &Page) -> bool {
    page.owner().is_unowned() && Theap::of_page(page).tid() == 0
}

unsafe fn visit(
    heap: *const Heap,
    with_blocks: bool,
    wants: impl Fn(&Page) -> bool,
    call: Option<BlockVisitFn>,
    arg: *mut c_void,
) -> bool {
    // SAFETY: the contract of the C functions.
    unsafe {
        let (Some(call), Some(heap)) = (call, heap_or_main(heap)) else { return false };
        flush_own_frees();
        heap.visit(depth(with_blocks), wants, &mut visitor(heap, call, arg))
    }
}

/// Blocks that this thread has freed into other threads' pages wait in its theap: a visitor would still see them.
fn flush_own_frees() {
    runtime::current_theap().flush_remote();
}

export! {
    /// The heap of the block that `p` points into; null for addresses that are not ours.
    fn mi_heap_of(p: *const c_void) -> HeapPtr {
        alloc::heap_of(p.cast()).map_or(ptr::null_mut(), |heap| ptr::from_ref(heap).cast_mut())
    }

    /// Whether `p` points into a block of the heap.
    fn mi_heap_contains(heap: *const Heap, p: *const c_void) -> bool {
        let of = alloc::heap_of(p.cast());
        of.is_some_and(|of| heap_or_main(heap).is_some_and(|heap| heap == of))
    }

    /// Whether `p` points into a block of any heap.
    fn mi_any_heap_contains(p: *const c_void) -> bool {
        alloc::is_ours(p.cast())
    }

    /// Shows `visitor` each area of the heap, and with `visit_blocks` each block in use after its area. It may free the
    /// blocks that it is shown. Blocks that other threads allocate or free meanwhile may be missed, or shown though
    /// free. False without a visitor, and if it ended the visit.
    fn mi_heap_visit_blocks(heap: HeapPtr, visit_blocks: bool, visitor: Option<BlockVisitFn>, arg: *mut c_void) -> bool {
        visit(heap, visit_blocks, |_| true, visitor, arg)
    }

    /// The same for what threads that have ended left in the heap.
    fn mi_heap_visit_abandoned_blocks(heap: HeapPtr, visit_blocks: bool, visitor: Option<BlockVisitFn>, arg: *mut c_void) -> bool {
        visit(heap, visit_blocks, is_abandoned, visitor, arg)
    }

    /// As [`mi_any_heap_contains`].
    fn mi_check_owned(p: *const c_void) -> bool {
        alloc::is_ours(p.cast())
    }

    /// As [`mi_any_heap_contains`].
    fn mi_is_in_heap_region(p: *const c_void) -> bool {
        alloc::is_ours(p.cast())
    }

    /// Whether less than `perc_threshold` percent of the blocks around `p` are in use, so that a program that can move
    /// its objects should. False if `p` is not in the heap.
    fn mi_unsafe_heap_page_is_under_utilized(heap: HeapPtr, p: *mut c_void, perc_threshold: usize) -> bool {
        heap_or_main(heap).is_some_and(|heap| alloc::is_under_utilized(heap, p.cast(), perc_threshold))
    }
}
