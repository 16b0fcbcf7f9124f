//! Transparent huge pages by need.
//!
//! A huge OS page saves faults and TLB misses, and costs 2 MiB where a few KiB would do. So nothing is advised while
//! a process is small; once its heap is large, the 2 MiB units in which pages are about to be placed are advised
//! before they are touched, so that each costs one fault.

use ferrimalloc_prim::mem::{self, Thp, ThpMode};

use super::space::{Arena, Backing};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::options::{self, OptionId};

/// Slices of one huge OS page.
pub const UNIT_SLICES: usize = (2 << 20) / SLICE_BYTES;
/// Slices in use from which on huge pages are worth their rounding: 64 MiB.
const LARGE_HEAP_SLICES: usize = (64 << 20) / SLICE_BYTES;

/// Whether units may be advised at all.
fn is_wanted() -> bool {
    mem::config().thp != ThpMode::Never && options::is_enabled(OptionId::AllowThp)
}

/// Advises the units that `range`, just claimed for a page of blocks, lies in.
pub fn advise(arena: &Arena, range: BitRange) {
    if range.len > LARGE_PAGE_SLICES
        || arena.backing() != Backing::Os
        || arena.set().in_use_slices() < LARGE_HEAP_SLICES
        || !is_wanted()
    {
        return;
    }
    for unit in range.start / UNIT_SLICES..range.end().div_ceil(UNIT_SLICES) {
        advise_unit(arena, unit);
    }
}

fn advise_unit(arena: &Arena, unit: usize) {
    if (unit + 1) * UNIT_SLICES > arena.slices() || arena.advised.is_set(unit) || !arena.advised.set_one(unit) {
        return;
    }
    // SAFETY: the unit is part of the arena's mapping; the advice does not change contents.
    let _ = unsafe { mem::thp(arena.slice_memory(unit * UNIT_SLICES), UNIT_SLICES * SLICE_BYTES, Thp::Advise) };
}

/// Under `THP=always`, a new arena starts without huge pages, which would make a small process large.
pub fn refuse_at_first(start: *mut u8, bytes: usize) {
    if mem::config().thp == ThpMode::Always {
        // SAFETY: a mapping of ours that nobody uses yet.
        let _ = unsafe { mem::thp(start, bytes, Thp::Refuse) };
    }
}
