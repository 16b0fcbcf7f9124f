//! Who holds a slice, and what is known of the memory behind it: four bitmaps and the order in which they change.
//!
//! | bitmap | a set bit means | set by | cleared by |
//! |---|---|---|---|
//! | free | nobody holds the slice | giving it back | taking it: this bit decides |
//! | committed | the memory may be touched | the holder, after committing | the holder, when it decommits |
//! | dirty | may hold something else than zeros | taking | the holder, when it drops the memory |
//! | purge | free, with memory behind it that could go back | giving back, before `free` is set | taking, purging |
//!
//! # Invariants
//! 1. Whoever has cleared a slice's free bit holds the slice, until it sets the bit again. Only then may it touch the
//!    slice's other bits or its memory.
//! 2. So a slice's purge bit goes from set to clear in one hand, which counts it.
//! 3. A free slice with a clear purge bit holds no memory worth giving back.
//!
//! Purging takes a slice like an allocation does, before it touches the purge bit. A failing claim of more slices
//! (`bitmap`, invariant 4) may make it miss a slice, which then stays purgeable.

use crate::bitmap::{BitRange, Bitmap, CHUNK_BITS};
use core::ops::ControlFlow;

/// The slices of an arena.
pub struct SliceStates {
    free: Bitmap,
    committed: Bitmap,
    dirty: Bitmap,
    purge: Bitmap,
}

/// What the takers of slices learn of the memory behind them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// How many were waiting to be purged.
    pub purgeable: usize,
    /// How many are known to be zero.
    pub clean: usize,
}

/// Which slices of a new arena are what. Ranges may be empty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Initial {
    pub committed: BitRange,
    pub dirty: BitRange,
    pub free: BitRange,
}

impl SliceStates {
    /// Where the fields of the bitmaps free, committed, dirty and purge are told.
    pub const FIELDS_AT: [usize; 4] = [
        core::mem::offset_of!(SliceStates, free) + Bitmap::FIELDS_AT,
        core::mem::offset_of!(SliceStates, committed) + Bitmap::FIELDS_AT,
        core::mem::offset_of!(SliceStates, dirty) + Bitmap::FIELDS_AT,
        core::mem::offset_of!(SliceStates, purge) + Bitmap::FIELDS_AT,
    ];

    /// Of four bitmaps as long as each other, all clear: everything is held by the caller.
    pub fn new([free, committed, dirty, purge]: [Bitmap; 4]) -> Self {
        SliceStates { free, committed, dirty, purge }
    }

    /// Says how slices are to begin. Only while nobody else knows them.
    pub fn begin(&self, initial: Initial) {
        self.committed.set_unshared(initial.committed);
        self.dirty.set_unshared(initial.dirty);
        self.free.set_unshared(initial.free);
    }

    /// Which slices nobody holds: to search and take some.
    pub fn free(&self) -> &Bitmap {
        &self.free
    }

    pub fn is_free(&self, slice: usize) -> bool {
        self.free.is_set(slice)
    }

    pub fn is_committed(&self, range: BitRange) -> bool {
        self.committed.is_all_set(range)
    }

    /// Whether none of it is committed.
    pub fn is_inaccessible(&self, range: BitRange) -> bool {
        self.committed.is_all_clear(range)
    }

    pub fn is_dirty(&self, slice: usize) -> bool {
        self.dirty.is_set(slice)
    }

    pub fn is_purgeable(&self, slice: usize) -> bool {
        self.purge.is_set(slice)
    }

    /// How many of the slices wait to be purged.
    pub fn count_purgeable(&self, range: BitRange) -> usize {
        self.purge.count_set(range)
    }

    /// The caller has taken the slices, and will use them.
    pub fn note_taken(&self, range: BitRange) -> Taken {
        Taken { purgeable: self.purge.clear(range), clean: self.dirty.set(range) }
    }

    /// The caller, who holds the slices, has committed their memory; answers how many were not.
    pub fn note_committed(&self, range: BitRange) -> usize {
        self.committed.set(range)
    }

    /// The caller, who holds the slices, can't touch their memory any more.
    pub fn note_decommitted(&self, range: BitRange) {
        self.committed.clear(range);
    }

    /// What the caller holds reads as zero.
    pub fn note_clean(&self, range: BitRange) {
        self.dirty.clear(range);
    }

    /// Gives slices back, of which the last `clean` have not been used since they were taken as zero; answers how many
    /// can be purged, of those that `may_purge`.
    pub fn give_back(&self, range: BitRange, clean: usize, may_purge: bool) -> usize {
        let used = BitRange::new(range.start, range.len - clean);
        if clean > 0 {
            self.dirty.clear(BitRange::between(used.end(), range.end()));
        }
        let holds_memory = may_purge && !self.dirty.is_all_clear(used);
        // Invariant 3: before somebody else can hold them.
        let purgeable = if holds_memory { self.purge.set(used) } else { 0 };
        self.free.set(range);
        purgeable
    }

    /// Gives slices back that were taken and not used, as they were.
    pub fn untake(&self, range: BitRange) {
        self.free.set(range);
    }

    /// Has `drop_memory` take the memory behind free slices, and answers how many of them were waiting for that;
    /// `None`, and nothing happens, if somebody holds one of them.
    pub fn purge(&self, range: BitRange, drop_memory: impl FnOnce()) -> Option<usize> {
        if !self.free.try_claim(range) {
            return None;
        }
        let purgeable = self.purge.clear(range);
        if purgeable > 0 {
            drop_memory();
        }
        self.free.set(range);
        Some(purgeable)
    }

    /// Has `drop_memory` take what the system put behind free slices that nobody has used since they read as zero, if all of
    /// them are so.
    pub fn drop_clean(&self, range: BitRange, drop_memory: impl FnOnce()) {
        if self.free.try_claim(range) {
            if self.dirty.is_all_clear(range) {
                drop_memory();
            }
            self.free.set(range);
        }
    }

    /// The runs of slices in `range` that are free and read as zero.
    pub fn clean_runs(&self, range: BitRange) -> impl Iterator<Item = BitRange> {
        range.runs(|slice| self.is_free(slice) && !self.is_dirty(slice))
    }

    /// Shows `visit` runs of slices that wait to be purged, highest first, until it breaks.
    pub fn for_each_purgeable_rev(&self, visit: impl FnMut(BitRange) -> ControlFlow<()>) {
        let _ = self.purge.for_each_set_run_rev(CHUNK_BITS, visit);
    }
}
