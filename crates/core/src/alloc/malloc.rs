//! `malloc`: one load for the theap, one for the page, one for the block.
//!
//! Everything rare is a test that fails: no theap yet (the empty theap's pages are empty), no page of this class (the
//! empty page has no block), a page exhausted. All of them end in `malloc_slow`, a tail call, so that the fast path
//! needs no stack.

use core::ptr::null_mut;

use ferrimalloc_prim::cpu;

use super::fail::fail;
use super::hardened::{self, Answer};
use super::hardened_fast::{self, Taken};
use super::sampled;
use super::single;
use super::upkeep::find_page;
use crate::base::*;
use crate::page::{Flag, Owned};
use crate::runtime::{current_theap, live_theap};
use crate::theap::Theap;

/// Allocates `size` bytes aligned to 16 (8 if `size` is at most 8); null, with `errno` set to `ENOMEM`, if there is
/// no memory or `size` exceeds `isize::MAX`. Thread-safe. No atomic operation and no call on the fast path.
#[inline(always)]
pub fn malloc(size: usize) -> *mut u8 {
    if size > SMALL_SIZE_MAX {
        return malloc_medium(size);
    }
    let page = current_theap().direct_page(words(size));
    let block = page.pop();
    if block.is_null() { malloc_again(size, page) } else { block }
}

/// [`malloc`] of so many words.
#[inline(always)]
pub fn malloc_words(words: usize) -> *mut u8 {
    if words > SMALL_SIZE_MAX / WORD_BYTES {
        return malloc_many_words(words);
    }
    let block = current_theap().direct_page(words).pop();
    if block.is_null() { malloc_many_words(words) } else { block }
}

/// Those that [`malloc_words`] can't do at once.
#[cold]
#[inline(never)]
extern "C" fn malloc_many_words(words: usize) -> *mut u8 {
    malloc(words.saturating_mul(WORD_BYTES))
}

/// A small block if one can be had at once; else null, with nothing tried and `errno` as it was. For functions that do more than
/// [`malloc`] when there is no memory: only what they do on null calls anything.
#[inline(always)]
pub fn malloc_at_once(size: usize) -> *mut u8 {
    if size > SMALL_SIZE_MAX { null_mut() } else { current_theap().direct_page(words(size)).pop() }
}

/// Like [`malloc`], and the whole block reads as zero.
#[inline(always)]
pub fn zalloc(size: usize) -> *mut u8 {
    if size > SMALL_SIZE_MAX {
        return zalloc_slow(size);
    }
    let page = current_theap().direct_page(words(size));
    let block = page.pop();
    if block.is_null() {
        return zalloc_slow(size);
    }
    clear(page, block);
    block
}

/// Words that hold `size` bytes.
#[inline(always)]
fn words(size: usize) -> usize {
    size.wrapping_add(WORD_BYTES - 1) / WORD_BYTES
}

/// Makes a block just popped read as zero: only its link needs clearing if the page's free blocks are known zero.
#[inline(always)]
fn clear(page: &Owned, block: *mut u8) {
    // SAFETY: the block is the caller's, as large as the page says.
    unsafe {
        if page.is(Flag::FreeIsZero) || page.block_bytes() == WORD_BYTES {
            block.cast::<u64>().write(0);
        } else {
            cpu::clear_block(block, page.block_bytes());
        }
    }
}

#[inline(never)]
extern "C" fn malloc_medium(size: usize) -> *mut u8 {
    let theap = current_theap();
    if size > LARGE_BLOCK_MAX || theap.is_instrumented() {
        return malloc_asked(theap, size);
    }
    let bin = Bin::of_geometric(size);
    // SAFETY: sizes up to the largest of a shared page have a class below the singletons'.
    unsafe { core::hint::assert_unchecked(bin.index() < Bin::COUNT) };
    let block = theap.queue(bin).pop();
    if block.is_null() { malloc_medium_again(size, bin) } else { block }
}

/// The page's list is exhausted. If the thread has freed blocks of it meanwhile, they are the next list, and nothing
/// else is looked at until a tick is due.
#[inline(never)]
extern "C" fn malloc_again(size: usize, page: &'static Owned) -> *mut u8 {
    let block = page.pop_recycled(|| current_theap().skips_upkeep());
    if !block.is_null() {
        return block;
    }
    if page.owner().is_hardened() { malloc_hardened(size, page) } else { malloc_slow(size) }
}

/// The same for blocks of many cache lines: the last one freed is the next.
#[inline(never)]
fn malloc_medium_again(size: usize, bin: Bin) -> *mut u8 {
    let block = current_theap().pop_last_freed(bin);
    if block.is_null() { malloc_slow(size) } else { block }
}

#[cold]
#[inline(never)]
extern "C" fn malloc_slow(size: usize) -> *mut u8 {
    let block = recycled_while_profiled(size);
    if block.is_null() { malloc_slower(size) } else { block }
}

/// While the profiler runs all lists that are used up lead here: mostly what the thread has freed is the next one. Null if not.
#[inline(always)]
fn recycled_while_profiled(size: usize) -> *mut u8 {
    let theap = current_theap();
    if !theap.is_profiled() || size > LARGE_BLOCK_MAX || theap.is_instrumented() {
        return null_mut();
    }
    if size <= SMALL_SIZE_MAX {
        return theap.pop_recycled_sampled(theap.direct_page(words(size)));
    }
    theap.queue(Bin::of_geometric(size)).first().map_or(null_mut(), |page| theap.pop_recycled_sampled(page))
}

