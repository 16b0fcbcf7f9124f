//! Giving the memory of free slices back while keeping their addresses.
//!
//! Two rules, and neither needs a thread of its own:
//! 1. *After a delay.* Slices that have been free for `purge_delay` are purged by a later call of the allocator.
//! 2. *When there is too much*, and nobody has chosen a delay. Free slices with memory behind them are bounded: by a floor, plus a share of what is
//!    in use, plus a *credit*. The release that exceeds the bound purges down to half of it, at once. So a process
//!    that frees most of its memory and then idles does not keep it.
//!
//! The credit keeps rule 2 from hurting programs that go up and down: memory that is taken into use again after rule
//! 2 had purged it adds to the credit, up to what was purged and to a limit; it halves with each delay that passes.
//!
//! Purging claims slices (clears their free bits) like an allocation does, so that nobody can be given a slice whose
//! memory is being taken (see `holding`).

use core::ops::ControlFlow;

use super::mapping::UNIT_SLICES;
use super::set::ArenaSet;
use super::space::{Arena, PurgeWay};
use crate::base::*;
use crate::bitmap::{BitRange, CHUNK_BITS};
use crate::options::{self, OptionId};
use crate::os;
use crate::sync::{AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use ferrimalloc_prim::clock;

/// Unused memory that is always tolerated: 8 MiB.
const FLOOR_SLICES: usize = (8 << 20) / SLICE_BYTES;
/// The tolerated share of what is in use: a quarter.
const SHARE: usize = 2;
/// The most that credit adds: 128 MiB. A process that goes idle after ups and downs keeps no more.
const MAX_CREDIT_SLICES: usize = (128 << 20) / SLICE_BYTES;
/// The longest run purged by one call of the system: 8 MiB.
const MAX_RUN_SLICES: usize = (8 << 20) / SLICE_BYTES;

/// The purging state of a set of arenas.
pub struct Purging {
    /// Free slices that have memory behind them.
    unused: AtomicIsize,
    /// Slices that rule 2 purged and nobody has claimed since.
    regrettable: AtomicUsize,
    /// How far the bound has been raised.
    credit: AtomicUsize,
    /// When the credit halves next; milliseconds.
    credit_due: AtomicU64,
}

impl Purging {
    pub const fn new() -> Self {
        Self {
            unused: AtomicIsize::new(0),
            regrettable: AtomicUsize::new(0),
            credit: AtomicUsize::new(0),
            credit_due: AtomicU64::new(0),
        }
    }

    /// The arenas have gone.
    pub fn forget(&self) {
        self.unused.store(0, Ordering::Relaxed);
        self.regrettable.store(0, Ordering::Relaxed);
        self.credit.store(0, Ordering::Relaxed);
    }

    pub fn unused_slices(&self) -> usize {
        // A claim may be counted before the release that it follows.
        self.unused.load(Ordering::Relaxed).max(0) as usize
    }

    /// `fresh` slices without memory and `purgeable` ones with memory have been claimed.
    pub fn note_claimed(&self, fresh: usize, purgeable: usize) {
        self.forget_unused(purgeable);
        let regrettable = self.regrettable.load(Ordering::Relaxed);
        let regretted = fresh.min(regrettable);
        if regretted > 0 {
            self.regrettable.store(regrettable - regretted, Ordering::Relaxed);
            let credit = self.credit.load(Ordering::Relaxed) + 2 * regretted;
            self.credit.store(credit.min(MAX_CREDIT_SLICES), Ordering::Relaxed);
        }
    }

    fn forget_unused(&self, slices: usize) {
        if slices > 0 {
            self.unused.fetch_sub(slices as isize, Ordering::Relaxed);
        }
    }

    fn bound(&self, in_use: usize) -> usize {
        FLOOR_SLICES + in_use / SHARE + self.credit.load(Ordering::Relaxed)
    }

    fn halve_credit(&self, now: u64, delay: u64) {
        if now >= self.credit_due.load(Ordering::Relaxed) {
            self.credit_due.store(now + delay.max(1), Ordering::Relaxed);
            self.credit.store(self.credit.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
        }
    }
}

/// How long free slices keep their memory, in milliseconds; `None`: for ever.
fn delay_millis() -> Option<u64> {
    let delay = options::get(OptionId::PurgeDelay);
    let times = options::get(OptionId::ArenaPurgeMult).max(0);
    (delay >= 0).then(|| delay.saturating_mul(times) as u64)
}

impl ArenaSet {
    /// Slices of `arena` were freed, of which `purgeable` have memory behind them: applies both rules to them.
    pub(super) fn schedule_purge(&self, arena: &Arena, purgeable: usize) {
        self.purging.unused.fetch_add(purgeable as isize, Ordering::Relaxed);
        let unused = self.purging.unused_slices();
        let Some(delay) = delay_millis() else { return };
        if delay == 0 {
            self.purge_down_to(0);
        } else if unused > self.purging.bound(self.in_use_slices()) && !is_delay_chosen() {
            self.purge_excess(unused);
        } else if arena.purge_due.load(Ordering::Relaxed) == 0 {
            arena.purge_due.store(clock::now_millis() + delay, Ordering::Relaxed);
        }
    }

    #[cold]
    fn purge_excess(&self, unused: usize) {
        let Some(_alone) = self.lock().try_lock() else { return };
        let target = self.purging.bound(self.in_use_slices()) / 4 * 3;
        self.purge_down_to(target);
        let purged = unused.saturating_sub(self.purging.unused_slices());
        self.purging.regrettable.fetch_add(purged, Ordering::Relaxed);
    }

    /// Purges, highest addresses first, until at most `target` unused slices keep their memory.
    fn purge_down_to(&self, target: usize) {
        self.arenas().rev().for_each(|arena| self.purge_arena(arena, target));
    }

    /// Purges what is due by now. Cheap when nothing is.
    pub fn purge_due(&self, force: Force) {
        if force == Force::All {
            return self.purge_all();
        }
        if self.purging.unused_slices() == 0 {
            return;
        }
        let Some(delay) = delay_millis() else { return };
        let now = clock::now_millis();
        self.purging.halve_credit(now, delay);
        self.arenas().filter(|arena| is_due(arena, now)).for_each(|arena| self.purge_arena(arena, 0));
    }

    /// Purges everything that is free, whatever the delay.
    pub fn purge_all(&self) {
        self.purge_down_to(0);
        os::offer_again();
    }

    fn purge_arena(&self, arena: &Arena, target: usize) {
        arena.purge_due.store(0, Ordering::Relaxed);
        if self.purging.unused_slices() <= target {
            return;
        }
        self.stats_note_purge();
        let way = purge_way();
        let smallest = smallest_purge();
        if smallest > 1 {
            return self.purge_large_runs(arena, smallest, way);
        }
        arena.holding.for_each_purgeable_rev(MAX_RUN_SLICES, |run| {
            self.purge_run(arena, run, 1, way);
            if self.purging.unused_slices() > target { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
    }

    /// Purges whole units of `smallest` slices only, at multiples of it; what is between stays.
    fn purge_large_runs(&self, arena: &Arena, smallest: usize, way: PurgeWay) {
        arena.holding.for_each_purgeable(|run| {
            let start = run.start.next_multiple_of(smallest);
            let units = BitRange::between(start, run.end() / smallest * smallest);
            self.purge_run(arena, units, smallest, way);
            ControlFlow::Continue(())
        });
    }

    fn forget_unused(&self, slices: usize) {
        self.purging.forget_unused(slices);
        self.note_unbacked(slices);
    }

    /// Purges a run that waits for it. Where somebody holds a part of it by now, the rest is purged by units of so many
    /// slices, of which the run has a whole number.
    fn purge_run(&self, arena: &Arena, run: BitRange, unit: usize, way: PurgeWay) {
        if run.is_empty() || self.purge_if_free(arena, run, way) {
            return;
        }
        for start in (run.start..run.end()).step_by(unit) {
            self.purge_if_free(arena, BitRange::new(start, unit), way);
        }
    }

    fn purge_if_free(&self, arena: &Arena, run: BitRange, way: PurgeWay) -> bool {
        let drop_memory = || _ = arena.drop_memory(run, way);
        let Some(purged) = arena.holding.purge(run, drop_memory) else { return false };
        if purged > 0 {
            self.forget_unused(purged);
            self.stats_note_purged(run.len, way == PurgeWay::Reset);
        }
        true
    }
}

/// Whether the program or its user decided how long memory is kept: then rule 1 is obeyed to the letter.
fn is_delay_chosen() -> bool {
    options::is_chosen(OptionId::PurgeDelay) || options::is_chosen(OptionId::ArenaPurgeMult)
}

/// The smallest run worth purging, in slices: option `minimal_purge_size`, or a huge OS page where `allow_thp` is 2. A
/// run never crosses a chunk, so a chunk is the most that can be asked for.
fn smallest_purge() -> usize {
    let bytes = match options::get_size(OptionId::MinimalPurgeSize) {
        0 if options::get(OptionId::AllowThp) == 2 => UNIT_SLICES * SLICE_BYTES,
        bytes => bytes,
    };
    bytes.div_ceil(SLICE_BYTES).clamp(1, CHUNK_BITS)
}

fn is_due(arena: &Arena, now: u64) -> bool {
    let due = arena.purge_due.load(Ordering::Relaxed);
    due != 0 && now >= due
}

fn purge_way() -> PurgeWay {
    if !options::is_enabled(OptionId::PurgeDecommits) {
        PurgeWay::Reset
    } else if os::overcommits() {
        PurgeWay::Discard
    } else {
        PurgeWay::Decommit
    }
}
