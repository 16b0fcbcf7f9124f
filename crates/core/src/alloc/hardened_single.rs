//! Hardened blocks with a page of their own: above 512 KiB, with an alignment above a slice or at an offset, or guarded. They
//! have no table; their padding is filler alone, and their size stands in the page.

use super::single::{self, SingleBlock, clear, clear_gained};
use super::{marking, origins};
use crate::base::*;
use crate::diag::ErrorKind;
use crate::hardened::{FILLED_BYTES, fill_slack, verify_filler};
use crate::heap::{SingleRequest, guard_single, may_guard};
use crate::options::{self, OptionId};
use crate::os::{self, tool_hooks};
use crate::page::{Page, PageRef};
use crate::theap::Theap;

/// Clears a block with a page of its own, which is about to be released.
///
/// # Safety
/// The block is the caller's, who doesn't need its contents any more.
pub(super) unsafe fn clear_single(page: PageRef) {
    let (start, bytes) = (page.start(), page.block_bytes());
    tool_hooks::reached(start, bytes);
    // SAFETY: the precondition.
    unsafe { clear(page, start, bytes) };
    tool_hooks::put_away(start, bytes);
}

pub(super) fn verify_single(p: *mut u8, page: &Page) {
    let slack = page.padding_bytes();
    let padding = p.wrapping_add(page.block_bytes() - slack);
    tool_hooks::reached(padding, slack.min(FILLED_BYTES));
    // SAFETY: the padding is the end of a block in use.
    if let Err(at) = unsafe { verify_filler(padding, slack) } {
        page.report(ErrorKind::BlockOverflow, p, at);
    }
    tool_hooks::put_away(padding, slack.min(FILLED_BYTES));
}

pub(super) fn resize_single(mut block: SingleBlock, usable: usize, size: usize, zero: Zero) -> bool {
    let page = block.page();
    verify_single(page.start(), page);
    if !block.resize(size + SINGLE_PADDING) {
        return false;
    }
    // SAFETY: the block is the caller's, and has that many bytes now.
    unsafe {
        close_single(&mut block, size, page.clears_single());
        clear_gained(block.hand_out(), usable, size, zero);
    }
    true
}

/// A block with the contents of `from`, of which `usable` bytes were the user's, and `size` bytes, moved without
/// copying if that can be helped; `None` without memory. `from` still has to be released.
pub(super) fn move_single(
    theap: &'static Theap,
    from: &mut SingleBlock,
    usable: usize,
    size: usize,
    at: Alignment,
    zero: Zero,
) -> Option<*mut u8> {
    let mut block = single::alloc_moved(theap, from, size.checked_add(SINGLE_PADDING)?, at)?;
    // SAFETY: the block is new, and has that many bytes.
    unsafe {
        close_single(&mut block, size, theap.style().clears);
        clear_gained(block.page().start(), usable, size, zero);
        if from.page().clears_single() {
            clear_single(from.page());
        }
    }
    note_allocated(theap, block.page().start());
    Some(block.hand_out())
}

/// Whether blocks of the theap that grow may have pages of their own: not where such pages have guards, blocks are filled, or some
/// are to be guarded.
pub(super) fn may_grow_alone(theap: &Theap) -> bool {
    let is_plain =
        || !theap.is_sampled() && !theap.style().fills && !theap.levels().guards_pages() && !BUILD.is_watched();
    !theap.is_instrumented() || theap.is_hardened() && is_plain()
}

/// Allocates a block with a page of its own, and with so much room to grow behind it; checked if blocks get padding: there is
/// nothing else to check. `None` without memory.
pub(super) fn alloc_spare(
    theap: &'static Theap,
    size: usize,
    at: Alignment,
    spare_bytes: usize,
    zero: Zero,
) -> Option<SingleBlock> {
    if !theap.style().pads {
        return single::alloc_spare(theap, size, at, spare_bytes, zero);
    }
    let mut block = single::alloc_spare(theap, size.checked_add(SINGLE_PADDING)?, at, spare_bytes, zero)?;
    close_new(theap, &mut block, size, zero);
    Some(block)
}

/// A block that is to be guarded, or the profiler's sample in place of one of a hardened page, which `is_shared` says it would
/// be (others are counted where their page is made); `None` if this one is neither, or without memory.
#[inline]
pub(super) fn alloc_alone(
    theap: &'static Theap,
    size: usize,
    align: usize,
    zero: Zero,
    is_shared: impl FnOnce() -> bool,
) -> Option<*mut u8> {
    if theap.is_sampled() && theap.is_due_for_guard(size) {
        return alloc_guarded(theap, size, align, Edge::drawn(theap), zero);
    }
    let is_sample = theap.is_hardened() && is_shared() && theap.is_sample(size.max(1));
    if is_sample { alloc_sample(theap, size, align, zero) } else { None }
}

