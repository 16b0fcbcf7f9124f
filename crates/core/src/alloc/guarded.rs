//! Guarded blocks: an inaccessible OS page right behind the block, so that the first access there faults.
//!
//! Such a block has a page of its own, placed so that the block ends where its guard begins: exactly, if the options want
//! that (alignment is given up then), else after rounding to 16 bytes or to the alignment asked for. It costs 64 KiB of
//! address space, 4 KiB of memory and two system calls; so allocations are sampled, per thread (`theap::watch`).

use super::checked;
use super::single;
use crate::base::*;
use crate::heap::{SingleRequest, guard_single, may_guard, release_page};
use crate::options::{self, OptionId};
use crate::os;
use crate::page::{PageRef, SingleBlock};
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
    let page = single::alloc_request(theap, &request)?;
    // SAFETY: the block is new, and nobody else has it.
    if !guard_single(&unsafe { SingleBlock::of(page) }) {
        give_up(page);
        return None;
    }
    if theap.is_hardened() {
        checked::hand_out_single(page, size, zero);
    }
    theap.heap().stats().malloc_guarded_count.increment();
    Some(page.start())
}

/// Blocks end at multiples of this from their start.
fn unit(align: usize) -> usize {
    let natural = if options::is_enabled(OptionId::GuardedPrecise) { 1 } else { NATURAL_ALIGN };
    natural.max(align)
}

/// A page that could not be guarded.
#[cold]
fn give_up(page: PageRef) {
    if let Some((page, _)) = page.claim() {
        release_page(page);
    }
}
