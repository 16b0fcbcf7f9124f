//! Making, deleting and destroying heaps.
//!
//! *Delete* keeps the blocks: pages and theaps of the heap become the main heap's. Pages stay where they are, in their
//! owners' queues, so that blocks may be freed by any thread meanwhile; only allocating in the heap is over.
//! *Destroy* frees all pages at once: nobody may use any block of the heap any more.

use crate::arena::Arena;
use crate::heap::{Heap, PostponeHooks, Subproc, adopt_orphans_first, lock_heap, release_or_list, release_page_of};
use crate::page::{Lifetime, OwnedPage, PageRef};
use crate::stats::Stats;
use crate::sync::{LockGuard, yield_now};
use crate::theap::Theap;

use super::gather::merge_heap_stats;
use super::live_theap;
use super::thread::{ENDS, Thread};

/// A new heap in this thread's sub-process; `None` without memory.
pub fn heap_new() -> Option<&'static Heap> {
    Heap::create(own_subproc()?, None, Lifetime::MayEnd)
}

/// A new heap whose empty pages wait until the program lets them go.
pub fn heap_new_postponing(hooks: PostponeHooks) -> Option<&'static Heap> {
    let heap = heap_new()?;
    if heap.begin_postponing(hooks) {
        return Some(heap);
    }
    // SAFETY: nobody has seen it yet.
    unsafe { heap_destroy(heap) };
    None
}

/// A new heap that allocates in one arena only.
pub fn heap_new_in_arena(arena: &'static Arena) -> Option<&'static Heap> {
    Heap::create(own_subproc()?, Some(arena), Lifetime::MayEnd)
}

fn own_subproc() -> Option<&'static Subproc> {
    Some(Thread::of(live_theap()?).subproc())
}

/// Ends `heap`; its blocks live on in the main heap. False for the main heap, for heaps that have ended, and for one whose pages
/// wait: the main heap would not keep them.
///
/// # Safety
/// No thread allocates in the heap from now on, nor deletes or destroys it a second time.
pub unsafe fn heap_delete(heap: &'static Heap) -> bool {
    let keep_pages = |main| {
        move_pages(heap, main);
        main.stats()
    };
    // SAFETY: the precondition; the pages have gone to the main heap.
    heap.postponing().is_none() && unsafe { end(heap, keep_pages) }
}

/// Ends a heap, once `see_to_pages` has left it none; that is told the main heap, and tells where the heap's statistics go. False
/// for the main heap and for heaps that have ended.
///
/// # Safety
/// No thread allocates in the heap from now on, nor ends it a second time. Nothing leads to its pages any more.
unsafe fn end(heap: &'static Heap, see_to_pages: impl FnOnce(&'static Heap) -> &'static Stats) -> bool {
    let _other_threads_wait = begin_end(heap);
    let subproc = heap.subproc();
    let Some(main) = subproc.main_heap().filter(|main| heap != *main && subproc.remove_heap(heap)) else {
        return false;
    };
    let stats = see_to_pages(main);
    move_theaps(heap, main);
    merge_heap_stats(heap, stats);
    // SAFETY: the precondition, and its theaps have gone to the main heap.
    unsafe { heap.end() };
    true
}

/// Keeps threads from ending, and others from ending heaps; counts if that takes waiting.
fn begin_end(heap: &Heap) -> LockGuard<'static, ()> {
    adopt_orphans_first();
    ENDS.unless_now().unwrap_or_else(|| {
        heap.subproc().arenas().stats().heaps_delete_wait.increment();
        ENDS.begin()
    })
}

/// Enters all pages in the main heap. Whoever frees blocks of them meanwhile, and has to do something about the heap for
/// that, waits for the heap's lock and then finds the page in the main heap.
fn move_pages(from: &Heap, to: &'static Heap) {
    let _no_thread_guards_it = lock_heap(from);
    from.registry().for_each_page(from.subproc().arenas(), |page| {
        to.limit().charge_anyway(page.slices());
        to.registry().take_over(page, from.registry());
        page.heap_word().move_to(to.handle());
    });
    from.hand_over_samples(to);
}

fn move_theaps(from: &'static Heap, to: &'static Heap) {
    while let Some(theap) = Theap::find_of(from, |_| true) {
        theap.move_to(to);
    }
    // This thread's theap of it is not needed any more; other threads see to theirs when they collect.
    if let Some(thread) = Thread::current() {
        thread.end_orphans();
    }
}

/// Ends `heap` and all its blocks. False for the main heap and for heaps that have ended.
///
/// # Safety
/// No thread uses the heap or any block of it from now on.
pub unsafe fn heap_destroy(heap: &'static Heap) -> bool {
    let drop_pages = |_| {
        Theap::for_each_of(heap, Theap::forget_pages);
        release_pages(heap);
        heap.subproc().arenas().stats()
    };
    // SAFETY: the precondition; no page is left.
    unsafe { end(heap, drop_pages) }
}

/// In two steps. A thread in search of a page, which had another one in mind, may have claimed one of these by mistake; if
/// blocks were pushed meanwhile it decides about the page, and needs the heap's lock for that. So the lock is taken when
/// every page is this thread's: then no other needs it any more, and those that had it are done with the heap.
fn release_pages(heap: &'static Heap) {
    let arenas = heap.subproc().arenas();
    heap.registry().for_each_page(arenas, |page| {
        if let Some(page) = own(heap, page) {
            page.drop_blocks();
            // Until the second step the registry has it.
            page.hold();
        }
    });
    let _no_thread_guards_it = lock_heap(heap);
    heap.registry().for_each_page(arenas, |page| {
        // SAFETY: no thread uses the heap, and no page of it is left that could be claimed.
        release_page_of(heap, unsafe { page.take_over() });
    });
}

/// Becomes the owner of a page of a heap that no thread uses, unless a thread that had claimed the page by mistake releases
/// it. Such a thread puts the page back at once, and waits for nothing meanwhile that this one has.
fn own(heap: &Heap, page: PageRef) -> Option<OwnedPage> {
    loop {
        if let Some((page, threshold)) = page.claim_in_place() {
            if heap.has(&page) {
                return Some(page);
            }
            // The page's slice has become another heap's page.
            if let Err(page) = page.put_back(threshold) {
                release_or_list(page);
            }
            return None;
        }
        let owner = page.owner();
        if !owner.is_page() || !heap.has(page) {
            return None;
        }
        if !owner.is_unowned() || Theap::of_page(page).is_doubtful() {
            // SAFETY: a theap owns the page, whose thread doesn't use the heap any more; or a fork has left it behind, and it
            // could not be mended: nobody owns it, though its remote word says otherwise.
            return Some(unsafe { page.take_over() });
        }
        yield_now();
    }
}

/// The heap of plain allocations in this thread's sub-process.
pub fn heap_main() -> Option<&'static Heap> {
    own_subproc()?.main_heap()
}
