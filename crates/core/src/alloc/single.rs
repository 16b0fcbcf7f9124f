//! Blocks with a page of their own: above 512 KiB, or with an alignment above a slice.
//!
//! Such a page is never in a queue and never owned: it is given up as soon as it is made, so that whoever frees the
//! block claims and releases it, with one compare-and-swap, and a thread's end has nothing to see to. Until then the
//! right to resize or free lies with whoever holds the block, and that right is a value: [`SingleBlock`].
//!
//! Resizing never copies if it can be helped. A block grows into the page's own spare slices, then into free slices
//! behind it; else its OS pages are moved to a place with spare room behind it, where both are private memory of ours
//! (`os::private`). A block that shrinks gives the slices behind it back: an arena's to the arena, which drops their
//! memory if it may; those of a mapping of the page's own to the system.

use core::ptr;

use super::fail::fail;
use super::marking;
use super::upkeep;
use crate::arena::{Arena, ArenaSet, has_been_filled};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::heap::{SingleRequest, heap_of_page, postpones, refuse_second_free, release_page};
use crate::options::{self, OptionId};
use crate::os::{self, PrivateMemory, tool_hooks};
use crate::page::{Flag, Origin, PageRef, SinglePage};
use crate::theap::Theap;

/// The only block of a page, in the hands of whoever holds it: may resize, move and release it. Neither `Copy` nor
/// `Clone`: who releases it, or hands it out, has it no more.
pub(super) struct SingleBlock {
    page: SinglePage,
}

impl SingleBlock {
    /// The block at `p`; `None` if `page`, which holds `p`, has other blocks, or its block starts elsewhere.
    ///
    /// # Safety
    /// If there is such a block it is in use, the caller holds it, and there is no other value of it.
    pub unsafe fn held(p: *const u8, page: PageRef) -> Option<SingleBlock> {
        // SAFETY: the precondition.
        unsafe { SinglePage::held(p, page) }.map(|page| SingleBlock { page })
    }

    pub fn page(&self) -> PageRef {
        self.page.page()
    }

    /// For those who change what the page says of its block.
    pub fn page_mut(&mut self) -> &mut SinglePage {
        &mut self.page
    }

    pub fn bytes(&self) -> usize {
        self.page.block_bytes()
    }

    /// Gives the block to the program.
    pub fn hand_out(self) -> *mut u8 {
        self.page.start()
    }

    /// Frees the block, and its page with it.
    pub fn release(self) {
        match self.page.free() {
            Some(page) if page.is_resting() => refuse_second_free(page),
            Some(page) => release_page(page),
            None => {}
        }
    }

    /// Makes the block at least `size` bytes large where it is; false if that can't be done. What it no longer needs
    /// goes back if that is [much](is_much); else it keeps its size, so that small steps add up to one that is.
    pub fn resize(&mut self, size: usize) -> bool {
        let Some(bytes) = block_bytes(size) else { return false };
        let before = self.bytes();
        if self.page.owner().is_guarded()
            || bytes > self.page.area_bytes() && !self.extend(bytes)
            || !self.commit(bytes)
        {
            return false;
        }
        if bytes < before && (!is_much(before - bytes, before) || postpones(&self.page)) {
            return true;
        }
        if bytes < before && self.page.clears_single() {
            // SAFETY: the block is in our hands, and its tail may be somebody else's soon.
            unsafe { clear(self.page(), self.page.start().wrapping_add(bytes), before - bytes) };
        }
        heap_of_page(&self.page).count_resized(&self.page, bytes);
        self.page.set_block_bytes(bytes);
        marking::resized(&mut self.page);
        if bytes < before {
            self.give_tail_back();
        } else {
            self.advise_filling();
        }
        true
    }

    /// The block holds what a smaller one held: it fills, and so will what it gains.
    pub fn advise_filling(&self) {
        if let Origin::Arena(arena) = self.page.origin() {
            arena.advise_inside(BitRange::new(arena.slice_of(self.page.memory()), self.page.slices()));
        }
    }

    /// Makes the first `bytes` of the block accessible: the page's spare slices need not be.
    fn commit(&mut self, bytes: usize) -> bool {
        let Origin::Arena(arena) = self.page.origin() else { return true };
        let end = self.page.start() as usize - self.page.memory() as usize + bytes;
        arena.commit(BitRange::new(arena.slice_of(self.page.memory()), end.div_ceil(SLICE_BYTES)))
    }