#[inline(never)]
extern "C" fn malloc_slower(size: usize) -> *mut u8 {
    match live_theap() {
        Some(theap) => alloc_in(theap, size, Zero::Any),
        None => fail(size),
    }
}

#[inline(never)]
extern "C" fn zalloc_slow(size: usize) -> *mut u8 {
    match live_theap() {
        Some(theap) => alloc_in(theap, size, Zero::Zeroed),
        None => fail(size),
    }
}

/// Allocates `size` bytes through one of this thread's theaps; null without memory.
#[inline(always)]
pub fn malloc_in(theap: &'static Theap, size: usize) -> *mut u8 {
    if size <= SMALL_SIZE_MAX {
        let block = theap.direct_page(size.div_ceil(WORD_BYTES)).pop();
        if !block.is_null() {
            return block;
        }
    }
    malloc_in_slow(theap, size)
}

#[inline(never)]
extern "C" fn malloc_in_slow(theap: &'static Theap, size: usize) -> *mut u8 {
    alloc_in(theap, size, Zero::Any)
}

/// Allocates through one of this thread's theaps.
pub fn alloc_in(theap: &'static Theap, size: usize, zero: Zero) -> *mut u8 {
    alloc_roomy(theap, size, size, zero)
}

/// The same with room to grow to `room` bytes in place.
#[inline]
pub(super) fn alloc_roomy(theap: &'static Theap, size: usize, room: usize, zero: Zero) -> *mut u8 {
    if theap.is_instrumented() {
        return alloc_watched(theap, size, room, zero);
    }
    alloc_ordinary(theap, room, zero)
}

/// The first page of the class is a hardened one, whose list is always empty.
#[inline(always)]
fn malloc_hardened(size: usize, page: &'static Owned) -> *mut u8 {
    match hardened_fast::take(page, size) {
        Taken::Done(block) => block,
        Taken::Raw(block) => hardened::hand_out_any(size, page, block),
        Taken::None => malloc_unready(size, page),
    }
}

#[inline(never)]
extern "C" fn malloc_unready(size: usize, page: &'static Owned) -> *mut u8 {
    let block = hardened::malloc_unready(page, size);
    if block.is_null() { malloc_slow(size) } else { block }
}

/// Requests that are large, or have to ask.
#[inline(never)]
extern "C" fn malloc_asked(theap: &'static Theap, size: usize) -> *mut u8 {
    match theap.is_only_hardened().then(|| hardened::page_for(theap, size)).flatten() {
        Some(page) => malloc_hardened(size, page),
        None => malloc_slow(size),
    }
}

#[inline(never)]
fn alloc_watched(theap: &'static Theap, size: usize, room: usize, zero: Zero) -> *mut u8 {
    match hardened::alloc(theap, size, room, zero) {
        Answer::Block(block) => block,
        Answer::Ordinary => alloc_ordinary(theap, room, zero),
        Answer::OutOfMemory => fail(size),
    }
}

/// Allocates without asking what is watched: an ordinary block of a theap whose pages are not checked.
pub(super) fn alloc_ordinary(theap: &'static Theap, size: usize, zero: Zero) -> *mut u8 {
    if size > LARGE_BLOCK_MAX {
        return single::alloc(theap, size, Alignment::NATURAL, zero);
    }
    alloc_bin(theap, Bin::of(size), zero).unwrap_or_else(|| fail(size))
}

/// A block of class `bin`.
pub(super) fn alloc_bin(theap: &'static Theap, bin: Bin, zero: Zero) -> Option<*mut u8> {
    let (page, block) = match pop_first(theap, bin) {
        Some(popped) => popped,
        None => {
            let page = find_page(theap, bin)?;
            if theap.is_profiled() && theap.takes_sample(page) {
                return alloc_sample(theap, page, zero);
            }
            (page, page.pop())
        }
    };
    if zero == Zero::Zeroed {
        clear(page, block);
    }
    Some(block)
}

/// A sample of the profiler in place of a block of the page.
#[cold]
#[inline(never)]
fn alloc_sample(theap: &'static Theap, page: &'static Owned, zero: Zero) -> Option<*mut u8> {
    sampled::alloc(theap, page.bin(), zero).or_else(|| {
        // No memory for that: an ordinary block.
        page.join();
        let block = page.pop();
        if zero == Zero::Zeroed && !block.is_null() {
            clear(page, block);
        }
        (!block.is_null()).then_some(block)
    })
}

/// A block of the first page of class `bin`, as the fast paths take it (which find none in a hardened page).
#[inline]
fn pop_first(theap: &'static Theap, bin: Bin) -> Option<(&'static Owned, *mut u8)> {
    let page = theap.queue(bin).first()?;
    let block = theap.queue(bin).pop();
    if !block.is_null() {
        return Some((page, block));
    }
    let block = match bin.block_bytes() > SMALL_SIZE_MAX && !theap.is_profiled() {
        true => theap.pop_last_freed(bin),
        false => theap.pop_recycled(page),
    };
    (!block.is_null()).then_some((page, block))
}
