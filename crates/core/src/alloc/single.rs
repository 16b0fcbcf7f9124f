//! Blocks with a page of their own: above 512 KiB, or with an alignment above a slice.
//!
//! Such a page is never in a queue and never owned: it is given up as soon as it is made, so that whoever frees the
//! block claims and releases it, with one compare-and-swap, and a thread's end has nothing to see to.
//!
//! Resizing never copies if it can be helped: the page's own spare slices are used, then free slices behind it; else
//! the OS pages are moved to a place with spare room behind it.

use core::ptr;

use ferrimalloc_prim::mem;

use super::fail::fail;
use super::upkeep;
use crate::arena::{Arena, Share};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::heap::{SingleRequest, heap_of_page};
use crate::options::{self, OptionId};
use crate::os;
use crate::page::{Flag, Lookup, Origin, OwnedPage, Page, PageRef, SingleBlock};
use crate::theap::Theap;

/// Allocates a block with a page of its own.
pub(super) fn alloc(theap: &'static Theap, size: usize, align: usize, offset: usize, zero: Zero) -> *mut u8 {
    alloc_spare(theap, size, align, offset, 0, zero).unwrap_or_else(|| fail(size))
}

pub(super) fn alloc_spare(
    theap: &'static Theap,
    size: usize,
    align: usize,
    offset: usize,
    spare_bytes: usize,
    zero: Zero,
) -> Option<*mut u8> {
    let bytes = block_bytes(size)?;
    let request = SingleRequest { bytes, align, offset, spare_bytes, zero };
    let page = alloc_request(theap, &request).or_else(|| {
        upkeep::make_room(theap);
        alloc_request(theap, &SingleRequest { spare_bytes: 0, ..request })
    })?;
    Some(page.start())
}

/// A page with its block lent; `None` without memory.
pub(super) fn alloc_request(theap: &'static Theap, request: &SingleRequest) -> Option<PageRef> {
    upkeep::in_slow_path(theap);
    let page = theap.heap().fresh_single(request, theap.tid(), theap.handle(), theap.seed())?;
    let is_zero = page.is(Flag::FreshIsZero);
    let page = lend(page, theap.tid());
    if request.zero == Zero::Zeroed && !is_zero {
        // SAFETY: the block is ours and that large.
        unsafe { ptr::write_bytes(page.start(), 0, request.bytes) };
    }
    Some(page)
}

/// The page of a block just allocated here.
pub(super) fn page_of(block: *const u8) -> PageRef {
    match Page::lookup(block) {
        Lookup::Page(page) => page,
        Lookup::None => Page::entry(block),
    }
}

/// A block size in whole OS pages.
fn block_bytes(size: usize) -> Option<usize> {
    if size > MAX_REQUEST {
        return None;
    }
    align_up(size.max(1), os::os_page_bytes())
}

/// Lends the only block of a new page and gives the page up, with this thread as the hint.
fn lend(page: OwnedPage, tid: usize) -> PageRef {
    page.lend_single();
    let single = page.page();
    let given_up = page.let_go(tid, 1, 1);
    debug_assert!(given_up.is_ok(), "no block of a new page has been freed");
    single
}

/// Makes the block `size` bytes large where it is; false if that can't be done. The caller owns the block.
pub(super) fn resize_in_place(block: &SingleBlock, size: usize) -> bool {
    let Some(bytes) = block_bytes(size) else { return false };
    if block.owner().is_guarded() {
        return false;
    }
    if bytes > block.area_bytes() && !extend(block, bytes) {
        return false;
    }
    heap_of_page(block).count_resized(block, bytes);
    block.set_block_bytes(bytes);
    true
}

/// Takes free slices behind the page so that the block can have `bytes`.
fn extend(block: &SingleBlock, bytes: usize) -> bool {
    let Origin::Arena(arena) = block.origin() else { return false };
    let more = (bytes - block.area_bytes()).div_ceil(SLICE_BYTES);
    let end = arena.slice_of(block.memory()) + block.slices();
    if arena.claim_at(BitRange::new(end, more)).is_none() {
        return false;
    }
    block.set_slices(block.slices() + more);
    arena.set().note_filled(more, Share::One);
    true
}

/// A larger block with room to grow further, with the contents of `page`'s block; `None` without memory. The old block
/// still has to be freed.
pub(super) fn alloc_moved(theap: &'static Theap, page: PageRef, size: usize) -> Option<*mut u8> {
    let block = alloc_growing(theap, size)?;
    let used = page.block_bytes().min(size);
    if !move_os_pages(page, block, used) {
        // SAFETY: both blocks are at least that large and distinct.
        unsafe { ptr::copy_nonoverlapping(page.start(), block, used) };
    }
    Some(block)
}

/// A block that is likely to grow: with half of its size in spare address space behind it.
pub(super) fn alloc_growing(theap: &'static Theap, size: usize) -> Option<*mut u8> {
    let spare = if os::overcommits() { size / 2 } else { 0 };
    alloc_spare(theap, size, 1, 0, spare, Zero::Any)
}

/// Moves the memory of a block instead of copying it. Not where nothing is to be given back to the system: then it is asked for
/// memory and for nothing else.
fn move_os_pages(page: PageRef, to: *mut u8, used: usize) -> bool {
    let from = page.start();
    let unit = os::os_page_bytes();
    if (from as usize | to as usize) & (unit - 1) != 0 || used < MIN_MOVE_BYTES {
        return false;
    }
    if options::get(OptionId::PurgeDelay) < 0 {
        return false;
    }
    let bytes = used.next_multiple_of(unit);
    // SAFETY: both ranges are ours alone; `to` has room for whole OS pages.
    if unsafe { mem::move_pages(from, to, bytes) }.is_err() {
        return false;
    }
    if let Origin::Arena(arena) = page.origin() {
        arena.note_moved_out(slices_within(arena, from, bytes));
    }
    true
}

/// The slices of which nothing lies outside of the range. (The others may hold what the block held when it was larger.)
fn slices_within(arena: &Arena, start: *const u8, bytes: usize) -> BitRange {
    let distance = start as usize - arena.start() as usize;
    BitRange::between(distance.div_ceil(SLICE_BYTES), (distance + bytes) / SLICE_BYTES)
}

/// Below this size copying is as fast, and keeps mappings whole.
const MIN_MOVE_BYTES: usize = 1 << 20;
