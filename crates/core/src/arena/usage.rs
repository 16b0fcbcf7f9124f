//! What the arenas of a set count together: slices in use, filled, accessible; and what purging and huge pages go by.

use super::fill::FillHistory;
use super::looks::Looks;
use super::process_limit;
use super::purging::{Purging, Regret};
use crate::base::*;
use crate::stats::Stats;
use crate::sync::{AtomicUsize, Ordering};

/// How many blocks a page is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageKind {
    /// For many, of one size.
    Shared,
    /// For one: a singleton.
    Single,
}

/// The counts. Valid when zeroed.
pub struct Usage {
    /// Slices of pages whose blocks have all been lent at some time.
    filled: AtomicUsize,
    /// Slices of pages with a single block.
    single: AtomicUsize,
    /// Slices claimed.
    in_use: AtomicUsize,
    /// Slices that have been made accessible, and not closed since.
    committed: AtomicUsize,
    /// Units of 2 MiB that are no longer advised to be huge pages.
    refused: AtomicUsize,
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
            filled: AtomicUsize::new(0),
            single: AtomicUsize::new(0),
            in_use: AtomicUsize::new(0),
            committed: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
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

    /// Slices of pages whose blocks have all been lent at some time: what is surely in use, unlike the address space of
    /// pages that have just begun.
    pub fn filled_slices(&self) -> usize {
        not_negative(&self.filled)
    }

    /// Slices of big blocks: in use, though not all of it need be touched.
    pub fn single_slices(&self) -> usize {
        not_negative(&self.single)
    }

    fn filled_of(&self, kind: PageKind) -> &AtomicUsize {
        match kind {
            PageKind::Shared => &self.filled,
            PageKind::Single => &self.single,
        }
    }

    /// A page has lent its last fresh block, or has become larger since.
    pub fn note_filled(&self, slices: usize, kind: PageKind) {
        self.filled_of(kind).fetch_add(slices, Ordering::Relaxed);
    }

    /// Such a page is about to be released.
    pub fn note_unfilled(&self, slices: usize, kind: PageKind) {
        self.filled_of(kind).fetch_sub(slices, Ordering::Relaxed);
    }

    /// Slices claimed at the moment.
    pub fn in_use_slices(&self) -> usize {
        self.in_use.load(Ordering::Relaxed)
    }

    /// Free slices that have memory behind them at the moment.
    pub fn unused_slices(&self) -> usize {
        self.purging.unused_slices()
    }

    /// Whether the kernel's limit on the process's memory has room for what huge OS pages add to it: half of it.
    pub(super) fn has_room_to_round(&self) -> bool {
        !self.purging.exceeds_share(self.in_use_slices() + self.unused_slices(), (1, 2))
    }

    /// See [`Purging::shortages`].
    pub(super) fn shortages(&self) -> usize {
        self.purging.shortages(|| self.stats.committed.current().max(0) as usize / SLICE_BYTES)
    }

    /// Units of 2 MiB that are no longer advised to be huge pages.
    pub(super) fn refused_units(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn note_refused(&self, units: usize) {
        self.refused.fetch_add(units, Ordering::Relaxed);
    }

    pub(super) fn note_advised_again(&self, units: usize) {
        self.refused.fetch_sub(units, Ordering::Relaxed);
    }

    /// Slices have lost the memory behind them.
    pub(super) fn note_unbacked(&self, slices: usize) {
        self.stats.committed.decrease(slices * SLICE_BYTES);
        process_limit::give_back(slices);
    }

    pub(super) fn note_claimed(&self, slices: usize, purgeable: usize, fresh: usize) {
        self.in_use.fetch_add(slices, Ordering::Relaxed);
        if slices > purgeable {
            self.stats.committed.increase((slices - purgeable) * SLICE_BYTES);
        }
        self.purging.note_claimed(fresh, purgeable);
    }

    pub(super) fn note_released(&self, slices: usize, purgeable: usize) {
        self.in_use.fetch_sub(slices, Ordering::Relaxed);
        if slices > purgeable {
            self.stats.committed.decrease((slices - purgeable) * SLICE_BYTES);
            process_limit::give_back(slices - purgeable);
        }
    }

    pub(super) fn note_commit_call(&self) {
        self.stats.commit_calls.increment();
    }

    /// So many slices are inaccessible again.
    pub(super) fn note_closed(&self, slices: usize) {
        self.committed.fetch_sub(slices, Ordering::Relaxed);
    }

    /// So many slices more are accessible.
    pub(super) fn note_committed(&self, slices: usize) {
        self.committed.fetch_add(slices, Ordering::Relaxed);
    }

    /// How many slices have been made accessible so far.
    pub(super) fn committed_slices(&self) -> usize {
        self.committed.load(Ordering::Relaxed)
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

    /// The memory of a stretch of OS pages, inside of slices in use, has been given back.
    pub(super) fn note_hole(&self, bytes: usize) {
        self.stats.committed.decrease(bytes);
    }

    /// Such memory is wanted again, or counted as a whole with its slices.
    pub fn note_holes_opened(&self, bytes: usize) {
        self.stats.committed.increase(bytes);
    }

    /// What went early should have stayed: from now on, less does.
    pub fn note_holes_regretted(&self, bytes: usize, regret: Regret) {
        self.purging.note_regret(bytes, regret);
    }

    pub(super) fn stats_note_purge(&self) {
        self.stats.arena_purges.increment();
    }

    pub(super) fn stats_note_purged(&self, slices: usize, reset: bool) {
        self.stats_note_purged_bytes(slices * SLICE_BYTES, reset);
    }

    pub(super) fn stats_note_purged_bytes(&self, bytes: usize, reset: bool) {
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
        process_limit::give_back(self.in_use_slices() + self.unused_slices() + info_slices);
        self.stats.reserved.decrease(self.stats.reserved.current() as usize);
        self.stats.committed.decrease(self.stats.committed.current() as usize);
        self.filled.store(0, Ordering::Relaxed);
        self.single.store(0, Ordering::Relaxed);
        self.in_use.store(0, Ordering::Relaxed);
        self.committed.store(0, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
        self.purging.forget();
        self.fills.forget();
    }
}

/// A count that a fork may have left too low by what a thread was just counting.
fn not_negative(count: &AtomicUsize) -> usize {
    count.load(Ordering::Relaxed).cast_signed().max(0).cast_unsigned()
}
