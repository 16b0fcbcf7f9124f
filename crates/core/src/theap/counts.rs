//! What a theap counts for itself, in plain words that no other thread writes, until it hands them over to its heap's
//! statistics: when somebody asks on this thread, and at the theap's end.

use core::cell::Cell;

use super::theap::Theap;
use crate::stats::StatCounter;

/// Something worth counting that is too frequent for shared counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// A free has taken a page (back).
    Reclaimed,
    /// A page without blocks in use is kept for a while.
    Retired,
    /// A queue is searched for a page with free blocks.
    Search,
    /// A page is looked at in a search.
    Searched,
}

const EVENTS: usize = 4;

/// The counts. Valid when zeroed.
pub(super) struct Counts([Cell<usize>; EVENTS]);

impl Counts {
    pub const fn new() -> Self {
        Self([const { Cell::new(0) }; EVENTS])
    }

    pub fn reset(&self) {
        self.0.iter().for_each(|count| count.set(0));
    }

    #[inline]
    pub fn add(&self, event: Event) {
        let count = &self.0[event as usize];
        count.set(count.get() + 1);
    }

    fn move_to(&self, event: Event, counter: &StatCounter) {
        let count = self.0[event as usize].replace(0);
        if count > 0 {
            counter.add(count);
        }
    }
}

impl Theap {
    /// Adds what this theap has counted to its heap's statistics.
    pub fn hand_over_counts(&self) {
        let stats = self.heap().stats();
        self.counts.move_to(Event::Reclaimed, &stats.pages_reclaim_on_free);
        self.counts.move_to(Event::Retired, &stats.pages_retire);
        self.counts.move_to(Event::Search, &stats.page_searches_count);
        self.counts.move_to(Event::Searched, &stats.page_searches);
    }
}
