//! Resizing, in place or not; and into a heap of the caller's choice.

use core::ptr;

use super::aligned::alloc_aligned_at_in;
use super::fail::fail;
use super::free::free;
use super::hardened;
use super::hardened_single::{self, SINGLE_PADDING};
use super::malloc::{alloc_in, alloc_roomy, malloc};
use super::origins;
use super::query::{size_of_block, usable_size};
use super::single::{self, SingleBlock, clear_gained};
use crate::base::*;
use crate::diag::{Detail, ErrorKind};
use crate::os::tool_hooks;
use crate::page::{Page, PageRef};
use crate::runtime::live_theap;
use crate::theap::Theap;
use ferrimalloc_prim::mem;

/// A block that grows to so much gets a page of its own, with room behind it, so that it hardly ever moves again.
const GROWS_ALONE_BYTES: usize = 16 << 10;

/// Blocks that grow by less than a quarter get that quarter, so that growing in small steps copies rarely.
const GROWTH_SHARE: usize = 4;

/// Resizes block `p` to `size` bytes, keeping its contents; it may move. A null `p` allocates. On failure it answers
/// null, and `p` is as it was. `size` 0 gives a minimal block.
///
/// # Safety
/// `p` is null or a block of this allocator; after success only the answer may be used.
#[inline]
pub unsafe fn realloc(p: *mut u8, size: usize) -> *mut u8 {
    let mine = Page::near_entry(p).and_then(Page::if_mine);
    if mine.is_some_and(|mine| stays(size, mine.block_bytes())) {
        return p;
    }
    // SAFETY: the precondition.
    unsafe { realloc_slow(p, size) }
}

/// Whether a block of `usable` bytes is right for `size` bytes: large enough, not twice as large as it need be, and it would
/// not save [much](single::is_much) to have less. In one compare: a larger size wraps around.
#[inline(always)]
fn stays(size: usize, usable: usize) -> bool {
    let most_unused = if usable <= 2 * SLICE_BYTES { usable / 2 } else { SLICE_BYTES.max(usable / 4) };
    usable.wrapping_sub(size) <= most_unused
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
    // SAFETY: the precondition.
    unsafe { resize(theap, p, size, Alignment::NATURAL, zero) }
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
    // SAFETY: the precondition.
    unsafe { resize(theap, p, size, Alignment { align, offset }, zero) }
}

/// The only way to resize, so that no path forgets the alignment.
///
/// # Safety
/// As for [`realloc`].
unsafe fn resize(theap: &'static Theap, p: *mut u8, size: usize, at: Alignment, zero: Zero) -> *mut u8 {
    if p.is_null() {
        return alloc_anew(theap, size, at, zero);
    }
    let Some((page, usable)) = resizable(p) else { return invalid(p, size) };
    if size > MAX_REQUEST {
        return fail(size);
    }
    // SAFETY: the precondition.
    unsafe {
        if at.is_met(p) && resize_in_place(page, p, usable, size, at, zero) {
            return p;
        }
        if moves_as_single(theap, page, size, at)
            && let Some(block) = SingleBlock::held(p, page)
        {
            return move_single(theap, block, usable, size, at, zero);
        }
        // The new block is at least as large as what is copied.
        move_to(alloc_for(theap, usable, size, at, zero), p, usable.min(size))
    }
}

fn alloc_anew(theap: &'static Theap, size: usize, at: Alignment, zero: Zero) -> *mut u8 {
    match at {
        Alignment::NATURAL => alloc_in(theap, size, zero),
        Alignment { align, offset } => alloc_aligned_at_in(theap, size, align, offset, zero),
    }
}

/// The page of a block and the bytes that the block's user has.
fn resizable(p: *mut u8) -> Option<(PageRef, usize)> {
    let page = Page::lookup(p).filter(|page| !page.is_singleton() || p == page.start())?;
    Some((page, size_of_block(p, page)?))
}

