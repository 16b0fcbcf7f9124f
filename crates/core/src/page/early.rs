//! Memory of free blocks that goes early: before anybody knows that they stay free. Which pages are worth it, and when to look.
//!
//! A look walks a list of large blocks, and each of its links may be a cache miss. So looks that can't find anything are left out: the last
//! one knew how many blocks were in use, and all frees by the owner count. And where the memory could not go when a look found some, again
//! and again, that is not asked for each time.

use super::block::Block;
use super::layout::{Origin, Page};
use super::looks::Looks;
use super::owned::Owned;
use super::punch::VERY_SPARSE_SHARE;
use crate::base::*;
use crate::bitmap::BitRange;
use crate::os;

/// So much of a page is free before its memory goes early. Bytes.
const EARLY_BYTES: usize = 1 << 20;
/// And no more of it is in use: a quarter.
const EARLY_USED_SHARE: usize = 4;
/// Its owner looks after it has freed so much of it: an eighth. So it has looked if no more than that is in use.
const EARLY_LOOK_SHARE: usize = 8;
/// So often in a row the memory may be kept before looks become rare: a page that is freed from end to end has fewer.
const PATIENCE: u16 = 3;
/// And so rare at most: 16 are left out, the frees of two whole pages.
const MOST_LEFT_OUT_SHIFT: u16 = 4;

/// A page that should be punched early.
pub struct Early {
    /// Blocks in use.
    pub used: usize,
    /// What those take that are free.
    pub free_bytes: usize,
}

impl Page {
    /// Whether so much waits for the page's owner that it may be asleep: then the memory of what follows should go.
    #[inline]
    pub fn has_much_waiting(&self) -> bool {
        let waiting = self.remote_count() * self.block_bytes();
        waiting >= EARLY_BYTES && (waiting * VERY_SPARSE_SHARE >= self.area_bytes() || !self.is_advised())
    }

    /// Whether its memory is ours alone, so that it can go.
    pub fn is_private(&self) -> bool {
        self.private_at(self.memory(), os::os_page_bytes()).is_some()
    }

    fn is_advised(&self) -> bool {
        match self.origin() {
            Origin::Arena(arena) => arena.is_advised(BitRange::new(arena.slice_of(self.memory()), self.slices())),
            Origin::Os(_) => false,
        }
    }

    /// Gives back the OS pages that lie in a free block, behind its link. They are no holes: the block can be allocated as it is.
    ///
    /// # Safety
    /// The caller has freed the block, it is on no list that others know, and the page [is private](Page::is_private).
    pub unsafe fn discard_inside(&self, block: *mut u8) {
        let Origin::Arena(arena) = self.origin() else { return };
        let (os_page, from) = (os::os_page_bytes(), block.addr() - self.memory().addr());
        let start = (from + size_of::<Block>()).next_multiple_of(os_page);
        let end = (from + self.block_bytes()) / os_page * os_page;
        if start < end {
            arena.refuse_holes(BitRange::new(arena.slice_of(self.memory()), self.slices()));
            // SAFETY: the precondition.
            unsafe { arena.discard_os_pages(self.memory().wrapping_add(start), end - start) };
        }
    }
}

impl Owned {
    /// Whether it is time to see whether the page should be punched early, after a free by the owner.
    #[inline]
    pub fn is_look_due(&self) -> bool {
        self.outstanding() & (self.frees_between_looks() - 1) == 0
    }

    fn frees_between_looks(&self) -> usize {
        (self.reserved() / EARLY_LOOK_SHARE).next_power_of_two()
    }

    /// What there is of the page, if so much of it is free that it should be punched early. May walk a list. Punch the page then, or say
    /// that it [keeps its memory](Owned::keep_early).
    pub fn early(&self) -> Option<Early> {
        let (capacity, looks) = (self.capacity(), self.looks());
        if capacity * self.block_bytes() < EARLY_BYTES {
            return None;
        }
        if looks.left_out > 0 {
            self.set_looks(Looks { left_out: looks.left_out - 1, ..looks });
            return None;
        }
        let used = self.used_by_now();
        let sparse = capacity / EARLY_USED_SHARE;
        if used > sparse {
            self.set_looks(Looks { left_out: self.looks_above(used - sparse), ..looks });
            return None;
        }
        let free_bytes = (capacity - used) * self.block_bytes();
        (free_bytes >= EARLY_BYTES).then_some(Early { used, free_bytes })
    }

    /// Punches the page before anybody knows that its free blocks stay free.
    pub fn punch_early(&self) {
        self.set_looks(Looks::ALL);
        if self.punch(Force::Routine) > 0 {
            self.note_early_holes();
        }
    }

    /// The memory stays for now, though it could go.
    pub fn keep_early(&self, early: &Early) {
        let kept = (self.looks().kept + 1).min(PATIENCE + MOST_LEFT_OUT_SHIFT);
        let rare = if kept > PATIENCE { 1 << (kept - PATIENCE) } else { 0 };
        self.set_looks(Looks { left_out: rare + self.looks_above(early.used), kept });
    }

    /// How many looks in a row find more in use, when `frees` frees are missing, at least.
    fn looks_above(&self, frees: usize) -> u16 {
        (frees.saturating_sub(1) / self.frees_between_looks()) as u16
    }
}
