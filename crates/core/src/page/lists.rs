//! The owner's work on a page's lists: allocate, free, refill, extend. Invariants are those of `layout`.
//!
//! A fork may leave the owner behind anywhere between two stores. What `orphan` then makes of the page rests on their
//! order, which [`pin`] keeps.

use core::ptr;

use super::block::Block;
use super::layout::{Flag, Origin, Page};
use super::remote::{BlockOffset, Chain};
use crate::arena::Share;
use crate::base::*;
use crate::sync::pin;

/// Pages of larger blocks don't [start over](Page::start_over): too few blocks are linked at a time. Bytes.
const START_OVER_MAX: usize = EXTEND_TOUCHED_BYTES / 8;
/// How many links are looked at to tell whether a list is in order.
const ORDER_SAMPLE: usize = 8;
/// How much of a page that has been used before is put on its free list at a time. Bytes.
const EXTEND_TOUCHED_BYTES: usize = 4 * EXTEND_BYTES;

/// What the owner's free left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freed {
    /// Other blocks are in use, or still on `free`.
    InUse,
    /// That was the last block: the page is empty and `free` is exhausted.
    Empty,
}

impl Page {
    /// Takes a block off `free`; null if it is exhausted. The block's first word still holds a link.
    #[inline(always)]
    pub fn pop(&self) -> *mut u8 {
        let block = self.free.get();
        if block.is_null() {
            return ptr::null_mut();
        }
        debug_assert!(self.is_block_start(block.cast()));
        // SAFETY: the owner reads its own list.
        let next = unsafe { Block::next(block) };
        self.free.set(next);
        // Before its user writes to the block: nothing but a free block is on a list.
        pin();
        prefetch(next);
        block.cast()
    }

    /// Puts a block back on `local_free`.
    ///
    /// # Safety
    /// The caller owns the page, and `p` is a block of it that nobody uses any more.
    #[inline(always)]
    pub unsafe fn push_local(&self, p: *mut u8) -> Freed {
        let block: *mut Block = p.cast();
        debug_assert!(self.lent() > 0 && self.is_block_start(p));
        // SAFETY: the block is the caller's to link.
        unsafe { Block::set_next(block, self.local_free.get()) };
        pin();
        self.local_free.set(block);
        pin();
        let lent = self.lent.get().wrapping_sub(1);
        self.lent.set(lent);
        if lent == 0 { Freed::Empty } else { Freed::InUse }
    }

    /// Makes what the owner has freed the list to allocate from, if that one is exhausted, there is something and
    /// `may` agrees, and takes the first block; null if not. The empty page has nothing.
    #[inline(always)]
    pub fn pop_recycled(&self, may: impl FnOnce() -> bool) -> *mut u8 {
        let block = self.local_free.get();
        if block.is_null() || !may() {
            return ptr::null_mut();
        }
        self.recycle(block);
        self.pop()
    }

    /// Whether `pop` can succeed at once.
    #[inline]
    pub fn has_free(&self) -> bool {
        !self.free.get().is_null()
    }

    /// Whether `pop` can succeed after [`Page::refill`].
    #[inline]
    pub fn has_available(&self) -> bool {
        if self.has_ledger() {
            return self.has_available_checked();
        }
        !self.free.get().is_null()
            || !self.local_free.get().is_null()
            || self.remote.count() > 0
            || self.is_extensible()
    }

    #[inline]
    fn is_extensible(&self) -> bool {
        self.is(Flag::Extensible)
    }

    /// Puts blocks on an exhausted `free`: those freed by the owner, else those freed by others, else fresh ones.
    /// False if the page is full.
    #[inline]
    pub fn refill(&self) -> bool {
        if self.has_ledger() {
            return self.refill_checked();
        }
        !self.free.get().is_null()
            || self.refill_local()
            || self.refill_remote()
            || self.is_extensible() && self.extend()
    }

    #[inline]
    fn refill_local(&self) -> bool {
        let list = self.local_free.get();
        if list.is_null() {
            return false;
        }
        self.recycle(list);
        true
    }

    /// Moves `local_free`, which is `list`, to the exhausted `free`.
    #[inline(always)]
    fn recycle(&self, list: *mut Block) {
        debug_assert!(self.free.get().is_null());
        self.free.set(list);
        pin();
        self.local_free.set(ptr::null_mut());
        pin();
        // SAFETY: the owner reads its own list.
        debug_assert_eq!(unsafe { Block::count(list, usize::MAX) }, self.capacity() - self.lent());
        self.hand(self.capacity() - self.lent());
        // Invariant 1: what was on `local_free` counts as lent again, and `free` was empty.
        self.lent.set(self.capacity() as u32);
        self.drop_flag(Flag::FreeIsZero);
        pin();
    }

    #[inline]
    fn refill_remote(&self) -> bool {
        let chain = self.remote.take();
        pin();
        self.accept(chain);
        chain.count > 0
    }

