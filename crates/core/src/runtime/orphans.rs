//! The pages and theaps of threads that a fork has left behind, in the child.
//!
//! They are adopted late (`heap::orphans` says when): pages are mended (`page::orphan`), released if they are empty, and
//! else left to all, like those of a thread that has ended; theaps end.
//!
//! # A thread that is called like one that is gone
//! A thread's id is used again when it has gone: in the child mostly at once, by the next thread that is made, for the C
//! library gives it the same stack. Until the orphans have been adopted, such a *namesake* takes orphans for its own when
//! it frees a block of theirs by the fast path, which asks nobody. That is no harm by itself: it frees in them like their
//! owner did, and does no more, for it has no theap (`page::orphan` holds after any such free): whoever frees a page's last
//! block and has no theap adopts the orphans (`alloc::free`). But nobody else may mend these pages at the same time. So:
//!
//! 1. Each orphan's owner word is first made one that no thread takes for its own.
//! 2. Then we look whether the thread id has a namesake by now: whether the thread's word (`theap_word`) is still what it
//!    was at the fork. A new thread's is another one before it runs, and can't be what it was without a theap.
//! 3. If it was, whoever comes later under this name sees the new owner word: its pages can be mended. If not, they are
//!    left as they are: lost to this child, but for what is the caller's own namesake's.
//!
//! (Looking reads memory that may be mapped no longer; the kernel does it for us, see `theap_word::look`.)

use super::subprocs::for_each_subproc;
use super::theap_word;
use super::thread::{Thread, current_theap};
use crate::heap::{Adopt, Heap, do_orphans_wait, no_orphans_wait, orphans_wait};
use crate::page::{Page, PageRef};
use crate::sync::{AtomicUsize, Lock, Ordering, fence};
use crate::theap::Theap;
use ferrimalloc_prim::futex::Seen;
use ferrimalloc_prim::thread::{IDS_COME_AGAIN, id as thread_id};

/// Held over `fork`, before all other locks.
pub(super) static ADOPTING: Lock<()> = Lock::new(());
/// By which id the forking thread owns pages.
static SURVIVOR: AtomicUsize = AtomicUsize::new(0);

static ADOPT: Adopt = Adopt(adopt);

/// In the child of a fork: all threads but this one are gone.
pub(super) fn after_fork() {
    let theap = current_theap();
    let me = if theap.is_empty_theap() { thread_id() } else { theap.tid() };
    SURVIVOR.store(me, Ordering::Relaxed);
    orphans_wait(&ADOPT);
}

fn adopt() {
    let _one_by_one = ADOPTING.lock();
    if !do_orphans_wait() {
        return;
    }
    let survivor = SURVIVOR.load(Ordering::Relaxed);
    for_each_heap(|heap| each_orphan(heap, survivor, disown));
    // ORDERING: sequentially consistent: a namesake that has not seen the new owner words is seen by `judge` (rule 2).
    fence(Ordering::SeqCst);
    for_each_heap(|heap| Theap::for_each_of(heap, |theap| judge(theap, survivor)));
    for_each_heap(|heap| {
        each_orphan(heap, survivor, |page| {
            if !Theap::of_page(page).is_doubtful() {
                // SAFETY: its owner has gone, and nobody takes the page for its own any more (rules 1 to 3).
                Theap::abandon_orphan(unsafe { page.take_over() });
            }
        });
    });
    for_each_heap(|heap| end_theaps(heap, survivor));
    no_orphans_wait();
}

fn for_each_heap(mut work: impl FnMut(&'static Heap)) {
    for_each_subproc(|subproc| subproc.for_each_heap(&mut work));
}

/// Calls `work` with each page that is owned, but not by the survivor.
fn each_orphan(heap: &'static Heap, survivor: usize, work: impl Fn(PageRef)) {
    heap.for_each_own_page(|page| {
        if is_orphan(page, survivor) {
            work(page);
        }
    });
}

/// Also one that a thread had claimed without having said so in the owner word, or given up without having let go of
/// it.
fn is_orphan(page: &Page, survivor: usize) -> bool {
    let owner = page.owner();
    let is_survivors = owner.tid() == survivor && !owner.is_unowned();
    owner.is_page() && !is_survivors && !page.is_let_go()
}

/// No thread takes the page for its own from now on.
fn disown(page: PageRef) {
    // SAFETY: an orphan's owner doesn't exist in the child.
    unsafe { page.disown() };
}

/// Marks a theap whose pages a namesake of its thread may be freeing into.
fn judge(theap: &'static Theap, survivor: usize) {
    let tid = theap.tid();
    let is_sure = !IDS_COME_AGAIN
        || tid == survivor
        || tid == thread_id()
        || has_word(tid, theap)
        || has_word(tid, main_of(theap));
    if !is_sure {
        theap.doubt();
    }
}

/// The theap that is its thread's word as a rule.
fn main_of(theap: &'static Theap) -> &'static Theap {
    // (None while the thread is starting.)
    let main = if theap.thread().is_null() { None } else { Thread::of(theap).main_theap_if_started() };
    main.unwrap_or(theap)
}

/// Whether the word of the thread that was called `tid` is still `theap`, or nobody's: so there is no namesake yet.
fn has_word(tid: usize, theap: &'static Theap) -> bool {
    matches!(theap_word::look(tid, core::ptr::from_ref(theap).addr()), Seen::Same | Seen::Gone)
}

fn end_theaps(heap: &'static Heap, survivor: usize) {
    while let Some(theap) = Theap::find_of(heap, |theap| theap.tid() != survivor) {
        theap.hand_over_counts();
        theap.end();
    }
}
