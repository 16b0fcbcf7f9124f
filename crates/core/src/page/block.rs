//! A free block: its first word links to the next one.

use core::ptr;

use crate::sync::{AtomicPtr, Relaxed};

/// A block while it is free. Never made for blocks in use.
#[repr(transparent)]
pub struct Block {
    next: AtomicPtr<Block>,
}

impl Block {
    /// The block after `block` in its list.
    ///
    /// # Safety
    /// `block` is a free block in a list that the caller may read.
    #[inline(always)]
    pub unsafe fn next(block: *mut Block) -> *mut Block {
        // SAFETY: the precondition; a free block holds a link.
        unsafe { (*block).next.get() }
    }

    /// The same for a look from outside, at a list that its owner may be changing.
    ///
    /// # Safety
    /// `block` is readable memory, word-aligned.
    pub unsafe fn peek_next(block: *mut Block) -> *mut Block {
        // SAFETY: the precondition. A program that has the block by now may be writing to it by plain stores: what is read then
        // is any word, and the walker takes no word for a block before it has judged it.
        unsafe { block.cast::<*mut Block>().read_volatile() }
    }

    /// Puts `block` before `next`.
    ///
    /// # Safety
    /// `block` points to at least a word of writable memory, word-aligned, that nobody else uses.
    #[inline(always)]
    pub unsafe fn set_next(block: *mut Block, next: *mut Block) {
        // SAFETY: the precondition.
        unsafe { (*block).next.set(next) }
    }

    /// Counts a list, at most `limit` blocks far (a damaged list may be a circle).
    ///
    /// # Safety
    /// `first` is null or starts a list that the caller may read.
    pub unsafe fn count(first: *mut Block, limit: usize) -> usize {
        let mut blocks = 0;
        let mut block = first;
        while !block.is_null() && blocks < limit {
            blocks += 1;
            // SAFETY: `block` is in the list.
            block = unsafe { Block::next(block) };
        }
        blocks
    }

    /// Whether each of the first `limit` blocks of a list is a neighbour, upwards or downwards, of its next one.
    ///
    /// # Safety
    /// As for [`Block::count`].
    pub unsafe fn is_run(first: *mut Block, bytes: usize, limit: usize) -> bool {
        let mut block = first;
        for _ in 0..limit {
            // SAFETY: `block` is in the list.
            let next = if block.is_null() { block } else { unsafe { Block::next(block) } };
            if next.is_null() {
                return true;
            }
            if (next as usize).abs_diff(block as usize) != bytes {
                return false;
            }
            block = next;
        }
        true
    }

    /// The last block of a non-empty list, looking at most `limit` blocks far.
    ///
    /// # Safety
    /// `first` starts a list that the caller may read.
    pub unsafe fn last(first: *mut Block, limit: usize) -> *mut Block {
        let mut block = first;
        for _ in 1..limit {
            // SAFETY: `block` is in the list.
            let next = unsafe { Block::next(block) };
            if next.is_null() {
                break;
            }
            block = next;
        }
        block
    }

    /// Links `count` blocks of `bytes` each, the first at `first`, in address order and ends the list with null.
    ///
    /// # Safety
    /// The whole run is writable memory that nobody else uses; `count > 0`.
    pub unsafe fn link_run(first: *mut u8, bytes: usize, count: usize) {
        let mut block = first;
        for _ in 1..count {
            // SAFETY: inside the run.
            unsafe {
                let next = block.add(bytes);
                Block::set_next(block.cast(), next.cast());
                block = next;
            }
        }
        // SAFETY: the last block of the run.
        unsafe { Block::set_next(block.cast(), ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_a_list_in_address_order() {
        let mut memory = [0u64; 12];
        let first: *mut Block = memory.as_mut_ptr().cast();
        // SAFETY: `memory` holds 4 blocks of 24 bytes.
        unsafe {
            Block::link_run(first.cast(), 24, 4);
            assert_eq!(Block::count(first, 100), 4);
            assert_eq!(Block::last(first, 100), first.byte_add(72));
        }
    }

    #[test]
    fn a_circle_ends_at_the_limit() {
        let mut memory = [0u64; 1];
        let first: *mut Block = memory.as_mut_ptr().cast();
        // SAFETY: one block linked to itself.
        unsafe {
            Block::set_next(first, first);
            assert_eq!(Block::count(first, 7), 7);
            assert_eq!(Block::last(first, 7), first);
        }
    }
}