/// Gives block `p`, which has `usable` bytes, `size` bytes where it is, if it can have them and would not waste much.
///
/// # Safety
/// The block is in use, and the caller's.
unsafe fn resize_in_place(page: PageRef, p: *mut u8, usable: usize, size: usize, at: Alignment, zero: Zero) -> bool {
    // SAFETY: the precondition.
    unsafe {
        if page.owner().is_hardened() {
            // A tool sees whoever uses the old block if it moves each time, and valgrind what of it is defined if that
            // is copied.
            let is_large = at.takes_a_page(size + SINGLE_PADDING) || size >= page.block_bytes() / 2;
            let may_stay = !page.is_singleton() || is_large && !page.owner().is_guarded();
            return !BUILD.is_watched()
                && size > 0
                && may_stay
                && hardened::resize_in_place(p, page, usable, size, zero);
        }
        if stays(size, usable) {
            return true;
        }
        match SingleBlock::held(p, page) {
            Some(block) => (size > usable || at.takes_a_page(size)) && resize_single(block, usable, size, zero),
            None => size <= usable && !saves_by_moving(usable, size, at),
        }
    }
}

/// Whether a block of a shared page should move because it has become smaller.
fn saves_by_moving(usable: usize, size: usize, at: Alignment) -> bool {
    let needed = Bin::of_aligned(size, at.align).map_or(usable, Bin::block_bytes);
    needed < usable && (size < usable / 2 || single::is_much(usable - needed, usable))
}

fn resize_single(mut block: SingleBlock, usable: usize, size: usize, zero: Zero) -> bool {
    let is_done = block.resize(size);
    if is_done {
        // All of it may be used, and is asked for zero by a later call.
        // SAFETY: the block is in our hands.
        unsafe { clear_gained(block.page().start(), usable, block.bytes(), zero) };
    }
    is_done
}

/// Whether a block that has a page of its own, and has to move, gets another such page, without a guard.
fn moves_as_single(theap: &Theap, page: &Page, size: usize, at: Alignment) -> bool {
    let is_watched =
        page.owner().is_hardened() && (BUILD.is_watched() || theap.is_sampled() || theap.levels().guards_pages());
    !is_watched && at.align.is_power_of_two() && at.align <= MAX_REQUEST && at.takes_a_page(size)
}

/// Moves a block to a page of its own, and frees it.
fn move_single(
    theap: &'static Theap,
    mut from: SingleBlock,
    usable: usize,
    size: usize,
    at: Alignment,
    zero: Zero,
) -> *mut u8 {
    let moved = if from.page().owner().is_hardened() {
        hardened_single::move_single(theap, &mut from, usable, size, at, zero)
    } else {
        single::alloc_moved(theap, &mut from, size, at).map(|to| {
            // SAFETY: the block is in our hands.
            unsafe { clear_gained(to.page().start(), usable, to.bytes(), zero) };
            to.hand_out()
        })
    };
    match moved {
        Some(block) => {
            origins::freed(from.page().start());
            from.release();
            block
        }
        None => fail(size),
    }
}

/// A block for contents of `usable` bytes that are to have `size`, with room for more if it is growing.
fn alloc_for(theap: &'static Theap, usable: usize, size: usize, at: Alignment, zero: Zero) -> *mut u8 {
    if grows_alone(usable, size, at)
        && hardened_single::may_grow_alone(theap)
        && let Some(block) = hardened_single::alloc_spare(theap, size, at, single::room_to_grow(size), zero)
    {
        block.advise_filling();
        return block.hand_out();
    }
    let room = roomy(usable, size);
    match at {
        Alignment::NATURAL => alloc_roomy(theap, size, room, zero),
        _ => alloc_anew(theap, if theap.is_instrumented() { size } else { room }, at, zero),
    }
}

/// Whether a block of `usable` bytes that is to have `size` gets a page of its own.
fn grows_alone(usable: usize, size: usize, at: Alignment) -> bool {
    size > usable && size >= grows_alone_bytes() && at.align.is_power_of_two() && at.align <= MAX_REQUEST
}

