//! Giving the memory of free slices back while keeping their addresses.
//!
//! Two rules, and neither needs a thread of its own. Where there is one, the scavenger, it does what the rules say, and
//! releases only ring for it:
//! 1. *After a delay.* As much as has been free throughout the last `purge_delay` (`tide`) is purged by a later call of
//!    the allocator. What goes into use again and again in the meantime stays.
//! 2. *When there is too much*, and nobody has chosen a delay. Free slices with memory behind them are bounded
//!    (`purge_policy`). The release that exceeds the bound purges what is above it and a quarter of it, at once. So a
//!    process that frees most of its memory and then idles does not keep it.
//!
//! Where the kernel limits the process's memory (a control group, as containers have), the bound is an eighth of that limit at
//! most, or the floor: what is in use may grow where nothing is free for it, and the process would be killed.
//!
//! Purging claims slices (clears their free bits) like an allocation does, so that nobody can be given a slice whose
//! memory is being taken (see `holding`).

use core::ops::ControlFlow;

use super::mapping::UNIT_SLICES;
use super::purge_policy::{FLOOR_SLICES, Held, PurgePolicy};
use super::set::ArenaSet;
use super::space::{Arena, PurgeWay};
use super::tide::Tide;
use crate::base::*;
use crate::bitmap::{BitRange, CHUNK_BITS};
use crate::options::{self, OptionId};
use crate::os;
use crate::sync::{AtomicBool, AtomicIsize, AtomicUsize, Bell, Heard, Ordering};
use ferrimalloc_prim::{clock, process};

/// The share of what the kernel grants the process that may be unused: an eighth.
const LIMIT_SHARE: usize = 8;
/// The longest run purged by one call of the system: 8 MiB.
const MAX_RUN_SLICES: usize = (8 << 20) / SLICE_BYTES;

/// Rung for the scavenger, if there is one (`runtime`): memory waits to be purged.
static BELL: Bell = Bell::new();

/// The bell that releases ring for the scavenger.
pub fn scavenger_bell() -> &'static Bell {
    &BELL
}

/// The purging state of a set of arenas.
pub struct Purging {
    /// Free slices that have memory behind them.
    unused: AtomicIsize,
    /// The low and high water of that.
    tide: Tide,
    /// Whether a part of a delay has ended, and nobody has purged since.
    is_due: AtomicBool,
    /// Whether a release has had to purge.
    wants_scavenger: AtomicBool,
    policy: PurgePolicy,
    /// What the bound can be at most; 0 until somebody needs to know.
    most: AtomicUsize,
}

impl Purging {
    pub const fn new() -> Self {
        Self {
            unused: AtomicIsize::new(0),
            tide: Tide::new(),
            is_due: AtomicBool::new(false),
            wants_scavenger: AtomicBool::new(false),
            policy: PurgePolicy::new(),
            most: AtomicUsize::new(0),
        }
    }

    /// The arenas have gone.
    pub fn forget(&self) {
        self.unused.store(0, Ordering::Relaxed);
        self.tide.note(0);
        self.policy.forget();
    }

    pub fn unused_slices(&self) -> usize {
        // A claim may be counted before the release that it follows.
        self.unused.load(Ordering::Relaxed).max(0) as usize
    }

    /// `fresh` slices without memory and `purgeable` ones with memory have been claimed.
    pub fn note_claimed(&self, fresh: usize, purgeable: usize) {
        self.change_unused(-(purgeable as isize));
        self.policy.note_fresh(fresh);
    }

    fn change_unused(&self, slices: isize) {
        if slices != 0 {
            let unused = self.unused.fetch_add(slices, Ordering::Relaxed) + slices;
            self.tide.note(unused.max(0) as usize);
        }
    }

    /// How much of it may stay, if there is more than the bound.
    #[inline]
    fn excess_target(&self, held: Held) -> Option<usize> {
        if held.unused <= FLOOR_SLICES { None } else { self.policy.target(held, self.most()) }
    }

    fn most(&self) -> usize {
        match self.most.load(Ordering::Relaxed) {
            0 => self.find_most(),
            most => most,
        }
    }

