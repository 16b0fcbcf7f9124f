//! The pages of one class that a theap owns and that may have free blocks: a doubly linked list.
//!
//! Whenever the first page of a queue changes, the entries of the direct table for that class follow.

use core::cell::Cell;
use core::ptr;

use super::theap::Theap;
use crate::base::*;
use crate::page::{EMPTY_PAGE, Flag, Page};
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

/// A queue of pages. Valid when zeroed.
pub struct Queue {
    first: Cell<*const Page>,
    last: Cell<*const Page>,
    /// How many of its pages are marked as passed.
    passed: Cell<usize>,
}

impl Queue {
    pub const fn new() -> Self {
        Self { first: Cell::new(ptr::null()), last: Cell::new(ptr::null()), passed: Cell::new(0) }
    }

    #[inline]
    pub fn first(&self) -> Option<&'static Page> {
        // SAFETY: queues hold page map entries, which are never unmapped.
        unsafe { self.first.get().as_ref() }
    }

    pub(super) fn last(&self) -> Option<&'static Page> {
        // SAFETY: as for `first`.
        unsafe { self.last.get().as_ref() }
    }

    fn set_first(&self, page: Option<&'static Page>) {
        self.first.set(page.map_or(ptr::null(), ptr::from_ref));
    }

    fn set_last(&self, page: Option<&'static Page>) {
        self.last.set(page.map_or(ptr::null(), ptr::from_ref));
    }

    fn insert(&self, page: &'static Page, prev: Option<&'static Page>, next: Option<&'static Page>) {
        page.set_prev(prev);
        page.set_next(next);
        pin();
        match prev {
            Some(prev) => prev.set_next(Some(page)),
            None => self.set_first(Some(page)),
        }
        pin();
        match next {
            Some(next) => next.set_prev(Some(page)),
            None => self.set_last(Some(page)),
        }
    }

    /// How many pages were found full and kept.
    #[inline]
    pub fn passed(&self) -> usize {
        self.passed.get()
    }

    #[inline]
    fn unpass(&self, page: &Page) {
        if page.is(Flag::Passed) {
            page.drop_flag(Flag::Passed);
            self.passed.set(self.passed.get() - 1);
        }
    }

    fn unlink(&self, page: &'static Page) {
        match page.prev() {
            Some(prev) => prev.set_next(page.next()),
            None => self.set_first(page.next()),
        }
        pin();
        match page.next() {
            Some(next) => next.set_prev(page.prev()),
            None => self.set_last(page.prev()),
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
    pub(super) fn push_front(&self, page: &'static Page) {
        let queue = self.queue(page.bin());
        queue.insert(page, None, queue.first());
        self.entered(page);
        self.update_direct(page.bin());
    }

    /// Puts a page where it is found last.
    pub(super) fn push_back(&self, page: &'static Page) {
        let queue = self.queue(page.bin());
        let was_empty = queue.last().is_none();
        queue.insert(page, queue.last(), None);
        self.entered(page);
        if was_empty {
            self.update_direct(page.bin());
        }
    }

    pub(super) fn remove(&self, page: &'static Page) {
        let queue = self.queue(page.bin());
        let was_first = page.prev().is_none();
        queue.unlink(page);
        pin();
        queue.unpass(page);
        page.drop_flag(Flag::Queued);
        pin();
        self.pages.set(self.pages.get() - 1);
        if was_first {
            self.update_direct(page.bin());
        }
    }

    pub(super) fn move_to_front(&self, page: &'static Page) {
        let queue = self.queue(page.bin());
        queue.unpass(page);
        if page.prev().is_some() {
            queue.unlink(page);
            queue.insert(page, None, queue.first());
            self.update_direct(page.bin());
        }
    }

    /// Moves a page that was just found full to the end of its queue.
    pub(super) fn pass(&self, page: &'static Page) {
        let queue = self.queue(page.bin());
        page.raise(Flag::Passed);
        pin();
        queue.passed.set(queue.passed.get() + 1);
        if page.next().is_some() {
            let was_first = page.prev().is_none();
            queue.unlink(page);
            queue.insert(page, queue.last(), None);
            if was_first {
                self.update_direct(page.bin());
            }
        }
    }

    fn entered(&self, page: &Page) {
        page.raise(Flag::Queued);
        self.pages.set(self.pages.get() + 1);
    }

    fn update_direct(&self, bin: Bin) {
        let first = self.queue(bin).first().filter(|_| !self.is_watched());
        let first = first.map_or(&raw const EMPTY_PAGE, ptr::from_ref);
        let (from, end) = DIRECT_RANGE[bin.index()];
        for direct in &self.direct[usize::from(from)..usize::from(end)] {
            direct.set(first);
        }
    }

    /// After the theap has begun or ceased to be watched.
    pub(super) fn update_all_direct(&self) {
        (0..Bin::COUNT).filter_map(Bin::from_index).for_each(|bin| self.update_direct(bin));
    }

    /// Makes all queues empty, whatever state they are in.
    pub(super) fn reset_queues(&self) {
        for queue in &self.queues {
            queue.set_first(None);
            queue.set_last(None);
            queue.passed.set(0);
        }
        for direct in &self.direct {
            direct.set(&raw const EMPTY_PAGE);
        }
        self.pages.set(0);
    }

    /// Calls `visit` with every page in the queues; the page may leave its queue meanwhile.
    pub fn for_each_page(&self, mut visit: impl FnMut(&'static Page)) {
        for queue in &self.queues {
            let mut next = queue.first();
            while let Some(page) = next {
                next = page.next();
                visit(page);
            }
        }
    }
}
