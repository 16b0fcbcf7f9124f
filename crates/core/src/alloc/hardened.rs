//! Allocation that is hardened, or guarded by an inaccessible OS page: where the fast paths fail, the rest of the allocator
//! enters here.
//!
//! *Hardened* blocks are allocated at random, with a canary behind, and looked at when they come back. What a page does
//! besides keeping its table is its style: a canary, and filling of fresh and freed memory (see the floor `hardened`). A
//! block above 512 KiB has a page of its own and no table; its padding is filler alone, and its size stands in the page.
//! A thread that frees a block of another's page does all the checking itself: it has the block, and everything that it
//! looks at is constant while the block is in use. An error is reported where it is found. Frees that are wrong are then
//! ignored; a block whose padding was damaged is freed.
//!
//! *Guarded* blocks have inaccessible OS pages around them, so that the first access there faults. Such a block has a page of its own,
//! placed so that the block ends where the guard behind it begins: exactly, if the options want that (alignment is given up then),
//! else after rounding to 16 bytes or to the alignment asked for. One in four begins where the guard in front of it ends. When it has
//! been freed, all of its page is inaccessible for a while (`heap::resting`). It costs 64 KiB of address space, 4 KiB of memory and
//! four system calls; so allocations are sampled, per thread (`theap::instrumentation`).

use core::ptr;

use ferrimalloc_prim::cpu;

use super::hardened_single::{
    Edge, alloc_alone, alloc_guarded, alloc_spare, clear_single, resize_single, verify_single,
};
use super::single::{self, SingleBlock, clear_gained};
use super::{origins, upkeep};
use crate::base::*;
use crate::diag::ErrorKind;
use crate::hardened::{AlreadyFree, BlockTable, CANARY_BYTES, Canary, VERIFIED_BYTES, Work};
use crate::heap::{may_preserve, preserved};
use crate::os::tool_hooks;
use crate::page::{Freed, Owned, Page, PageRef};
use crate::runtime::current_theap;
use crate::sync::pin;
use crate::theap::Theap;

/// What a free has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// Freed, or refused: nothing is left to do.
    Done,
    /// A block with a page of its own, which may be released.
    Release,
}

/// The class that serves a request in a hardened page of the theap, and has `align`; `None` if that takes a page of its own.
fn bin_for(theap: &Theap, room: usize, align: usize) -> Option<Bin> {
    Bin::of_aligned(room.checked_add(theap.style().canary_bytes())?, align)
}

/// Hands out a block of `size` bytes that has been taken.
#[inline(never)]
pub(super) extern "C" fn hand_out_any(size: usize, page: &'static Owned, block: *mut u8) -> *mut u8 {
    hand_out(page.page(), page.block_table(), block, size, Zero::Any);
    // Nobody shall know that this is what came in: calls of this are last calls then.
    cpu::pin(block).cast_mut()
}

/// Allocates a block of `size` bytes from a page where none is ready; null if there is none, or other work is due.
pub(super) fn malloc_unready(page: &'static Owned, size: usize) -> *mut u8 {
    let block = take_again(Theap::of_page(page), page);
    if block.is_null() { block } else { hand_out_any(size, page, block) }
}

/// Takes a block; null if there is none, or if none is ready and the theap has other work to do first: so there are ticks.
fn take_again(theap: &Theap, page: &Owned) -> *mut u8 {
    if page.block_table().is_ready() || theap.skips_upkeep() { page.take_hardened() } else { ptr::null_mut() }
}

