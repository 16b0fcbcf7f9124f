//! Allocation that is hardened, or guarded by an inaccessible OS page: where the fast paths fail, the rest of the allocator
//! enters here.
//!
//! *Hardened* blocks are allocated at random, with a canary behind, and looked at when they come back. What a page does
//! besides keeping its bitmap is its style: a canary, and filling of fresh and freed memory (see the floor `hardened`). A
//! block above 512 KiB has a page of its own and no bitmap; its padding is filler alone, and its size stands in the page.
//! A thread that frees a block of another's page does all the checking itself: it has the block, and everything that it
//! looks at is constant while the block is in use. An error is reported where it is found. Frees that are wrong are then
//! ignored; a block whose padding was damaged is freed.
//!
//! *Guarded* blocks end at an inaccessible OS page, so that the first access there faults. Such a block has a page of its own,
//! placed so that the block ends where its guard begins: exactly, if the options want that (alignment is given up then),
//! else after rounding to 16 bytes or to the alignment asked for. It costs 64 KiB of address space, 4 KiB of memory and two
//! system calls; so allocations are sampled, per thread (`theap::instrumentation`).

use core::ptr;

use super::marking;
use super::single::{self, SingleBlock};
use super::upkeep;
use crate::base::*;
use crate::diag::{self, Detail, ErrorKind};
use crate::hardened::{AlreadyFree, CANARY_BYTES, Canary, FILLED_BYTES, fill_slack, verify_filler};
use crate::heap::{SingleRequest, guard_single, may_guard};
use crate::options::{self, OptionId};
use crate::os::{self, tool_hooks};
use crate::page::{Freed, Owned, Page, PageRef};
use crate::runtime::current_theap;
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

/// Allocates a block of `size` bytes from the page at hand, through a theap that checks and does nothing else; null if
/// that has none.
#[inline]
pub(super) fn malloc(theap: &'static Theap, size: usize) -> *mut u8 {
    if size > SMALL_SIZE_MAX {
        return ptr::null_mut();
    }
    let Some(page) = theap.queue(Bin::of(size + theap.style().canary_bytes())).first() else { return ptr::null_mut() };
    let block = page.take_hardened();
    if !block.is_null() {
        hand_out(page.page(), block, size, Zero::Any);
    }
    block
}

/// Allocates a block of `size` bytes from a class that has room for it; `None` without memory.
fn alloc_block(theap: &'static Theap, bin: Bin, size: usize, zero: Zero) -> Option<*mut u8> {
    if let Some(page) = theap.queue(bin).first() {
        let block = page.take_hardened();
        if !block.is_null() {
            hand_out(page.page(), block, size, zero);
            return Some(block);
        }
    }
    let page = upkeep::find_page(theap, bin)?;
    let block = page.take_hardened();
    hand_out(page.page(), block, size, zero);
    Some(block)
}

#[inline]
fn hand_out(page: PageRef, block: *mut u8, size: usize, zero: Zero) {
    let bitmap = page.block_bitmap();
    let style = bitmap.style();
    let room = page.block_bytes() - style.canary_bytes();
    let _quiet = tool_hooks::quiet();
    tool_hooks::reached(block, page.block_bytes());
    // SAFETY: the block was just taken, and has that much room.
    unsafe {
        if style.fills {
            let filled = page.filled(block);
            if style.verifies {
                filled.verify();
            }
            filled.on_alloc(size);
        }
        if style.pads {
            Canary { block, room, key: bitmap.key() }.close(size);
        }
        if zero == Zero::Zeroed {
            ptr::write_bytes(block, 0, if style.pads { size } else { room });
        }
    }
    tool_hooks::allocated(block, size, page.block_bytes(), zero);
}

/// Frees block `p` of a hardened page after looking at everything that can be looked at.
#[inline(never)]
pub(super) fn free(p: *mut u8, page: PageRef) -> Verdict {
    tool_hooks::freed(p);
    let _quiet = tool_hooks::quiet();
    if page.is_singleton() {
        return free_single(p, page);
    }
    let Some(index) = page.index_of_start(p) else { return refuse(ErrorKind::InvalidFree, p) };
    let bitmap = page.block_bitmap();
    if !bitmap.is_used(index) {
        return refuse(ErrorKind::DoubleFree, p);
    }
    let style = bitmap.style();
    tool_hooks::reached(p, page.block_bytes());
    if style.pads {
        // SAFETY: the block is in use, by the caller.
        if let Err(at) = unsafe { canary_of(p, page).verify() } {
            report_overflow(p, at);
        }
        if style.fills {
            // SAFETY: the block is the caller's until it is freed below.
            unsafe { page.filled(p).on_free() };
        }
    }
    tool_hooks::put_away(p, page.block_bytes());
    match page.if_mine_of_any_kind() {
        Some(mine) => put(mine, index, p),
        None => put_remote(page, index, p),
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
        Err(AlreadyFree) => refuse(ErrorKind::DoubleFree, p),
    }
}

