//! Resizing into a heap of the caller's choice: a block of another heap moves, whatever its size.

use core::ptr;

use super::aligned::alloc_aligned_at_in;
use super::free::free;
use super::query::{heap_of_block, usable_size};
use super::realloc::{realloc_aligned_at_in, realloc_in};
use crate::base::*;
use crate::theap::Theap;

/// Resizes block `p` (null: none) to `size` bytes, so that it lies in the theap's heap and as `alignment` says. With
/// [`Zero::Zeroed`] what goes beyond the old usable size reads as zero. On failure null, and `p` is as it was.
///
/// # Safety
/// `p` is null or a block of this allocator; after success only the answer may be used. The theap is this thread's.
pub unsafe fn realloc_into(
    theap: &'static Theap,
    p: *mut u8,
    size: usize,
    alignment: Alignment,
    zero: Zero,
) -> *mut u8 {
    let Alignment { align, offset } = alignment;
    let is_elsewhere = !p.is_null() && heap_of_block(p).is_some_and(|heap| !ptr::eq(heap, theap.heap()));
    // SAFETY: the precondition.
    unsafe {
        if is_elsewhere {
            let block = alloc_aligned_at_in(theap, size, align, offset, zero);
            move_contents(p, block, size)
        } else if alignment == Alignment::NATURAL {
            realloc_in(theap, p, size, zero)
        } else {
            realloc_aligned_at_in(theap, p, size, align, offset, zero)
        }
    }
}

/// Copies what fits of `p` into `block`, of `size` bytes, and frees `p`; nothing if `block` is null.
///
/// # Safety
/// Both are blocks, `block` may be null.
unsafe fn move_contents(p: *mut u8, block: *mut u8, size: usize) -> *mut u8 {
    if !block.is_null() {
        // SAFETY: both blocks have that many bytes and are distinct; `p` is not used any more.
        unsafe {
            ptr::copy_nonoverlapping(p, block, usable_size(p).min(size));
            free(p);
        }
    }
    block
}
