//! The pages that a theap owns and that may have free blocks, a queue per class, and the table that `malloc` reads.
//!
//! Invariant: `direct[w]` is the first page of the queue that serves `w` words, or the empty page. Whenever the first page of a queue changes, the entries of its class follow.

use core::cell::Cell;
use core::ptr;

use crate::base::*;
use crate::hardened::CANARY_BYTES;
use crate::page::{EMPTY_PAGE, Flag, Owned, OwnedPage, Source};
use crate::sync::pin;

/// The entries of the direct table that belong to each class.
static DIRECT_RANGE: [(u8, u8); Bin::COUNT] = {
    let mut ranges = [(0, 0); Bin::COUNT];
    let mut index = 0;
    while let Some(bin) = Bin::from_index(index) {
        let words = bin.small_words();
        ranges[index] = (words.start as u8, words.end as u8);
        index += 1;
    }
    ranges
};

/// A queue of pages, whose rights it holds. `source` is always that of the first page.
pub struct Queue {
    pages: List<Owned>,
    /// What the first page's blocks are taken from.
    source: Cell<Source>,
    /// How many of its pages are marked as kept full.
    kept_full: Cell<u32>,
    /// How much of the blocks that its class has [borrowed](super::sparing) it did not need. Bytes.
    wasted: Cell<u32>,
    /// So many more searches take it to have more pages than it needs.
    too_many: Cell<u32>,
}

/// How long a page that was found rather empty is remembered. Searches of its queue.
const EMPTINESS_MEMORY: u32 = 100;

impl Queue {
    pub const fn new() -> Self {
        Self {
            pages: List::new(),
            source: Cell::new(Source::EMPTY),
            kept_full: Cell::new(0),
            wasted: Cell::new(0),
            too_many: Cell::new(0),
        }
    }

    #[inline]
    pub fn first(&self) -> Option<&'static Owned> {
        self.pages.first()
    }

    #[cfg(test)]
    pub(super) fn source(&self) -> Source {
        self.source.get()
    }

    /// Takes a block of the first page; null if its list is exhausted, or there is no page.
    #[inline(always)]
    pub fn pop(&self) -> *mut u8 {
        // SAFETY: the queue holds the page's right.
        unsafe { self.source.get().pop() }
    }

    /// The pages in order. The one that was just answered may leave the queue.
    pub fn pages(&self) -> impl Iterator<Item = &'static Owned> + use<> {
        self.pages.iter()
    }

    pub fn last(&self) -> Option<&'static Owned> {
        self.pages.last()
    }

    /// How many pages were found full and kept.
    #[inline]
    pub fn kept_full(&self) -> usize {
        self.kept_full.get() as usize
    }

    pub(super) fn wasted(&self) -> usize {
        self.wasted.get() as usize
    }

    pub(super) fn note_wasted(&self, bytes: usize) {
        self.wasted.set(self.wasted.get().saturating_add(bytes as u32));
    }

    /// A search has met a page with blocks, and it is rather empty or not.
    pub(super) fn note_emptiness(&self, is_empty: bool) {
        self.too_many.set(if is_empty { EMPTINESS_MEMORY } else { self.too_many.get().saturating_sub(1) });
    }

    /// Whether rather empty pages have been met of late: its blocks would do with fewer pages.
    pub(super) fn has_too_many(&self) -> bool {
        self.too_many.get() > 0
    }

    #[inline]
    fn forget_kept_full(&self, page: &Owned) {
        if page.is(Flag::KeptFull) {
            page.drop_flag(Flag::KeptFull);
            self.kept_full.set(self.kept_full.get() - 1);
        }
    }
}

const DIRECT: usize = SMALL_SIZE_MAX / WORD_BYTES + 1;

/// What the table that `malloc` reads has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direct {
    /// The first page of the class that serves a request.
    Plain,
    /// The same for a request and a canary.
    Padded,
    /// The empty page, so that every `malloc` asks.
    Hidden,
}

/// The queues of a theap. The first field is what the fast path of `malloc` reads.
#[repr(C)]
pub struct Queues {
    direct: [Cell<*const Owned>; DIRECT],
    queues: [Queue; Bin::COUNT],
    shown: Cell<Direct>,
}

impl Queues {
    pub const fn new() -> Self {
        Self {
            direct: [const { Cell::new(EMPTY_PAGE.as_ptr()) }; DIRECT],
            queues: [const { Queue::new() }; Bin::COUNT],
            shown: Cell::new(Direct::Plain),
        }
    }

