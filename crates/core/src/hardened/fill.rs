//! Filling of fresh and freed memory in hardened pages, at debug levels.
//!
//! What is allocated holds a byte that looks like nothing, so that reading it before writing is seen; what has been freed
//! holds another, so that reading it is seen, and writing it is found: when the block is allocated again, and when all
//! free blocks are verified.

use core::ptr;

use super::canary::CANARY_BYTES;
use crate::sync::{AtomicU64, Ordering};

/// mimalloc's bytes for memory that has been allocated, and for memory that has been freed.
const FRESH: u8 = 0xD0;
const FREED: u8 = 0xDF;

/// A block of a page that fills, with the room behind it for a canary.
#[derive(Clone, Copy)]
pub struct Filled {
    /// Its first byte.
    pub block: *mut u8,
    /// Its size in bytes, the canary included.
    pub block_bytes: usize,
    /// The page's secret.
    pub key: u64,
    /// So many bytes at the block's beginning are left as they are.
    pub preserve: usize,
}

impl Filled {
    /// Fills `size` bytes of a fresh block.
    ///
    /// # Safety
    /// The block has just been taken from the page.
    #[cold]
    pub unsafe fn on_alloc(self, size: usize) {
        // SAFETY: the precondition.
        unsafe { self.fill(FRESH, size) };
    }

    /// Fills what is not preserved of the first `bytes`.
    ///
    /// # Safety
    /// They are in the block, and the caller's.
    unsafe fn fill(self, byte: u8, bytes: usize) {
        let from = self.preserve.min(bytes);
        // SAFETY: the precondition.
        unsafe { ptr::write_bytes(self.block.wrapping_add(from), byte, bytes - from) };
    }

    /// Fills the block.
    ///
    /// # Safety
    /// The block is in use, by the caller, who is about to free it.
    #[cold]
    pub unsafe fn on_free(self) {
        // SAFETY: the precondition.
        unsafe {
            self.fill(FREED, self.block_bytes - CANARY_BYTES);
            self.mark_place().store(self.mark(), Ordering::Relaxed);
        }
    }

    /// Stands in place of the canary while a filled block is free. Blocks that have never been used have none, and no filling.
    pub fn mark(self) -> u64 {
        !(self.block.addr() as u64 ^ self.key)
    }

    /// Atomic, as whoever frees the block behind looks there.
    ///
    /// # Safety
    /// The block is one of a page that fills.
    unsafe fn mark_place(self) -> &'static AtomicU64 {
        // SAFETY: the precondition; the word is the block's last one, and aligned.
        unsafe { &*self.block.wrapping_add(self.block_bytes - CANARY_BYTES).cast::<AtomicU64>() }
    }

    /// Where a free block has been written to since it was freed, if it has, and fills it anew.
    ///
    /// # Safety
    /// The block is free, and the caller owns its page.
    #[cold]
    pub unsafe fn verify(self) -> Option<*mut u8> {
        let bytes = self.block_bytes - CANARY_BYTES;
        // SAFETY: the precondition.
        unsafe {
            if self.mark_place().load(Ordering::Relaxed) != self.mark() {
                return None;
            }
            let content = core::slice::from_raw_parts(self.block, bytes);
            let from = self.preserve.min(bytes);
            let at = content[from..].iter().position(|&byte| byte != FREED)?;
            self.fill(FREED, bytes);
            Some(self.block.wrapping_add(from + at))
        }
    }
}
