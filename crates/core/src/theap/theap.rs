//! The structure behind the thread-local word: where `malloc` finds a page in one load.
//!
//! # Invariants
//! 1. Only the thread `tid` uses a theap, except for its links in the heap's list (under the heap's lock) and the
//!    words that tell whose it is (`identity`).
//! 2. A theap's memory is never used for anything else: pages may keep pointing to a theap that has ended, and
//!    look at its identity.

use core::cell::Cell;
use core::mem;
use core::ops::Deref;
use core::ptr;

use super::counts::Counts;
use super::gaps::Sampling;
use super::identity::Identity;
use super::instrumentation::Instrumentation;
use super::queue::{Queue, Queues};
use super::remote_free::Batch;
use super::retired::Retired;
use crate::arena::{Allowance, Looks, Meta};
use crate::base::*;
use crate::heap::{Heap, Subproc, TheapLinks};
use crate::page::{Owned, Page};
use crate::stats::RawStats;

/// A thread's part of a heap. The first field is what the fast path of `malloc` reads.
#[repr(C, align(64))]
pub struct Theap {
    pub(super) queues: Queues,
    identity: Identity,
    /// The thread's structure, for the runtime floor.
    thread: Cell<*const ()>,
    /// Where this thread starts to search arenas.
    seed: Cell<usize>,
    /// Left behind by a fork, and a thread that has its thread's id may be freeing into its pages.
    is_doubtful: Cell<bool>,
    /// Slow paths until the next upkeep.
    pub(super) until_tick: Cell<u32>,
    pub(super) ticks: Cell<u32>,
    pub(super) looks: Looks,
    /// For idling.
    pub(super) allowance: Allowance,
    /// How many shortages of memory the thread has done something about.
    pub(super) shortages: Cell<usize>,
    pub(super) for_shortages: Allowance,
    pub(super) counts: Counts,
    pub(super) retired: Retired,
    pub(super) batch: Batch,
    pub(super) instrumentation: Instrumentation,
    pub(super) sampling: Sampling,
    /// The next theap of the same thread.
    next_of_thread: Cell<*const Theap>,
    /// Neighbours in the heap's list, under its lock.
    links_of_heap: TheapLinks,
}

offsets! {
    /// Where the fields of a theap lie, for a reader in another process.
    TheapOffsets {
        /// A word: the id of the thread that uses it; 0 after its end.
        tid: mem::offset_of!(Theap, identity) + Identity::TID_AT,
        /// A word: the address of its heap.
        heap: mem::offset_of!(Theap, identity) + Identity::HEAP_AT,
        /// Its links in its heap's list: what that list's addresses point to.
        links: mem::offset_of!(Theap, links_of_heap),
        /// In the links, the next theap's.
        next: TheapLinks::NEXT_AT,
        /// How many blocks were allocated in pages that have been released, by size bin of the statistics.
        past_blocks: mem::offset_of!(Theap, counts) + Counts::BLOCKS_AT,
    }
}

// SAFETY: Invariant 1.
unsafe impl Sync for Theap {}

/// What it does besides allocating can be asked of the theap itself.
impl Deref for Theap {
    type Target = Instrumentation;

    #[inline(always)]
    fn deref(&self) -> &Instrumentation {
        &self.instrumentation
    }
}

/// The theap of a thread that has none: every request misses.
pub static EMPTY_THEAP: Theap = Theap::empty();

impl Theap {
    const fn empty() -> Theap {
        Theap {
            queues: Queues::new(),
            identity: Identity::new(),
            thread: Cell::new(ptr::null()),
            seed: Cell::new(0),
            is_doubtful: Cell::new(false),
            until_tick: Cell::new(0),
            ticks: Cell::new(0),
            looks: Looks::new(),
            allowance: Allowance::new(),
            shortages: Cell::new(0),
            for_shortages: Allowance::new(),
            counts: Counts::new(),
            retired: Retired::new(),
            batch: Batch::new(),
            instrumentation: Instrumentation::new(),
            sampling: Sampling::new(),
            next_of_thread: Cell::new(ptr::null()),
            links_of_heap: TheapLinks::new(),
        }
    }

