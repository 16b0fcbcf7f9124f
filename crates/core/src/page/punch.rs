//! Punching holes: giving the OS pages of a page back that no block in use has a part of (`holes`).
//!
//! By the page's owner, who has taken what others have freed. The free blocks are found by walking the lists, which reads
//! each of them; what stays on the lists is linked anew in the order of addresses.
//!
//! Behind the blocks that have been linked there is memory, too, if the page was made of slices that had been in use, or has forgotten its
//! blocks since (`Owned::relink`): the page's *tail*. It is dropped and no hole: no list has blocks of it.

use core::ops::Range;
use core::ptr;

use super::block::Block;
use super::holes::{Grid, OsPages};
use super::layout::{Flag, Origin, Page};
use super::owned::Owned;
use super::snapshot::Marks;
use crate::arena::Arena;
use crate::base::*;
use crate::bitmap::BitRange;
use crate::os;
use crate::sync::{Relaxed, pin};

/// A page is sparse if so much of it is free OS pages: a quarter.
const SPARSE_SHARE: usize = 4;
/// Very sparse, if half of it is.
pub(super) const VERY_SPARSE_SHARE: usize = 2;

/// After so many looks without a change a page is quiet.
const QUIET_LOOKS: u8 = 8;
/// A quiet page that has been punched, or could not be.
const DONE: u8 = Page::MAX_AGE;
/// Where the side word of an ordinary page holds the mark of the last look, unless a rest is there.
const MARK_SHIFT: u32 = Page::ABOVE_HOLES_SHIFT;
const MARK_MASK: u64 = 0xFFFF << MARK_SHIFT;

/// The free blocks of a page.
struct FreeBlocks {
    /// Which are free: on a list, or withdrawn.
    marks: Marks,
    /// How many are on `free`, or were cut off.
    ready: usize,
    /// How many are on `local_free`.
    local: usize,
}

impl Page {
    /// Whether there may be holes in the page, as far as its kind goes.
    fn suits_holes(&self) -> bool {
        !self.is_singleton() && !self.owner().is_hardened() && !self.is_sampled() && os::os_page_bytes() <= SLICE_BYTES
    }

    /// Whether the page's free blocks could make a hole, going by their number. Exact for pages that nobody owns.
    pub fn may_be_punched(&self) -> bool {
        let free = self.capacity().saturating_sub(self.in_use(super::snapshot::Walk::Never));
        self.suits_holes() && free * self.block_bytes() >= os::os_page_bytes()
    }
}

impl Owned {
    /// Gives back the OS pages without a block in use; answers how many bytes. With `Force::Routine`, and where huge OS pages
    /// are, which holes split, only if they are a good part of the page. The remote list has been taken. Walks the lists.
    pub fn punch(&self, force: Force) -> usize {
        let Origin::Arena(arena) = self.origin() else { return 0 };
        if !self.suits_holes() || self.is_in_use_otherwise() {
            return 0;
        }
        let Some(free) = self.free_blocks() else { return 0 };
        let mut holes = self.holes_to_be(&free.marks);
        let slices = BitRange::new(arena.slice_of(self.memory()), self.slices());
        let tail = self.tail();
        let empty_bytes = (holes.size() + tail.len()) * os::os_page_bytes() + self.hole_bytes();
        let touched_bytes = self.touched_bytes().max(tail.end * os::os_page_bytes());
        let is_worth_it = match (force, arena.is_advised(slices)) {
            (Force::All, false) => true,
            (Force::All, true) | (Force::Routine, false) => empty_bytes * SPARSE_SHARE >= touched_bytes,
            (Force::Routine, true) => empty_bytes * VERY_SPARSE_SHARE >= touched_bytes,
        };
        if holes.size() == 0 && tail.is_empty() || !is_worth_it {
            return 0;
        }
        arena.refuse_holes(slices);
        let tail_bytes = self.drop_tail(arena, tail);
        self.drop_os_pages(arena, &mut holes);
        if holes.size() > 0 {
            self.withdraw(&free, &holes);
        }
        holes.size() * os::os_page_bytes() + tail_bytes
    }

    /// The OS pages behind all blocks that have been linked, if they may have memory. (They may have been dropped already: that costs
    /// little.)
    fn tail(&self) -> Range<usize> {
        if self.has_flag(Flag::FreshIsZero) {
            return 0..0;
        }
        let end_of = |blocks| self.grid().os_pages_below(blocks, true).end;
        end_of(self.frontier())..end_of(self.reserved())
    }

    /// Gives the memory of the tail back; answers how many bytes. It counts as committed all the same, like what has never been touched.
    fn drop_tail(&self, arena: &Arena, tail: Range<usize>) -> usize {
        let bytes = tail.len() * os::os_page_bytes();
        let start = self.memory().wrapping_add(tail.start * os::os_page_bytes());
        // SAFETY: no block in these OS pages is in use or on a list, and the caller owns the page.
        if bytes == 0 || !unsafe { arena.discard_os_pages(start, bytes) } {
            return 0;
        }
        self.drop_flag(Flag::Touched);
        bytes
    }

