//! Guarded blocks: an inaccessible OS page right behind the block, so that the first access there faults.
//!
//! Such a block has a page of its own, placed so that the block ends where its guard begins: exactly, if the options want
//! that (alignment is given up then), else after rounding to 16 bytes or to the alignment asked for. It costs 64 KiB of
//! address space, 4 KiB of memory and two system calls; so allocations are sampled, per thread (`theap::watch`).

use super::checked;
use super::single;
use crate::base::*;
use crate::heap::{SingleRequest, guard_single, may_guard};
use crate::options::{self, OptionId};
use crate::os;
use crate::theap::Theap;

/// What `malloc` promises of every block.
const NATURAL_ALIGN: usize = 16;

/// Allocates a guarded block; `None` if that can't be done: for want of memory or mappings, or with such an alignment.
pub(super) fn alloc(theap: &'static Theap, size: usize, align: usize, zero: Zero) -> Option<*mut u8> {
    let guard_bytes = os::os_page_bytes();
    if align > guard_bytes || size > MAX_REQUEST || !may_guard() {
        return None;
    }
    let bytes = align_up(size.max(1), unit(align))?;
    let request = SingleRequest { bytes, align: guard_bytes, offset: bytes, spare_bytes: guard_bytes, zero };
    let mut block = single::alloc_request(theap, &request)?;
    if !guard_single(block.page_mut()) {
        block.release();
        return None;
    }
    theap.heap().stats().malloc_guarded_count.increment();
    Some(if theap.is_hardened() { checked::hand_out_single(block, size, zero) } else { block.hand_out() })
}

/// Blocks end at multiples of this from their start.
fn unit(align: usize) -> usize {
    let natural = if options::is_enabled(OptionId::GuardedPrecise) { 1 } else { NATURAL_ALIGN };
    natural.max(align)
}
