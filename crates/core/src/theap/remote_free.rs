//! Frees into pages that this thread does not own: pushed at once, or gathered and pushed together by `remote_batch`,
//! which the model checker runs without real pages; hence a file of its own.

use core::ptr;

use super::remote_batch::{RemoteBatch, RemotePage};
use crate::arena::ArenaSet;
use crate::diag::ErrorKind;
use crate::heap::{postpones, release_or_list};
use crate::page::{Block, Origin, Page, PageRef};

/// A chain of this many bytes is pushed.
const MAX_CHAIN_BYTES: usize = 16 << 10;
/// A chain of this many blocks is pushed.
const MAX_CHAIN_BLOCKS: usize = 32;

/// A block of so many bytes, and no more, weighs 1: all chains together have at most 384 blocks, or 192 KiB.
const LIGHT_BYTES: usize = 512;

/// The chains of a thread. Valid when zeroed.
pub type Batch = RemoteBatch<Page>;

impl RemotePage for Page {
    #[inline]
    fn number(&self) -> usize {
        ptr::from_ref(self).addr() / size_of::<Page>()
    }

    #[inline]
    fn longest_chain(&self) -> u16 {
        MAX_CHAIN_BYTES.div_ceil(self.block_bytes()).min(MAX_CHAIN_BLOCKS) as u16
    }

    #[inline]
    fn weight(&self) -> u32 {
        self.block_bytes().div_ceil(LIGHT_BYTES) as u32
    }

    #[cold]
    #[inline(never)]
    fn freed_twice(&self, p: *mut u8) {
        self.report(ErrorKind::DoubleFree, p, p);
    }

    #[inline]
    unsafe fn link(&self, block: *mut u8, next: *mut u8) {
        // SAFETY: the block is the caller's to link.
        unsafe { Block::set_next(block.cast(), next.cast()) };
    }

    unsafe fn push(&'static self, head: *mut u8, tail: *mut u8, count: usize) {
        // SAFETY: the precondition. (Of large blocks, each is a chain.)
        unsafe {
            if self.has_large_blocks() && count == 1 {
                discard_early(self, head);
            }
            push_remote(self, head, tail, count);
        }
    }
}

/// Of a free block that is about to be pushed on its page's remote list, gives back what should go early.
///
/// # Safety
/// The caller has freed the block, and it is on no list that others know.
#[cold]
unsafe fn discard_early(page: PageRef, block: *mut u8) {
    let Origin::Arena(arena) = page.origin() else { return };
    if page.has_much_waiting()
        && page.is_private()
        && !postpones(page)
        && ArenaSet::of(arena).may_purge_early(page.block_bytes())
    {
        // SAFETY: the precondition.
        unsafe { page.discard_inside(block) };
    }
}

/// Pushes a chain of `count` blocks on the remote list of their page, and sees to the page if that claims it.
///
/// # Safety
/// The blocks from `head` to `tail` are linked, belong to the page, and nobody uses them any more.
unsafe fn push_remote(page: PageRef, head: *mut u8, tail: *mut u8, count: usize) {
    // SAFETY: the precondition.
    if let Some(page) = unsafe { page.push(head, tail, count) } {
        release_or_list(page);
    }
}

/// The same for one block.
///
/// # Safety
/// `p` is a block of the page that nobody uses any more (in a hardened page: marked as freed).
pub unsafe fn push_one(page: PageRef, p: *mut u8) {
    if page.owner().is_hardened() {
        return count_freed(page, p);
    }
    // SAFETY: the precondition.
    unsafe { push_remote(page, p, p, 1) };
}

/// Counts a block in the remote word of its page, which has no other block or keeps no lists.
pub fn count_freed(page: PageRef, p: *mut u8) {
    if let Some(page) = page.push_unlinked(p) {
        release_or_list(page);
    }
}
