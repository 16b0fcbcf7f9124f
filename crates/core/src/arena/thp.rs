//! Transparent huge pages by need.
//!
//! A huge OS page saves faults and TLB misses, and costs 2 MiB where a few KiB would do. So nothing is advised while
//! a process is small; once its heap is large, the 2 MiB units in which pages are about to be placed are advised
//! before they are touched, so that each costs one fault. Big blocks are no sign that pages will fill: for these only
//! pages count. Nor need big blocks fill: theirs are advised if earlier ones of their size did (`fill`), or if they
//! are to hold what a smaller one held.
//!
//! Where the kernel limits the process's memory, nothing is advised any more when half of that is held: what huge pages add may be what
//! the process is killed for.
//!
//! The advice has an end. The kernel does not only look at it when memory is touched: its thread khugepaged makes a
//! huge page of every advised unit in which a single OS page is left, and so undoes purging. Hence purging takes the
//! advice back from units that are sparse then, and drops what their huge pages have put behind slices that were never
//! used. Such a unit is advised again when it is about to be filled from the beginning, or is nearly full.

use ferrimalloc_prim::mem::{self, Thp, ThpMode};

use super::arena::Arena;
use super::mapping::{Backing, UNIT_SLICES};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::options::{self, OptionId};

/// Slices of pages whose blocks have all been used, from which on huge pages are worth their rounding: 16 MiB.
const LARGE_HEAP_SLICES: usize = (16 << 20) / SLICE_BYTES;
/// With so many free slices a unit is sparse.
const SPARSE_FREE_SLICES: usize = UNIT_SLICES / 4;
/// With as few it is nearly full.
const FULL_FREE_SLICES: usize = UNIT_SLICES / 8;
/// The most units that may be without advice among others: each can be a mapping of its own to the system, which allows
/// about 65,000.
const MAX_REFUSED_UNITS: usize = 8192;

/// Whether units may be advised at all.
fn is_wanted() -> bool {
    mem::config().thp != ThpMode::Never && options::is_enabled(OptionId::AllowThp)
}

/// Whether huge pages are worth their rounding when so many slices are in use.
pub(super) fn is_worth_advising(in_use: usize) -> bool {
    in_use >= LARGE_HEAP_SLICES && is_wanted()
}

/// The units that a range of slices touches.
fn touched(range: BitRange) -> BitRange {
    BitRange::between(range.start / UNIT_SLICES, range.end().div_ceil(UNIT_SLICES))
}

/// The units that lie in a range of slices.
fn inside(range: BitRange) -> BitRange {
    BitRange::between(range.start.div_ceil(UNIT_SLICES), range.end() / UNIT_SLICES)
}

/// Without the first and the last, if these are not to be kept.
fn trimmed(units: BitRange, keep: impl Fn(usize) -> bool) -> BitRange {
    let start = units.start + usize::from(!units.is_empty() && !keep(units.start));
    let end = units.end() - usize::from(start < units.end() && !keep(units.end() - 1));
    BitRange::between(start, end)
}

impl Arena {
    /// Advises the units that `range`, just claimed for blocks that share a page, lies in: they fill up.
    pub fn advise_filling(&self, range: BitRange) {
        if self.is_worth_advising(self.usage().filled.get()) {
            self.advise_units(touched(range), range);
        }
    }

    /// Advises `range`, just claimed for one block, if such blocks have been seen to fill.
    pub fn advise_expected(&self, range: BitRange) {
        if self.is_worth_advising_inside(range) && self.expects_filling(range) {
            self.advise_block(range);
        }
    }

    /// Advises `range`, which holds one block that fills.
    pub fn advise_inside(&self, range: BitRange) {
        if self.is_worth_advising_inside(range) {
            self.advise_block(range);
        }
    }

    /// The ends of the range, in units with others, get the advice too, though they can't become huge: so the block stays one
    /// mapping to the system, and can be moved as one.
    fn advise_block(&self, range: BitRange) {
        self.note_advised(self.whole(inside(range)));
        self.tell_system(range, Thp::Advise);
    }

    fn is_worth_advising_inside(&self, range: BitRange) -> bool {
        let units = self.whole(inside(range));
        !units.is_empty()
            && !self.advised.is_all_set(units)
            && self.is_worth_advising(self.usage().filled.get() + self.usage().single.get())
    }

