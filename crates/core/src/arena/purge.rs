//! Giving the memory of free slices back while keeping their addresses.
//!
//! Two rules, and neither needs a thread of its own. Where there is one, the scavenger, it does what the rules say, and
//! releases only ring for it:
//! 1. *After a delay.* As much as has been free throughout the last `purge_delay` (`watermarks`) is purged by a later call of
//!    the allocator. What goes into use again and again in the meantime stays.
//!    Where somebody has chosen the delay, a run above `arena_purge_immediate_size` does not wait for it.
//! 2. *When there is too much*, and nobody has chosen a delay. Free slices with memory behind them are bounded
//!    (`purge_policy`). The release that exceeds the bound purges what is above it and some more, at once. So a
//!    process that frees most of its memory and then idles does not keep it.
//!
//! Inside of pages in use, too, memory goes (`page::punch`): after a delay, or early, where there is much. What goes early costs an
//! [`Allowance`](super::Allowance), and more if it is wanted again: so programs that go up and down touch at most 64 MiB
//! and then 16 MiB in a second again that they would have kept, and mostly a quarter of that or less.
//!
//! Where the kernel limits the process's memory (a control group, as containers have), the bound is an eighth of that
//! limit at most, and half of what is left of it, or the floor: what is in use may grow where nothing is free for it, and the process would be
//! killed. Claims of new pages keep it, too, as they leave less. No huge pages are advised beyond half of such a limit (`thp`), and a thread that needs another
//! page when an eighth is left gives back what its pages have empty (`Theap::economise`).
//!
//! Purging claims slices (clears their free bits) like an allocation does, so that nobody can be given a slice whose
//! memory is being taken (see `slice_states`).

use core::ops::ControlFlow;

use ferrimalloc_prim::trace;

use super::arena::{Arena, PurgeWay};
use super::arenas::ArenaSet;
use super::mapping::UNIT_SLICES;
use super::purge_policy::{FLOOR_SLICES, Held, PurgePolicy};
use crate::base::*;
use crate::bitmap::{BitRange, CHUNK_BITS};
use crate::options::{self, OptionId};
use crate::os::{self, tool_hooks};
use crate::sync::{Bell, Heard, Ordering};

/// The longest run purged by one call of the system: 8 MiB.
const MAX_RUN_SLICES: usize = (8 << 20) / SLICE_BYTES;

/// The share of what is unused that goes at least where the process's limit has no room.
const SHORTAGE_SHARE: usize = 8;

/// How often a thread that idles purges at most, one time after the other.
const IDLE_ROUNDS: usize = 4;

/// Rung for the scavenger, if there is one (`runtime`): memory waits to be purged.
static BELL: Bell = Bell::new();

/// The bell that releases ring for the scavenger.
pub fn scavenger_bell() -> &'static Bell {
    &BELL
}

/// How long free slices keep their memory, in milliseconds; `None`: for ever.
fn delay_millis() -> Option<u64> {
    let delay = options::get(OptionId::PurgeDelay);
    let times = options::get(OptionId::ArenaPurgeMult).max(0);
    (delay >= 0).then(|| delay.saturating_mul(times) as u64)
}

impl ArenaSet {
    /// Gives claimed slices of an arena of this set back, of which the last `clean` have never been used since they
    /// were claimed as zero. Their memory is purged later, or now, as the options say.
    pub fn release(&self, arena: &Arena, range: BitRange, clean: usize) {
        tool_hooks::closed(arena.slice_memory(range.start), range.len * SLICE_BYTES);
        let purgeable = arena.give_back(range, clean);
        self.usage().note_released(range.len, purgeable);
        if purgeable > 0 {
            self.schedule_purge(range.len, purgeable);
            if goes_at_once(range.len) {
                self.purge_released(arena, range);
            }
        }
    }

    /// Purges what has just been released, as far as nobody has claimed it meanwhile.
    #[cold]
    fn purge_released(&self, arena: &Arena, range: BitRange) {
        let unit = smallest_purge();
        let units = BitRange::between(range.start.next_multiple_of(unit), range.end() / unit * unit);
        let _ = self.purge_pieces(arena, units, unit, 0, purge_way());
    }

    /// So many slices were freed, of which `purgeable` have memory behind them: applies rule 2, and notes for rule 1.
    fn schedule_purge(&self, released: usize, purgeable: usize) {
        let delay = delay_millis();
        self.usage().purging.policy.note_in_use(self.usage().in_use.get() + released);
        let is_late = delay.is_some_and(|delay| self.usage().purging.end_parts(delay, self.held()));
        self.usage().purging.change_unused(purgeable as isize);
        if delay == Some(0) {
            self.purge_down_to(0);
        } else if delay.is_some()
            && self.usage().purging.unused_slices() > FLOOR_SLICES
            && !self.is_left_to_scavenger(is_late)
        {
            self.purge_excess(0);
        }
    }

