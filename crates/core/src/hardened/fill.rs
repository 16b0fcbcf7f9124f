//! Filling of fresh and freed memory in hardened pages, at debug levels.
//!
//! What is allocated holds a byte that looks like nothing, so that reading it before writing is seen; what has been freed
//! holds another, so that reading it is seen, and writing it is found: when the block is allocated again, and when all
//! free blocks are verified.

use core::ptr;

use super::canary::CANARY_BYTES;

/// mimalloc's bytes for memory that has been allocated, and for memory that has been freed.
const FRESH: u8 = 0xD0;
const FREED: u8 = 0xDF;

/// A block of a page that fills, with the room behind it for a canary.
#[derive(Clone, Copy)]
pub struct Filled {
    pub block: *mut u8,
    pub block_bytes: usize,
    /// The page's secret.
    pub key: u64,
}

impl Filled {
    /// Fills `size` bytes of a fresh block.
    ///
    /// # Safety
    /// The block has just been taken from the page.
    #[cold]
    pub unsafe fn on_alloc(self, size: usize) {
        // SAFETY: the precondition.
        unsafe { ptr::write_bytes(self.block, FRESH, size) };
    }

    /// Fills the block.
    ///
    /// # Safety
    /// The block is in use, by the caller, who is about to free it.
    #[cold]
    pub unsafe fn on_free(self) {
        // SAFETY: the precondition.
        unsafe {
            ptr::write_bytes(self.block, FREED, self.block_bytes - CANARY_BYTES);
            self.mark_place().write(self.mark());
        }
    }

    /// Stands in place of the canary while a filled block is free. Blocks that have never been used have none, and no filling.
    fn mark(self) -> u64 {
        !(self.block.addr() as u64 ^ self.key)
    }

    /// Whether the block is free and was filled.
    ///
    /// # Safety
    /// The block is one of a page that fills.
    pub unsafe fn is_marked(self) -> bool {
        // SAFETY: the precondition; others may change the word meanwhile.
        unsafe { self.mark_place().read_volatile() == self.mark() }
    }

    fn mark_place(self) -> *mut u64 {
        self.block.wrapping_add(self.block_bytes - CANARY_BYTES).cast()
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
            if self.mark_place().read() != self.mark() {
                return None;
            }
            let content = core::slice::from_raw_parts(self.block, bytes);
            let at = content.iter().position(|&byte| byte != FREED)?;
            ptr::write_bytes(self.block, FREED, bytes);
            Some(self.block.wrapping_add(at))
        }
    }
}
