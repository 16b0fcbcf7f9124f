//! What `postponed` has to be told about pages, and about the memory that a heap has its own structures in. A file of its own: that one
//! is compiled for the model checker, without pages and arenas.

use core::ptr;

use super::postponed::{Room, Waiter};
use crate::arena::{ArenaSet, Meta};
use crate::page::{OwnedPage, PageRef, Threshold};

/// What a heap has besides whose pages wait.
pub type Postponing = super::postponed::Postponing<PageRef>;

impl Waiter for PageRef {
    type Owned = OwnedPage;

    fn number(self) -> usize {
        ptr::from_ref(self).addr() / size_of_val(self)
    }

    fn bytes(self) -> usize {
        self.capacity() * self.block_bytes()
    }

    fn of(owned: &OwnedPage) -> PageRef {
        owned.page()
    }

    fn claim(self) -> Option<(OwnedPage, usize)> {
        self.claim_in_place().map(|(owned, Threshold(threshold))| (owned, threshold))
    }

    fn put_back(owned: OwnedPage, threshold: usize) {
        let put_back = owned.put_back(Threshold(threshold));
        debug_assert!(put_back.is_ok(), "no block of it is in use that could be freed");
    }

    fn let_wait(owned: OwnedPage) {
        // The last of its blocks that others have freed are still in the remote word.
        let chain = owned.take_remote();
        if !owned.is_singleton() {
            owned.adopt(chain);
        }
        let hint = owned.owner().tid();
        let let_go = owned.let_go(hint, 0, 1);
        debug_assert!(let_go.is_ok(), "no block of it is in use that could be freed");
    }

    fn keep_for_good(owned: OwnedPage) {
        owned.hold();
    }
}

impl Room for ArenaSet {
    fn take(&self, bytes: usize) -> Option<*mut u8> {
        Some(self.meta_alloc(bytes)?.start)
    }

    unsafe fn give_back(&self, start: *mut u8, bytes: usize) {
        // SAFETY: the precondition.
        unsafe { self.meta_free(Meta { start, bytes }) };
    }
}
