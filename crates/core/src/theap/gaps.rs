//! When the profiler's next sample is due: the state of a theap.
//!
//! Each size class has a gap of its own: so many blocks are put on lists until one is a sample (`profile::interval` says why that is
//! the same as one gap in bytes). It is counted when a list is made, not when a block is taken; lists that reach as far as the next
//! sample are cut there (`page::cut`). Whoever finds a cut list exhausted joins it again and owes a sample, which
//! the allocation at hand becomes. Blocks with a page of their own, and those of hardened pages, are counted one by one.
//!
//! While the profiler runs, the countdown to the next tick is kept here, and the theap's own stands at 0: so a list that is used up
//! always comes to the slow path, which then does what `malloc` would have done.

use core::cell::Cell;

use crate::base::*;
use crate::page::Owned;
use crate::profile::{self, Known};
use crate::random::{Fast, Keyed};

/// Valid when zeroed.
pub struct Sampling {
    /// Mean bytes from one sample to the next; 0: the profiler doesn't run.
    rate: Cell<usize>,
    /// Of the profiler, when this was settled.
    version: Cell<usize>,
    random: Cell<u64>,
    /// Blocks of each class until the next sample.
    gaps: [Cell<u32>; Bin::COUNT],
    /// Bytes until the next sample, for blocks that are counted one by one.
    gap_bytes: Cell<u64>,
    is_due: Cell<bool>,
    /// Slow paths until the next tick.
    until_tick: Cell<u32>,
    known: Known,
}

impl Sampling {
    pub const fn new() -> Sampling {
        Sampling {
            rate: Cell::new(0),
            version: Cell::new(0),
            random: Cell::new(0),
            gaps: [const { Cell::new(0) }; Bin::COUNT],
            gap_bytes: Cell::new(0),
            is_due: Cell::new(false),
            until_tick: Cell::new(0),
            known: Known::new(),
        }
    }

    #[inline]
    pub fn is_on(&self) -> bool {
        self.rate.get() != 0
    }

    fn draws<T>(&self, draw: impl FnOnce(&mut Fast, usize) -> T) -> T {
        let mut random = Fast::new(self.random.get());
        let drawn = draw(&mut random, self.rate.get());
        self.random.set(random.next_u64());
        drawn
    }

    fn draw_blocks(&self, bin: Bin) -> u32 {
        self.draws(|random, rate| profile::draw_blocks(random, rate, bin.block_bytes()))
    }

    /// Of a theap that starts: it follows the profiler at its first tick.
    pub fn reset(&self) {
        self.known.forget();
        self.version.set(0);
        self.rate.set(0);
        self.is_due.set(false);
    }

    /// Mean bytes from one sample to the next.
    pub fn rate(&self) -> usize {
        self.rate.get()
    }

    /// What the thread knows about its stack.
    pub fn known(&self) -> &Known {
        &self.known
    }

    /// Whether the profiler has been started or stopped since this was settled.
    #[inline]
    pub fn is_behind(&self) -> bool {
        self.version.get() != profile::version()
    }

    /// Starts or stops as the profiler has, which samples the heap at `rate`. New gaps are drawn.
    pub fn follow(&self, rate: usize) {
        self.settle(profile::version(), rate);
    }

    /// A sample is owed from now on.
    pub fn owe(&self) {
        self.is_due.set(true);
    }

    /// Whether a sample was owed; it isn't any more.
    #[inline]
    pub fn take_due(&self) -> bool {
        self.is_due.replace(false)
    }

    /// Counts a block of `bytes` that is counted one by one, and says whether it is a sample.
    pub fn counts_sample(&self, bytes: usize) -> bool {
        let gap = self.gap_bytes.get();
        let is_sample = gap < bytes as u64;
        self.gap_bytes.set(if is_sample { self.draws(profile::draw) } else { gap - bytes as u64 });
        is_sample
    }

    fn settle(&self, version: usize, rate: usize) {
        self.version.set(version);
        self.rate.set(rate);
        self.is_due.set(false);
        if rate == 0 {
            return;
        }
        self.random.set(Keyed::new().next_u64());
        for bin in (0..Bin::COUNT).filter_map(Bin::from_index) {
            self.gaps[bin.index()].set(self.draw_blocks(bin));
        }
        self.gap_bytes.set(self.draws(profile::draw));
    }

    /// A list of `count` blocks was made the page's; cuts it if the next sample lies in it.
    pub fn place(&self, page: &Owned, count: usize) {
        let gap = &self.gaps[page.bin().index()];
        let blocks = gap.get() as usize;
        if blocks >= count {
            gap.set((blocks - count) as u32);
        } else if !page.is_cut() {
            gap.set(self.draw_blocks(page.bin()));
            page.cut(blocks, count);
        }
    }

    /// Counts a slow path; false if a tick is due.
    pub fn counts_down(&self) -> bool {
        let left = self.until_tick.get();
        self.until_tick.set(left.saturating_sub(1));
        left > 0
    }

    pub fn set_until_tick(&self, slow_paths: u32) {
        self.until_tick.set(slow_paths);
    }
}
