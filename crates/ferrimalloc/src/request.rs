//! From a `Layout` to the core's calls.
//!
//! The core aligns every block to 8, and every block larger than 8 bytes to 16; but guarded blocks that end to the byte
//! where their guard begins (option `unsafe_guarded_precise`) only as their size is. So a size is rounded up to its alignment,
//! which costs no memory: class sizes are multiples of 16. Layouts that need no more take the plain paths, which for a
//! layout known at compile time is decided then. No path relies on more than that, nor on where a block happens to lie.

use core::alloc::Layout;

use ferrimalloc_core::alloc::{self, Stated};
use ferrimalloc_core::base::{WORD_BYTES, Zero};
use ferrimalloc_core::theap::Theap;

/// Blocks larger than a word are aligned to this.
const COMMON_ALIGN: usize = 2 * WORD_BYTES;

/// Whether every block for `size` bytes has the alignment anyway.
#[inline(always)]
fn is_natural(size: usize, align: usize) -> bool {
    align <= WORD_BYTES || (align <= COMMON_ALIGN && size > WORD_BYTES)
}

/// A layout's size, as a multiple of its alignment. Doesn't overflow: layouts are so made.
#[inline(always)]
fn rounded(size: usize, align: usize) -> usize {
    size.wrapping_add(align - 1) & !(align - 1)
}

/// Frees a block that was allocated, or resized last, for `layout`.
///
/// # Safety
/// `p` is a block of this allocator that nobody uses any more.
#[inline(always)]
pub unsafe fn free(p: *mut u8, layout: Layout) {
    let (size, align) = (layout.size(), layout.align());
    let sealed = if is_natural(size, align) { rounded(size, align) } else { size };
    // SAFETY: the precondition.
    unsafe { alloc::free_as(p, Stated::bytes(sealed), align) }
}

/// A block for `layout`; null without memory.
#[inline(always)]
pub fn allocate(layout: Layout, zero: Zero) -> *mut u8 {
    let (size, align) = (layout.size(), layout.align());
    match zero {
        Zero::Any if is_natural(size, align) => alloc::malloc(rounded(size, align)),
        Zero::Zeroed if is_natural(size, align) => alloc::zalloc(rounded(size, align)),
        _ => alloc::malloc_aligned_at(size, align, 0, zero),
    }
}

/// The same for a small block that can be had at once; else null, with nothing tried.
#[inline(always)]
pub fn allocate_at_once(layout: Layout) -> *mut u8 {
    let (size, align) = (layout.size(), layout.align());
    if is_natural(size, align) { alloc::malloc_at_once(rounded(size, align)) } else { core::ptr::null_mut() }
}

/// The same through one of this thread's theaps.
#[inline]
pub fn allocate_in(theap: &'static Theap, layout: Layout, zero: Zero) -> *mut u8 {
    let (size, align) = (layout.size(), layout.align());
    if is_natural(size, align) {
        alloc::alloc_in(theap, rounded(size, align), zero)
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
        if is_aligned && is_natural(size, align) {
            alloc::realloc_in(theap, p, rounded(size, align), Zero::Any)
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
    }

    #[test]
    fn sizes_are_multiples_of_alignments() {
        assert_eq!([rounded(0, 8), rounded(1, 8), rounded(16, 16), rounded(17, 16), rounded(5, 1)], [0, 8, 16, 32, 5]);
    }
}
