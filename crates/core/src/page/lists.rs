//! The owner's work on a page's lists: allocate, free, refill, extend. Invariants are those of `layout`.
//!
//! A fork may leave the owner behind anywhere between two stores. What `orphan` then makes of the page rests on their
//! order, which [`pin`] keeps.

use core::ptr;

use ferrimalloc_prim::cpu;

use super::block::Block;
use super::layout::{EXTEND_TOUCHED_BYTES, Flag, OUTSTANDING};
use super::owned::{Freed, Owned};
use super::ownership::Chain;
use crate::base::*;
use crate::diag::ErrorKind;
use crate::sync::{AtomicPtr, Relaxed, pin};

/// Pages of larger blocks don't [relink](Owned::relink): too few blocks are linked at a time. Bytes.
const RELINK_MAX: usize = EXTEND_TOUCHED_BYTES / 8;
/// How many links are looked at to tell whether a list is in order.
const ORDER_SAMPLE: usize = 8;
/// So many frees in a row may go to the list that is allocated from: what bounds the time between two slow paths.
pub(super) const LIFO_FREES: u32 = 256;

impl Owned {
    /// Takes a block off `free`; null if it is exhausted. The block's first word still holds a link.
    #[inline(always)]
    pub fn pop(&self) -> *mut u8 {
        // SAFETY: the owner's own list.
        let block = unsafe { pop_off(&self.free) };
        debug_assert!(block.is_null() || self.is_block_start(block));
        block
    }

    /// Puts a block back on `local_free`.
    ///
    /// # Safety
    /// The caller owns the page, and `p` is a block of it that nobody uses any more.
    #[inline(always)]
    pub unsafe fn push_local(&self, p: *mut u8) -> Freed {
        let block: *mut Block = p.cast();
        debug_assert!(self.outstanding() > 0 && self.is_block_start(p));
        // SAFETY: the block is the caller's to link.
        unsafe { Block::set_next(block, self.local_free.get()) };
        pin();
        self.local_free.set(block);
        pin();
        // SAFETY: the owner's own word, at that place in a page.
        let is_empty = unsafe { cpu::decrement::<OUTSTANDING>(ptr::from_ref(self).cast()) };
        if is_empty { Freed::Empty } else { Freed::InUse }
    }

    /// Makes what the owner has freed the list to allocate from, if that one is exhausted, there is something that is no circle
    /// and `may` agrees, and takes the first block; null if not. The empty page has nothing.
    #[inline(always)]
    pub fn pop_recycled(&self, may: impl FnOnce() -> bool) -> *mut u8 {
        let block = self.local_free.get();
        if block.is_null() || self.circle_end(block).is_some() || !may() {
            return ptr::null_mut();
        }
        self.recycle_sound(block);
        self.pop()
    }

    /// Makes `local_free` the list to allocate from, too, if `free` is exhausted, there is something and `may` agrees:
    /// the block freed last is taken first, as it is still cached. It pays for blocks of many cache lines.
    #[inline(always)]
    pub fn may_begin_lifo(&self, may: impl FnOnce() -> bool) -> bool {
        let list = self.local_free.get();
        if self.is(Flag::Lifo) || list.is_null() || self.circle_end(list).is_some() || !may() || self.is_cut() {
            return false;
        }
        self.begin_lifo();
        true
    }

    /// The list to allocate from, until [`Flag::Lifo`] comes or goes.
    #[inline]
    pub fn source(&self) -> Source {
        Source(if self.is(Flag::Lifo) { &raw const self.local_free } else { &raw const self.free })
    }

    fn begin_lifo(&self) {
        debug_assert!(self.free.get().is_null());
        self.hand(self.capacity() - self.outstanding());
        self.drop_flag(Flag::FreeIsZero);
        self.raise(Flag::Lifo);
        pin();
        self.outstanding.set(LIFO_FREES);
    }

    /// Puts what is left of a list that was freed to and allocated from on `free`.
    #[inline]
    pub fn end_lifo(&self) {
        if self.is(Flag::Lifo) {
            self.drop_flag(Flag::Lifo);
            self.hand(LIFO_FREES.saturating_sub(self.outstanding.get()) as usize);
            // Invariant 1: nothing is on `local_free`.
            self.outstanding.set(self.capacity() as u32);
            let list = self.local_free.get();
            if !list.is_null()
                && let Some(end) = self.circle_end(list)
            {
                self.cut_circle(end);
            }
            self.local_free.set(ptr::null_mut());
            pin();
            self.free.set(list);
        }
    }

    /// Whether `pop` can succeed at once.
    #[inline]
    pub fn has_free(&self) -> bool {
        !self.free.get().is_null()
    }

    /// Whether `free` is exhausted, and what the owner has freed can be the next list.
    #[inline]
    pub fn is_recyclable(&self) -> bool {
        self.free.get().is_null() && !self.local_free.get().is_null()
    }

