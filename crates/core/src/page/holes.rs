//! Holes: OS pages inside of a page whose memory has been given back, since no block in them is in use.
//!
//! The blocks that a hole has a part of are *withdrawn*: they are on no list, and opened again when the page has nothing
//! else to offer, like blocks that have never been used. Which OS pages are holes is kept where the slices are described, in
//! the side word of each slice's entry, a bit for each OS page of the slice. So it takes no memory and can't fail.
//!
//! # Invariants (of a page that a thread owns, at any point between two stores)
//! 1. A withdrawn block is not in use. (It is off the lists before its OS page is entered as a hole; it is handed out after
//!    that has been struck out.)
//! 2. With [`Page::HOLES`], the page's side word holds the *frontier*, behind which no block has been linked. It doesn't move
//!    while there are holes.
//! 3. `capacity` counts the blocks below the frontier that are not withdrawn. So everything that goes by `capacity` and
//!    `outstanding` is as in a page without holes, and costs the same.
//!
//! Nothing is said about what a hole holds: the blocks at its ends have other parts that are not zero. Above all this the side
//! word of a page's first entry has room for something else (`Page::ABOVE_HOLES_SHIFT`).

use core::ops::Range;

use super::layout::{Origin, Page};
use super::owned::Owned;
use crate::arena::Regret;
use crate::base::*;
use crate::os;
use crate::sync::{Relaxed, pin};

/// A bit for each OS page of a slice.
const SLICE_BITS: usize = 16;
const _: () = assert!(SLICE_BITS * 4096 == SLICE_BYTES, "OS pages have 4 KiB at least");

/// OS pages of a page, by their numbers from its first slice on: a word of bits per slice.
#[derive(Clone, Copy)]
pub(super) struct OsPages([u16; LARGE_PAGE_SLICES]);

impl OsPages {
    pub(super) const NONE: OsPages = OsPages([0; LARGE_PAGE_SLICES]);

    pub(super) fn mark(&mut self, os_page: usize, is_in: bool) {
        let (slice, bit) = place_of(os_page);
        self.0[slice] = if is_in { self.0[slice] | bit } else { self.0[slice] & !bit };
    }

    pub(super) fn has(&self, os_page: usize) -> bool {
        let (slice, bit) = place_of(os_page);
        self.0[slice] & bit != 0
    }

    pub(super) fn size(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

/// How many OS pages a slice has, as a power of two. None are larger in pages with holes.
fn per_slice_shift() -> u32 {
    SLICE_BYTES.trailing_zeros() - os::os_page_shift()
}

fn place_of(os_page: usize) -> (usize, u16) {
    let shift = per_slice_shift();
    let slice = os_page >> shift;
    (slice, 1 << (os_page - (slice << shift)))
}

/// Where a page's blocks and OS pages lie, each by its number.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// Where the first block begins. Bytes from the page's first slice.
    offset: usize,
    block_bytes: usize,
    os_page_shift: u32,
}

impl Grid {
    /// How many whole OS pages there are up to here.
    fn os_pages_to(self, bytes: usize) -> usize {
        bytes >> self.os_page_shift
    }

    /// How many OS pages have a part of what there is up to here.
    fn os_pages_touched_to(self, bytes: usize) -> usize {
        (bytes + (1 << self.os_page_shift) - 1) >> self.os_page_shift
    }

    /// The OS pages that have a part of the block.
    pub(super) fn os_pages_of(self, block: usize) -> Range<usize> {
        let start = self.offset + block * self.block_bytes;
        self.os_pages_to(start)..self.os_pages_touched_to(start + self.block_bytes)
    }

    /// The blocks that have a part of the OS page, as if the page went on for ever.
    pub(super) fn blocks_of(self, os_page: usize) -> Range<usize> {
        let bytes_to = |os_page: usize| (os_page << self.os_page_shift).saturating_sub(self.offset);
        bytes_to(os_page) / self.block_bytes..bytes_to(os_page + 1).div_ceil(self.block_bytes)
    }

    /// The OS pages that lie below the first `blocks` blocks, with the one that holds the last one's end if that is where
    /// the page's blocks end.
    pub(super) fn os_pages_below(self, blocks: usize, is_last: bool) -> Range<usize> {
        let end = self.offset + blocks * self.block_bytes;
        self.os_pages_to(self.offset)..if is_last { self.os_pages_touched_to(end) } else { self.os_pages_to(end) }
    }
}

/// What any thread may see. Only the owner's view is exact.
impl Page {
    pub(super) fn grid(&self) -> Grid {
        Grid {
            offset: self.start() as usize - self.memory() as usize,
            block_bytes: self.block_bytes(),
            os_page_shift: os::os_page_shift(),
        }
    }

    /// The entry of one of the page's slices.
    pub(super) fn slice_entry(&self, slice: usize) -> &Page {
        // SAFETY: the entries of a page's slices lie behind each other in the page map (`Page::head`).
        unsafe { &*core::ptr::from_ref(self).add(slice) }
    }

    /// The holes in a slice of a page that has some.
    fn holes_in(&self, slice: usize) -> u16 {
        self.slice_entry(slice).side_word.get() as u16
    }