    /// A look, one of a few per purge delay: whether the page has just become quiet, so that it should be punched. It is quiet
    /// once no block of it has come or gone in a while; until one does it is not told a second time. Not of a page that was cut.
    pub fn is_quiet(&self) -> bool {
        if !self.suits_holes() || self.is_in_use_otherwise() || self.is_cut() {
            return false;
        }
        let (word, mark) = (self.side_word.get(), self.mark());
        if word & MARK_MASK != mark {
            self.side_word.set(word & !MARK_MASK | mark);
            self.set_age(0);
            return false;
        }
        if self.age() == DONE {
            return false;
        }
        self.set_age((self.age() + 1).min(DONE - 1));
        self.age() >= QUIET_LOOKS
    }

    /// Punches a quiet page, if it is sparse; answers how many bytes that gives back.
    pub fn punch_quiet(&self) -> usize {
        debug_assert!(!self.is_cut());
        let bytes = self.punch(Force::Routine);
        self.side_word.set(self.side_word.get() & !MARK_MASK | self.mark());
        self.set_age(DONE);
        bytes
    }

    /// Nearly always another one when a block has come or gone.
    fn mark(&self) -> u64 {
        let lists = self.free.get().addr() as u64 ^ (self.local_free.get().addr() as u64).rotate_left(24);
        let counts = self.outstanding() + (self.remote_count() << 20) + self.capacity();
        (lists ^ counts as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 48 << MARK_SHIFT
    }

    /// Kept for a moment because it is empty, or allocated from at `local_free`.
    fn is_in_use_otherwise(&self) -> bool {
        self.has_flag(Flag::Retired) || self.has_flag(Flag::Lifo)
    }

    /// Walks the lists; `None` if a list is not as it should be: then somebody has written to a freed block.
    fn free_blocks(&self) -> Option<FreeBlocks> {
        let mut marks = Marks::new();
        let (rest, rest_count) = self.rest().unwrap_or((ptr::null_mut(), 0));
        let ready = self.mark_list(self.free.get(), &mut marks)? + rest_count;
        if self.mark_list(rest, &mut marks)? != rest_count {
            return None;
        }
        let local = self.mark_list(self.local_free.get(), &mut marks)?;
        self.for_each_withdrawn(|block| marks.set(block));
        (local == self.capacity() - self.outstanding()).then_some(FreeBlocks { marks, ready, local })
    }

    fn mark_list(&self, first: *mut Block, marks: &mut Marks) -> Option<usize> {
        let (mut block, mut count) = (first, 0);
        while !block.is_null() {
            let index = self.block_index(block.cast(), self.frontier()).filter(|&index| !marks.is_set(index))?;
            marks.set(index);
            count += 1;
            // SAFETY: a block of the page on a list of its owner, the caller.
            block = unsafe { Block::next(block) };
        }
        Some(count)
    }

    /// The OS pages of which every block is free, and that are no holes yet.
    fn holes_to_be(&self, marks: &Marks) -> OsPages {
        let (grid, frontier) = (self.grid(), self.frontier());
        let mut holes = OsPages::NONE;
        for os_page in grid.os_pages_below(frontier, frontier == self.reserved()) {
            let blocks = grid.blocks_of(os_page);
            let is_free = (blocks.start..blocks.end.min(frontier)).all(|block| marks.is_set(block));
            holes.mark(os_page, is_free && !self.is_hole(os_page));
        }
        holes
    }

    /// Has the system take the memory, neighbours by one call; leaves out what it refuses.
    fn drop_os_pages(&self, arena: &Arena, holes: &mut OsPages) {
        let bytes = os::os_page_bytes();
        let end = self.slices() * SLICE_BYTES / bytes;
        let mut next = 0;
        while let Some(run) = next_run(holes, next..end) {
            let start = self.memory().wrapping_add(run.start * bytes);
            // SAFETY: no block in these OS pages is in use, and the caller owns the page.
            if !unsafe { arena.drop_os_pages(start, run.len() * bytes) } {
                run.clone().for_each(|os_page| holes.mark(os_page, false));
            }
            next = run.end;
        }
    }

    /// Takes the blocks of the new holes off the lists, and enters the holes. What stays is on `local_free` then.
    fn withdraw(&self, free: &FreeBlocks, holes: &OsPages) {
        let grid = self.grid();
        let is_kept =
            |&block: &usize| free.marks.is_set(block) && !self.is_withdrawn(block) && !has_part_of(grid, block, holes);
        let used = self.capacity() - free.ready - free.local;
        let (mut list, mut kept) = (ptr::null_mut(), 0);
        for block in (0..self.frontier()).rev().filter(is_kept) {
            let block = self.block_start(block).cast();
            // SAFETY: a free block, and the caller owns the page.
            unsafe { Block::set_next(block, list) };
            list = block;
            kept += 1;
        }
        pin();
        self.local_free.set(list);
        pin();
        self.free.set(ptr::null_mut());
        pin();
        if self.is_cut() {
            self.forget_rest();
        }
        self.handed.set(self.handed.get() - free.ready as u64);
        pin();
        self.enter_holes(holes);
        self.note_unfilled();
        self.raise(Flag::Extensible);
        pin();
        self.capacity.set((used + kept) as u16);
        pin();
        self.outstanding.set(used as u32);
        pin();
    }
}

fn has_part_of(grid: Grid, block: usize, holes: &OsPages) -> bool {
    grid.os_pages_of(block).any(|os_page| holes.has(os_page))
}

/// The first run of neighbours in a range.
fn next_run(holes: &OsPages, mut range: Range<usize>) -> Option<Range<usize>> {
    let start = range.find(|&os_page| holes.has(os_page))?;
    Some(start..range.find(|&os_page| !holes.has(os_page)).unwrap_or(range.end))
}
