//! A table that is entered by masked offsets, and replaced once by a larger one while others look things up.
//!
//! The two words are read one after the other, and a reader may meet the replacement between them. The new mask must
//! never be used with the old table, which is smaller than the offsets that it lets through; the old mask fits the new
//! table. So the table is written first and the mask is read first.
//!
//! Invariants:
//! 1. Every offset that a mask admits lies in the table of its time, and in every later one.
//! 2. Whoever sees a mask sees its table, or a later one.

use super::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom};

/// A table and the offsets that it has. `repr(C)`: assembly may read the words, the mask first.
#[repr(C)]
pub struct MaskedTable<T> {
    table: AtomicPtr<T>,
    mask: AtomicUsize,
}

impl<T> MaskedTable<T> {
    const_unless_loom! {
        /// With the given table, of which only offset 0 is used. `const` except under loom.
        pub const fn new(table: *mut T) -> Self {
            MaskedTable { table: AtomicPtr::new(table), mask: AtomicUsize::new(0) }
        }
    }

    /// Replaces the table, for offsets (in bytes) whose bits are in `mask`.
    pub fn replace(&self, table: *mut T, mask: usize) {
        self.table.store(table, Ordering::Relaxed);
        // ORDERING: release, so that who sees the mask sees the table (invariant 2).
        self.mask.store(mask, Ordering::Release);
    }

    /// The entry at the offset's masked bits.
    #[inline(always)]
    pub fn entry(&self, offset: usize) -> *mut T {
        // ORDERING: acquire pairs with `replace`: the table read next is the mask's, or a later one (invariant 2).
        let offset = offset & self.mask.load(Ordering::Acquire);
        self.table.load(Ordering::Relaxed).wrapping_byte_add(offset)
    }

    /// The table, for those who know that it isn't being replaced.
    #[inline]
    pub fn table(&self) -> *mut T {
        self.table.load(Ordering::Relaxed)
    }

    /// The offsets that it has.
    #[inline]
    pub fn mask(&self) -> usize {
        self.mask.load(Ordering::Relaxed)
    }
}