    /// Puts a chain taken from the remote word on an exhausted `free`. Its blocks counted as lent and still do.
    #[inline]
    pub fn accept(&self, chain: Chain) {
        if chain.count > 0 {
            self.free.set(self.block_at(chain.head).cast());
            pin();
            self.hand(chain.count);
            self.drop_flag(Flag::FreeIsZero);
            pin();
        }
    }

    /// Counts blocks that have been put on `free`.
    #[inline]
    pub(super) fn hand(&self, blocks: usize) {
        self.handed.set(self.handed.get() + blocks as u64);
    }

    /// Joins a chain taken from the remote word to whatever lists there are. Walks the chain.
    pub fn adopt(&self, chain: Chain) {
        if chain.count == 0 {
            return;
        }
        if self.has_ledger() {
            return self.accept_freed(chain.count);
        }
        if self.free.get().is_null() {
            return self.accept(chain);
        }
        let joined = self.join_local(self.block_at(chain.head).cast(), chain.count);
        pin();
        self.local_free.set(joined);
        pin();
        self.lent.set(self.lent.get().wrapping_sub(chain.count as u32));
    }

    /// One list of the blocks from `head` and of `local_free`. Walks the shorter one.
    fn join_local(&self, head: *mut Block, count: usize) -> *mut Block {
        let (local, local_count) = (self.local_free.get(), self.capacity() - self.lent());
        let (front, front_count, back) =
            if local_count < count { (local, local_count, head) } else { (head, count, local) };
        if front_count > 0 {
            // SAFETY: the caller owns the page and has taken the chain.
            unsafe { Block::set_next(Block::last(front, front_count), back) };
            return front;
        }
        back
    }

    /// Links the next few blocks beyond `capacity`. `free` is exhausted, and there are some.
    #[inline(never)]
    fn extend(&self) -> bool {
        let (capacity, bytes) = (self.capacity(), self.block_bytes());
        let left = self.reserved() - capacity;
        let count = self.extension().min(left);
        if !self.commit_up_to(self.start().wrapping_add((capacity + count) * bytes)) {
            return false;
        }
        pin();
        if count == left {
            self.note_filled();
        }
        let first = self.start().wrapping_add(capacity * bytes);
        // SAFETY: Invariant 3: nobody uses these blocks, and the page's memory is committed.
        unsafe { Block::link_run(first, bytes, count) };
        pin();
        self.free.set(first.cast());
        pin();
        self.hand(count);
        pin();
        self.capacity.set((capacity + count) as u16);
        pin();
        self.lent.set(self.lent.get() + count as u32);
        // The first of the blocks is handed out behind this: none is in use beyond `capacity`.
        pin();
        if self.is(Flag::FreshIsZero) {
            self.raise(Flag::FreeIsZero);
        } else {
            self.drop_flag(Flag::FreeIsZero);
        }
        true
    }

    /// How many blocks are linked at a time.
    fn extension(&self) -> usize {
        let bytes = if self.is(Flag::Touched) { EXTEND_TOUCHED_BYTES } else { EXTEND_BYTES };
        (bytes / self.block_bytes()).max(1)
    }

    /// How often blocks have been linked since the page was made or started over.
    pub fn extensions(&self) -> usize {
        self.capacity().div_ceil(self.extension())
    }

    /// Makes the lists of an empty page ready to allocate from. A list without order is forgotten, and its blocks are
    /// linked again in the order of their addresses as they are needed, so that what is allocated together lies
    /// together.
    pub fn start_over(&self) {
        debug_assert!(self.used() == 0 && self.remote.count() == 0);
        self.refill();
        if self.has_ledger() {
            return;
        }
        let bytes = self.block_bytes();
        let is_worth_it = bytes <= START_OVER_MAX && self.capacity() * bytes > EXTEND_BYTES;
        // SAFETY: the owner reads its own list.
        if is_worth_it && !unsafe { Block::is_run(self.free.get(), bytes, ORDER_SAMPLE) } {
            self.forget_blocks();
        }
    }

    fn forget_blocks(&self) {
        self.note_unfilled();
        pin();
        self.raise(Flag::Extensible);
        self.raise(Flag::Touched);
        self.drop_flag(Flag::FreshIsZero);
        pin();
        self.capacity.set(0);
        pin();
        self.free.set(ptr::null_mut());
        pin();
        self.local_free.set(ptr::null_mut());
        pin();
        self.handed.set(self.handed.get() - self.lent() as u64);
        self.lent.set(0);
        // Before blocks are linked anew: no list but theirs reaches them.
        pin();
    }