    #[cold]
    fn find_most(&self) -> usize {
        let granted = process::memory_limit().map_or(usize::MAX, |bytes| bytes / SLICE_BYTES / LIMIT_SHARE);
        let most = granted.max(FLOOR_SLICES);
        self.most.store(most, Ordering::Relaxed);
        most
    }

    /// Sees to the parts of a delay that have passed. True if nobody has purged since the one before.
    fn end_parts(&self, delay: u64, held: Held) -> bool {
        let parts = self.tide.end_parts(clock::now_millis(), delay, held.unused);
        if parts == 0 {
            return false;
        }
        self.policy.end_parts(parts, held, self.tide.range());
        self.is_due.swap(true, Ordering::Relaxed)
    }

    /// Whether it is time for rule 1; true for one caller.
    fn take_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed) && self.is_due.swap(false, Ordering::Relaxed)
    }
}

/// How long free slices keep their memory, in milliseconds; `None`: for ever.
fn delay_millis() -> Option<u64> {
    let delay = options::get(OptionId::PurgeDelay);
    let times = options::get(OptionId::ArenaPurgeMult).max(0);
    (delay >= 0).then(|| delay.saturating_mul(times) as u64)
}

impl ArenaSet {
    /// So many slices were freed, of which `purgeable` have memory behind them: applies rule 2, and notes for rule 1.
    pub(super) fn schedule_purge(&self, released: usize, purgeable: usize) {
        let delay = delay_millis();
        self.purging.policy.note_in_use(self.in_use_slices() + released);
        let is_late = delay.is_some_and(|delay| self.purging.end_parts(delay, self.held()));
        self.purging.change_unused(purgeable as isize);
        if delay == Some(0) {
            self.purge_down_to(0);
        } else if delay.is_some() && self.purging.unused_slices() > FLOOR_SLICES && !self.is_left_to_scavenger(is_late)
        {
            self.purge_excess(0);
        }
    }

    /// Rings for the scavenger. False if there is none, or it does not keep up.
    fn is_left_to_scavenger(&self, is_late: bool) -> bool {
        if !BELL.is_attended() || self.purging.unused_slices() > self.purging.most() {
            return false;
        }
        match BELL.ring() {
            Heard::Nobody => false,
            Heard::Woken => true,
            Heard::Awake => !is_late,
        }
    }

    /// Whether there is so much unused that a scavenger would have something to do soon, or would have had.
    pub fn wants_scavenger(&self) -> bool {
        self.purging.wants_scavenger.load(Ordering::Relaxed) || self.has_much_unused()
    }

    /// Whether there is more unused than is always tolerated, and it may be purged.
    pub fn has_much_unused(&self) -> bool {
        self.purging.unused_slices() > FLOOR_SLICES && delay_millis().is_some()
    }

    /// A round of the scavenger: purges what is due, and what exceeds the bound and has not been used for a part of the
    /// delay. True if there is much left.
    pub fn scavenge(&self) -> bool {
        self.purge_due(Force::Routine);
        self.purge_excess(self.purging.unused_slices().saturating_sub(self.purging.tide.recent_low()));
        self.has_much_unused()
    }

    fn held(&self) -> Held {
        Held { unused: self.purging.unused_slices(), in_use: self.in_use_slices() }
    }

    /// Purges what exceeds the bound and some more, but for `kept` slices, unless another thread is at it or somebody has
    /// chosen a delay.
    fn purge_excess(&self, kept: usize) {
        if self.purging.excess_target(self.held()).is_some() && !is_delay_chosen() {
            self.purge_excess_alone(kept);
        }
    }

    #[cold]
    fn purge_excess_alone(&self, kept: usize) {
        let Some(_alone) = self.lock().try_lock() else { return };
        self.purging.wants_scavenger.store(true, Ordering::Relaxed);
        let held = self.held();
        if let Some(target) = self.purging.excess_target(held) {
            self.purge_down_to(target.max(kept));
            self.purging.policy.note_purged(held.unused.saturating_sub(self.purging.unused_slices()));
        }
    }

