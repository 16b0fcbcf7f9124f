//! What a theap counts for itself, in plain words that no other thread writes. Whoever asks for statistics reads them; at
//! the theap's end they are handed over to its heap's statistics.

use crate::heap::stats_bin;
use crate::page::Owned;
use crate::stats::{HUGE_BIN, RawStats, Stats};
use crate::sync::{AtomicUsize, Relaxed};

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
    /// Blocks were linked in a page that has been released.
    Extended,
    /// Bytes of such a page's blocks that were used.
    Committed,
    /// Bytes of blocks that were allocated in such a page.
    Allocated,
}

const EVENTS: usize = 8;

/// The counts. Valid when zeroed.
pub(super) struct Counts {
    events: [AtomicUsize; EVENTS],
    /// Blocks that were allocated in pages that have been released, by size bin.
    blocks: [AtomicUsize; HUGE_BIN],
}

impl Counts {
    /// Where the counts of blocks lie.
    pub const BLOCKS_AT: usize = core::mem::offset_of!(Counts, blocks);

    pub const fn new() -> Self {
        Self { events: [const { AtomicUsize::new(0) }; EVENTS], blocks: [const { AtomicUsize::new(0) }; HUGE_BIN] }
    }

    pub fn reset(&self) {
        self.events.iter().chain(&self.blocks).for_each(|count| count.set(0));
    }

    /// Counts one more; answers how many there are.
    #[inline]
    pub fn add(&self, event: Event) -> usize {
        self.add_many(event, 1);
        self.events[event as usize].get()
    }

    #[inline]
    fn add_many(&self, event: Event, amount: usize) {
        add(&self.events[event as usize], amount);
    }

    fn get(&self, event: Event) -> i64 {
        self.events[event as usize].get() as i64
    }

    /// Adds them to `stats`; by any thread.
    pub fn add_to(&self, stats: &mut RawStats) {
        stats.pages_reclaim_on_free.total += self.get(Event::Reclaimed);
        stats.pages_retire.total += self.get(Event::Retired);
        stats.page_searches_count.total += self.get(Event::Search);
        stats.page_searches.total += self.get(Event::Searched);
        stats.pages_abandoned.total += self.get(Event::Abandoned);
        stats.pages_extended.total += self.get(Event::Extended);
        stats.page_committed.total += self.get(Event::Committed);
        stats.malloc_normal.total += self.get(Event::Allocated);
        for (bin, blocks) in stats.malloc_bins.iter_mut().zip(&self.blocks) {
            bin.total += blocks.get() as i64;
        }
    }

    /// Bytes that have come and gone since the counts were handed over.
    pub fn allocated(&self) -> usize {
        self.events[Event::Allocated as usize].get()
    }

    /// Counts what was allocated in a page, no singleton, that is about to be released.
    pub fn count_past(&self, page: &Owned) {
        let blocks = page.allocated_before() as usize;
        add(&self.blocks[stats_bin(page)], blocks);
        self.add_many(Event::Allocated, blocks.wrapping_mul(page.block_bytes()));
        self.add_many(Event::Committed, page.touched_bytes());
        self.add_many(Event::Extended, page.extensions());
        page.forget_allocated();
    }

    /// Moves them to `stats`; by the theap's thread.
    pub fn hand_over(&self, stats: &Stats) {
        let mut counted = RawStats::new();
        self.add_to(&mut counted);
        self.reset();
        stats.merge_raw(&counted);
    }
}

#[inline]
fn add(word: &AtomicUsize, amount: usize) {
    // Of 32 bits: what comes and goes in one page may be more.
    word.set(word.get().wrapping_add(amount));
}
