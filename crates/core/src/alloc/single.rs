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
use crate::os;
use crate::page::{Flag, Lookup, Origin, Page};
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
pub(super) fn alloc_request(theap: &'static Theap, request: &SingleRequest) -> Option<&'static Page> {
    upkeep::in_slow_path(theap);
    let page = fresh(theap, request)?;
    let block = lend(page, theap.tid());
    if request.zero == Zero::Zeroed && !page.is(Flag::FreshIsZero) {
        // SAFETY: the block is ours and that large.
        unsafe { ptr::write_bytes(block, 0, request.bytes) };
    }
    Some(page)
}

/// The page of a block just allocated here.
pub(super) fn page_of(block: *const u8) -> &'static Page {
    match Page::lookup(block) {
        Lookup::Page(page) => page,
        Lookup::None => Page::entry(block),
    }
}

fn fresh(theap: &'static Theap, request: &SingleRequest) -> Option<&'static Page> {
    theap.heap().fresh_single(request, theap.tid(), theap.handle(), theap.seed())
}

/// A block size in whole OS pages.
fn block_bytes(size: usize) -> Option<usize> {
    if size > MAX_REQUEST {
        return None;
    }
    align_up(size.max(1), os::os_page_bytes())
}

/// Lends the page's block and gives the page up, with this thread as the hint.
fn lend(page: &'static Page, tid: usize) -> *mut u8 {
    page.lend_single();
    page.set_used_unowned(1);
    page.set_owner_unowned(tid);
    // The word of a new page is empty, so it can't be due.
    let _ = page.remote.let_go(1);
    page.start()
}

/// Makes the block `size` bytes large where it is; false if that can't be done. The caller owns the block.
pub(super) fn resize_in_place(page: &'static Page, size: usize) -> bool {
    let Some(bytes) = block_bytes(size) else { return false };
    if page.owner().is_guarded() {
        return false;
    }
    if bytes > page.area_bytes() && !extend(page, bytes) || !commit(page, bytes) {
        return false;
    }
    heap_of_page(page).count_resized(page, bytes);
    page.set_block_bytes(bytes);
    true
}

/// Makes the first `bytes` of the page's block accessible: its spare slices need not be.
fn commit(page: &'static Page, bytes: usize) -> bool {
    let Origin::Arena(arena) = page.origin() else { return true };
    let end = page.start() as usize - page.memory() as usize + bytes;
    arena.commit(BitRange::new(arena.slice_of(page.memory()), end.div_ceil(SLICE_BYTES)))
}

/// Takes free slices behind the page so that the block can have `bytes`.
fn extend(page: &'static Page, bytes: usize) -> bool {
    let Origin::Arena(arena) = page.origin() else { return false };
    let more = (bytes - page.area_bytes()).div_ceil(SLICE_BYTES);
    let end = arena.slice_of(page.memory()) + page.slices();
    if arena.claim_at(BitRange::new(end, more)).is_none() {
        return false;
    }
    page.set_slices(page.slices() + more);
    arena.set().note_filled(more, Share::One);
    true
}

/// A larger block with room to grow further, with the contents of `page`'s block; `None` without memory. The old block
/// still has to be freed.
pub(super) fn alloc_moved(theap: &'static Theap, page: &'static Page, size: usize) -> Option<*mut u8> {
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

/// Moves the memory of a block instead of copying it.
fn move_os_pages(page: &'static Page, to: *mut u8, used: usize) -> bool {
    let from = page.start();
    let unit = os::os_page_bytes();
    if (from as usize | to as usize) & (unit - 1) != 0 || used < MIN_MOVE_BYTES {
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
