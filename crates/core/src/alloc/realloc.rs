//! Resizing.

use core::ptr;

use super::aligned::alloc_aligned_at_in;
use super::checked;
use super::fail::fail;
use super::free::free;
use super::malloc::{alloc_in, malloc};
use super::query::{size_of_block, usable_size};
use super::single;
use super::watched::{self, Answer};
use crate::base::*;
use crate::diag::{self, Detail, ErrorKind};
use crate::os::tool_hooks;
use crate::page::{Lookup, Page, PageRef, SingleBlock};
use crate::runtime::live_theap;
use crate::theap::Theap;

/// Blocks that grow by less than a quarter get that quarter, so that growing in small steps copies rarely.
const GROWTH_SHARE: usize = 4;

/// Resizes block `p` to `size` bytes, keeping its contents; it may move. A null `p` allocates. On failure it answers
/// null, and `p` is as it was. `size` 0 gives a minimal block.
///
/// # Safety
/// `p` is null or a block of this allocator; after success only the answer may be used.
#[inline]
pub unsafe fn realloc(p: *mut u8, size: usize) -> *mut u8 {
    let page = Page::entry(p);
    if page.if_mine().is_some_and(|mine| stays(size, mine.block_bytes())) {
        return p;
    }
    // SAFETY: the precondition.
    unsafe { realloc_slow(p, size) }
}

/// Whether a block of `usable` bytes is right for `size` bytes: large enough, and not twice as large as it need be.
#[inline(always)]
fn stays(size: usize, usable: usize) -> bool {
    size <= usable && size >= usable / 2 && size > 0
}

#[inline(never)]
unsafe extern "C" fn realloc_slow(p: *mut u8, size: usize) -> *mut u8 {
    // Interpreters allocate so.
    if p.is_null() {
        return malloc(size);
    }
    match live_theap() {
        // SAFETY: the precondition.
        Some(theap) => unsafe { realloc_in(theap, p, size, Zero::Any) },
        None => fail(size),
    }
}

/// The same; a block that moves comes from one of this thread's theaps. With [`Zero::Zeroed`] the bytes beyond the old
/// usable size read as zero.
///
/// # Safety
/// As for [`realloc`].
pub unsafe fn realloc_in(theap: &'static Theap, p: *mut u8, size: usize, zero: Zero) -> *mut u8 {
    if p.is_null() {
        return alloc_in(theap, size, zero);
    }
    let Some((page, usable)) = resizable(p) else { return invalid(p, size) };
    if page.owner().is_hardened() {
        // SAFETY: the precondition.
        return unsafe { realloc_hardened(theap, page, p, usable, size, zero) };
    }
    if stays(size, usable) {
        return p;
    }
    if page.is_singleton() && size > LARGE_BLOCK_MAX {
        return resize_single(theap, page, p, usable, size, zero);
    }
    // SAFETY: the precondition; the new block is at least as large as what is copied.
    unsafe { move_to(alloc_for(theap, usable, size, zero), p, usable.min(size), usable, zero) }
}

/// The page of a block and the bytes that the block's user has.
fn resizable(p: *mut u8) -> Option<(PageRef, usize)> {
    match Page::lookup(p) {
        Lookup::Page(page) => Some((page, size_of_block(p, page)?)),
        Lookup::None => None,
    }
}

/// Resizes a block of a hardened page.
///
/// # Safety
/// As for [`realloc`]; the block has `usable` bytes.
unsafe fn realloc_hardened(
    theap: &'static Theap,
    page: PageRef,
    p: *mut u8,
    usable: usize,
    size: usize,
    zero: Zero,
) -> *mut u8 {
    if size > MAX_REQUEST {
        return fail(size);
    }
    // A tool sees whoever uses the old block if it moves each time, and valgrind what of it is defined if that is copied.
    if !BUILD.is_watched() && size > 0 && checked::resize_in_place(p, page, usable, size, zero) {
        return p;
    }
    if !BUILD.is_watched() && page.is_singleton() && size > LARGE_BLOCK_MAX && !theap.is_sampled() {
        let Some(block) = checked::move_single(theap, page, usable, size, zero) else { return fail(size) };
        // SAFETY: the contents have moved.
        unsafe { free(p) };
        return block;
    }
    // SAFETY: the precondition; the new block has `size` bytes.
    unsafe { move_to(alloc_roomy(theap, usable, size, zero), p, usable.min(size), usable, zero) }
}