    /// Takes free slices behind the page so that the block can have `bytes`.
    fn extend(&mut self, bytes: usize) -> bool {
        let page = &mut self.page;
        let Origin::Arena(arena) = page.origin() else { return false };
        let more = (bytes - page.area_bytes()).div_ceil(SLICE_BYTES);
        let end = arena.slice_of(page.memory()) + page.slices();
        let claim = || arena.claim_at(BitRange::new(end, more));
        if heap_of_page(page).limit().charge_for(more, claim).is_none() {
            return false;
        }
        page.set_slices(page.slices() + more);
        arena.usage().single.add(more);
        true
    }

    /// Gives the slices back that lie behind the block.
    fn give_tail_back(&mut self) {
        let bytes = self.bytes();
        let page = &mut self.page;
        let (origin, slices) = (page.origin(), page.slices());
        let end = page.start() as usize - page.memory() as usize + bytes;
        let kept = end.div_ceil(SLICE_BYTES);
        if kept == slices {
            return;
        }
        page.set_slices(kept);
        heap_of_page(page).limit().give_back(slices - kept);
        match origin {
            Origin::Arena(arena) => {
                arena.usage().single.subtract(slices - kept);
                let tail = BitRange::new(arena.slice_of(self.page.memory()) + kept, slices - kept);
                ArenaSet::of(arena).release(arena, tail, 0);
            }
            Origin::Os(memory) => {
                let tail = memory.part(kept * SLICE_BYTES, (slices - kept) * SLICE_BYTES).region();
                heap_of_page(&self.page).subproc().arenas().usage().note_unmapped(tail.bytes);
                tool_hooks::opened(tail.start, tail.bytes);
                // SAFETY: the page's own memory, where it has no block any more.
                unsafe { os::release(tail) };
            }
        }
    }

    /// Puts the first `used` bytes at the start of `to`, which has as many: by moving OS pages, or else by copying. Where nothing
    /// is to be given back to the system it is asked for memory and for nothing else, so it copies.
    pub fn move_contents(&mut self, to: &mut SingleBlock, used: usize) {
        let is_moved = self.move_os_pages(to, used);
        // Now, since pages that move bring the advice along that they had.
        to.advise_filling();
        if !is_moved {
            // SAFETY: both blocks are at least that large and distinct.
            unsafe { ptr::copy_nonoverlapping(self.page.start(), to.page.start(), used) };
        }
    }

    fn move_os_pages(&mut self, to: &mut SingleBlock, used: usize) -> bool {
        let bytes = used.next_multiple_of(os::os_page_bytes());
        if used < MIN_MOVE_BYTES || options::get(OptionId::PurgeDelay) < 0 || postpones(&self.page) {
            return false;
        }
        let (Some(from), Some(to)) = (self.private_start(bytes), to.private_start(bytes)) else { return false };
        // SAFETY: both blocks are in the caller's hands, are distinct, and have whole OS pages.
        if !unsafe { from.move_to(to) } {
            return false;
        }
        if let Origin::Arena(arena) = self.page.origin() {
            arena.note_moved_out(slices_within(arena, self.page.start(), bytes));
        }
        true
    }

    /// The block's first OS pages, if it starts with one and they are private memory of ours.
    fn private_start(&self, bytes: usize) -> Option<PrivateMemory> {
        let start = self.page.start();
        (start as usize).is_multiple_of(os::os_page_bytes()).then(|| self.page.private_at(start, bytes))?
    }
}

/// Whether `saved` bytes of a block of `usable` are worth giving back: more than a quarter, and 64 KiB.
#[inline(always)]
pub(super) fn is_much(saved: usize, usable: usize) -> bool {
    saved > usable / 4 && saved > SLICE_BYTES
}

/// Allocates a block with a page of its own.
pub(super) fn alloc(theap: &'static Theap, size: usize, at: Alignment, zero: Zero) -> *mut u8 {
    alloc_spare(theap, size, at, 0, zero).map_or_else(|| fail(size), SingleBlock::hand_out)
}

pub(super) fn alloc_spare(
    theap: &'static Theap,
    size: usize,
    at: Alignment,
    spare_bytes: usize,
    zero: Zero,
) -> Option<SingleBlock> {
    let bytes = block_bytes(size)?;
    let request = SingleRequest { bytes, align: at.align, offset: at.offset, front_bytes: 0, spare_bytes, zero };
    let without_spare = || alloc_request(theap, &SingleRequest { spare_bytes: 0, ..request });
    alloc_request(theap, &request).or_else(|| upkeep::with_room_made(theap, bytes, without_spare))
}