    /// Rings for the scavenger. False if there is none, or it does not keep up.
    fn is_left_to_scavenger(&self, is_late: bool) -> bool {
        if !BELL.is_attended()
            || self.usage().purging.unused_slices() > self.usage().purging.most(self.usage().in_use.get())
        {
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
        self.usage().purging.wants_scavenger.load(Ordering::Relaxed) || self.has_much_unused()
    }

    /// Whether there is more unused than is always tolerated, and it may be purged.
    pub fn has_much_unused(&self) -> bool {
        self.usage().purging.unused_slices() > FLOOR_SLICES && delay_millis().is_some()
    }

    /// A round of the scavenger: purges what is due, and what exceeds the bound and has not been used for a part of the
    /// delay. True if there is much left.
    pub fn scavenge(&self) -> bool {
        self.purge_due(Force::Routine);
        self.purge_excess(
            self.usage().purging.unused_slices().saturating_sub(self.usage().purging.watermarks.recent_low()),
        );
        self.has_much_unused()
    }

    /// The kernel's limit on memory has changed.
    pub fn forget_granted(&self) {
        self.usage().purging.forget_granted();
    }

    fn held(&self) -> Held {
        Held { unused: self.usage().purging.unused_slices(), in_use: self.usage().in_use.get() }
    }

    /// Purges what exceeds the bound and some more, but for `kept` slices, unless another thread is at it or somebody
    /// has chosen a delay.
    fn purge_excess(&self, kept: usize) {
        if self.usage().purging.excess_target(self.held()).is_some() && !is_delay_chosen() {
            self.purge_excess_alone(kept);
        }
    }

    /// Slices have been claimed: where the kernel limits memory, less may be unused beside them.
    pub(super) fn purge_for_group(&self) {
        if self.usage().purging.exceeds_granted(self.held()) {
            self.purge_excess(0);
        }
    }

    #[cold]
    fn purge_excess_alone(&self, kept: usize) {
        let Some(_alone) = self.lock().try_lock() else { return };
        self.usage().purging.wants_scavenger.store(true, Ordering::Relaxed);
        let held = self.held();
        if let Some(target) = self.usage().purging.excess_target(held) {
            self.purge_down_to(target.max(kept));
            self.usage().purging.policy.note_purged(held.unused.saturating_sub(self.usage().purging.unused_slices()));
        }
    }

    /// A thread is about to wait: purges what is due, and what exceeds the bound without credit, unless the scavenger does it, or somebody has
    /// chosen a delay.
    pub fn purge_idle(&self) {
        self.purge_due(Force::Routine);
        if self.has_much_unused() && !is_delay_chosen() && !self.is_left_to_scavenger(false) {
            self.purge_idle_alone();
        }
    }

    /// Some times, as others that idle meanwhile leave it to this thread.
    #[cold]
    fn purge_idle_alone(&self) {
        let Some(_alone) = self.lock().try_lock() else { return };
        for _ in 0..IDLE_ROUNDS {
            let held = self.held();
            let Some(target) = PurgePolicy::idle_target(held, self.usage().purging.most(held.in_use)) else { return };
            if !self.usage().purging.may_purge_idle(held.unused - target) {
                return;
            }
            self.purge_down_to(target);
        }
    }

    /// Whether so many bytes of free blocks in pages that are in use may go at once, without a delay to see whether they stay free.
    /// Not where somebody has chosen a delay, nor where memory that goes is closed for a moment, and might not open again.
    pub fn may_purge_early(&self, bytes: usize) -> bool {
        !os::CLOSING_CLEARS
            && delay_millis().is_some()
            && !is_delay_chosen()
            && self.usage().purging.may_purge_early(bytes)
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

    /// How long unused memory is kept, in milliseconds; `None`: for ever.
    pub fn purge_delay(&self) -> Option<u64> {
        delay_millis()
    }

    /// Begins a look at the pages that no thread owns, if one is due; answers how many may be punched.
    pub fn begin_look(&self) -> Option<usize> {
        self.usage().looks.begin(delay_millis())
    }

    /// Purges what is due by now. Cheap when nothing is.
    pub fn purge_due(&self, force: Force) {
        if force == Force::All {
            return self.purge_all();
        }
        let unused = self.usage().purging.unused_slices();
        if unused == 0 {
            return;
        }
        let Some(delay) = delay_millis() else { return };
        self.usage().purging.end_parts(delay, self.held());
        if self.usage().purging.take_due() {
            self.purge_down_to(unused.saturating_sub(self.usage().purging.watermarks.low()));
        }
    }

    /// Purges at least so many slices, if there are as many, and more where there are many, so that it is not asked for soon again. False if
    /// nothing was.
    pub(super) fn purge_shortage(&self, slices: usize) -> bool {
        let unused = self.usage().purging.unused_slices();
        if slices == 0 || unused == 0 {
            return false;
        }
        self.purge_down_to(unused.saturating_sub(slices.max(unused / SHORTAGE_SHARE)));
        self.usage().purging.unused_slices() < unused
    }

    /// Purges everything that is free, whatever the delay.
    pub fn purge_all(&self) {
        self.purge_down_to(0);
        os::retry_unmaps();
    }

    /// Purges units of so many slices, at multiples of that.
    fn purge_arena(&self, arena: &Arena, target: usize, unit: usize) {
        if self.usage().purging.unused_slices() <= target {
            return;
        }
        self.stats().arena_purges.increment();
        let way = purge_way();
        arena.slice_states.for_each_purgeable_rev(|run| {
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
            if self.usage().purging.unused_slices() <= target {
                return ControlFlow::Break(());
            }
            end = start;
        }
        ControlFlow::Continue(())
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
        let Some(purged) = arena.slice_states.purge(run, drop_memory) else { return false };
        if purged > 0 {
            self.usage().note_unbacked(purged);
            self.usage().note_purged(run.len * SLICE_BYTES, way == PurgeWay::Reset);
            let start = arena.start() as usize + run.start * SLICE_BYTES;
            trace::purged(start, run.len * SLICE_BYTES, purged * SLICE_BYTES);
        }
        true
    }
}

impl Arena {
    /// Gives the memory of some OS pages back, inside of slices that the caller holds, and counts it as not committed. Otherwise as
    /// [`Arena::discard_os_pages`].
    ///
    /// # Safety
    /// Nobody needs what they hold.
    pub unsafe fn drop_os_pages(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the precondition.
        let is_done = unsafe { self.discard_os_pages(start, bytes) };
        if is_done {
            self.usage().stats().committed.decrease(bytes);
        }
        is_done
    }

    /// Gives the memory of some OS pages back, inside of slices that the caller holds. False if the system refuses, or the
    /// memory is not ours. What they hold is undefined then.
    ///
    /// # Safety
    /// Nobody needs what they hold.
    pub unsafe fn discard_os_pages(&self, start: *mut u8, bytes: usize) -> bool {
        let Some(memory) = self.private_at(start, bytes) else { return false };
        let way = purge_way();
        // SAFETY: the precondition. (Closing them, too, would split mappings.)
        let is_done = unsafe { if way == PurgeWay::Reset { memory.reset() } else { memory.discard() } };
        if is_done {
            self.usage().note_purged(bytes, way == PurgeWay::Reset);
            trace::purged(start as usize, bytes, bytes);
        }
        is_done
    }
}

/// Whether the program or its user decided how long memory is kept: then rule 1 is obeyed to the letter.
fn is_delay_chosen() -> bool {
    options::is_chosen(OptionId::PurgeDelay) || options::is_chosen(OptionId::ArenaPurgeMult)
}

/// Whether a run of so many slices is purged when it is released: one above option `arena_purge_immediate_size`, if that was
/// chosen, or a delay was that it would have to wait for. Otherwise rule 2 knows better what will be used again.
#[inline]
fn goes_at_once(slices: usize) -> bool {
    slices >= LEAST_IMMEDIATE && is_larger_than_immediate(slices)
}

/// No smaller run is asked about: options cost two loads each.
const LEAST_IMMEDIATE: usize = 16;

#[cold]
fn is_larger_than_immediate(slices: usize) -> bool {
    let option = OptionId::ArenaPurgeImmediateSize;
    slices * SLICE_BYTES > options::get_size(option).max(LEAST_IMMEDIATE * SLICE_BYTES - 1)
        && (options::is_chosen(option) || is_delay_chosen())
        && delay_millis().is_some_and(|delay| delay > 0)
}

/// The smallest run worth purging, in slices: option `arena_purge_min_size`, or a huge OS page where `allow_thp` is 2. A
/// run never crosses a chunk, so a chunk is the most that can be asked for.
fn smallest_purge() -> usize {
    let bytes = match options::get_size(OptionId::ArenaPurgeMinSize) {
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
