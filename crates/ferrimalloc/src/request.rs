//! From a `Layout` to the core's calls.
//!
//! The core aligns every block to 8, every block larger than 8 bytes to 16, and blocks above 512 KiB to a slice
//! (64 KiB). Layouts that need no more take the plain paths, which for a layout known at compile time is decided then.

use core::alloc::Layout;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{LARGE_BLOCK_MAX, MAX_NATURAL_ALIGN, WORD_BYTES, Zero};
use ferrimalloc_core::theap::Theap;

/// Blocks larger than a word are aligned to this.
const COMMON_ALIGN: usize = 2 * WORD_BYTES;

/// Whether every block for `size` bytes has the alignment anyway.
#[inline(always)]
fn is_natural(size: usize, align: usize) -> bool {
    align <= WORD_BYTES || (align <= COMMON_ALIGN && size > WORD_BYTES)
}

/// Whether a resized block has the alignment anyway.
#[inline(always)]
fn is_natural_resized(size: usize, align: usize) -> bool {
    is_natural(size, align) || (size > LARGE_BLOCK_MAX && align <= MAX_NATURAL_ALIGN)
}

/// A block for `layout`; null without memory.
#[inline(always)]
pub fn allocate(layout: Layout, zero: Zero) -> *mut u8 {
    let (size, align) = (layout.size(), layout.align());
    match zero {
        Zero::Any if is_natural(size, align) => alloc::malloc(size),
        Zero::Zeroed if is_natural(size, align) => alloc::zalloc(size),
        _ => alloc::malloc_aligned_at(size, align, 0, zero),
    }
}

/// The same through one of this thread's theaps.
#[inline]
pub fn allocate_in(theap: &'static Theap, layout: Layout, zero: Zero) -> *mut u8 {
    let (size, align) = (layout.size(), layout.align());
    if is_natural(size, align) {
        alloc::alloc_in(theap, size, zero)
    } else {
        alloc::alloc_aligned_at_in(theap, size, align, 0, zero)
    }
}

/// Resizes `p` to `layout`; null without memory, and `p` is as it was.
///
/// # Safety
/// `p` is a block of this allocator, aligned as `layout` says unless it moves; after success only the answer may be
/// used.
#[inline]
pub unsafe fn resize_in(theap: &'static Theap, p: *mut u8, layout: Layout) -> *mut u8 {
    let (size, align) = (layout.size(), layout.align());
    let is_aligned = p.addr() & (align - 1) == 0;
    // SAFETY: the precondition. A block that stays is aligned by the test, one that moves by nature.
    unsafe {
        if is_aligned && is_natural_resized(size, align) {
            alloc::realloc_in(theap, p, size, Zero::Any)
        } else {
            alloc::realloc_aligned_at_in(theap, p, size, align, 0, Zero::Any)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_alignments_are_natural() {
        assert!(is_natural(1, 8) && is_natural(9, 16) && is_natural(0, 1));
        assert!(!is_natural(8, 16) && !is_natural(100, 32));
        assert!(is_natural_resized(LARGE_BLOCK_MAX + 1, MAX_NATURAL_ALIGN));
        assert!(!is_natural_resized(LARGE_BLOCK_MAX, MAX_NATURAL_ALIGN));
        assert!(!is_natural_resized(LARGE_BLOCK_MAX + 1, 2 * MAX_NATURAL_ALIGN));
    }
}