fn put_remote(page: PageRef, index: usize, p: *mut u8) -> Verdict {
    if page.block_bitmap().put_remote(index).is_err() {
        return refuse(ErrorKind::DoubleFree, p);
    }
    // SAFETY: the block is marked.
    unsafe { current_theap().free_foreign(page, p) };
    Verdict::Done
}

fn free_single(p: *mut u8, page: &Page) -> Verdict {
    if p != page.start() {
        return refuse(ErrorKind::InvalidFree, p);
    }
    verify_single(p, page);
    Verdict::Release
}

fn verify_single(p: *mut u8, page: &Page) {
    let slack = page.padding_bytes();
    let padding = p.wrapping_add(page.block_bytes() - slack);
    tool_hooks::reached(padding, slack.min(FILLED_BYTES));
    // SAFETY: the padding is the end of a block in use.
    if let Err(at) = unsafe { verify_filler(padding, slack) } {
        report_overflow(p, at);
    }
    tool_hooks::put_away(padding, slack.min(FILLED_BYTES));
}

#[cold]
fn refuse(kind: ErrorKind, p: *mut u8) -> Verdict {
    diag::error(kind, p, Detail::Nothing);
    Verdict::Done
}

#[cold]
fn report_overflow(block: *mut u8, at: *mut u8) {
    diag::error(ErrorKind::BlockOverflow, block, Detail::At(at));
}

/// How many bytes the block at `p` of a hardened page has for its user; `None` if there is no block, or it is free.
pub(super) fn usable_size(p: *mut u8, page: PageRef) -> Option<usize> {
    if page.is_singleton() {
        return (p == page.start()).then(|| page.block_bytes() - page.padding_bytes());
    }
    if !page.index_of_start(p).is_some_and(|index| page.block_bitmap().is_used(index)) {
        return None;
    }
    if !page.block_bitmap().style().pads {
        return Some(page.block_bytes());
    }
    let canary = canary_of(p, page);
    let _quiet = tool_hooks::quiet();
    tool_hooks::reached(p.wrapping_add(canary.room), CANARY_BYTES);
    // SAFETY: the block is in use.
    let size = unsafe { canary.size() };
    tool_hooks::put_away(p.wrapping_add(canary.room), CANARY_BYTES);
    Some(size.unwrap_or_else(|| {
        report_overflow(p, p.wrapping_add(canary.room));
        canary.room
    }))
}

#[inline]
fn canary_of(block: *mut u8, page: &Page) -> Canary {
    Canary { block, room: page.block_bytes() - CANARY_BYTES, key: page.block_bitmap().key() }
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
    if !page.block_bitmap().style().pads {
        return true;
    }
    let canary = canary_of(p, page);
    if size > canary.room {
        return false;
    }
    // SAFETY: the block is the caller's, and has that much room.
    unsafe {
        if let Err(at) = canary.verify() {
            report_overflow(p, at);
        }
        canary.close(size);
        clear_gained(p, usable, size, zero);
    }
    true
}

fn resize_single(mut block: SingleBlock, usable: usize, size: usize, zero: Zero) -> bool {
    let page = block.page();
    verify_single(page.start(), page);
    if !block.resize(size + SINGLE_PADDING) {
        return false;
    }
    // SAFETY: the block is the caller's, and has that many bytes now.
    unsafe {
        close_single(&mut block, size);
        clear_gained(block.hand_out(), usable, size, zero);
    }
    true
}

/// # Safety
/// The block has `size` bytes and is the caller's.
unsafe fn clear_gained(p: *mut u8, usable: usize, size: usize, zero: Zero) {
    if zero == Zero::Zeroed && size > usable {
        // SAFETY: the precondition.
        unsafe { ptr::write_bytes(p.wrapping_add(usable), 0, size - usable) };
    }
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
        close_single(&mut block, size);
        clear_gained(block.page().start(), usable, size, zero);
    }
    Some(block.hand_out())
}

