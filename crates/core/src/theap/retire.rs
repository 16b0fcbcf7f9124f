//! Empty pages kept for a while: a program that frees its last block of a size often needs one soon.
//!
//! What is kept is bounded per theap, and expires by the tick.

use core::cell::Cell;
use core::ptr;

use super::counts::Event;
use super::theap::Theap;
use crate::base::*;
use crate::heap::{adopt_orphans_first, do_orphans_wait, release_page};
use crate::page::{Flag, Page};
use crate::sync::pin;

/// How many empty pages a theap keeps.
const MAX_PAGES: usize = 64;
/// How much of them may have been touched, together. Bytes.
const MAX_TOUCHED_BYTES: usize = 4 << 20;
/// An empty page that has not been used for this many ticks goes.
const MAX_AGE: u16 = 2;

/// The empty pages that a theap keeps. Valid when zeroed.
pub struct Retired {
    pages: [Cell<*const Page>; MAX_PAGES],
    /// What of each had been touched when it came. Bytes.
    touched: [Cell<u32>; MAX_PAGES],
    count: Cell<usize>,
    touched_bytes: Cell<usize>,
}

impl Retired {
    pub const fn new() -> Self {
        Self {
            pages: [const { Cell::new(ptr::null()) }; MAX_PAGES],
            touched: [const { Cell::new(0) }; MAX_PAGES],
            count: Cell::new(0),
            touched_bytes: Cell::new(0),
        }
    }

    /// Forgets everything kept.
    pub fn clear(&self) {
        self.count.set(0);
        self.touched_bytes.set(0);
    }

    fn has_room_for(&self, page: &Page) -> bool {
        self.count.get() < MAX_PAGES && self.touched_bytes.get() + page.touched_bytes() <= MAX_TOUCHED_BYTES
    }

    fn add(&self, page: &'static Page) {
        let (index, touched) = (self.count.get(), page.touched_bytes());
        self.pages[index].set(page);
        self.touched[index].set(touched as u32);
        self.count.set(index + 1);
        self.touched_bytes.set(self.touched_bytes.get() + touched);
    }

    fn get(&self, index: usize) -> &'static Page {
        // SAFETY: the first `count` are pages of the theap.
        unsafe { &*self.pages[index].get() }
    }

    fn remove(&self, index: usize) {
        let page = self.get(index);
        page.drop_flag(Flag::Retired);
        let last = self.count.get() - 1;
        self.touched_bytes.set(self.touched_bytes.get() - self.touched[index].get() as usize);
        self.pages[index].set(self.pages[last].get());
        self.touched[index].set(self.touched[last].get());
        self.count.set(last);
    }

    fn index_of(&self, page: &Page) -> Option<usize> {
        (0..self.count.get()).find(|&index| self.get(index) == page)
    }
}

impl Theap {
    /// The last block of an owned, queued page has been freed by its owner: keeps the page or releases it.
    pub fn page_emptied(&self, page: &'static Page) {
        if page.is(Flag::Retired) {
            self.keep(page);
        } else {
            self.keep_or_release(page);
        }
    }

    /// While orphans wait, the page may be one that this thread only took for its own (`runtime::orphans`): adopting
    /// them
    /// sees to it then. If it is the thread's after all, it stays in its queue until the next collection.
    fn keep_or_release(&self, page: &'static Page) {
        if do_orphans_wait() {
            return adopt_orphans_first();
        }
        if self.retired.has_room_for(page) {
            self.keep(page);
        } else {
            self.release(page);
        }
    }

    fn keep(&self, page: &'static Page) {
        page.start_over();
        if !page.is(Flag::Retired) {
            self.retired.add(page);
        }
        pin();
        self.counts.add(Event::Retired);
        page.note_retired();
    }

    /// Releases an owned, queued page without blocks in use.
    pub(super) fn release(&self, page: &'static Page) {
        self.forget_retired(page);
        self.remove(page);
        debug_assert!(!page.is(Flag::Queued) && !page.is(Flag::Retired));
        debug_assert_eq!(page.used(), page.remote.count());
        self.counts.count_past(page);
        release_page(page);
    }

    /// The list may look as it did though blocks have come and gone: counts before it releases.
    fn release_if_empty(&self, page: &'static Page, index: usize) {
        if page.collect_is_empty() {
            self.release(page);
        } else {
            self.retired.remove(index);
        }
    }

    /// The page is about to leave the theap.
    pub(super) fn forget_retired(&self, page: &Page) {
        if page.is(Flag::Retired)
            && let Some(index) = self.retired.index_of(page)
        {
            self.retired.remove(index);
        }
    }

    /// Releases kept pages that have not been used for some ticks, or with `Force::All` every one that is empty.
    /// Those in use again are forgotten.
    pub(super) fn expire_retired(&self, force: Force) {
        for index in (0..self.retired.count.get()).rev() {
            let page = self.retired.get(index);
            if !page.seems_unused_since_retired() {
                self.retired.remove(index);
            } else if force == Force::All || page.grow_older() >= MAX_AGE {
                self.release_if_empty(page, index);
            }
        }
    }
}
