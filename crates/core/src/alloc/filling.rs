//! Filling of fresh and freed memory in checked pages, at debug levels.
//!
//! What is allocated holds a byte that looks like nothing, so that reading it before writing is seen; what has been freed
//! holds another, so that reading it is seen, and writing it is found: when the block is allocated again, and when all
//! free blocks are verified.

use core::ptr;

use super::padding::SEAL_BYTES;
use crate::diag::{self, Detail, ErrorKind};
use crate::os::told;
use crate::page::{Page, PageRef, Style};
use crate::theap::Theap;

/// mimalloc's bytes for memory that has been allocated, and for memory that has been freed.
const FRESH: u8 = 0xD0;
const FREED: u8 = 0xDF;

/// Fills a block of `size` bytes, after verifying that nobody wrote to it since it was freed.
///
/// # Safety
/// The block has just been taken from the page.
#[cold]
pub(super) unsafe fn on_alloc(page: PageRef, block: *mut u8, style: Style, size: usize) {
    if style.verifies {
        verify_free(page, block);
    }
    // SAFETY: the precondition.
    unsafe { ptr::write_bytes(block, FRESH, size) };
}

/// Fills a block.
///
/// # Safety
/// The block is in use, by the caller, who is about to free it.
#[cold]
pub(super) unsafe fn on_free(page: &Page, block: *mut u8) {
    // SAFETY: the precondition.
    unsafe {
        ptr::write_bytes(block, FREED, page.block_bytes() - SEAL_BYTES);
        mark_of(page, block).write(freed_mark(page, block));
    }
}

/// Stands in place of the seal while a filled block is free. Blocks that have never been used have none, and no filling.
fn freed_mark(page: &Page, block: *mut u8) -> u64 {
    !(block.addr() as u64 ^ page.ledger().key())
}

fn mark_of(page: &Page, block: *mut u8) -> *mut u64 {
    block.wrapping_add(page.block_bytes() - SEAL_BYTES).cast()
}

/// Reports a free block that has been written to, and fills it anew.
fn verify_free(page: &Page, block: *mut u8) {
    let bytes = page.block_bytes() - SEAL_BYTES;
    // SAFETY: a free block, which belongs to the owner of the page.
    unsafe {
        if mark_of(page, block).read() != freed_mark(page, block) {
            return;
        }
        let content = core::slice::from_raw_parts(block, bytes);
        if let Some(at) = content.iter().position(|&byte| byte != FREED) {
            diag::error(ErrorKind::WriteAfterFree, block, Detail::At(block.wrapping_add(at)));
            ptr::write_bytes(block, FREED, bytes);
        }
    }
}

fn audit_free(page: &Page, block: *mut u8) {
    told::reached(block, page.block_bytes());
    verify_free(page, block);
    told::put_away(block, page.block_bytes());
}

/// Verifies every free block of a theap's pages.
pub(super) fn audit(theap: &'static Theap) {
    let _quiet = told::quiet();
    theap.for_each_page(|page| {
        if page.has_ledger() && page.ledger().style().verifies {
            page.for_each_free_checked(|block| audit_free(page, block));
        }
    });
}
