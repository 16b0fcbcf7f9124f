//! The pages of one class that a theap owns and that may have free blocks: a doubly linked list.
//!
//! Whenever the first page of a queue changes, the entries of the direct table for that class follow.

use core::cell::Cell;
use core::ptr;

use super::theap::Theap;
use crate::base::*;
use crate::page::{EMPTY_PAGE, Flag, Owned, OwnedPage, Source};

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
    kept_full: Cell<usize>,
}

impl Queue {
    pub const fn new() -> Self {
        Self { pages: List::new(), source: Cell::new(Source::EMPTY), kept_full: Cell::new(0) }
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

    pub(super) fn last(&self) -> Option<&'static Owned> {
        self.pages.last()
    }

    /// How many pages were found full and kept.
    #[inline]
    pub fn kept_full(&self) -> usize {
        self.kept_full.get()
    }

    #[inline]
    fn forget_kept_full(&self, page: &Owned) {
        if page.is(Flag::KeptFull) {
            page.drop_flag(Flag::KeptFull);
            self.kept_full.set(self.kept_full.get() - 1);
        }
    }
}

impl Theap {
    /// The queue of a class that shares pages.
    #[inline]
    pub fn queue(&self, bin: Bin) -> &Queue {
        &self.queues[bin.index()]
    }

    /// Puts a page where the next allocation of its class takes it.
    pub(super) fn push_front(&self, page: OwnedPage) -> &'static Owned {
        let page = self.entered(page);
        self.queue(page.bin()).pages.push_front(page);
        self.update_direct(page.bin());
        page
    }

    /// Puts a page where it is found last.
    pub(super) fn push_back(&self, page: OwnedPage) -> &'static Owned {
        let page = self.entered(page);
        let pages = &self.queue(page.bin()).pages;
        pages.push_back(page);
        if pages.is_first(page) {
            self.update_direct(page.bin());
        }
        page
    }

    fn entered(&self, page: OwnedPage) -> &'static Owned {
        let page = page.hold();
        page.raise(Flag::Queued);
        self.pages.set(self.pages.get() + 1);
        page
    }

    /// Takes the page out of its queue and list of empty pages; `None` if it is in none.
    pub(super) fn remove(&self, page: &'static Owned) -> Option<OwnedPage> {
        if !page.is(Flag::Queued) {
            return None;
        }
        self.forget_retired(page);
        self.end_lifo(page);
        let queue = self.queue(page.bin());
        queue.forget_kept_full(page);
        page.drop_flag(Flag::Queued);
        self.pages.set(self.pages.get() - 1);
        self.unlink(page);
        // SAFETY: the queue held the right, as the flag told, and doesn't any more.
        Some(unsafe { page.take_out() })
    }

    fn unlink(&self, page: &'static Owned) {
        let pages = &self.queue(page.bin()).pages;
        let was_first = pages.is_first(page);
        pages.remove(page);
        if was_first {
            self.update_direct(page.bin());
        }
    }

    pub(super) fn move_to_front(&self, page: &'static Owned) {
        let queue = self.queue(page.bin());
        queue.forget_kept_full(page);
        if !queue.pages.is_first(page) {
            queue.pages.remove(page);
            queue.pages.push_front(page);
            self.update_direct(page.bin());
        }
    }

    /// Moves a page that was just found full to the end of its queue.
    pub(super) fn keep_full(&self, page: &'static Owned) {
        let queue = self.queue(page.bin());
        page.raise(Flag::KeptFull);
        queue.kept_full.set(queue.kept_full.get() + 1);
        if queue.last() != Some(page) {
            let was_first = queue.pages.is_first(page);
            queue.pages.remove(page);
            queue.pages.push_back(page);
            if was_first {
                self.update_direct(page.bin());
            }
        }
    }

    fn update_direct(&self, bin: Bin) {
        let first = self.queue(bin).first();
        self.queue(bin).source.set(first.map_or(Source::EMPTY, Owned::source));
        let first = first.filter(|_| !self.is_instrumented());
        let first = first.map_or(EMPTY_PAGE.as_ptr(), ptr::from_ref);
        let (from, end) = DIRECT_RANGE[bin.index()];
        for direct in &self.direct[usize::from(from)..usize::from(end)] {
            direct.set(first);
        }
    }

    /// Takes a block that this thread has freed, if the class's first page has one and no other work is due, and goes on
    /// with the one freed last.
    #[inline(always)]
    pub fn pop_last_freed(&self, bin: Bin) -> *mut u8 {
        let queue = self.queue(bin);
        match queue.first() {
            Some(first) if first.may_begin_lifo(|| self.skips_upkeep()) => {
                queue.source.set(first.source());
                queue.pop()
            }
            _ => ptr::null_mut(),
        }
    }

    /// Ends that.
    #[inline]
    pub(super) fn end_lifo(&self, page: &'static Owned) {
        if page.is(Flag::Lifo) {
            page.end_lifo();
            self.queue(page.bin()).source.set(page.source());
        }
    }

    /// After the theap has begun or ceased to be instrumented.
    pub(super) fn update_all_direct(&self) {
        (0..Bin::COUNT).filter_map(Bin::from_index).for_each(|bin| self.update_direct(bin));
    }

    /// Makes all queues empty, whatever state they are in.
    pub(super) fn reset_queues(&self) {
        for queue in &self.queues {
            queue.pages.clear();
            queue.kept_full.set(0);
            queue.source.set(Source::EMPTY);
        }
        for direct in &self.direct {
            direct.set(EMPTY_PAGE.as_ptr());
        }
        self.pages.set(0);
    }

    /// Calls `visit` with every page in the queues; the page may leave its queue meanwhile.
    pub fn for_each_page(&self, mut visit: impl FnMut(&'static Owned)) {
        for page in self.queues.iter().flat_map(Queue::pages) {
            self.end_lifo(page);
            visit(page);
        }
    }
}
