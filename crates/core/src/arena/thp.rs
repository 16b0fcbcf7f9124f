//! Transparent huge pages by need.
//!
//! A huge OS page saves faults and TLB misses, and costs 2 MiB where a few KiB would do. So nothing is advised while
//! a process is small; once its heap is large, the 2 MiB units in which pages are about to be placed are advised
//! before they are touched, so that each costs one fault. Big blocks are no sign that pages will fill: for these only
//! pages count.

use ferrimalloc_prim::mem::{self, Thp, ThpMode};

use super::mapping::{Backing, UNIT_SLICES};
use super::space::Arena;
use crate::base::*;
use crate::bitmap::BitRange;
use crate::options::{self, OptionId};

/// Slices of pages whose blocks have all been used, from which on huge pages are worth their rounding: 16 MiB.
const LARGE_HEAP_SLICES: usize = (16 << 20) / SLICE_BYTES;

/// Whether units may be advised at all.
fn is_wanted() -> bool {
    mem::config().thp != ThpMode::Never && options::is_enabled(OptionId::AllowThp)
}

impl Arena {
    /// Advises the units that `range`, just claimed for blocks that share a page, lies in: they fill up.
    pub fn advise_filling(&self, range: BitRange) {
        if self.is_worth_advising(self.set().filled_slices()) {
            self.advise_units(range.start / UNIT_SLICES, range.end().div_ceil(UNIT_SLICES));
        }
    }

    /// Advises the units inside of `range`, just claimed for one block whose whole contents will be written.
    pub fn advise_inside(&self, range: BitRange) {
        if self.is_worth_advising(self.set().filled_slices() + self.set().single_slices()) {
            self.advise_units(range.start.div_ceil(UNIT_SLICES), range.end() / UNIT_SLICES);
        }
    }

    fn is_worth_advising(&self, in_use: usize) -> bool {
        self.backing() == Backing::Os && in_use >= LARGE_HEAP_SLICES && is_wanted()
    }

    fn advise_units(&self, first: usize, end: usize) {
        let units = BitRange::between(first, end.min(self.slices() / UNIT_SLICES));
        if units.is_empty() || self.advised.is_all_set(units) {
            return;
        }
        self.advised.set(units);
        let memory = self.slice_memory(units.start * UNIT_SLICES);
        // SAFETY: the units are part of the arena's mapping; the advice does not change contents.
        let _ = unsafe { mem::thp(memory, units.len * UNIT_SLICES * SLICE_BYTES, Thp::Advise) };
    }
}