    /// Whether `pop` can succeed after [`Owned::refill`].
    #[inline]
    pub fn has_available(&self) -> bool {
        if self.has_block_table() {
            return self.has_available_hardened();
        }
        !self.free.get().is_null()
            || !self.local_free.get().is_null()
            || self.remote_count() > 0
            || self.is_extensible()
            || self.is_cut()
    }

    #[inline]
    fn is_extensible(&self) -> bool {
        self.is(Flag::Extensible)
    }

    /// Puts blocks on an exhausted `free`: those freed by the owner, else those freed by others, else fresh ones.
    /// False if the page is full.
    #[inline]
    pub fn refill(&self) -> bool {
        if self.has_block_table() {
            return self.refill_hardened();
        }
        debug_assert!(!self.is(Flag::Lifo));
        !self.free.get().is_null()
            || self.join() > 0
            || self.refill_local()
            || self.refill_remote()
            || self.is_extensible() && self.extend()
    }

    /// Makes what the owner has freed the list to allocate from, if there is something. `free` is exhausted.
    #[inline]
    pub fn refill_local(&self) -> bool {
        let list = self.local_free.get();
        if list.is_null() {
            return false;
        }
        self.recycle(list);
        true
    }

    /// Moves `local_free`, which is `list`, to the exhausted `free`; in part, if it is a circle.
    fn recycle(&self, list: *mut Block) {
        if let Some(end) = self.circle_end(list) {
            self.cut_circle(end);
        }
        self.recycle_sound(list);
    }

    /// The same for a list that is no circle.
    #[inline(always)]
    fn recycle_sound(&self, list: *mut Block) {
        debug_assert!(self.free.get().is_null());
        self.free.set(list);
        pin();
        self.local_free.set(ptr::null_mut());
        pin();
        // SAFETY: the owner reads its own list.
        debug_assert!(unsafe { Block::count(list, self.capacity()) } <= self.capacity() - self.outstanding());
        self.hand(self.capacity() - self.outstanding());
        // Invariant 1: what was on `local_free` counts as lent again, and `free` was empty.
        self.outstanding.set(self.capacity() as u32);
        self.drop_flag(Flag::FreeIsZero);
        pin();
    }

    /// The block whose link leads back to the head of `list`, if one of the first two does: one of them has been freed twice,
    /// at once or with the other between. Looks only where the list is about to be read anyway.
    #[inline(always)]
    fn circle_end(&self, list: *mut Block) -> Option<*mut Block> {
        // SAFETY: the owner reads its own list.
        let second = unsafe { Block::next(list) };
        if second == list {
            return Some(list);
        }
        // Whoever writes to freed memory is not to be followed anywhere.
        if second.is_null() || !self.reaches(second.cast()) {
            return None;
        }
        // SAFETY: as above.
        (unsafe { Block::next(second) } == list).then_some(second)
    }

    /// Ends a list behind `end`, whose block was freed twice, and reports that. Blocks behind it are lost: they count as
    /// outstanding for good, so that the page, of which a block may be in use, is never taken for empty.
    #[cold]
    #[inline(never)]
    fn cut_circle(&self, end: *mut Block) {
        // SAFETY: the owner's own list.
        let twice = unsafe { Block::next(end) };
        // SAFETY: as above.
        unsafe { Block::set_next(end, ptr::null_mut()) };
        self.report(ErrorKind::DoubleFree, twice.cast(), twice.cast());
    }

    /// The block that the owner freed last, as long as nothing was allocated since.
    #[inline]
    pub fn freed_last(&self) -> *const u8 {
        self.local_free.get().cast()
    }

    /// All that was lent has come back, so invariant 2 says that everything is on `local_free`. If it isn't, a block was freed
    /// twice: leaves the last one alone on the list, reports that and answers true. (Not with [`Flag::Lifo`].)
    #[inline]
    pub fn mend_doubles(&self) -> bool {
        let list = self.local_free.get();
        let is_sound =
            list.is_null() || self.is(Flag::Lifo) || self.free.get().is_null() && self.circle_end(list).is_none();
        !is_sound && self.keep_alone(list)
    }

    #[cold]
    #[inline(never)]
    fn keep_alone(&self, block: *mut Block) -> bool {
        self.free.set(ptr::null_mut());
        self.outstanding.set(self.capacity() as u32 - 1);
        // SAFETY: the owner's own list.
        unsafe { Block::set_next(block, ptr::null_mut()) };
        self.report(ErrorKind::DoubleFree, block.cast(), block.cast());
        true
    }