    fn expects_filling(&self, range: BitRange) -> bool {
        self.usage().fills.expects_filling(self.slice_memory(range.start), range.len * SLICE_BYTES)
    }

    /// A block of its own in `range` is about to be released, whose memory was fresh when it was made.
    pub fn note_single_released(&self, range: BitRange) {
        let units = self.whole(inside(range));
        if !units.is_empty() && self.advised.is_all_clear(units) && is_wanted() {
            self.usage().fills.note_released(self.slice_memory(range.start), range.len * SLICE_BYTES);
        }
    }

    fn advise_units(&self, units: BitRange, claimed: BitRange) {
        let units = self.whole(units);
        if units.is_empty() || self.advised.is_all_set(units) {
            return;
        }
        let units = trimmed(units, |unit| self.is_to_be_full(unit, claimed));
        if !units.is_empty() {
            self.note_advised(units);
            self.tell_system(slices_of(units), Thp::Advise);
        }
    }

    fn note_advised(&self, units: BitRange) {
        self.advised.set(units);
        self.usage().refused.subtract(self.refused.clear(units));
    }

    /// Takes the advice back from the units that `range`, which is held to be purged, leaves sparse.
    pub(super) fn refuse_sparse(&self, range: BitRange) {
        self.refuse(range, |unit| self.is_sparse(unit, range));
    }

    /// Takes it back from the units of a page that is about to get holes.
    pub fn refuse_holes(&self, range: BitRange) {
        self.refuse(range, |_| true);
    }

    /// Whether units that `range` touches are advised.
    pub fn is_advised(&self, range: BitRange) -> bool {
        !self.advised.is_all_clear(self.whole(touched(range)))
    }

    fn refuse(&self, range: BitRange, is_to_be_refused: impl Fn(usize) -> bool) {
        let units = self.whole(touched(range));
        if self.advised.is_all_clear(units) {
            return;
        }
        let units = trimmed(units, is_to_be_refused);
        if !units.is_empty() && self.usage().refused.get() + units.len <= MAX_REFUSED_UNITS {
            self.advised.clear(units);
            self.usage().refused.add(self.refused.set(units));
            self.tell_system(slices_of(units), Thp::Refuse);
            (units.start..units.end()).for_each(|unit| self.drop_unused(unit));
        }
    }

    /// Huge pages have put memory behind slices that nobody has used, too: it goes with them.
    fn drop_unused(&self, unit: usize) {
        for run in self.slice_states.clean_runs(slices_of(BitRange::one(unit))) {
            self.slice_states.drop_clean(run, || {
                if let Some(memory) = self.private(run) {
                    // SAFETY: the slices are held meanwhile, and nobody has used them.
                    unsafe { memory.discard() };
                }
            });
        }
    }

    fn is_worth_advising(&self, in_use: usize) -> bool {
        matches!(self.backing(), Backing::Os(_)) && is_worth_advising(in_use) && self.usage().has_room_to_round()
    }

    /// Of these units, those that end in the arena.
    fn whole(&self, units: BitRange) -> BitRange {
        BitRange::between(units.start, units.end().min(self.slices() / UNIT_SLICES))
    }

    /// Whether nobody but the claimer of `claimed` has slices of the unit, or nearly all are taken.
    fn is_to_be_full(&self, unit: usize, claimed: BitRange) -> bool {
        let slices = slices_of(BitRange::one(unit));
        let free = self.slice_states.free().count_set(slices);
        free <= FULL_FREE_SLICES || free + slices.intersect(claimed).len == UNIT_SLICES
    }

    /// Whether many slices of the unit are free, with those of `purged`.
    fn is_sparse(&self, unit: usize, purged: BitRange) -> bool {
        let slices = slices_of(BitRange::one(unit));
        self.slice_states.free().count_set(slices) + slices.intersect(purged).len >= SPARSE_FREE_SLICES
    }

    fn tell_system(&self, slices: BitRange, advice: Thp) {
        if let Some(memory) = self.private(slices) {
            memory.advise(advice);
        }
    }
}

fn slices_of(units: BitRange) -> BitRange {
    BitRange::new(units.start * UNIT_SLICES, units.len * UNIT_SLICES)
}
