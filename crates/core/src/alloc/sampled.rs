//! The profiler's samples among blocks that share pages: where the slow path finds that an allocation is to be one, and where that
//! block is freed.
//!
//! A sample is a block of a page that samples share (`heap::samples`), which has the profiler's record of it; a large one
//! gets a page of its own, which carries the record. So a free of anything else looks at nothing, and one of a sample finds it
//! without a search. A file of its own, so that `malloc` and `free` can be read without it.

use core::ptr;

use super::{marking, single};
use crate::base::*;
use crate::heap::{Maker, SingleRequest, free_sample, retire_sample};
use crate::os;
use crate::page::PageRef;
use crate::theap::Theap;

/// A sample in place of a block of class `bin`; `None` if there is no memory for one.
#[inline]
pub(super) fn alloc(theap: &'static Theap, bin: Bin, zero: Zero) -> Option<*mut u8> {
    let (bytes, heap) = (bin.block_bytes(), theap.heap());
    let maker = Maker { tid: theap.tid(), theap: theap.handle(), seed: theap.seed() };
    let Some((page, block)) = heap.sample_block(bin, maker) else { return alloc_alone(theap, bytes, zero) };
    if let Some(record) = marking::record(theap, block, bytes) {
        page.set_record(block, record);
    }
    if zero == Zero::Zeroed {
        // SAFETY: the block is ours and that large.
        unsafe { ptr::write_bytes(block, 0, bytes) };
    }
    Some(block)
}

/// The same with a page of its own.
fn alloc_alone(theap: &'static Theap, bytes: usize, zero: Zero) -> Option<*mut u8> {
    let room = align_up(bytes, os::os_page_bytes())?;
    let request = SingleRequest { bytes: room, align: SLICE_BYTES, offset: 0, front_bytes: 0, spare_bytes: 0, zero };
    let mut block = single::alloc_uncounted(theap, &request)?;
    marking::mark(theap, block.page_mut(), bytes);
    Some(block.hand_out())
}

/// Frees the block that holds `p`, of a page that samples share; false if none does that is in use.
#[cold]
pub(super) fn free(page: PageRef, p: *mut u8) -> bool {
    let block = page.block_of(p);
    let Some(record) = page.take_record(block) else { return false };
    // SAFETY: the page has just given the record away, and so the block was in use, by the caller alone.
    unsafe {
        retire_sample(record, block);
        free_sample(page, block);
    }
    true
}
