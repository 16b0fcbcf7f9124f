//! Making, deleting and destroying heaps.
//!
//! *Delete* keeps the blocks: pages and theaps of the heap become the main heap's. Pages stay where they are, in their
//! owners' queues, so that blocks may be freed by any thread meanwhile; only allocating in the heap is over.
//! *Destroy* frees all pages at once: nobody may use any block of the heap any more.

use crate::arena::Arena;
use crate::heap::{Heap, Subproc, adopt_orphans_first, close_gate, release_page_of};
use crate::page::{Page, Term};
use crate::sync::{LockGuard, yield_now};
use crate::theap::Theap;

use super::gather::merge_heap_stats;
use super::live_theap;
use super::thread::{Thread, current_theap, heap_ends};

/// A new heap in this thread's sub-process; `None` without memory.
pub fn heap_new() -> Option<&'static Heap> {
    Heap::create(own_subproc()?, None, Term::MayEnd)
}

/// A new heap that allocates in one arena only.
pub fn heap_new_in_arena(arena: &'static Arena) -> Option<&'static Heap> {
    Heap::create(own_subproc()?, Some(arena), Term::MayEnd)
}

fn own_subproc() -> Option<&'static Subproc> {
    Some(Thread::of(live_theap()?).subproc())
}

/// Ends `heap`; its blocks live on in the main heap. False for the main heap and for heaps that have ended.
///
/// # Safety
/// No thread allocates in the heap from now on, nor deletes or destroys it a second time.
pub unsafe fn heap_delete(heap: &'static Heap) -> bool {
    let _other_threads_wait = begin_end(heap);
    let subproc = heap.subproc();
    let Some(main) = subproc.main_heap() else { return false };
    if heap == main || !subproc.remove_heap(heap) {
        return false;
    }
    move_pages(heap, main);
    move_theaps(heap, main);
    merge_heap_stats(heap, main.stats());
    // SAFETY: pages and theaps have gone to the main heap.
    unsafe { heap.free() };
    true
}

/// Keeps threads from ending, and others from ending heaps; counts if that takes waiting.
fn begin_end(heap: &Heap) -> LockGuard<'static, ()> {
    adopt_orphans_first();
    heap_ends().unless_now().unwrap_or_else(|| {
        heap.subproc().arenas().stats().heaps_delete_wait.increment();
        heap_ends().begin()
    })
}

/// Enters all pages in the main heap. Whoever frees blocks of them meanwhile, and has to do something about the heap for
/// that, waits at the gate and then finds the page in the main heap.
fn move_pages(from: &Heap, to: &'static Heap) {
    let _nobody_holds_it = close_gate(from);
    from.registry().for_each_page(from.subproc().arenas(), |page| {
        to.registry().take_over(page, from.registry());
        page.tenure().move_to(to.handle());
        true
    });
}

fn move_theaps(from: &'static Heap, to: &'static Heap) {
    while let Some(theap) = Theap::find_of(from, |_| true) {
        theap.move_to(to);
    }
    // This thread's theap of it is not needed any more; other threads see to theirs when they collect.
    let current = current_theap();
    if !current.is_empty_theap() {
        Thread::of(current).end_orphans();
    }
}

/// Ends `heap` and all its blocks. False for the main heap and for heaps that have ended.
///
/// # Safety
/// No thread uses the heap or any block of it from now on.
pub unsafe fn heap_destroy(heap: &'static Heap) -> bool {
    let _other_threads_wait = begin_end(heap);
    let subproc = heap.subproc();
    let Some(main) = subproc.main_heap() else { return false };
    if heap == main || !subproc.remove_heap(heap) {
        return false;
    }
    Theap::for_each_of(heap, Theap::forget_pages);
    release_pages(heap);
    move_theaps(heap, main);
    merge_heap_stats(heap, subproc.arenas().stats());
    // SAFETY: no page is left, and the theaps have gone.
    unsafe { heap.free() };
    true
}

fn release_pages(heap: &'static Heap) {
    let _nobody_holds_it = close_gate(heap);
    heap.registry().for_each_page(heap.subproc().arenas(), |page| {
        own(page);
        page.drop_blocks();
        release_page_of(heap, page);
        true
    });
}

/// Becomes the owner of a page that no thread uses. A thread in search of a page, which had another one in mind, may have
/// claimed it by mistake: it lets go of it at once, and waits for nothing meanwhile. (What a fork has left behind and
/// nobody
/// could mend is owned by nobody, though its remote word says otherwise.)
fn own(page: &Page) {
    let is_lost = || Theap::of_page(page).is_doubtful();
    while page.remote.claim_in_place().is_none() && page.owner().is_unowned() && !is_lost() {
        yield_now();
    }
}

/// The heap of plain allocations in this thread's sub-process.
pub fn heap_main() -> Option<&'static Heap> {
    own_subproc()?.main_heap()
}
