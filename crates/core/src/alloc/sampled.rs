//! The profiler's samples among blocks that share pages: where the slow path finds that an allocation is to be one.
//!
//! A sample gets a page of its own, whatever its size, which carries the profiler's record: so a free of anything else looks at
//! nothing, and one of a sample finds it without a search. It costs 64 KiB of address space and an OS page of memory. What
//! becomes of the record when the page goes is seen to where pages are released (`heap::page_alloc`). A file of its own, so that
//! `malloc` can be read without it.

use super::{marking, single};
use crate::base::*;
use crate::heap::SingleRequest;
use crate::os;
use crate::theap::Theap;

/// A sample in place of a block of class `bin`; `None` if there is no memory for one.
#[cold]
#[inline(never)]
pub(super) fn alloc(theap: &'static Theap, bin: Bin, zero: Zero) -> Option<*mut u8> {
    let bytes = bin.block_bytes();
    let room = align_up(bytes, os::os_page_bytes())?;
    let request = SingleRequest { bytes: room, align: SLICE_BYTES, offset: 0, front_bytes: 0, spare_bytes: 0, zero };
    let mut block = single::alloc_uncounted(theap, &request)?;
    marking::mark(theap, block.page_mut(), bytes);
    Some(block.hand_out())
}