/// A block for contents of `usable` bytes that are to have `size`, with room for more if it is growing.
fn alloc_roomy(theap: &'static Theap, usable: usize, size: usize, zero: Zero) -> *mut u8 {
    let roomy = usable + usable / GROWTH_SHARE;
    let room = if size > usable && size < roomy && roomy <= LARGE_BLOCK_MAX { roomy } else { size };
    match watched::alloc_roomy(theap, size, room, zero) {
        Answer::Block(block) => block,
        Answer::Ordinary => alloc_in(theap, room, zero),
        Answer::OutOfMemory => fail(size),
    }
}

#[cold]
fn invalid(p: *mut u8, size: usize) -> *mut u8 {
    tool_hooks::freed(p);
    diag::error(ErrorKind::InvalidRealloc, p, Detail::Bytes(size));
    ferrimalloc_prim::errno::set(ferrimalloc_prim::Errno::ENOMEM);
    ptr::null_mut()
}

/// A block for contents of `usable` bytes that are to have `size`.
fn alloc_for(theap: &'static Theap, usable: usize, size: usize, zero: Zero) -> *mut u8 {
    let roomy = usable + usable / GROWTH_SHARE;
    if size > usable && size < roomy && roomy <= LARGE_BLOCK_MAX {
        return alloc_in(theap, roomy, zero);
    }
    if size > LARGE_BLOCK_MAX && size > usable && zero == Zero::Any {
        return single::alloc_growing(theap, size).unwrap_or_else(|| fail(size));
    }
    alloc_in(theap, size, zero)
}

/// Copies `kept` bytes of `p` into `block` and frees `p`; if `block` is null, nothing happens.
///
/// # Safety
/// `p` is a block with `usable` bytes, of which both blocks have `kept`.
unsafe fn move_to(block: *mut u8, p: *mut u8, kept: usize, usable: usize, zero: Zero) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    debug_assert!(zero == Zero::Any || kept <= usable);
    // SAFETY: the precondition.
    unsafe {
        ptr::copy_nonoverlapping(p, block, kept);
        free(p);
    }
    block
}

fn resize_single(theap: &'static Theap, page: PageRef, p: *mut u8, usable: usize, size: usize, zero: Zero) -> *mut u8 {
    // SAFETY: the caller has the block.
    if single::resize_in_place(&unsafe { SingleBlock::of(page) }, size) {
        if zero == Zero::Zeroed && size > usable {
            // SAFETY: the block has `size` bytes now.
            unsafe { ptr::write_bytes(p.wrapping_add(usable), 0, page.block_bytes() - usable) };
        }
        return p;
    }
    let Some(block) = single::alloc_moved(theap, page, size) else { return fail(size) };
    if zero == Zero::Zeroed && size > usable {
        // SAFETY: the new block has that many bytes; all of them may be used, and are asked for zero by a later call.
        unsafe { ptr::write_bytes(block.wrapping_add(usable), 0, usable_size(block) - usable) };
    }
    // SAFETY: the contents have moved.
    unsafe { free(p) };
    block
}

/// Resizes to an alignment: `result + offset` is a multiple of `align`.
///
/// # Safety
/// As for [`realloc`].
pub unsafe fn realloc_aligned_at_in(
    theap: &'static Theap,
    p: *mut u8,
    size: usize,
    align: usize,
    offset: usize,
    zero: Zero,
) -> *mut u8 {
    if p.is_null() {
        return alloc_aligned_at_in(theap, size, align, offset, zero);
    }
    let Some((page, usable)) = resizable(p) else { return invalid(p, size) };
    let is_aligned = align.is_power_of_two() && (p as usize).wrapping_add(offset) & (align - 1) == 0;
    if page.owner().is_hardened() {
        if is_aligned && size > 0 && size <= MAX_REQUEST && checked::resize_in_place(p, page, usable, size, zero) {
            return p;
        }
    } else if is_aligned && stays(size, usable) {
        return p;
    }
    let block = alloc_aligned_at_in(theap, size, align, offset, zero);
    // SAFETY: the precondition; the new block has `size` bytes.
    unsafe { move_to(block, p, usable.min(size), usable, zero) }
}

/// Makes block `p` at least `size` bytes large without moving it; null, and nothing changed, if that can't be done.
///
/// # Safety
/// `p` is null or a block of this allocator.
pub unsafe fn expand(p: *mut u8, size: usize) -> *mut u8 {
    match resizable(p) {
        Some((_, usable)) if size <= usable => p,
        Some((page, usable)) if page.owner().is_hardened() => {
            let is_done = size <= MAX_REQUEST && checked::resize_in_place(p, page, usable, size, Zero::Any);
            if is_done { p } else { ptr::null_mut() }
        }
        // SAFETY: the caller has the block.
        Some((page, _)) if page.is_singleton() && single::resize_in_place(&unsafe { SingleBlock::of(page) }, size) => p,
        _ => ptr::null_mut(),
    }
}