/// The page of a larger request, through a theap that checks and does nothing else; `None` if there is none at hand.
#[inline(always)]
pub(super) fn page_for(theap: &'static Theap, size: usize) -> Option<&'static Owned> {
    theap.queue(bin_for(theap, size, 1)?).first()
}

/// Allocates a block of `size` bytes from a class that has room for it; `None` without memory.
fn alloc_block(theap: &'static Theap, bin: Bin, size: usize, zero: Zero) -> Option<*mut u8> {
    if let Some(page) = theap.queue(bin).first() {
        let block = take_again(theap, page);
        if !block.is_null() {
            hand_out(page.page(), page.block_table(), block, size, zero);
            return Some(block);
        }
    }
    let page = upkeep::find_page(theap, bin)?;
    let block = page.take_hardened();
    hand_out(page.page(), page.block_table(), block, size, zero);
    Some(block)
}

#[inline(always)]
fn hand_out(page: PageRef, table: &BlockTable, block: *mut u8, size: usize, zero: Zero) {
    let verified = match table.work() {
        Work::Cleared | Work::ClearedShort => VERIFIED_BYTES,
        Work::ClearedLong => usize::MAX,
        Work::Padded | Work::PaddedShort => 0,
        Work::Bare | Work::ByStyle => return hand_out_by_style(page, table, block, size, zero),
    };
    let bytes = table.block_bytes();
    // SAFETY: the block was just taken, and has that much room; blocks with a canary are multiples of 16.
    unsafe {
        let was_clear = verified > 0 && cpu::is_clear(block, bytes.min(verified));
        if verified > 0 && !was_clear {
            clear_written(page, block);
        }
        let canary = Canary { block, room: bytes - CANARY_BYTES, key: table.key() };
        if may_preserve() {
            canary.close(size)
        } else {
            canary.close_fresh(size)
        }
        if zero == Zero::Zeroed && (!was_clear || bytes > verified) {
            ptr::write_bytes(block, 0, size);
        }
    }
}

#[inline(never)]
fn hand_out_by_style(page: PageRef, table: &BlockTable, block: *mut u8, size: usize, zero: Zero) {
    let style = table.style();
    let room = page.block_bytes() - style.canary_bytes();
    let _quiet = tool_hooks::quiet();
    tool_hooks::reached(block, page.block_bytes());
    // SAFETY: the block was just taken, and has that much room.
    unsafe {
        let verified = if style.verifies_all { usize::MAX } else { VERIFIED_BYTES };
        if style.clears && !table.is_void() && !is_clear(block, page.block_bytes().min(verified)) {
            clear_written(page, block);
        }
        if style.fills {
            let (now, most) = preserved(page);
            if style.verifies
                && !table.is_void()
                && let Some(at) = page.filled(block, most).verify()
            {
                page.report(ErrorKind::WriteAfterFree, block, at);
            }
            page.filled(block, now).on_alloc(size);
        }
        if style.pads && !table.is_void() {
            page.canary_of(block).close(size);
        }
        if zero == Zero::Zeroed && !table.is_void() {
            ptr::write_bytes(block, 0, if style.pads { size } else { room });
        }
    }
    if style.verifies {
        origins::allocated(block);
    }
    tool_hooks::allocated(block, size, page.block_bytes(), zero);
}

/// The same as [`cpu::is_clear`] for any number of bytes that is a multiple of 8.
///
/// # Safety
/// That memory is readable.
unsafe fn is_clear(p: *const u8, bytes: usize) -> bool {
    // SAFETY: the precondition; blocks are aligned to words.
    (0..bytes / WORD_BYTES).all(|index| unsafe { p.cast::<u64>().add(index).read() } == 0)
}

/// A block that was just taken is not zero: clears it, and says so, but for what its heap preserves.
#[cold]
#[inline(never)]
fn clear_written(page: PageRef, block: *mut u8) {
    let bytes = page.block_bytes();
    let (now, most) = preserved(page);
    // SAFETY: the block was just taken.
    let written = (most.min(bytes)..bytes).find(|&at| unsafe { block.add(at).read() } != 0);
    // SAFETY: as above.
    unsafe { clear_behind(block, now, bytes) };
    if let Some(at) = written {
        page.report(ErrorKind::WriteAfterFree, block, block.wrapping_add(at));
    }
}

/// Clears a block of so many bytes but for those at its beginning that are preserved.
///
/// # Safety
/// The block is the caller's.
unsafe fn clear_behind(block: *mut u8, preserved: usize, bytes: usize) {
    let from = preserved.min(bytes);
    // SAFETY: the precondition.
    unsafe { ptr::write_bytes(block.wrapping_add(from), 0, bytes - from) };
}

/// Frees block `p` of a hardened page after looking at everything that can be looked at.
#[inline(never)]
pub(super) fn free(p: *mut u8, page: PageRef) -> Verdict {
    tool_hooks::freed(p);
    let _quiet = tool_hooks::quiet();
    if page.is_singleton() {
        return free_single(p, page);
    }
    let Some(index) = page.index_of_start(p) else { return refuse(page, ErrorKind::InvalidFree, p) };
    let table = page.block_table();
    if !table.is_used(index) {
        return refuse(page, ErrorKind::DoubleFree, p);
    }
    if !table.is_void() {
        // SAFETY: the block is in use, by the caller.
        unsafe { retire(p, page, index) };
    }
    if table.style().verifies {
        origins::freed(p);
    }
    match page.if_mine_of_any_kind() {
        Some(mine) => put(mine, index, p),
        None => put_remote(page, index, p),
    }
}

/// Looks at what surrounds a block that is about to be freed, and makes it what free blocks are.
///
/// # Safety
/// The block is in use, by the caller.
unsafe fn retire(p: *mut u8, page: PageRef, index: usize) {
    let style = page.block_table().style();
    tool_hooks::reached(p, page.block_bytes());
    // SAFETY: the precondition.
    unsafe {
        if style.pads {
            if let Err(at) = page.canary_of(p).verify() {
                report_overflow(page, p, at);
            } else if index > 0 && !is_whole_before(p, page) {
                page.report(ErrorKind::BlockUnderflow, p, p.wrapping_sub(CANARY_BYTES));
            }
            if style.fills { page.filled(p, preserved(page).0).on_free() } else { page.canary_of(p).open() }
        }
        if style.clears {
            // Not the canary's word, which is zero by now: who frees the block behind may be looking at it.
            clear_behind(p, preserved(page).0, page.block_bytes() - style.canary_bytes());
        }
    }
    tool_hooks::put_away(p, page.block_bytes());
    // A block that is free looks like one, also to the child of a fork at this moment.
    pin();
}

/// Whether what stands behind the block before this one is what should be there. It may be in use or free, and change
/// meanwhile. (AddressSanitizer has it closed, and knows of such accesses anyway.)
///
/// # Safety
/// The block is not the first of its page, whose blocks have canaries.
unsafe fn is_whole_before(p: *mut u8, page: PageRef) -> bool {
    let before = p.wrapping_sub(page.block_bytes());
    let canary = page.canary_of(before);
    // SAFETY: the precondition; blocks are opened in the order of their addresses.
    BUILD.is_watched()
        || unsafe {
            match page.block_table().style().fills {
                true => canary.is_free_as_or_whole(page.filled(before, 0).mark()),
                false => canary.is_free_as_or_whole(0),
            }
        }
}

#[inline]
fn put(page: &'static Owned, index: usize, p: *mut u8) -> Verdict {
    match page.put_hardened(index) {
        Ok(Freed::InUse) => Verdict::Done,
        Ok(Freed::Empty) => {
            Theap::of_page(page).page_emptied(page);
            Verdict::Done
        }
        Err(AlreadyFree) => refuse(page, ErrorKind::DoubleFree, p),
    }
}

fn put_remote(page: PageRef, index: usize, p: *mut u8) -> Verdict {
    if page.block_table().put_remote(index).is_err() {
        return refuse(page, ErrorKind::DoubleFree, p);
    }
    // SAFETY: the block is marked.
    unsafe { current_theap().free_foreign(page, p) };
    Verdict::Done
}

fn free_single(p: *mut u8, page: PageRef) -> Verdict {
    if p != page.start() {
        return refuse(page, ErrorKind::InvalidFree, p);
    }
    if page.is_resting() {
        return refuse(page, ErrorKind::DoubleFree, p);
    }
    verify_single(p, page);
    if page.clears_single() {
        // SAFETY: the block is the caller's.
        unsafe { clear_single(page) };
    }
    Verdict::Release
}

#[cold]
fn refuse(page: &Page, kind: ErrorKind, p: *mut u8) -> Verdict {
    page.report(kind, p, p);
    Verdict::Done
}

#[cold]
fn report_overflow(page: &Page, block: *mut u8, at: *mut u8) {
    page.report(ErrorKind::BlockOverflow, block, at);
}

/// How many bytes the block of a page of its own, hardened or not, has for its user; `None` if it has been freed, and rests.
pub(super) fn single_size(page: PageRef) -> Option<usize> {
    let padding = if page.owner().is_hardened() { page.padding_bytes() } else { 0 };
    (!page.is_resting()).then(|| page.block_bytes().saturating_sub(padding))
}

/// How many bytes the block at `p` of a hardened page, or of a page of its own, has for its user; `None` if there is no block, or it is free.
pub(super) fn usable_size(p: *mut u8, page: PageRef) -> Option<usize> {
    if page.is_singleton() {
        return if p == page.start() { single_size(page) } else { None };
    }
    if !page.index_of_start(p).is_some_and(|index| page.block_table().is_used(index)) {
        return None;
    }
    if !page.block_table().style().pads {
        return Some(page.block_bytes());
    }
    if page.block_table().is_void() {
        return Some(0);
    }
    Some(canary_size(p, page).unwrap_or_else(|| {
        let canary = page.canary_of(p);
        report_overflow(page, p, p.wrapping_add(canary.room));
        canary.room
    }))
}

/// The size that the block's canary tells; `None` if it is damaged.
pub(super) fn canary_size(p: *mut u8, page: PageRef) -> Option<usize> {
    let canary = page.canary_of(p);
    let _quiet = tool_hooks::quiet();
    tool_hooks::reached(p.wrapping_add(canary.room), CANARY_BYTES);
    // SAFETY: a block in use of a page whose blocks have canaries.
    let size = unsafe { canary.size() };
    tool_hooks::put_away(p.wrapping_add(canary.room), CANARY_BYTES);
    size
}

/// Gives the block at `p`, which has `usable` bytes, `size` bytes where it is; false if it has no room for that, or would
/// waste much of it. What it gains reads as zero if that is asked for.
///
/// # Safety
/// The block is in use, and the caller's.
pub(super) unsafe fn resize_in_place(p: *mut u8, page: PageRef, usable: usize, size: usize, zero: Zero) -> bool {
    let _quiet = tool_hooks::quiet();
    let room = page.block_bytes();
    tool_hooks::reached(p, room);
    // SAFETY: the precondition.
    let is_done = match unsafe { SingleBlock::held(p, page) } {
        Some(block) => resize_single(block, usable, size, zero),
        None => resize(p, page, usable, size, zero),
    };
    if is_done {
        tool_hooks::resized(p, usable, size, room.max(size), zero);
    } else {
        tool_hooks::put_away(p.wrapping_add(usable), room - usable);
    }
    is_done
}

#[inline(always)]
fn resize(p: *mut u8, page: PageRef, usable: usize, size: usize, zero: Zero) -> bool {
    let room = page.block_bytes();
    if size > room || size < room / 2 || single::is_much(room - size, room) {
        return false;
    }
    if !page.block_table().style().pads {
        return true;
    }
    if page.block_table().is_void() {
        return size == 0;
    }
    let canary = page.canary_of(p);
    if size > canary.room {
        return false;
    }
    // SAFETY: the block is the caller's, and has that much room.
    unsafe {
        if let Err(at) = canary.verify() {
            report_overflow(page, p, at);
        }
        canary.close(size);
        clear_gained(p, usable, size, zero);
    }
    true
}

// Requests through a theap that is instrumented: guarded blocks first, then hardened ones.

/// What has become of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// An ordinary block will do.
    Ordinary,
    Block(*mut u8),
    OutOfMemory,
}

