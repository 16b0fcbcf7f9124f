//! The owner's work on a checked page, which keeps a ledger instead of lists.
//!
//! `free` and `local_free` of such a page are always null, so no fast path ever finds a block there, and `lent` counts
//! the blocks in use; those in the remote word still count. A block that another thread has freed may be found free
//! before it is counted (Invariant 1 of the ledger), and be lent again: `lent` may exceed what is in use for a moment,
//! and never falls short of it.

use core::ptr;

use super::layout::{Flag, Owner, Page};
use super::ledger::{AlreadyFree, Doubles, Ledger};
use super::lists::Freed;
use super::remote::Chain;
use crate::base::*;
use crate::diag::{self, Detail, ErrorKind};
use crate::os::told;
use crate::sync::pin;

/// Blocks opened at a time, at least: a whole word of the ledger, so that each is as likely to be taken next.
const OPEN_BLOCKS: usize = 64;

impl Page {
    /// Makes a new page a checked one; by its owner, before any block of it is linked.
    ///
    /// # Safety
    /// The ledger is for this page and lives until it is erased.
    pub unsafe fn check(&self, ledger: &'static Ledger) {
        self.set_side_word(ptr::from_ref(ledger).addr());
        self.set_checked();
    }

    /// Whether the page keeps a ledger. (A checked page of a single block keeps none.)
    #[inline]
    pub fn has_ledger(&self) -> bool {
        self.owner().is_checked() && !self.is_singleton()
    }

    /// Of a page that has one.
    #[inline]
    pub fn ledger(&self) -> &'static Ledger {
        debug_assert!(self.has_ledger());
        // SAFETY: set by `check`; it lives as long as the page.
        unsafe { &*ptr::with_exposed_provenance(self.side_word()) }
    }

    /// The number of the block that starts at `p`, if one has been lent there at some time.
    #[inline]
    pub fn index_of_start(&self, p: *const u8) -> Option<usize> {
        let index = self.ledger().index_at((p as usize).wrapping_sub(self.start() as usize))?;
        (index < self.capacity()).then_some(index)
    }

    /// Bytes at the end of every block that the allocator keeps for itself.
    pub fn seal_bytes(&self) -> usize {
        if self.has_ledger() { self.ledger().style().seal_bytes() } else { 0 }
    }

    /// Takes a free block; null if `refill` has to be called first.
    #[inline]
    pub fn take_checked(&self) -> *mut u8 {
        let Some(index) = self.ledger().take() else { return ptr::null_mut() };
        pin();
        self.lent.set(self.lent.get() + 1);
        self.hand(1);
        self.start().wrapping_add(index * self.block_bytes())
    }

    /// Frees a block; by the owner.
    #[inline]
    pub fn put_checked(&self, index: usize) -> Result<Freed, AlreadyFree> {
        self.ledger().put(index)?;
        pin();
        let lent = self.lent.get().wrapping_sub(1);
        self.lent.set(lent);
        Ok(if lent == 0 { Freed::Empty } else { Freed::InUse })
    }

    pub(super) fn has_available_checked(&self) -> bool {
        self.lent() < self.capacity() || self.remote.count() > 0 || self.is(Flag::Extensible)
    }

    pub(super) fn refill_checked(&self) -> bool {
        if self.remote.count() > 0 {
            let Chain { count, .. } = self.remote.take();
            pin();
            self.accept_freed(count);
        }
        self.lent() < self.capacity() || self.is(Flag::Extensible) && self.open_more()
    }

    /// `count` blocks, marked in the ledger, have come back; by the owner.
    pub fn accept_freed(&self, count: usize) {
        let doubles = self.ledger().drain();
        pin();
        if doubles.count > 0 {
            self.report_doubles(doubles);
        }
        self.lent.set((self.lent.get() + doubles.count as u32).saturating_sub(count as u32));
    }

    #[cold]
    fn report_doubles(&self, doubles: Doubles) {
        let block = self.start().wrapping_add(doubles.index * self.block_bytes());
        diag::error(ErrorKind::DoubleFree, block, Detail::Bytes(self.block_bytes()));
    }

    /// Lets the next few never-used blocks be taken.
    #[inline(never)]
    fn open_more(&self) -> bool {
        let (capacity, bytes) = (self.capacity(), self.block_bytes());
        let left = self.reserved() - capacity;
        let count = (EXTEND_BYTES / bytes).max(1).next_multiple_of(OPEN_BLOCKS).min(left);
        if !self.commit_up_to(self.start().wrapping_add((capacity + count) * bytes)) {
            return false;
        }
        if count == left {
            self.note_filled();
        }
        told::closed(self.start().wrapping_add(capacity * bytes), count * bytes);
        self.ledger().open(capacity, count);
        pin();
        self.capacity.set((capacity + count) as u16);
        // The first of the blocks is handed out behind this: none is in use beyond `capacity`.
        pin();
        true
    }

    /// Calls `visit` with the blocks that are free as far as the owner knows; by the owner.
    pub fn for_each_free_checked(&self, visit: impl FnMut(*mut u8)) {
        let ledger = self.ledger();
        let free = (0..self.capacity()).filter(|&index| ledger.is_free(index));
        free.map(|index| self.start().wrapping_add(index * self.block_bytes())).for_each(visit);
    }

    /// Tells valgrind that the blocks in use have gone with their page; by the owner.
    #[cold]
    pub(super) fn tell_dropped(&self) {
        if !self.has_ledger() {
            return told::freed(self.start());
        }
        let used = (0..self.capacity()).filter(|&index| self.ledger().is_used(index));
        used.for_each(|index| told::freed(self.start().wrapping_add(index * self.block_bytes())));
    }

    /// Makes a page of a single block a checked one, with `padding_bytes` behind what was asked for; by whoever has the
    /// block.
    pub fn set_padding(&self, padding_bytes: usize) {
        debug_assert!(self.is_singleton());
        self.set_side_word(padding_bytes);
        self.set_checked();
    }

    /// Of a checked page with a single block.
    pub fn padding_bytes(&self) -> usize {
        self.side_word()
    }
}

/// The owner word of a checked page that thread `tid` owns.
#[inline]
pub fn owned_and_checked(tid: usize) -> Owner {
    Owner::thread(tid).checked()
}
