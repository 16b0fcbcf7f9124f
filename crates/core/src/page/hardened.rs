//! The owner's work on a hardened page, which keeps a bitmap instead of lists.
//!
//! `free` and `local_free` of such a page are always null, so no fast path ever finds a block there, and `outstanding` counts
//! the blocks in use; those in the remote word still count. A block that another thread has freed may be found free
//! before it is counted (Invariant 1 of the bitmap), and be lent again: `outstanding` may exceed what is in use for a moment,
//! and never falls short of it.

use core::ptr;

use super::layout::{Flag, Page};
use super::owned::{Freed, Owned};

use super::ownership::Chain;
use crate::base::*;
use crate::diag::{self, Detail, ErrorKind};
use crate::hardened::{AlreadyFree, BlockBitmap, Doubles, Filled, OwnedBlockBitmap};
use crate::os::tool_hooks;
use crate::sync::{Relaxed, pin};

/// Blocks opened at a time, at least: a whole word of the bitmap, so that each is as likely to be taken next.
const OPEN_BLOCKS: usize = 64;

impl Page {
    /// Whether the page keeps a bitmap. (A hardened page of a single block keeps none.)
    #[inline]
    pub fn has_block_bitmap(&self) -> bool {
        self.owner().is_hardened() && !self.is_singleton()
    }

    /// Of a page that has one.
    #[inline]
    pub fn block_bitmap(&self) -> &'static BlockBitmap {
        debug_assert!(self.has_block_bitmap());
        // SAFETY: set by `check`; it lives as long as the page.
        unsafe { &*ptr::with_exposed_provenance(self.side_word.get()) }
    }

    /// The number of the block that starts at `p`, if one has been lent there at some time.
    #[inline]
    pub fn index_of_start(&self, p: *const u8) -> Option<usize> {
        let index = self.block_bitmap().index_at((p as usize).wrapping_sub(self.start() as usize))?;
        (index < self.capacity()).then_some(index)
    }

    /// Bytes at the end of every block that the allocator keeps for itself.
    pub fn canary_bytes(&self) -> usize {
        if self.has_block_bitmap() { self.block_bitmap().style().canary_bytes() } else { 0 }
    }

    /// A block, to be filled or verified.
    pub fn filled(&self, block: *mut u8) -> Filled {
        Filled { block, block_bytes: self.block_bytes(), key: self.block_bitmap().key() }
    }

    /// Of a hardened page with a single block.
    pub fn padding_bytes(&self) -> usize {
        self.side_word.get()
    }
}

impl Owned {
    /// Of a hardened page of many blocks, with what only its owner does.
    #[inline]
    pub fn block_bitmap(&self) -> &'static OwnedBlockBitmap {
        // SAFETY: the caller owns the page.
        unsafe { self.page().block_bitmap().owned() }
    }

    /// Makes a new page a checked one; by its owner, before any block of it is linked.
    ///
    /// # Safety
    /// The bitmap is for this page and lives until it is erased.
    pub unsafe fn check(&self, bitmap: &'static BlockBitmap) {
        self.side_word.set(ptr::from_ref(bitmap).expose_provenance());
        self.set_hardened();
    }

    /// Takes a free block; null if `refill` has to be called first.
    #[inline]
    pub fn take_hardened(&self) -> *mut u8 {
        let Some(index) = self.block_bitmap().take() else { return ptr::null_mut() };
        pin();
        self.outstanding.set(self.outstanding.get() + 1);
        self.hand(1);
        self.block_start(index)
    }

    /// Frees a block; by the owner.
    #[inline]
    pub fn put_hardened(&self, index: usize) -> Result<Freed, AlreadyFree> {
        self.block_bitmap().put(index)?;
        pin();
        let outstanding = self.outstanding.get().wrapping_sub(1);
        self.outstanding.set(outstanding);
        Ok(if outstanding == 0 { Freed::Empty } else { Freed::InUse })
    }

    pub(super) fn has_available_hardened(&self) -> bool {
        self.outstanding() < self.capacity() || self.remote_count() > 0 || self.is(Flag::Extensible)
    }

    pub(super) fn refill_hardened(&self) -> bool {
        if self.remote_count() > 0 {
            let Chain { count, .. } = self.take_remote();
            pin();
            self.accept_freed(count);
        }
        self.outstanding() < self.capacity() || self.is(Flag::Extensible) && self.open_more()
    }

    /// `count` blocks, marked in the bitmap, have come back; by the owner.
    pub fn accept_freed(&self, count: usize) {
        let doubles = self.block_bitmap().drain();
        pin();
        if doubles.count > 0 {
            self.report_doubles(doubles);
        }
        self.outstanding.set((self.outstanding.get() + doubles.count as u32).saturating_sub(count as u32));
    }

    #[cold]
    fn report_doubles(&self, doubles: Doubles) {
        let block = self.block_start(doubles.index);
        diag::error(ErrorKind::DoubleFree, block, Detail::Bytes(self.block_bytes()));
    }

    /// Lets the next few never-used blocks be taken.
    #[inline(never)]
    fn open_more(&self) -> bool {
        let (capacity, bytes) = (self.capacity(), self.block_bytes());
        let left = self.reserved() - capacity;
        let count = (EXTEND_BYTES / bytes).max(1).next_multiple_of(OPEN_BLOCKS).min(left);
        if !self.commit_up_to(self.block_start(capacity + count)) {
            return false;
        }
        if count == left {
            self.note_filled();
        }
        tool_hooks::closed(self.block_start(capacity), count * bytes);
        self.block_bitmap().open(capacity, count);
        pin();
        self.capacity.set((capacity + count) as u16);
        // The first of the blocks is handed out behind this: none is in use beyond `capacity`.
        pin();
        true
    }

    /// Calls `visit` with the blocks that are free as far as the owner knows; by the owner.
    pub fn for_each_free_hardened(&self, visit: impl FnMut(*mut u8)) {
        let bitmap = self.block_bitmap();
        let free = (0..self.capacity()).filter(|&index| bitmap.is_free(index));
        free.map(|index| self.block_start(index)).for_each(visit);
    }

    /// Tells valgrind that the blocks in use have gone with their page; by the owner.
    #[cold]
    pub(super) fn tell_dropped(&self) {
        if !self.has_block_bitmap() {
            return tool_hooks::freed(self.start());
        }
        let used = (0..self.capacity()).filter(|&index| self.block_bitmap().is_used(index));
        used.for_each(|index| tool_hooks::freed(self.block_start(index)));
    }
}