/// `None` without memory.
pub(super) fn alloc_request(theap: &'static Theap, request: &SingleRequest) -> Option<SingleBlock> {
    let mut block = alloc_uncounted(theap, request)?;
    if theap.is_sample(request.bytes) {
        marking::mark(theap, &mut block.page, request.bytes);
    }
    Some(block)
}

/// The same without regard to the profiler's samples.
pub(super) fn alloc_uncounted(theap: &'static Theap, request: &SingleRequest) -> Option<SingleBlock> {
    upkeep::in_slow_path(theap);
    let page = theap.heap().fresh_single(request, theap.tid(), theap.handle(), theap.seed())?;
    let is_zero = page.is(Flag::FreshIsZero);
    let page = page.hand_out_single(theap.tid());
    if request.zero == Zero::Zeroed && !is_zero {
        // SAFETY: the block is ours and that large.
        unsafe { ptr::write_bytes(page.start(), 0, request.bytes) };
    }
    Some(SingleBlock { page })
}

/// A block size in whole OS pages.
fn block_bytes(size: usize) -> Option<usize> {
    if size > MAX_REQUEST {
        return None;
    }
    align_up(size.max(1), os::os_page_bytes())
}

/// A block of `size` bytes with the contents of `from`, and room to grow if it has grown; `None` without memory. `from`
/// still has to be released; what it holds is undefined then.
pub(super) fn alloc_moved(
    theap: &'static Theap,
    from: &mut SingleBlock,
    size: usize,
    at: Alignment,
) -> Option<SingleBlock> {
    let spare_bytes = if size > from.bytes() { room_to_grow(size) } else { 0 };
    let mut to = alloc_spare(theap, size, at, spare_bytes, Zero::Any)?;
    from.move_contents(&mut to, from.bytes().min(size));
    Some(to)
}

/// Room behind a block that is likely to grow.
pub(super) fn room_to_grow(size: usize) -> usize {
    if os::overcommits() { size / 2 } else { 0 }
}

/// The slices of which nothing lies outside of the range. (The others may hold what the block held when it was larger.)
fn slices_within(arena: &Arena, start: *const u8, bytes: usize) -> BitRange {
    let distance = start as usize - arena.start() as usize;
    BitRange::between(distance.div_ceil(SLICE_BYTES), (distance + bytes) / SLICE_BYTES)
}

/// Below this size copying is as fast, and keeps mappings whole.
const MIN_MOVE_BYTES: usize = 1 << 20;

/// From this size on it pays to ask the system what has been touched.
const LARGE_BYTES: usize = 1 << 20;

/// Clears a part of the block of the page. What is large, and goes to the system soon or is mostly untouched, is given back instead:
/// clearing would make OS pages that were never touched. (To touch memory again costs five times as much as clearing it.)
///
/// # Safety
/// The block is the caller's, who doesn't need these bytes any more.
pub(super) unsafe fn clear(page: PageRef, start: *mut u8, bytes: usize) {
    let goes_soon = || matches!(page.origin(), Origin::Os(_)) || options::get(OptionId::PurgeDelay) == 0;
    // SAFETY: the precondition.
    unsafe {
        let is_dropped = bytes >= LARGE_BYTES
            && (goes_soon() || !has_been_filled(start, bytes))
            && drop_and_clear(page, start, bytes);
        if !is_dropped {
            ptr::write_bytes(start, 0, bytes);
        }
    }
}

/// Gives the whole OS pages back, and clears the ends; false, and nothing has happened, if the system refuses or the memory is not
/// ours.
///
/// # Safety
/// As for [`clear`].
unsafe fn drop_and_clear(page: PageRef, start: *mut u8, bytes: usize) -> bool {
    let os_page = os::os_page_bytes();
    let before = start.align_offset(os_page).min(bytes);
    let inside = (bytes - before) / os_page * os_page;
    let Some(memory) = page.private_at(start.wrapping_add(before), inside) else { return false };
    let behind = before + inside;
    // SAFETY: the precondition.
    unsafe {
        if !memory.discard() {
            return false;
        }
        ptr::write_bytes(start, 0, before);
        ptr::write_bytes(start.wrapping_add(behind), 0, bytes - behind);
    }
    true
}

/// What a block gained beyond its `usable` bytes, up to `end`, reads as zero if that is asked for.
///
/// # Safety
/// The block at `p` has `end` bytes and is the caller's.
pub(super) unsafe fn clear_gained(p: *mut u8, usable: usize, end: usize, zero: Zero) {
    if zero == Zero::Zeroed && end > usable {
        // SAFETY: the precondition.
        unsafe { ptr::write_bytes(p.wrapping_add(usable), 0, end - usable) };
    }
}
