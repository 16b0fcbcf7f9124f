//! A theap that the profiler takes samples from: making lists that end where the next sample is, and owing that sample.
//!
//! See `gaps` for when samples are due, and `page::cut` for how a list is ended.

use super::theap::Theap;
use crate::page::Owned;
use crate::profile::Known;

impl Theap {
    /// Whether some of its blocks are the profiler's samples.
    #[inline]
    pub fn is_profiled(&self) -> bool {
        self.sampling.is_on()
    }

    /// Mean bytes from one sample to the next.
    pub fn profile_rate(&self) -> usize {
        self.sampling.rate()
    }

    /// What its thread knows about its stack.
    pub fn known_stack(&self) -> &Known {
        self.sampling.known()
    }

    /// In the child of a fork: samples are others than the parent's.
    pub fn draw_gaps(&self) {
        if self.is_profiled() {
            self.sampling.follow(self.sampling.rate());
        }
    }

    /// Whether the allocation at hand, for which `page` was found, is to be a sample; asked once.
    #[inline(never)]
    pub fn takes_sample(&self, page: &Owned) -> bool {
        if self.sampling.take_due() {
            return true;
        }
        // The list that was just made begins with one.
        !page.has_free() && page.is_cut() && self.refill_sampled(page) && self.sampling.take_due()
    }

    /// Counts a block of `bytes` that is counted one by one, and says whether it is a sample.
    pub fn is_sample(&self, bytes: usize) -> bool {
        self.is_profiled() && self.sampling.counts_sample(bytes)
    }

    /// Puts blocks on the page's exhausted `free`, as [`Owned::refill`] does. The list may be cut at its first block then: see
    /// [`Theap::takes_sample`].
    #[inline]
    pub(super) fn refill(&self, page: &Owned) -> bool {
        if self.is_profiled() { self.refill_sampled(page) } else { page.refill() }
    }

    #[inline(never)]
    fn refill_sampled(&self, page: &Owned) -> bool {
        if !page.has_free() && page.is_cut() {
            self.sampling.owe();
            let count = page.join();
            self.sampling.place(page, count);
            return true;
        }
        self.placing(page, Owned::refill)
    }

    /// Does `work`, which may make a new list the page's.
    #[inline]
    pub(super) fn placing<T>(&self, page: &Owned, work: impl FnOnce(&Owned) -> T) -> T {
        let before = page.handed();
        let done = work(page);
        if self.is_profiled() && page.handed() > before && page.has_free() && !page.has_block_table() {
            self.sampling.place(page, (page.handed() - before) as usize);
        }
        done
    }

    /// Makes what the thread has freed the page's list, if nothing else is to be done, and takes its first block; null if not.
    #[inline]
    pub fn pop_recycled_sampled(&self, page: &Owned) -> *mut u8 {
        let is_all = page.is_recyclable() && !page.is_cut() && !self.batch.is_pending();
        if !is_all || !self.sampling.counts_down() {
            return core::ptr::null_mut();
        }
        let before = page.handed();
        page.refill_local();
        self.sampling.place(page, (page.handed() - before) as usize);
        page.pop()
    }

    /// Counts a slow path, if the profiler runs; false if a tick is due.
    #[inline]
    pub(super) fn skips_sampled_tick(&self) -> bool {
        self.is_profiled() && self.sampling.counts_down()
    }
}
