//! Upkeep of a theap: empty pages kept for a while, and what is done every so many slow paths, and on request.
//!
//! A program that frees its last block of a size often needs one soon: its empty page is kept. What is kept is bounded per
//! theap, and expires by the tick.

use super::counts::Event;
use super::theap::Theap;
use crate::base::*;
use crate::heap::{heap_of_page, release_page};
use crate::options::{self, OptionId};
use crate::page::{Flag, Owned, OwnedPage};

/// An empty page that has not been used for this many ticks goes.
const MAX_AGE: u8 = 2;
/// Slow paths between two ticks.
const TICK: u32 = 64;

impl Theap {
    /// The last block of an owned, queued page has been freed by its owner: keeps the page or releases it. Or enough
    /// have been freed to the list that is allocated from.
    pub fn page_emptied(&self, page: &'static Owned) {
        if page.is(Flag::Lifo) {
            return self.queues.end_lifo(page);
        }
        if page.is(Flag::Retired) || self.retired.has_room_for(page) {
            self.keep(page);
        } else {
            self.release(page);
        }
    }

    fn keep(&self, page: &'static Owned) {
        self.placing(page, Owned::relink);
        if !page.is(Flag::Retired) {
            self.retired.add(page);
        }
        self.counts.add(Event::Retired);
        page.note_retired();
    }

    /// Takes the page out of its queue, and off the list of empty pages; `None` if it is in no queue.
    pub(super) fn remove(&self, page: &'static Owned) -> Option<OwnedPage> {
        self.forget_retired(page);
        self.queues.remove(page)
    }

    /// Releases a queued page without blocks in use.
    pub(super) fn release(&self, page: &'static Owned) {
        let Some(page) = self.remove(page) else { return };
        debug_assert!(!page.is(Flag::Retired));
        debug_assert_eq!(page.used(), page.remote_count());
        self.counts.count_past(&page);
        if self.has_much_to_hand_over() {
            self.counts.hand_over(heap_of_page(&page).stats());
        }
        release_page(page);
    }

    /// Whether as much has come and gone as option `stats_merge_threshold` says; 0: never.
    fn has_much_to_hand_over(&self) -> bool {
        let threshold = options::get_size(OptionId::StatsMergeThreshold);
        threshold > 0 && self.counts.allocated() >= threshold
    }

    /// The page is about to leave the theap.
    pub(super) fn forget_retired(&self, page: &Owned) {
        if page.is(Flag::Retired)
            && let Some(index) = self.retired.index_of(page)
        {
            self.retired.remove(index);
        }
    }

    /// Releases kept pages that have not been used for some ticks, or with `Force::All` every one that is empty.
    /// Those in use again are forgotten.
    pub(super) fn expire_retired(&self, force: Force) {
        for index in (0..self.retired.count()).rev() {
            let page = self.retired.get(index);
            self.queues.end_lifo(page);
            if !page.seems_unused_since_retired() {
                self.retired.remove(index);
            } else if force == Force::All || page.grow_older() >= MAX_AGE {
                // The list may look as it did though blocks have come and gone: this counts.
                self.release_or(page, |_| self.retired.remove(index));
            }
        }
    }
}

/// Whether upkeep is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tick {
    /// Nothing is due.
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
        if self.skips_sampled_tick() {
            return Tick::NotYet;
        }
        if self.is_profiled() {
            self.sampling.set_until_tick(TICK - 1);
        } else {
            self.until_tick.set(TICK - 1);
        }
        self.count_tick()
    }

    /// Takes a block of the class that this thread has freed, if no other work is due (`Queues::pop_last_freed`).
    #[inline(always)]
    pub fn pop_last_freed(&self, bin: Bin) -> *mut u8 {
        self.queues.pop_last_freed(bin, || self.skips_upkeep())
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

    /// Makes what the thread has freed the page's list, if nothing else is to be done, and takes its first block; null if not.
    #[inline]
    pub fn pop_recycled(&self, page: &Owned) -> *mut u8 {
        if self.is_profiled() {
            return self.pop_recycled_sampled(page);
        }
        page.pop_recycled(|| self.skips_upkeep())
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

    /// Releases retired pages that have not been used for some time, and punches quiet ones.
    pub fn upkeep(&self) {
        self.expire_retired(Force::Routine);
        self.heap().ask_again();
        self.punch_quiet_pages();
    }

    /// Not where threads may look at memory that has been freed.
    pub(super) fn may_punch(&self) -> bool {
        self.heap().postponing().is_none()
    }

    /// Gives back what is empty of pages in which nothing has happened for some time, if it is time to look for some.
    fn punch_quiet_pages(&self) {
        if !self.may_punch() {
            return;
        }
        let Some(mut left) = self.looks.begin(self.heap().subproc().arenas().purge_delay()) else { return };
        self.for_each_page(|page| {
            if left > 0 && page.is_quiet() {
                left -= 1;
                self.release_or(page, |page| _ = page.punch_quiet());
            }
        });
    }

    /// Takes over what others have freed into the theap's pages and releases those that are empty; `Force::All`
    /// includes the retired ones, and gives back what is empty of the others.
    pub fn collect(&self, force: Force) {
        self.batch.flush();
        self.expire_retired(force);
        self.for_each_page(|page| self.collect_page(page, force));
        self.heap().ask_again();
        match force {
            Force::Routine => self.punch_quiet_pages(),
            Force::All => self.heap().release_kept_samples(),
        }
        if options::is_enabled(OptionId::StatsMergeOnCollect) {
            self.hand_over_counts();
        }
    }

    fn collect_page(&self, page: &'static Owned, force: Force) {
        match force {
            Force::All => self.release_or_punch(page, Force::All),
            Force::Routine if page.is(Flag::Retired) => {}
            Force::Routine => self.release_or(page, |_| {}),
        }
    }

    /// Releases a page that is empty, and gives back what is empty of another one.
    pub(super) fn release_or_punch(&self, page: &'static Owned, force: Force) {
        self.release_or(page, |page| {
            if self.may_punch() {
                page.punch(force);
            }
        });
    }

    /// Releases the page if it is empty, or has `see_to` what is left of it.
    pub(super) fn release_or(&self, page: &'static Owned, see_to: impl FnOnce(&Owned)) {
        if page.collect_is_empty() {
            self.release(page);
        } else {
            see_to(page);
        }
    }
}