#[cold]
fn alloc_sample(theap: &'static Theap, size: usize, align: usize, zero: Zero) -> Option<*mut u8> {
    let bytes = align_up(size.max(1) + SINGLE_PADDING, os::os_page_bytes())?;
    let request =
        SingleRequest { bytes, align: align.max(SLICE_BYTES), offset: 0, front_bytes: 0, spare_bytes: 0, zero };
    let mut block = single::alloc_uncounted(theap, &request)?;
    marking::mark(theap, block.page_mut(), size.max(1));
    Some(if theap.style().pads { hand_out_single(theap, block, size, zero) } else { block.hand_out() })
}

/// Hands out a new block of a page of its own as a checked one.
#[inline(always)]
fn hand_out_single(theap: &Theap, mut block: SingleBlock, size: usize, zero: Zero) -> *mut u8 {
    close_new(theap, &mut block, size, zero);
    block.hand_out()
}

/// Makes a new page of a single block a checked one.
#[inline(always)]
fn close_new(theap: &Theap, block: &mut SingleBlock, size: usize, zero: Zero) {
    // SAFETY: the block is new.
    unsafe { close_single(block, size, theap.style().clears) };
    let p = block.page().start();
    note_allocated(theap, p);
    tool_hooks::allocated(p, size, size, zero);
}

fn note_allocated(theap: &Theap, block: *const u8) {
    if theap.style().verifies { origins::allocated(block) } else { origins::allocated_unnoted(block) }
}

/// Bytes that a block with a page of its own gets behind what was asked for, at least.
pub(super) const SINGLE_PADDING: usize = 16;

/// Marks a block with a page of its own, just allocated or resized, as one of `size` bytes; the rest is padding.
///
/// # Safety
/// The block is the caller's.
unsafe fn close_single(block: &mut SingleBlock, size: usize, clears: bool) {
    let page = block.page_mut();
    let slack = page.block_bytes() - size;
    page.set_padding(slack, clears);
    tool_hooks::reached(page.start(), page.area_bytes());
    // SAFETY: the precondition; the slack is the block's end.
    unsafe { fill_slack(page.start().wrapping_add(size), slack.min(FILLED_BYTES)) };
    tool_hooks::closed(page.start().wrapping_add(size), page.area_bytes() - size);
}

// Guarded blocks.

/// What `malloc` promises of every block.
const NATURAL_ALIGN: usize = 16;

/// Where in its OS pages a guarded block lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    /// It begins with the first: the first byte before it is in a guard.
    Start,
    /// It ends with the last, but for rounding: an overflow reaches a guard.
    End,
}

impl Edge {
    /// By chance, unless all are to end exactly.
    fn drawn(theap: &Theap) -> Edge {
        let at_start = !options::is_enabled(OptionId::UnsafeGuardedPrecise) && theap.draw_start();
        if at_start { Edge::Start } else { Edge::End }
    }
}

/// Allocates a guarded block; `None` if that can't be done: for want of memory or mappings, or with such an alignment.
pub(super) fn alloc_guarded(
    theap: &'static Theap,
    size: usize,
    align: usize,
    edge: Edge,
    zero: Zero,
) -> Option<*mut u8> {
    let guard_bytes = os::os_page_bytes();
    if align > guard_bytes || size > MAX_REQUEST || !may_guard() {
        return None;
    }
    let bytes = align_up(size.max(1), unit(align))?;
    let offset = if edge == Edge::End { bytes } else { 0 };
    let (align, spare_bytes) = (guard_bytes, guard_bytes);
    let request = SingleRequest { bytes, align, offset, front_bytes: guard_bytes, spare_bytes, zero };
    let mut block = single::alloc_request(theap, &request)?;
    if !guard_single(block.page_mut()) {
        block.release();
        return None;
    }
    theap.heap().stats().malloc_guarded_count.increment();
    let p = if theap.is_hardened() { hand_out_single(theap, block, size, zero) } else { block.hand_out() };
    // Else it has been noted already.
    if !theap.style().verifies {
        origins::allocated(p);
    }
    Some(p)
}

/// Blocks end at multiples of this from their start.
fn unit(align: usize) -> usize {
    let natural = if options::is_enabled(OptionId::UnsafeGuardedPrecise) { 1 } else { NATURAL_ALIGN };
    natural.max(align)
}