/// Allocates a block with a page of its own, checked if blocks get padding: there is nothing else to check.
fn alloc_single(theap: &'static Theap, size: usize, at: Alignment, zero: Zero) -> Option<*mut u8> {
    if !theap.style().pads {
        return single::alloc_spare(theap, size, at, 0, zero).map(SingleBlock::hand_out);
    }
    let block = single::alloc_spare(theap, size.checked_add(SINGLE_PADDING)?, at, 0, zero)?;
    Some(hand_out_single(block, size, zero))
}

/// Makes a new page of a single block a checked one, whose block is handed out.
#[inline(always)]
fn hand_out_single(mut block: SingleBlock, size: usize, zero: Zero) -> *mut u8 {
    // SAFETY: the block is new.
    unsafe { close_single(&mut block, size) };
    let p = block.hand_out();
    tool_hooks::allocated(p, size, size, zero);
    p
}

/// Bytes that a block with a page of its own gets behind what was asked for, at least.
pub(super) const SINGLE_PADDING: usize = 16;

/// Marks a block with a page of its own, just allocated or resized, as one of `size` bytes; the rest is padding.
///
/// # Safety
/// The block is the caller's.
unsafe fn close_single(block: &mut SingleBlock, size: usize) {
    let page = block.page_mut();
    let slack = page.block_bytes() - size;
    page.set_padding(slack);
    tool_hooks::reached(page.start(), page.area_bytes());
    // SAFETY: the precondition; the slack is the block's end.
    unsafe { fill_slack(page.start().wrapping_add(size), slack.min(FILLED_BYTES)) };
    tool_hooks::closed(page.start().wrapping_add(size), page.area_bytes() - size);
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

/// Allocates `size` bytes.
#[inline]
pub(super) fn alloc(theap: &'static Theap, size: usize, zero: Zero) -> Answer {
    alloc_roomy(theap, size, size, zero)
}

/// The same with room to grow to `room` bytes in place.
pub(super) fn alloc_roomy(theap: &'static Theap, size: usize, room: usize, zero: Zero) -> Answer {
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
    if theap.is_sampled() && theap.is_due_for_guard(size) {
        return alloc_guarded(theap, size, align, zero);
    }
    if theap.is_hardened() && is_shared(theap, size, align) && theap.is_sample(size.max(1)) {
        return alloc_sample(theap, size, align, zero);
    }
    None
}

/// Whether a request would be met by a page of many blocks. (Others are counted where their page is made.)
fn is_shared(theap: &Theap, size: usize, align: usize) -> bool {
    bin_for(theap, size, align).is_some()
}

/// A sample of the profiler in place of a block of a hardened page.
#[cold]
fn alloc_sample(theap: &'static Theap, size: usize, align: usize, zero: Zero) -> Option<*mut u8> {
    let bytes = align_up(size.max(1) + SINGLE_PADDING, os::os_page_bytes())?;
    let request = SingleRequest { bytes, align: align.max(SLICE_BYTES), offset: 0, spare_bytes: 0, zero };
    let mut block = single::alloc_uncounted(theap, &request)?;
    marking::mark(theap, block.page_mut(), size.max(1));
    Some(if theap.style().pads { hand_out_single(block, size, zero) } else { block.hand_out() })
}

fn large(theap: &'static Theap, size: usize, at: Alignment, zero: Zero) -> Answer {
    if theap.levels().guards_pages()
        && at.offset == 0
        && let Some(block) = alloc_guarded(theap, size, at.align, zero)
    {
        return Answer::Block(block);
    }
    if size > MAX_REQUEST {
        return Answer::OutOfMemory;
    }
    alloc_single(theap, size, at, zero).into()
}

// Guarded blocks.

/// What `malloc` promises of every block.
const NATURAL_ALIGN: usize = 16;

/// Allocates a guarded block; `None` if that can't be done: for want of memory or mappings, or with such an alignment.
fn alloc_guarded(theap: &'static Theap, size: usize, align: usize, zero: Zero) -> Option<*mut u8> {
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
    Some(if theap.is_hardened() { hand_out_single(block, size, zero) } else { block.hand_out() })
}

/// Blocks end at multiples of this from their start.
fn unit(align: usize) -> usize {
    let natural = if options::is_enabled(OptionId::UnsafeGuardedPrecise) { 1 } else { NATURAL_ALIGN };
    natural.max(align)
}