/// From how many bytes on a block that grows gets a page of its own: where addresses are scarce or memory is charged before it is
/// touched, only if any block of its size does.
fn grows_alone_bytes() -> usize {
    let config = mem::config();
    let is_free = config.overcommits && config.address_limit_bytes == usize::MAX;
    if is_free { GROWS_ALONE_BYTES } else { LARGE_BLOCK_MAX + 1 }
}

/// How many bytes a block of `usable` bytes gets that is to have `size`.
fn roomy(usable: usize, size: usize) -> usize {
    let roomy = usable + usable / GROWTH_SHARE;
    if size > usable && size < roomy && roomy <= LARGE_BLOCK_MAX { roomy } else { size }
}

#[cold]
fn invalid(p: *mut u8, size: usize) -> *mut u8 {
    tool_hooks::freed(p);
    origins::error(ErrorKind::InvalidRealloc, p, Detail::Bytes(size));
    ferrimalloc_prim::errno::set(ferrimalloc_prim::Errno::ENOMEM);
    ptr::null_mut()
}

/// Copies `kept` bytes of `p` into `block` and frees `p`; if `block` is null, nothing happens.
///
/// # Safety
/// `p` is a block, and both have `kept` bytes.
unsafe fn move_to(block: *mut u8, p: *mut u8, kept: usize) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    // SAFETY: the precondition.
    unsafe {
        ptr::copy_nonoverlapping(p, block, kept);
        free(p);
    }
    block
}

/// Makes block `p` at least `size` bytes large without moving it; null, and nothing changed, if that can't be done. A
/// block with a page of its own that needs much less gives the rest back.
///
/// # Safety
/// `p` is null or a block of this allocator that the caller has.
pub unsafe fn expand(p: *mut u8, size: usize) -> *mut u8 {
    let Some((page, usable)) = resizable(p) else { return ptr::null_mut() };
    let is_shrunk = size <= usable;
    // A tool keeps books of the tail as a part of the block's memory.
    if is_shrunk && (BUILD.is_watched() || !single::is_much(usable - size, usable)) {
        return p;
    }
    if size > MAX_REQUEST {
        return ptr::null_mut();
    }
    // SAFETY: the precondition.
    let is_done = unsafe {
        match SingleBlock::held(p, page) {
            _ if page.owner().is_hardened() => hardened::resize_in_place(p, page, usable, size, Zero::Any),
            Some(mut block) => block.resize(size),
            None => false,
        }
    };
    if is_done || is_shrunk { p } else { ptr::null_mut() }
}

/// Resizes block `p` (null: none) to `size` bytes, so that it lies in the theap's heap and as `alignment` says. With
/// [`Zero::Zeroed`] what goes beyond the old usable size reads as zero. On failure null, and `p` is as it was.
///
/// # Safety
/// `p` is null or a block of this allocator; after success only the answer may be used. The theap is this thread's.
pub unsafe fn realloc_into(
    theap: &'static Theap,
    p: *mut u8,
    size: usize,
    alignment: Alignment,
    zero: Zero,
) -> *mut u8 {
    let is_elsewhere = !p.is_null() && Page::lookup(p).is_some_and(|page| !theap.heap().has(page));
    // SAFETY: the precondition.
    unsafe {
        if is_elsewhere {
            return move_to(alloc_anew(theap, size, alignment, zero), p, usable_size(p).min(size));
        }
        resize(theap, p, size, alignment, zero)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_stays_if_it_is_large_enough_and_not_much_too_large() {
        for usable in [8, 16, 48, 4096, 65_536, 131_072, 131_088, 200_000, 262_144, 524_288, 1 << 30] {
            for size in [0, 1, usable / 4, usable / 2 - 1, usable / 2, usable * 3 / 4, usable - 1, usable, usable + 1] {
                let is_right = size <= usable && size >= usable / 2 && size > 0;
                assert_eq!(
                    stays(size, usable),
                    is_right && !single::is_much(usable - size, usable),
                    "{size} of {usable}"
                );
            }
        }
    }
}
