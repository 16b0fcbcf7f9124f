//! Frees into other threads' pages, gathered per page and pushed together.
//!
//! A thread that frees what others allocate mostly frees runs of blocks of the same pages. A few chains are gathered,
//! each for one page, and pushed with one compare-and-swap: when another page needs the place, when a chain has
//! grown large, in every slow path of the thread, and at its end. So little memory waits, and only while the thread
//! is active.
//!
//! Idea: BatchIt (ISMM 2024), snmalloc's remote caches.

use core::ptr;

use super::gather::{Gather, Home};
use crate::heap::settle;
use crate::page::remote::Push;
use crate::page::{Block, Page};

/// A chain of this many bytes is pushed.
const MAX_CHAIN_BYTES: usize = 16 << 10;
/// A chain of this many blocks is pushed.
const MAX_CHAIN_BLOCKS: usize = 32;

/// The chains of a thread. Valid when zeroed.
pub type Batch = Gather<Page>;

impl Home for Page {
    #[inline]
    fn number(&self) -> usize {
        ptr::from_ref(self).addr() / size_of::<Page>()
    }

    #[inline]
    fn is_enough(&self, blocks: usize) -> bool {
        blocks >= MAX_CHAIN_BLOCKS || blocks * self.block_bytes() >= MAX_CHAIN_BYTES
    }

    #[inline]
    unsafe fn link(&self, block: *mut u8, next: *mut u8) {
        // SAFETY: the block is the caller's to link.
        unsafe { Block::set_next(block.cast(), next.cast()) };
    }

    unsafe fn push(&'static self, head: *mut u8, tail: *mut u8, count: usize) {
        // SAFETY: the precondition.
        unsafe { push_remote(self, head, tail, count) };
    }
}

/// Pushes a chain of `count` blocks on the remote list of their page, and sees to the page if that claims it.
///
/// # Safety
/// The blocks from `head` to `tail` are linked, belong to the page, and nobody uses them any more.
pub unsafe fn push_remote(page: &'static Page, head: *mut u8, tail: *mut u8, count: usize) {
    let pushed = page.remote.push(page.offset_of(head), count, |next| {
        let next = next.map_or(ptr::null_mut(), |offset| page.block_at(offset));
        // SAFETY: the last block is ours until the push succeeds.
        unsafe { Block::set_next(tail.cast(), next.cast()) };
    });
    if pushed == Push::Claimed {
        settle(page);
    }
}
