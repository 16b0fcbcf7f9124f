//! Looking at a page without changing it: how many blocks are in use, and which.
//!
//! Statistics and visits look at pages of any thread, and its owner may be allocating and freeing meanwhile. What is
//! seen then is a *snapshot*: fields are read once each; a list is followed no further
//! than the page has blocks, and only while its links stay on blocks of the page. Numbers may be off by the blocks
//! that were on the move; nothing is written, and nothing outside of the page's area is read.
//!
//! Following links reads the page's memory, which its owner could give back at the same time. That is harmless where
//! memory stays readable; where it doesn't, the caller says [`Walk::Never`].

use super::block::Block;
use super::layout::{Flag, Page};
use super::lists::LIFO_FREES;
use crate::base::*;
use crate::sync::{AtomicPtr, Relaxed};

/// Whether free lists may be followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Walk {
    /// The caller owns the page, or its memory stays readable whatever the owner does.
    Allowed,
    /// Count without: blocks ready to be allocated seem to be in use.
    Never,
}

/// One bit for each block that a page can have.
pub struct Marks([u64; Self::WORDS]);

impl Marks {
    const WORDS: usize = SLICE_BYTES / WORD_BYTES / u64::BITS as usize;

    /// No block is marked.
    pub const fn new() -> Self {
        Self([0; Self::WORDS])
    }

    pub(super) fn set(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    pub(super) fn is_set(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 != 0
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
}

impl Page {
    /// How many blocks are in use. Exact for the owner, and for pages that nobody owns.
    pub fn in_use(&self, walk: Walk) -> usize {
        let waiting = self.remote_count();
        if self.owner().is_unowned() {
            return self.ownership.used().saturating_sub(waiting);
        }
        let (outstanding, ready) = match self.has_flag(Flag::Lifo) {
            true => (self.capacity.get() as usize, self.count_ready(&self.local_free, walk)),
            false => (self.outstanding.get() as usize, self.count_ready(&self.free, walk)),
        };
        outstanding.saturating_sub(waiting + ready)
    }

    /// How many blocks have been allocated since the page was made, each as often as that was. Exact for the owner,
    /// and for pages that nobody owns.
    pub fn allocated(&self, walk: Walk) -> u64 {
        let (freed, ready) = match self.has_flag(Flag::Lifo) {
            true => (LIFO_FREES.saturating_sub(self.outstanding.get()), self.count_ready(&self.local_free, walk)),
            false => (0, self.count_ready(&self.free, walk)),
        };
        (self.handed.get() + u64::from(freed)).saturating_sub(ready as u64)
    }

    fn count_ready(&self, list: &AtomicPtr<Block>, walk: Walk) -> usize {
        if walk == Walk::Allowed { self.count_listed(list) + self.rest_count() } else { 0 }
    }

    /// Marks the blocks that are free, and answers how many of the page's blocks are in use then.
    pub fn mark_free(&self, marks: &mut Marks) -> usize {
        *marks = Marks::new();
        if self.has_block_table() {
            return self.mark_free_hardened(marks);
        }
        for list in [&self.free, &self.local_free] {
            self.for_each_listed(list.get(), |index| marks.set(index));
        }
        if let Some((rest, _)) = self.rest() {
            self.for_each_listed(rest, |index| marks.set(index));
        }
        let linked = self.linked_blocks();
        self.for_each_withdrawn(|index| {
            if index < linked {
                marks.set(index);
            }
        });
        let chain = self.ownership.peek();
        if chain.count > 0 {
            self.for_each_listed(self.block_at(chain.head).cast(), |index| marks.set(index));
        }
        linked.saturating_sub(marks.count())
    }

    fn mark_free_hardened(&self, marks: &mut Marks) -> usize {
        let table = self.block_table();
        (0..self.linked_blocks()).filter(|&index| !table.is_used(index)).for_each(|index| marks.set(index));
        self.linked_blocks() - marks.count()
    }

    /// Calls `visit` with every block that is not marked until it answers false.
    pub fn for_each_unmarked(&self, marks: &Marks, mut visit: impl FnMut(*mut u8) -> bool) -> bool {
        (0..self.linked_blocks()).filter(|&index| !marks.is_set(index)).all(|index| visit(self.block_start(index)))
    }

    /// Whether `p` lies in the page's slices; false for an entry that is no page's first. The entry may be one that was known
    /// long ago: if another page begins there now, the answer is about that one.
    pub fn holds(&self, p: *const u8) -> bool {
        self.ownership.published_owner().is_page()
            && (p as usize).wrapping_sub(self.memory() as usize) < self.slices() * SLICE_BYTES
    }

    /// Blocks that have ever been linked, as far as marks have room.
    fn linked_blocks(&self) -> usize {
        self.frontier().min(self.reserved()).min(Marks::WORDS * 64)
    }

    fn count_listed(&self, list: &AtomicPtr<Block>) -> usize {
        let mut blocks = 0;
        self.for_each_listed(list.get(), |_| blocks += 1);
        blocks
    }

    fn for_each_listed(&self, first: *mut Block, mut visit: impl FnMut(usize)) {
        let mut block = first;
        for _ in 0..self.linked_blocks() {
            let Some(index) = self.block_index(block.cast(), self.linked_blocks()) else { return };
            visit(index);
            // SAFETY: the block is inside the page's area, whose memory the caller knows to be readable.
            block = unsafe { Block::peek_next(block) };
        }
    }
}
