//! Allocating through a theap that is at hand: as short as plain `malloc` where that is short.

use super::malloc::alloc_in;
use crate::base::*;
use crate::theap::Theap;

/// Allocates `size` bytes through one of this thread's theaps; null without memory.
#[inline(always)]
pub fn malloc_in(theap: &'static Theap, size: usize) -> *mut u8 {
    if size <= SMALL_SIZE_MAX {
        let block = theap.direct_page(size.div_ceil(WORD_BYTES)).pop();
        if !block.is_null() {
            return block;
        }
    }
    alloc_in(theap, size, Zero::Any)
}