    /// The page for requests of `words` words (at most [`SMALL_SIZE_MAX`]).
    #[inline(always)]
    pub fn direct(&self, words: usize) -> &'static Owned {
        // SAFETY: `words` is in range by the caller's test; the table holds pages of the theap, or the empty one.
        unsafe { &*self.direct.get_unchecked(words).get() }
    }

    /// How many pages are in the queues.
    #[cfg(test)]
    pub fn page_count(&self) -> usize {
        self.queues.iter().flat_map(Queue::pages).count()
    }

    /// The queue of a class that shares pages.
    #[inline]
    pub fn of(&self, bin: Bin) -> &Queue {
        &self.queues[bin.index()]
    }

    /// Puts a page where the next allocation of its class takes it.
    pub fn push_front(&self, page: OwnedPage) -> &'static Owned {
        let page = self.entered(page);
        self.of(page.bin()).pages.push_front(page);
        self.update_direct(page.bin());
        page
    }

    /// Puts a page where it is found last.
    pub fn push_back(&self, page: OwnedPage) -> &'static Owned {
        let page = self.entered(page);
        let pages = &self.of(page.bin()).pages;
        pages.push_back(page);
        if pages.is_first(page) {
            self.update_direct(page.bin());
        }
        page
    }

    fn entered(&self, page: OwnedPage) -> &'static Owned {
        let page = page.hold();
        page.raise(Flag::Queued);
        page
    }

    /// Takes the page out of its queue; `None` if it is in none.
    pub fn remove(&self, page: &'static Owned) -> Option<OwnedPage> {
        if !page.is(Flag::Queued) {
            return None;
        }
        self.end_lifo(page);
        let queue = self.of(page.bin());
        queue.forget_kept_full(page);
        page.drop_flag(Flag::Queued);
        pin();
        self.unlink(page);
        // SAFETY: the queue held the right, as the flag tells, and doesn't any more.
        Some(unsafe { page.take_out() })
    }

    fn unlink(&self, page: &'static Owned) {
        let pages = &self.of(page.bin()).pages;
        let was_first = pages.is_first(page);
        pages.remove(page);
        if was_first {
            self.update_direct(page.bin());
        }
    }

    pub fn move_to_front(&self, page: &'static Owned) {
        let queue = self.of(page.bin());
        queue.forget_kept_full(page);
        if !queue.pages.is_first(page) {
            queue.pages.remove(page);
            queue.pages.push_front(page);
            self.update_direct(page.bin());
        }
    }

    /// Moves a page that was just found full to the end of its queue.
    pub fn keep_full(&self, page: &'static Owned) {
        let queue = self.of(page.bin());
        page.raise(Flag::KeptFull);
        queue.kept_full.set(queue.kept_full.get() + 1);
        self.to_end(queue, page);
    }

    /// Moves a page with blocks to the end of its queue.
    pub fn move_to_back(&self, page: &'static Owned) {
        let queue = self.of(page.bin());
        queue.forget_kept_full(page);
        self.to_end(queue, page);
    }

    fn to_end(&self, queue: &Queue, page: &'static Owned) {
        if queue.last() != Some(page) {
            self.unlink(page);
            queue.pages.push_back(page);
        }
    }

    fn update_direct(&self, bin: Bin) {
        let shown = self.shown.get();
        let first = self.of(bin).first();
        self.of(bin).source.set(first.map_or(Source::EMPTY, Owned::source));
        let first = first.filter(|_| shown != Direct::Hidden);
        let first = first.map_or(EMPTY_PAGE.as_ptr(), ptr::from_ref);
        let (from, end) = DIRECT_RANGE[bin.index()];
        let canary_words = if shown == Direct::Padded { CANARY_BYTES / WORD_BYTES } else { 0 };
        let (from, end) =
            (usize::from(from).saturating_sub(canary_words), usize::from(end).saturating_sub(canary_words));
        for direct in &self.direct[from..end] {
            direct.set(first);
        }
    }

    /// Takes a block that this thread has freed, if the class's first page has one and `may` agrees, and goes on with the
    /// one freed last.
    #[inline(always)]
    pub fn pop_last_freed(&self, bin: Bin, may: impl FnOnce() -> bool) -> *mut u8 {
        let queue = self.of(bin);
        match queue.first() {
            Some(first) if first.may_begin_lifo(may) => {
                queue.source.set(first.source());
                queue.pop()
            }
            _ => ptr::null_mut(),
        }
    }

    /// Ends that.
    #[inline]
    pub fn end_lifo(&self, page: &'static Owned) {
        if page.is(Flag::Lifo) {
            page.end_lifo();
            self.of(page.bin()).source.set(page.source());
        }
    }

    /// What the table has from now on.
    pub fn show(&self, shown: Direct) {
        self.shown.set(shown);
        self.direct.iter().for_each(|direct| direct.set(EMPTY_PAGE.as_ptr()));
        (0..Bin::COUNT).filter_map(Bin::from_index).for_each(|bin| self.update_direct(bin));
    }

    /// Makes all queues empty, whatever state they are in.
    pub fn clear(&self) {
        for queue in &self.queues {
            queue.pages.clear();
            queue.kept_full.set(0);
            queue.wasted.set(0);
            queue.too_many.set(0);
            queue.source.set(Source::EMPTY);
        }
        for direct in &self.direct {
            direct.set(EMPTY_PAGE.as_ptr());
        }
    }

    /// Calls `visit` with every page in the queues; the page may leave its queue meanwhile.
    pub fn for_each_page(&self, mut visit: impl FnMut(&'static Owned)) {
        for page in self.queues.iter().flat_map(Queue::pages) {
            self.end_lifo(page);
            visit(page);
        }
    }
}
