//! The profiler's samples, as a page sees them: where its list ends early, and which single block is one.
//!
//! A file of its own, so that the lists can be read without it. The fast path of `malloc` knows nothing of samples. If the list `free` of a page reaches as far as the next sample, it is *cut*
//! there: it ends before that block, and the rest waits in the side word. So the allocation that is to be a sample finds
//! the list exhausted, and comes to the slow path, which joins the rest again. Blocks in the rest count as if they were on
//! `free` (Invariant 1 of `layout`): a page that has a rest is never taken for full, nor, by its count alone, for empty.
//!
//! ```text
//!  free ──> a ─> b ─> null      rest ──> c ─> d ─> null        the allocation after b is a sample
//! ```
//! The upper half of the side word has the number of the rest's first block, and above that how many there are: where no address
//! reaches, nor a number of bytes. The lower half is that of the page's holes, if it has some; a page that is punched loses its
//! rest, which is linked anew with all that is free. A page with a rest is never `Lifo`.

use core::ptr;

use super::block::Block;
use super::layout::Page;
use super::owned::Owned;
use crate::sync::{Relaxed, pin};

const FIRST_SHIFT: u32 = Page::ABOVE_HOLES_SHIFT;
const COUNT_SHIFT: u32 = FIRST_SHIFT + u16::BITS;
const _: () = assert!(COUNT_SHIFT + u16::BITS == u64::BITS, "`reserved` has 16 bits, as both");

impl Page {
    /// The blocks that were cut off `free`: the first, and how many. (Pages of one block have other bits there.)
    #[inline]
    pub(super) fn rest(&self) -> Option<(*mut Block, usize)> {
        if self.is_singleton() {
            return None;
        }
        let word = self.side_word.get();
        let (first, count) = (usize::from((word >> FIRST_SHIFT) as u16), (word >> COUNT_SHIFT) as usize);
        (count > 0).then(|| (self.block_start(first).cast(), count))
    }

    /// Whether `free` was ended early.
    #[inline]
    pub fn is_cut(&self) -> bool {
        self.rest().is_some()
    }

    /// How many blocks were cut off.
    pub(super) fn rest_count(&self) -> usize {
        self.rest().map_or(0, |(_, count)| count)
    }

    /// The profiler's record of a single block that is a sample.
    #[inline]
    pub fn sample(&self) -> Option<*const ()> {
        let record = self.handed.get() as usize;
        (self.is_singleton() && record != 0).then(|| ptr::with_exposed_provenance(record))
    }
}

impl Owned {
    /// Ends `free`, which has `count` blocks, behind the first `kept` of them. Walks those. A list that is shorter, since a
    /// program has freed a block twice (`lists`), stays as it is.
    pub fn cut(&self, kept: usize, count: usize) {
        debug_assert!(kept < count && !self.is_cut());
        let list = self.free.get();
        // SAFETY: the owner reads its own list.
        let last = if kept > 0 { unsafe { nth(list, kept - 1) } } else { ptr::null_mut() };
        if kept > 0 && last.is_null() {
            return;
        }
        // SAFETY: as before.
        let rest = if kept > 0 { unsafe { Block::next(last) } } else { list };
        if rest.is_null() {
            return;
        }
        let first = (rest as usize - self.start() as usize) / self.block_bytes();
        let above = (first as u64) << FIRST_SHIFT | ((count - kept) as u64) << COUNT_SHIFT;
        self.side_word.set(self.holes_in_side_word() | above);
        pin();
        if kept > 0 {
            // SAFETY: as before.
            unsafe { Block::set_next(last, ptr::null_mut()) };
        } else {
            self.free.set(ptr::null_mut());
        }
        pin();
    }

    /// Makes what was cut off the exhausted `free`'s list again; answers how many blocks that are.
    pub fn join(&self) -> usize {
        let Some((first, count)) = self.rest() else { return 0 };
        debug_assert!(self.free.get().is_null());
        self.free.set(first);
        pin();
        self.forget_rest();
        count
    }

    /// The blocks of the rest are on another list, or known to be free.
    pub(super) fn forget_rest(&self) {
        self.side_word.set(self.holes_in_side_word());
        pin();
    }
}

/// So many blocks further in a list; null behind its end.
///
/// # Safety
/// The caller may read the list.
unsafe fn nth(mut block: *mut Block, distance: usize) -> *mut Block {
    for _ in 0..distance {
        if block.is_null() {
            break;
        }
        // SAFETY: the precondition.
        block = unsafe { Block::next(block) };
    }
    block
}