    pub(super) fn is_hole(&self, os_page: usize) -> bool {
        if !self.has_holes() {
            return false;
        }
        let (slice, bit) = place_of(os_page);
        slice < self.slices() && self.holes_in(slice) & bit != 0
    }

    /// The holes, in the order of their addresses.
    fn holes(&self) -> impl Iterator<Item = usize> {
        let slices = if self.has_holes() { self.slices().min(LARGE_PAGE_SLICES) } else { 0 };
        (0..slices).flat_map(|slice| {
            let (word, shift) = (self.holes_in(slice), per_slice_shift());
            (0..1 << shift).filter(move |bit| word >> bit & 1 != 0).map(move |bit| (slice << shift) + bit)
        })
    }

    /// How much memory has been given back. Bytes.
    pub fn hole_bytes(&self) -> usize {
        self.holes().count() * os::os_page_bytes()
    }

    /// Whether a hole has a part of the block.
    pub(super) fn is_withdrawn(&self, block: usize) -> bool {
        self.has_holes() && self.grid().os_pages_of(block).any(|os_page| self.is_hole(os_page))
    }

    /// Calls `visit` with the withdrawn blocks.
    pub(super) fn for_each_withdrawn(&self, mut visit: impl FnMut(usize)) {
        let (grid, frontier) = (self.grid(), self.frontier());
        let mut next = 0;
        for hole in self.holes() {
            let blocks = grid.blocks_of(hole);
            (blocks.start.max(next)..blocks.end.min(frontier)).for_each(&mut visit);
            next = blocks.end.max(next);
        }
    }
}

impl Owned {
    /// Enters OS pages as holes, in addition to those that there are. Their blocks are off the lists.
    pub(super) fn enter_holes(&self, holes: &OsPages) {
        if !self.has_holes() {
            let frontier = self.capacity();
            (0..self.slices()).for_each(|slice| self.slice_entry(slice).side_word.set(0));
            self.side_word.set((frontier as u64) << Page::FRONTIER_SHIFT);
            pin();
            self.age_and_holes.set(self.age_and_holes.get() | Page::HOLES);
            pin();
        }
        for slice in 0..self.slices() {
            let word = &self.slice_entry(slice).side_word;
            word.set(word.get() | u64::from(holes.0[slice]));
        }
        pin();
    }

    /// Holes of this page have gone early.
    pub(super) fn note_early_holes(&self) {
        if self.has_holes() {
            self.age_and_holes.set(self.age_and_holes.get() | Page::EARLY_HOLES);
        }
    }

    /// Strikes out holes; answers how many there were.
    fn strike_out_holes(&self, os_pages: Range<usize>) -> usize {
        let holes = os_pages.filter(|&os_page| self.is_hole(os_page));
        let struck_out = holes.map(|os_page| {
            let (slice, bit) = place_of(os_page);
            let word = &self.slice_entry(slice).side_word;
            word.set(word.get() & !u64::from(bit));
        });
        let count = struck_out.count();
        pin();
        count
    }

    /// The memory of so many OS pages is wanted again, or counts with its slices.
    fn count_opened(&self, os_pages: usize, regret: Regret) {
        let Origin::Arena(arena) = self.origin() else { return };
        arena.usage().stats().committed.increase(os_pages * os::os_page_bytes());
        if self.age_and_holes.get() & Page::EARLY_HOLES != 0 {
            arena.usage().note_holes_regretted(os_pages * os::os_page_bytes(), regret);
        }
    }

    /// The page's blocks are about to be forgotten, or the page to be released.
    pub fn forget_holes(&self) {
        if self.has_holes() {
            self.count_opened(self.holes().count(), Regret::Likely);
            self.age_and_holes.set(self.age());
            pin();
        }
    }

    /// Ends the holes of the first few withdrawn blocks, which are to be linked then; `None` if there are none.
    #[cold]
    pub(super) fn open_holes(&self) -> Option<Range<usize>> {
        let hole = self.holes().next()?;
        let (grid, frontier) = (self.grid(), self.frontier());
        let first = grid.blocks_of(hole).start;
        let most = frontier.min(first + self.extension());
        let mut end = first + 1;
        while end < most && self.is_withdrawn(end) {
            end += 1;
        }
        let opened = grid.os_pages_of(first).start..grid.os_pages_of(end - 1).end;
        let reach = if self.is_hole(opened.end - 1) { grid.blocks_of(opened.end - 1).end.min(frontier) } else { end };
        let count = self.strike_out_holes(opened);
        // Those behind that lie in what has been opened, and in no other hole.
        while end < reach && !self.is_withdrawn(end) {
            end += 1;
        }
        self.count_opened(count, Regret::Certain);
        Some(first..end)
    }

    /// Without holes the frontier is `capacity` (Invariant 3).
    pub(super) fn end_without_holes(&self) {
        if self.holes().next().is_none() {
            self.age_and_holes.set(self.age());
            pin();
        }
    }

    /// Of an orphan: makes `capacity` agree with the holes (Invariant 3).
    pub(super) fn mend_holes(&self) {
        if self.has_holes() {
            let mut withdrawn = 0;
            self.for_each_withdrawn(|_| withdrawn += 1);
            self.capacity.set((self.frontier() - withdrawn) as u16);
            self.end_without_holes();
        }
    }
}