impl From<Option<*mut u8>> for Answer {
    fn from(block: Option<*mut u8>) -> Answer {
        block.map_or(Answer::OutOfMemory, Answer::Block)
    }
}

/// Allocates `size` bytes, with room to grow to `room` bytes in place.
pub(super) fn alloc(theap: &'static Theap, size: usize, room: usize, zero: Zero) -> Answer {
    if let Some(block) = before_hardened(theap, size, 1, zero) {
        return Answer::Block(block);
    }
    if !theap.is_hardened() {
        return Answer::Ordinary;
    }
    match bin_for(theap, room, 1) {
        Some(bin) => alloc_block(theap, bin, size, zero).into(),
        None => large(theap, size, Alignment::NATURAL, zero),
    }
}

/// Allocates `size` bytes at an address `p` where `p + offset` is a multiple of `align`, a power of two. Blocks of checked
/// pages are known by their starts alone: with an offset a block gets a page of its own.
pub(super) fn alloc_aligned(theap: &'static Theap, size: usize, align: usize, offset: usize, zero: Zero) -> Answer {
    if offset == 0
        && let Some(block) = before_hardened(theap, size, align, zero)
    {
        return Answer::Block(block);
    }
    if !theap.is_hardened() {
        return Answer::Ordinary;
    }
    match bin_for(theap, size, align) {
        Some(bin) if offset == 0 => alloc_block(theap, bin, size, zero).into(),
        _ => large(theap, size, Alignment { align, offset }, zero),
    }
}

/// What comes first: levels that were not known, and guarded blocks.
#[inline]
fn before_hardened(theap: &'static Theap, size: usize, align: usize, zero: Zero) -> Option<*mut u8> {
    theap.decide_levels();
    alloc_alone(theap, size, align, zero, || bin_for(theap, size, align).is_some())
}

fn large(theap: &'static Theap, size: usize, at: Alignment, zero: Zero) -> Answer {
    if theap.levels().guards_pages()
        && at.offset == 0
        && let Some(block) = alloc_guarded(theap, size, at.align, Edge::End, zero)
    {
        return Answer::Block(block);
    }
    if size > MAX_REQUEST {
        return Answer::OutOfMemory;
    }
    alloc_spare(theap, size, at, 0, zero).map(SingleBlock::hand_out).into()
}
