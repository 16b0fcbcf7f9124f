//! Orphans: pages whose owner a fork has left behind, maybe in the middle of a list operation.
//!
//! What is certain of such a page is found by marking the blocks that its lists and its remote word reach. Whatever
//! operation was under way, and wherever it stopped (`sync::pin` keeps the order of its stores):
//!
//! 1. *A list reaches free blocks only.* A block is linked before it becomes the head of a list; it is off the list before
//!    it is handed out; a run of fresh blocks is linked before `free` points to it.
//! 2. *No block beyond the frontier is in use*: `capacity` has risen before the first of them is handed out. Those may be on
//!    `free` already; they are never-used blocks still. No withdrawn block is in use (`holes`).
//! 3. *`outstanding` is 0 only if no block is in use*, but with [`Flag::Lifo`]: it rises before blocks that it counts are
//!    handed out, and falls after a block has come back.
//! 4. A chain of blocks may be on two lists (between the stores of `recycle`), or on none (taken from the remote word, and
//!    not yet put on a list; gathered by a thread that is gone).
//!
//! 5. A list that was being cut, or joined again, is reached as `free`, as its rest, or as both.
//!
//! So a block that is marked is free, and one that isn't counts as in use: in doubt it is lost to the child, and never
//! handed out twice. Nothing is written into a block unless the lists are damaged, for each would cost the child an OS
//! page.

use core::ptr;

use super::block::Block;
use super::layout::Flag;
use super::owned::Owned;
use super::snapshot::Marks;
use crate::sync::Relaxed;

/// What a walk of a list has found.
struct Reach {
    /// Linked blocks that no list before had reached.
    fresh: usize,
    /// Whether it ended as lists do, with each block linked and met for the first time.
    is_sound: bool,
}

impl Owned {
    /// Makes an orphan's lists and counts agree with what is certain of its blocks, and answers how many are in use. The
    /// page is in no queue and not listed.
    pub fn mend(&self) -> usize {
        for flag in [Flag::Queued, Flag::Retired, Flag::KeptFull, Flag::Lifo] {
            self.drop_flag(flag);
        }
        // Links may have been written beyond `capacity`, and dirty blocks been put on `free`.
        self.drop_flag(Flag::FreeIsZero);
        self.drop_flag(Flag::FreshIsZero);
        if self.is_singleton() {
            return self.mend_single();
        }
        let used = if self.has_block_table() { self.mend_hardened() } else { self.mend_lists() };
        self.mend_extensible();
        // What is in use or on `free` has been put on `free` before. (A single block may have the profiler's record there.)
        self.handed.set(self.handed.get().max(self.outstanding() as u64));
        used
    }

    /// The flag may have changed before `capacity` did.
    fn mend_extensible(&self) {
        if self.capacity() < self.reserved() {
            self.raise(Flag::Extensible);
        } else if self.is(Flag::Extensible) {
            self.note_filled();
        }
    }

    /// The only block is in use if it has been lent and has not come back.
    fn mend_single(&self) -> usize {
        let is_freed = self.outstanding() == 0 || self.take_remote().count > 0;
        self.outstanding.set(if is_freed { 0 } else { 1 });
        self.outstanding()
    }

    fn mend_hardened(&self) -> usize {
        self.take_remote();
        // A block that was freed twice at the same moment is free all the same.
        self.block_table().drain();
        self.block_table().close_from(self.capacity());
        let used = self.capacity() - self.block_table().count_free();
        self.outstanding.set(used as u32);
        used
    }

    fn mend_lists(&self) -> usize {
        self.mend_holes();
        let chain = self.take_remote();
        let mut marks = Marks::new();
        let free = self.reach(self.free.get(), self.reserved(), &mut marks);
        let rest = self.rest();
        if let Some((first, _)) = rest {
            self.reach(first, self.reserved(), &mut marks);
            self.forget_rest();
        }
        let local = self.reach(self.local_free.get(), self.reserved(), &mut marks);
        let remote = if chain.count > 0 { self.block_at(chain.head).cast() } else { ptr::null_mut() };
        let remote = self.reach(remote, chain.count, &mut marks);
        if rest.is_some() || !free.is_sound || !local.is_sound || !remote.is_sound || remote.fresh != chain.count {
            self.relink_marked(&marks);
        } else {
            self.outstanding.set((self.capacity() - local.fresh) as u32);
            self.adopt(chain);
        }
        self.capacity() - marks.count()
    }

    /// Marks what a list of at most `limit` blocks reaches. Blocks beyond the frontier and withdrawn ones are passed by.
    fn reach(&self, first: *mut Block, limit: usize, marks: &mut Marks) -> Reach {
        let mut reach = Reach { fresh: 0, is_sound: true };
        let mut block = first;
        for _ in 0..limit {
            if block.is_null() {
                return reach;
            }
            match self.block_index(block.cast(), self.reserved()) {
                Some(index) if index >= self.frontier() || self.is_withdrawn(index) => reach.is_sound = false,
                Some(index) if !marks.is_set(index) => {
                    marks.set(index);
                    reach.fresh += 1;
                }
                _ => return Reach { is_sound: false, ..reach },
            }
            // SAFETY: a block of the page, which the caller owns, reached by a list: it is free (1) and holds a link.
            block = unsafe { Block::next(block) };
        }
        Reach { is_sound: reach.is_sound && block.is_null(), ..reach }
    }

    /// Makes one list, in the order of addresses, of the marked blocks.
    fn relink_marked(&self, marks: &Marks) {
        let mut list = ptr::null_mut();
        for index in (0..self.frontier()).rev().filter(|&index| marks.is_set(index)) {
            let block = self.block_start(index).cast();
            // SAFETY: a marked block is free, and the page the caller's.
            unsafe { Block::set_next(block, list) };
            list = block;
        }
        self.free.set(ptr::null_mut());
        self.local_free.set(list);
        self.outstanding.set((self.capacity() - marks.count()) as u32);
    }
}
