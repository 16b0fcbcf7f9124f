//! What the arenas of a set count together: slices in use, filled, accessible; and what purging and huge pages go by.

use super::fill::FillHistory;
use super::looks::Looks;
use super::process_limit;
use super::purging::{Purging, Regret};
use crate::base::*;
use crate::stats::Stats;
use crate::sync::{AtomicUsize, Ordering};

/// The counts. Valid when zeroed.
pub struct Usage {
    /// Slices of pages whose blocks have all been lent at some time: what is surely in use, unlike the address space of
    /// pages that have just begun.
    pub filled: Tally,
    /// Slices of pages with a single block: in use, though not all of it need be touched.
    pub single: Tally,
    /// Slices claimed.
    pub in_use: Tally,
    /// Slices that have been made accessible, and not closed since.
    pub(super) committed: Tally,
    /// Units of 2 MiB that are no longer advised to be huge pages.
    pub refused: Tally,
    pub(super) purging: Purging,
    pub(super) fills: FillHistory,
    pub(super) looks: Looks,
    stats: Stats,
}

impl Usage {
    /// Where the statistics lie.
    pub const STATS_AT: usize = core::mem::offset_of!(Usage, stats);

    /// Nothing is counted, and all statistics are zero.
    pub const fn new() -> Self {
        Self {
            filled: Tally::new(),
            single: Tally::new(),
            in_use: Tally::new(),
            committed: Tally::new(),
            refused: Tally::new(),
            purging: Purging::new(),
            fills: FillHistory::new(),
            looks: Looks::new(),
            stats: Stats::new(),
        }
    }

    /// The set's statistics.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Free slices that have memory behind them at the moment.
    pub fn unused_slices(&self) -> usize {
        self.purging.unused_slices()
    }

    /// Whether the kernel's limit on the process's memory has room for what huge OS pages add to it: half of it.
    pub(super) fn has_room_to_round(&self) -> bool {
        !self.purging.exceeds_share(self.in_use.get() + self.unused_slices(), (1, 2))
    }

    /// See [`Purging::shortages`].
    pub(super) fn shortages(&self) -> usize {
        self.purging.shortages(|| self.stats.committed.current().max(0) as usize / SLICE_BYTES)
    }

    pub(super) fn note_claimed(&self, slices: usize, purgeable: usize, fresh: usize) {
        self.in_use.add(slices);
        if slices > purgeable {
            self.stats.committed.increase((slices - purgeable) * SLICE_BYTES);
        }
        self.purging.note_claimed(fresh, purgeable);
    }

    pub(super) fn note_released(&self, slices: usize, purgeable: usize) {
        self.in_use.subtract(slices);
        if slices > purgeable {
            self.stats.committed.decrease((slices - purgeable) * SLICE_BYTES);
            process_limit::give_back(slices - purgeable);
        }
    }

    /// Free slices have lost the memory behind them.
    pub(super) fn note_unbacked(&self, slices: usize) {
        self.purging.change_unused(-(slices as isize));
        self.stats.committed.decrease(slices * SLICE_BYTES);
        process_limit::give_back(slices);
    }

    /// `bytes` have been mapped outside of arenas, for which they were charged.
    pub fn note_mapped(&self, bytes: usize) {
        self.stats.mmap_calls.increment();
        self.stats.reserved.increase(bytes);
        self.stats.committed.increase(bytes);
    }

    /// Such a mapping is about to be given back.
    pub fn note_unmapped(&self, bytes: usize) {
        self.stats.reserved.decrease(bytes);
        self.stats.committed.decrease(bytes);
        process_limit::give_back(bytes / SLICE_BYTES);
    }

    /// What went early should have stayed: from now on, less does.
    pub fn note_holes_regretted(&self, bytes: usize, regret: Regret) {
        self.purging.note_regret(bytes, regret);
    }

    /// So many bytes have been given back, or only offered.
    pub(super) fn note_purged(&self, bytes: usize, reset: bool) {
        if reset {
            self.stats.reset.add(bytes);
            self.stats.reset_calls.increment();
        } else {
            self.stats.purged.add(bytes);
            self.stats.purge_calls.increment();
        }
    }

    /// As new, but for the statistics, which go on. All memory has gone, with so many slices of the arenas' own.
    pub(super) fn forget(&self, info_slices: usize) {
        process_limit::give_back(self.in_use.get() + self.unused_slices() + info_slices);
        self.stats.reserved.decrease(self.stats.reserved.current() as usize);
        self.stats.committed.decrease(self.stats.committed.current() as usize);
        [&self.filled, &self.single, &self.in_use, &self.committed, &self.refused].into_iter().for_each(Tally::reset);
        self.purging.forget();
        self.fills.forget();
    }
}

/// A count that many threads change, and that orders nothing else.
pub struct Tally(AtomicUsize);

impl Tally {
    /// Nothing counted, as in zeroed memory.
    pub const fn new() -> Tally {
        Tally(AtomicUsize::new(0))
    }

    /// So many more.
    pub fn add(&self, more: usize) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// So many less.
    pub fn subtract(&self, less: usize) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    /// The count. A fork may have left it too low by what a thread was just counting: then it is zero.
    pub fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed).cast_signed().max(0).cast_unsigned()
    }

    /// Back to zero.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
