//! What a theap counts for itself, in plain words that no other thread writes. Whoever asks for statistics reads them; at
//! the theap's end they are handed over to its heap's statistics.

use core::cell::Cell;

use crate::stats::{RawStats, Stats};

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
    /// A page is given up.
    Abandoned,
}

const EVENTS: usize = 5;

/// The counts. Valid when zeroed.
pub(super) struct Counts([Cell<usize>; EVENTS]);

impl Counts {
    pub const fn new() -> Self {
        Self([const { Cell::new(0) }; EVENTS])
    }

    pub fn reset(&self) {
        self.0.iter().for_each(|count| count.set(0));
    }

    /// Counts one more; answers how many there are.
    #[inline]
    pub fn add(&self, event: Event) -> usize {
        let count = &self.0[event as usize];
        count.set(count.get() + 1);
        count.get()
    }

    fn move_to(&self, event: Event, add: impl Fn(usize)) {
        let count = self.0[event as usize].replace(0);
        if count > 0 {
            add(count);
        }
    }

    /// By any thread.
    fn peek(&self, event: Event) -> i64 {
        // SAFETY: the word lives as long as the theap; a volatile load sees one of the values that its thread wrote.
        unsafe { self.0[event as usize].as_ptr().read_volatile() as i64 }
    }

    /// Adds them to `stats`; by any thread.
    pub fn add_to(&self, stats: &mut RawStats) {
        stats.pages_reclaim_on_free.total += self.peek(Event::Reclaimed);
        stats.pages_retire.total += self.peek(Event::Retired);
        stats.page_searches_count.total += self.peek(Event::Search);
        stats.page_searches.total += self.peek(Event::Searched);
        stats.pages_abandoned.total += self.peek(Event::Abandoned);
    }

    /// Moves them to `stats`; by the theap's thread.
    pub fn hand_over(&self, stats: &Stats) {
        self.move_to(Event::Reclaimed, |count| stats.pages_reclaim_on_free.add(count));
        self.move_to(Event::Retired, |count| stats.pages_retire.add(count));
        self.move_to(Event::Search, |count| stats.page_searches_count.add(count));
        self.move_to(Event::Searched, |count| stats.page_searches.add(count));
        self.move_to(Event::Abandoned, |count| stats.pages_abandoned.pass(count as u64));
    }
}