    /// Purges, highest addresses first, until at most `target` unused slices keep their memory. If some may, whole huge
    /// pages go first: they come back at one fault each.
    fn purge_down_to(&self, target: usize) {
        let smallest = smallest_purge();
        if target > 0 && smallest < UNIT_SLICES {
            self.purge_units(target, UNIT_SLICES);
        }
        self.purge_units(target, smallest);
    }

    fn purge_units(&self, target: usize, unit: usize) {
        self.arenas().rev().for_each(|arena| self.purge_arena(arena, target, unit));
    }

    /// Purges what is due by now. Cheap when nothing is.
    pub fn purge_due(&self, force: Force) {
        if force == Force::All {
            return self.purge_all();
        }
        let unused = self.purging.unused_slices();
        if unused == 0 {
            return;
        }
        let Some(delay) = delay_millis() else { return };
        self.purging.end_parts(delay, self.held());
        if self.purging.take_due() {
            self.purge_down_to(unused.saturating_sub(self.purging.tide.low()));
        }
    }

    /// Purges everything that is free, whatever the delay.
    pub fn purge_all(&self) {
        self.purge_down_to(0);
        os::offer_again();
    }

    /// Purges units of so many slices, at multiples of that.
    fn purge_arena(&self, arena: &Arena, target: usize, unit: usize) {
        if self.purging.unused_slices() <= target {
            return;
        }
        self.stats_note_purge();
        let way = purge_way();
        arena.holding.for_each_purgeable_rev(|run| {
            let units = BitRange::between(run.start.next_multiple_of(unit), run.end() / unit * unit);
            self.purge_pieces(arena, units, unit, target, way)
        });
    }

    /// Purges units piece by piece, from the end, until few enough slices keep their memory.
    fn purge_pieces(
        &self,
        arena: &Arena,
        units: BitRange,
        unit: usize,
        target: usize,
        way: PurgeWay,
    ) -> ControlFlow<()> {
        let longest = (MAX_RUN_SLICES / unit * unit).max(unit);
        let mut end = units.end();
        while end > units.start {
            let start = end.saturating_sub(longest).max(units.start);
            self.purge_run(arena, BitRange::between(start, end), unit, way);
            if self.purging.unused_slices() <= target {
                return ControlFlow::Break(());
            }
            end = start;
        }
        ControlFlow::Continue(())
    }

    fn forget_unused(&self, slices: usize) {
        self.purging.change_unused(-(slices as isize));
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
        let drop_memory = || {
            arena.refuse_sparse(run);
            arena.drop_memory(run, way);
        };
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

fn purge_way() -> PurgeWay {
    if !options::is_enabled(OptionId::PurgeDecommits) {
        PurgeWay::Reset
    } else if os::overcommits() {
        PurgeWay::Discard
    } else {
        PurgeWay::Decommit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_with_little_memory_bounds_what_is_unused() {
        let purging = Purging::new();
        let held = |unused| Held { unused, in_use: 100 * FLOOR_SLICES };
        purging.most.store(usize::MAX, Ordering::Relaxed);
        assert_eq!(purging.excess_target(held(2 * FLOOR_SLICES + 1)), None);
        purging.most.store(2 * FLOOR_SLICES, Ordering::Relaxed);
        assert_eq!(purging.excess_target(held(2 * FLOOR_SLICES)), None);
        assert!(purging.excess_target(held(2 * FLOOR_SLICES + 1)).is_some());
        assert_eq!(purging.excess_target(Held { unused: FLOOR_SLICES, in_use: 0 }), None);
    }

    #[test]
    fn the_limit_is_asked_for_once_it_matters() {
        let purging = Purging::new();
        let asked = |unused| {
            let is_excess = purging.excess_target(Held { unused, in_use: 0 }).is_some();
            (is_excess, purging.most.load(Ordering::Relaxed) > 0)
        };
        assert_eq!(asked(FLOOR_SLICES), (false, false));
        assert_eq!(asked(usize::MAX >> 1), (true, true));
        assert!(purging.most() >= FLOOR_SLICES);
    }
}