    /// How many blocks have ever been linked.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity.get() as usize
    }

    /// How much of the page's memory has been used since it was made, at least. Bytes from its first block.
    #[inline]
    pub fn touched_bytes(&self) -> usize {
        if self.is(Flag::Touched) { self.reserved() * self.block_bytes() } else { self.capacity() * self.block_bytes() }
    }

    /// Blocks in use or on `free` (Invariant 1).
    #[inline]
    pub fn lent(&self) -> usize {
        self.lent.get() as usize
    }

    /// Blocks in use, counting those in the remote list. Walks `free`.
    pub fn used(&self) -> usize {
        // SAFETY: the owner reads its own list.
        let free = unsafe { Block::count(self.free.get(), self.capacity()) };
        self.lent().saturating_sub(free)
    }

    /// Takes over the remote list and counts the blocks in use. Walks the lists.
    pub fn collect(&self) -> usize {
        self.adopt(self.remote.take());
        self.used()
    }

    /// The same, and tells whether every block is free.
    pub fn collect_is_empty(&self) -> bool {
        self.collect() == 0
    }

    /// Lends a singleton's only block.
    pub fn lend_single(&self) {
        self.capacity.set(1);
        pin();
        self.lent.set(1);
        pin();
        self.note_filled();
    }

    /// The last fresh block has been lent.
    pub(super) fn note_filled(&self) {
        self.drop_flag(Flag::Extensible);
        pin();
        if let Origin::Arena(arena) = self.origin() {
            arena.set().note_filled(self.slices(), self.share());
        }
    }

    fn share(&self) -> Share {
        if self.is_singleton() { Share::One } else { Share::Many }
    }

    /// The page is about to have blocks beyond `capacity` again, or to be released.
    pub fn note_unfilled(&self) {
        if !self.is(Flag::Extensible)
            && let Origin::Arena(arena) = self.origin()
        {
            arena.set().note_unfilled(self.slices(), self.share());
        }
    }

    /// Puts a block and then a chain taken from the remote word on `local_free`, of a page whose lists are empty. So
    /// the event of its last block's free is not missed.
    ///
    /// # Safety
    /// The caller owns the page, and `p` is a block of it that nobody uses any more.
    #[inline]
    pub unsafe fn reopen(&self, p: *mut u8, chain: Chain) -> Freed {
        debug_assert!(self.free.get().is_null() && self.local_free.get().is_null());
        let rest = if chain.count > 0 { self.block_at(chain.head).cast() } else { ptr::null_mut() };
        // SAFETY: the precondition.
        unsafe { Block::set_next(p.cast(), rest) };
        pin();
        self.local_free.set(p.cast());
        pin();
        let lent = self.lent.get() - (chain.count as u32 + 1);
        self.lent.set(lent);
        if lent == 0 { Freed::Empty } else { Freed::InUse }
    }

    /// How many blocks have been allocated in the life of a page whose blocks are all free now; by its owner.
    pub fn allocated_before(&self) -> u64 {
        // What is lent and not in the remote list is on `free`, and has not been allocated since it was put there.
        self.handed.get() - self.lent().saturating_sub(self.remote.count()) as u64
    }

    /// What was allocated before has been counted.
    pub fn forget_allocated(&self) {
        self.handed.set(self.lent().saturating_sub(self.remote.count()) as u64);
    }

    /// All blocks in use are free from now on: the page is about to be released with them. Walks `free`.
    pub fn drop_blocks(&self) {
        // SAFETY: the caller owns the page.
        let free = unsafe { Block::count(self.free.get(), self.capacity()) };
        if BUILD.valgrind && self.owner().is_checked() && self.lent() > free + self.remote.count() {
            self.tell_dropped();
        }
        self.lent.set((free + self.remote.count()) as u32);
    }

    /// A block's place in the remote word.
    #[inline]
    pub fn offset_of(&self, p: *const u8) -> BlockOffset {
        debug_assert!(self.reaches(p));
        BlockOffset::from_bytes(p as usize - self.start() as usize)
    }

    #[inline]
    pub fn block_at(&self, offset: BlockOffset) -> *mut u8 {
        self.start().wrapping_add(offset.bytes())
    }

    /// Calls `visit` with every block that is on no list, i.e. in use. The caller owns the page; `marks` has a bit
    /// for each of the page's blocks.
    pub fn for_each_used(&self, marks: &mut [u64], mut visit: impl FnMut(*mut u8) -> bool) -> bool {
        marks.fill(0);
        self.mark_list(self.free.get(), marks);
        self.mark_list(self.local_free.get(), marks);
        (0..self.capacity())
            .filter(|index| marks[index / 64] >> (index % 64) & 1 == 0)
            .all(|index| visit(self.start().wrapping_add(index * self.block_bytes())))
    }

    fn mark_list(&self, first: *mut Block, marks: &mut [u64]) {
        let mut block = first;
        for _ in 0..self.capacity() {
            if block.is_null() {
                return;
            }
            let index = (block as usize - self.start() as usize) / self.block_bytes();
            marks[index / 64] |= 1 << (index % 64);
            // SAFETY: `block` is on a list of the page that the caller owns.
            block = unsafe { Block::next(block) };
        }
    }
}

/// Asks the processor to fetch the cache line of `block`; null is fine.
#[inline(always)]
fn prefetch(block: *mut Block) {
    ferrimalloc_prim::cpu::prefetch(block.cast());
}