    /// A theap for thread `tid` in `heap`; `None` without memory.
    pub fn create(heap: &'static Heap, tid: usize, thread: *const ()) -> Option<&'static Theap> {
        let place = Self::memory(heap.subproc())?;
        // SAFETY: memory of a theap that belongs to nobody: zeroed or an ended theap's, both fully overwritten but
        // for what other threads may compare (atomics).
        let theap = unsafe { &*place };
        theap.forget_pages();
        theap.thread.set(thread);
        theap.until_tick.set(0);
        theap.ticks.set(0);
        theap.counts.reset();
        theap.instrumentation.start(heap);
        theap.sampling.reset();
        theap.queues.show(theap.direct());
        theap.identity.begin(tid, heap.handle());
        theap.enter_heap_list(heap);
        heap.subproc().arenas().stats().theaps.increase(1);
        Some(theap)
    }

    /// That of the theap that ended last, with its seed: a thread goes on where the slices lie that another has just freed,
    /// so that threads in a row use the same memory.
    fn memory(subproc: &Subproc) -> Option<*const Theap> {
        let cached = subproc.theap_cache().lock().pop();
        if let Some(piece) = cached {
            // SAFETY: the link in the first word is not a page; the word is set again before use.
            unsafe { piece.cast::<usize>().write(0) };
            return Some(piece.cast());
        }
        let Meta { start, .. } = subproc.arenas().meta_alloc(size_of::<Theap>())?;
        // SAFETY: zeroed memory is a valid theap.
        unsafe { (*start.cast::<Theap>()).seed.set(subproc.next_seed()) };
        Some(start.cast())
    }

    /// After a fork that has left the theap behind: its pages can't be mended. See `runtime::orphans`.
    pub fn doubt(&self) {
        self.is_doubtful.set(true);
    }

    /// Whether its pages and its memory are left alone: see [`Theap::doubt`].
    pub fn is_doubtful(&self) -> bool {
        self.is_doubtful.get()
    }

    /// Ends an empty theap (all its pages have been abandoned); its memory is kept for another, unless it is doubtful.
    pub fn end(&'static self) {
        let heap = self.heap();
        self.leave_heap_list(heap);
        let subproc = heap.subproc();
        self.identity.end();
        subproc.arenas().stats().theaps.decrease(1);
        if self.is_doubtful() {
            return;
        }
        let mut cache = subproc.theap_cache().lock();
        // SAFETY: `direct[0]` is not read by anybody else.
        unsafe { cache.push(ptr::from_ref(self).cast_mut().cast()) };
    }

    fn enter_heap_list(&'static self, heap: &Heap) {
        heap.theaps().lock().push_front(&self.links_of_heap);
    }

    fn leave_heap_list(&'static self, heap: &Heap) {
        heap.theaps().lock().remove(&self.links_of_heap);
    }

    fn of_links(links: &'static TheapLinks) -> &'static Theap {
        let start = ptr::from_ref(links).wrapping_byte_sub(mem::offset_of!(Theap, links_of_heap)).cast();
        // SAFETY: a heap's list holds the links of live theaps.
        unsafe { &*start }
    }

    /// Moves to another heap, whose pages its pages have become.
    pub fn move_to(&'static self, heap: &'static Heap) {
        self.leave_heap_list(self.heap());
        self.identity.move_to(heap.handle());
        self.enter_heap_list(heap);
    }

    /// Calls `visit` with each of a heap's theaps. The list is locked meanwhile.
    pub fn for_each_of(heap: &Heap, mut visit: impl FnMut(&'static Theap)) {
        Self::find_of(heap, |theap| {
            visit(theap);
            false
        });
    }

    /// The first of a heap's theaps, newest first, that is `wanted`. The list is locked meanwhile.
    pub fn find_of(heap: &Heap, mut wanted: impl FnMut(&'static Theap) -> bool) -> Option<&'static Theap> {
        heap.theaps().lock().iter().map(Self::of_links).find(|theap| wanted(theap))
    }

    /// Adds what this theap has counted to `stats`; by any thread.
    pub fn add_counts_to(&self, stats: &mut RawStats) {
        self.counts.add_to(stats);
    }

    /// Moves what this theap has counted to its heap's statistics; by its thread.
    pub fn hand_over_counts(&self) {
        self.counts.hand_over(self.heap().stats());
    }

    /// The page for requests of `words` words (at most [`SMALL_SIZE_MAX`]).
    #[inline(always)]
    pub fn direct_page(&self, words: usize) -> &'static Owned {
        self.queues.direct(words)
    }

    /// The queue of a class that shares pages.
    #[inline]
    pub fn queue(&self, bin: Bin) -> &Queue {
        self.queues.of(bin)
    }

    /// Calls `visit` with every page in the queues; the page may leave its queue meanwhile.
    pub fn for_each_page(&self, visit: impl FnMut(&'static Owned)) {
        self.queues.for_each_page(visit);
    }

    /// Pushes the frees gathered for other threads' pages.
    #[inline]
    pub fn flush_remote(&self) {
        self.batch.flush();
    }

    /// Drops all pages without looking at them: they are being destroyed, or are seen to one by one.
    pub fn forget_pages(&self) {
        self.queues.clear();
        self.retired.clear();
        self.batch.clear();
    }

    /// Whether this is the theap of threads that have none.
    #[inline]
    pub fn is_empty_theap(&self) -> bool {
        ptr::eq(self, &EMPTY_THEAP)
    }

    /// The id of the thread that uses it; 0 for the empty theap, and after its end.
    #[inline]
    pub fn tid(&self) -> usize {
        self.identity.tid()
    }

    /// The heap that it is a part of. Not of the empty theap.
    #[inline]
    pub fn heap(&self) -> &'static Heap {
        // SAFETY: a live theap has a heap, which outlives it.
        unsafe { &*self.identity.heap().cast::<Heap>() }
    }

    /// Whether it is a part of the heap with that handle. The empty theap is of none.
    #[inline(always)]
    pub(super) fn has_heap(&self, heap: *const ()) -> bool {
        ptr::eq(self.identity.heap(), heap)
    }

    /// Whether it is a part of `heap`. The heap that it is a part of may be ending, and is not looked at.
    #[inline]
    pub fn is_of(&self, heap: &Heap) -> bool {
        self.has_heap(heap.handle())
    }

    /// Whether thread `tid` may use it for `heap`'s pages: true only for the live theap of that thread and heap.
    #[inline]
    pub fn serves(&self, tid: usize, heap: *const ()) -> bool {
        self.identity.serves(tid, heap)
    }

    /// The theap that a page's handle names. It may have ended, see [`Theap::serves`].
    #[inline]
    pub fn of_page(page: &Page) -> &'static Theap {
        // SAFETY: handles of pages are theaps, whose memory lives on (Invariant 2).
        unsafe { &*page.theap().cast::<Theap>() }
    }

    /// As an opaque handle for lower floors.
    #[inline]
    pub fn handle(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    /// The handle of the thread's structure.
    #[inline]
    pub fn thread(&self) -> *const () {
        self.thread.get()
    }

    /// Where its searches of arenas begin, so that threads spread. It stays with the memory, for the next theap there.
    #[inline]
    pub fn seed(&self) -> usize {
        self.seed.get()
    }

    /// How many pages are in its queues.
    #[cfg(test)]
    pub fn page_count(&self) -> usize {
        self.queues.page_count()
    }

    /// The next theap of the same thread.
    pub fn next_of_thread(&self) -> Option<&'static Theap> {
        // SAFETY: the thread's list holds live theaps.
        unsafe { self.next_of_thread.get().as_ref() }
    }

    /// Links the list of the thread's theaps; by that thread.
    pub fn set_next_of_thread(&self, next: Option<&'static Theap>) {
        self.next_of_thread.set(next.map_or(ptr::null(), ptr::from_ref));
    }
}
