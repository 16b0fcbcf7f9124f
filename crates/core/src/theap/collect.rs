//! Upkeep of a theap: every so many slow paths, and on request.

use super::theap::Theap;
use crate::base::*;
use crate::options::{self, OptionId};
use crate::page::Page;

/// Slow paths between two ticks.
const TICK: u32 = 64;

/// Whether upkeep is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    NotYet,
    /// Time to look at retired pages and at the arenas.
    Due,
    /// Time for a whole collection.
    Collect,
}

impl Theap {
    /// Counts a slow path.
    #[inline]
    pub fn tick(&self) -> Tick {
        let left = self.until_tick.get();
        if left > 0 {
            self.until_tick.set(left - 1);
            return Tick::NotYet;
        }
        self.until_tick.set(TICK - 1);
        self.count_tick()
    }

    /// Counts a list that was used up and replaced by what the thread itself has freed. False, and nothing counted, if
    /// there is other work: a tick is due, or frees are gathered for other threads.
    #[inline(always)]
    pub fn skips_upkeep(&self) -> bool {
        let left = self.until_tick.get();
        if left == 0 || self.batch.is_pending() {
            return false;
        }
        self.until_tick.set(left - 1);
        true
    }

    fn count_tick(&self) -> Tick {
        let ticks = self.ticks.get() + 1;
        let every = options::get(OptionId::GenericCollect).clamp(1, i64::from(u32::MAX)) as u32;
        if ticks >= every.div_ceil(TICK) {
            self.ticks.set(0);
            return Tick::Collect;
        }
        self.ticks.set(ticks);
        Tick::Due
    }

    /// Releases retired pages that have not been used for some time.
    pub fn upkeep(&self) {
        self.expire_retired(Force::Routine);
    }

    /// Takes over what others have freed into the theap's pages and releases those that are empty; `Force::All`
    /// includes the retired ones.
    pub fn collect(&self, force: Force) {
        self.batch.flush();
        self.expire_retired(force);
        self.for_each_page(|page| self.collect_page(page, force));
    }

    fn collect_page(&self, page: &'static Page, force: Force) {
        let is_kept = force == Force::Routine && page.is(crate::page::Flag::Retired);
        if !is_kept && page.collect_is_empty() {
            self.release(page);
        }
    }
}

impl Theap {
    /// Frees a block of a page that another thread owns or nobody does.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more.
    #[inline]
    pub unsafe fn free_remote(&self, page: &'static Page, p: *mut u8) {
        // SAFETY: the precondition.
        unsafe { self.batch.add(page, p) };
    }

    /// Pushes the frees gathered for other threads' pages.
    #[inline]
    pub fn flush_remote(&self) {
        self.batch.flush();
    }
}