    #[inline]
    fn refill_remote(&self) -> bool {
        let chain = self.take_remote();
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

    /// Joins a chain taken from the remote word to whatever lists there are. Walks the chain.
    pub fn adopt(&self, chain: Chain) {
        if chain.count == 0 {
            return;
        }
        if self.has_block_table() {
            return self.accept_freed(chain.count);
        }
        debug_assert!(!self.is(Flag::Lifo));
        self.look_soon();
        if self.free.get().is_null() {
            return self.accept(chain);
        }
        let joined = self.join_local(self.block_at(chain.head).cast(), chain.count);
        pin();
        self.local_free.set(joined);
        pin();
        self.outstanding.set(self.outstanding.get().wrapping_sub(chain.count as u32));
    }

    /// One list of the blocks from `head` and of `local_free`. Walks the shorter one.
    fn join_local(&self, head: *mut Block, count: usize) -> *mut Block {
        let (local, local_count) = (self.local_free.get(), self.capacity() - self.outstanding());
        let (front, front_count, back) =
            if local_count < count { (local, local_count, head) } else { (head, count, local) };
        if front_count > 0 {
            // SAFETY: the caller owns the page and has taken the chain.
            unsafe { Block::set_next(Block::last(front, front_count), back) };
            return front;
        }
        back
    }

    /// Links the next few withdrawn blocks or, if there are none, blocks beyond the frontier. `free` is exhausted, and there
    /// are some.
    #[inline(never)]
    pub(super) fn extend(&self) -> bool {
        if self.has_holes() {
            return self.extend_into_holes();
        }
        let capacity = self.capacity();
        let count = self.extension().min(self.reserved() - capacity);
        if !self.commit_up_to(self.block_start(capacity + count)) {
            return false;
        }
        pin();
        // SAFETY: Invariant 3: nobody uses these blocks, and the page's memory is committed.
        unsafe { self.link_unused(capacity, count) };
        // The first of the blocks is handed out behind this: none is in use beyond `capacity`.
        pin();
        if self.is(Flag::FreshIsZero) {
            self.raise(Flag::FreeIsZero);
        } else {
            self.drop_flag(Flag::FreeIsZero);
        }
        true
    }

    /// Links the first few withdrawn blocks.
    fn extend_into_holes(&self) -> bool {
        let Some(blocks) = self.open_holes() else { return false };
        // SAFETY: nobody uses these blocks (Invariant 1 of `holes`), and no hole has a part of them any more.
        unsafe { self.link_unused(blocks.start, blocks.len()) };
        self.drop_flag(Flag::FreeIsZero);
        pin();
        self.end_without_holes();
        true
    }

    /// Puts the run of `count` blocks that begins with the `first` on an exhausted `free`, and counts them in.
    ///
    /// # Safety
    /// Nobody uses the blocks, none of them counts, and their memory is committed.
    #[inline]
    unsafe fn link_unused(&self, first: usize, count: usize) {
        let (capacity, first) = (self.capacity(), self.block_start(first));
        if capacity + count == self.reserved() {
            self.note_filled();
        }
        // SAFETY: the precondition.
        unsafe { Block::link_run(first, self.block_bytes(), count) };
        pin();
        self.free.set(first.cast());
        pin();
        self.hand(count);
        pin();
        self.capacity.set((capacity + count) as u16);
        pin();
        self.outstanding.set(self.outstanding.get() + count as u32);
    }

    /// Makes the lists of an empty page ready to allocate from. A list without order is forgotten, and its blocks are
    /// linked again in the order of their addresses as they are needed, so that what is allocated together lies
    /// together.
    pub fn relink(&self) {
        debug_assert!(self.used() == 0 && self.remote_count() == 0);
        if self.has_block_table() {
            return;
        }
        if self.has_holes() {
            self.forget_blocks();
        }
        self.refill();
        self.refill();
        let bytes = self.block_bytes();
        let is_worth_it = bytes <= RELINK_MAX && self.capacity() * bytes > EXTEND_BYTES;
        // SAFETY: the owner reads its own list.
        if is_worth_it && !unsafe { Block::is_run(self.free.get(), bytes, ORDER_SAMPLE) } {
            self.forget_blocks();
        }
    }

    fn forget_blocks(&self) {
        debug_assert!(!self.is_cut());
        self.note_unfilled();
        pin();
        self.raise(Flag::Extensible);
        self.raise(Flag::Touched);
        self.drop_flag(Flag::FreshIsZero);
        pin();
        self.capacity.set(0);
        pin();
        self.forget_holes();
        self.free.set(ptr::null_mut());
        pin();
        self.local_free.set(ptr::null_mut());
        pin();
        self.handed.set(self.handed.get() - self.outstanding() as u64);
        self.outstanding.set(0);
        // Before blocks are linked anew: no list but theirs reaches them.
        pin();
    }

    /// Blocks in use, counting those in the remote list. Walks `free`.
    pub fn used(&self) -> usize {
        // SAFETY: the owner reads its own list.
        let free = unsafe { Block::count(self.free.get(), self.capacity()) };
        self.outstanding().saturating_sub(free + self.rest_count())
    }

    /// Blocks in use, but for those in the remote list; with [`Flag::Lifo`], too. Walks the list that is allocated from.
    pub fn used_by_now(&self) -> usize {
        let (counted, list) =
            if self.is(Flag::Lifo) { (self.capacity(), &self.local_free) } else { (self.outstanding(), &self.free) };
        // SAFETY: the owner reads its own list.
        let ready = unsafe { Block::count(list.get(), self.capacity()) } + self.rest_count();
        counted.saturating_sub(ready + self.remote_count())
    }

    /// Takes over the remote list and counts the blocks in use. Walks the lists.
    pub fn collect(&self) -> usize {
        debug_assert!(!self.is(Flag::Lifo));
        self.adopt(self.take_remote());
        self.used()
    }

    /// The same, and tells whether every block is free.
    pub fn collect_is_empty(&self) -> bool {
        self.collect() == 0
    }

    /// A singleton's only block is in use.
    pub fn mark_single_handed_out(&self) {
        self.capacity.set(1);
        pin();
        self.outstanding.set(1);
        pin();
        self.note_filled();
    }

    /// Frees a block of a page that was just claimed, and takes over the chain from its remote word. If the lists are
    /// empty, all goes to `local_free`: so the event of its last block's free is not missed.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more (in a hardened page: marked as freed).
    #[inline]
    pub unsafe fn reopen(&self, p: *mut u8, chain: Chain) -> Freed {
        if self.has_block_table() {
            self.accept_freed(chain.count + 1);
            return if self.outstanding() == 0 { Freed::Empty } else { Freed::InUse };
        }
        if !self.free.get().is_null() || !self.local_free.get().is_null() {
            self.adopt(chain);
            // SAFETY: the precondition.
            return unsafe { self.push_local(p) };
        }
        let rest = if chain.count > 0 { self.block_at(chain.head).cast() } else { ptr::null_mut() };
        // SAFETY: the precondition.
        unsafe { Block::set_next(p.cast(), rest) };
        pin();
        self.local_free.set(p.cast());
        pin();
        let outstanding = self.outstanding.get() - (chain.count as u32 + 1);
        self.outstanding.set(outstanding);
        if outstanding == 0 { Freed::Empty } else { Freed::InUse }
    }

    /// How many blocks have been put on `free`, each as often as that was.
    pub fn handed(&self) -> u64 {
        self.handed.get()
    }

    /// How many blocks have been allocated in the life of a page whose blocks are all free now; by its owner.
    pub fn allocated_before(&self) -> u64 {
        // What is lent and not in the remote list is on `free`, and has not been allocated since it was put there.
        self.handed.get() - self.outstanding().saturating_sub(self.remote_count()) as u64
    }

    /// What was allocated before has been counted.
    pub fn forget_allocated(&self) {
        self.handed.set(self.outstanding().saturating_sub(self.remote_count()) as u64);
    }

    /// All blocks in use are free from now on: the page is about to be released with them. Walks `free`.
    pub fn drop_blocks(&self) {
        self.end_lifo();
        // SAFETY: the caller owns the page.
        let free = unsafe { Block::count(self.free.get(), self.capacity()) } + self.rest_count();
        if BUILD.valgrind && self.owner().is_hardened() && self.outstanding() > free + self.remote_count() {
            self.tell_dropped();
        }
        self.outstanding.set((free + self.remote_count()) as u32);
    }
}

/// The list that the blocks of an owned page are taken from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source(*const AtomicPtr<Block>);

static NO_BLOCKS: AtomicPtr<Block> = AtomicPtr::new(ptr::null_mut());

impl Source {
    /// That of no page: there is no block.
    pub const EMPTY: Source = Source(&raw const NO_BLOCKS);

    /// As [`Owned::pop`].
    ///
    /// # Safety
    /// The caller owns the page.
    #[inline(always)]
    pub unsafe fn pop(self) -> *mut u8 {
        // SAFETY: entries of the page map are never unmapped; the precondition.
        unsafe { pop_off(&*self.0) }
    }
}

/// Takes the first block off a list; null if it is exhausted.
///
/// # Safety
/// The caller owns the page whose list it is.
#[inline(always)]
unsafe fn pop_off(list: &AtomicPtr<Block>) -> *mut u8 {
    let block = list.get();
    if block.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the owner reads its own list.
    let next = unsafe { Block::next(block) };
    list.set(next);
    // Before its user writes to the block: nothing but a free block is on a list.
    pin();
    prefetch(next);
    block.cast()
}

/// Asks the processor to fetch the cache line of `block`; null is fine.
#[inline(always)]
fn prefetch(block: *mut Block) {
    cpu::prefetch(block.cast());
}
