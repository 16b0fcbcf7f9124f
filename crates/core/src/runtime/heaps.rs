//! Making, deleting and destroying heaps.
//!
//! *Delete* keeps the blocks: pages and theaps of the heap become the main heap's. Pages stay where they are, in their
//! owners' queues, so that blocks may be freed by any thread meanwhile; only allocating in the heap is over.
//! *Destroy* frees all pages at once: nobody may use any block of the heap any more.

use crate::arena::Arena;
use crate::heap::{Heap, Subproc, release_page};
use crate::page::Page;
use crate::sync::LockGuard;
use crate::theap::Theap;

use super::gather::merge_heap_stats;
use super::live_theap;
use super::thread::{Thread, heap_end};

/// A new heap in this thread's sub-process; `None` without memory.
pub fn heap_new() -> Option<&'static Heap> {
    Heap::create(own_subproc()?, None)
}

/// A new heap that allocates in one arena only.
pub fn heap_new_in_arena(arena: &'static Arena) -> Option<&'static Heap> {
    Heap::create(own_subproc()?, Some(arena))
}

fn own_subproc() -> Option<&'static Subproc> {
    Some(Thread::of(live_theap()?).subproc())
}

/// Ends `heap`; its blocks live on in the main heap. False for the main heap and for heaps that have ended.
///
/// # Safety
/// No thread allocates in the heap from now on, nor deletes or destroys it a second time.
pub unsafe fn heap_delete(heap: &'static Heap) -> bool {
    let _other_threads_wait = lock_heap_end(heap);
    let subproc = heap.subproc();
    let Some(main) = subproc.main_heap() else { return false };
    if heap == main || !subproc.remove_heap(heap) {
        return false;
    }
    heap.registry().for_each_page(subproc.arenas(), |page| {
        move_page(page, heap, main);
        true
    });
    move_theaps(heap, main);
    merge_heap_stats(heap, main.stats());
    main.room().merge(&heap.room().snapshot());
    // SAFETY: pages and theaps have gone to the main heap.
    unsafe { heap.free() };
    true
}

/// Keeps threads from ending, and others from ending heaps; counts if that takes waiting.
fn lock_heap_end(heap: &Heap) -> LockGuard<'static, ()> {
    heap_end().try_lock().unwrap_or_else(|| {
        heap.subproc().arenas().stats().heaps_delete_wait.increment();
        heap_end().lock()
    })
}

/// Re-enters a page in the main heap. Its owner may be freeing into it: nothing that the owner touches is changed.
fn move_page(page: &'static Page, from: &Heap, to: &'static Heap) {
    let claimed = page.remote.claim_in_place();
    from.registry().unregister(page);
    page.set_heap(to.handle());
    to.registry().register(page);
    if claimed {
        crate::heap::settle(page);
    }
}

fn move_theaps(from: &'static Heap, to: &'static Heap) {
    loop {
        let mut first = None;
        Theap::for_each_of(from, |theap| first = first.or(Some(theap)));
        let Some(theap) = first else { return };
        theap.move_to(to);
    }
}

/// Ends `heap` and all its blocks. False for the main heap and for heaps that have ended.
///
/// # Safety
/// No thread uses the heap or any block of it from now on.
pub unsafe fn heap_destroy(heap: &'static Heap) -> bool {
    let _other_threads_wait = lock_heap_end(heap);
    let subproc = heap.subproc();
    let Some(main) = subproc.main_heap() else { return false };
    if heap == main || !subproc.remove_heap(heap) {
        return false;
    }
    Theap::for_each_of(heap, Theap::forget_pages);
    heap.registry().for_each_page(subproc.arenas(), |page| {
        page.remote.claim_in_place();
        page.drop_blocks();
        release_page(page);
        true
    });
    move_theaps(heap, main);
    merge_heap_stats(heap, subproc.arenas().stats());
    // SAFETY: no page is left, and the theaps have gone.
    unsafe { heap.free() };
    true
}

/// The heap of plain allocations in this thread's sub-process.
pub fn heap_main() -> Option<&'static Heap> {
    own_subproc()?.main_heap()
}
