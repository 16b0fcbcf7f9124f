//! Alignment: blocks lie at multiples of their size from an aligned start, so a class whose block size is a multiple
//! of the alignment gives it for free. Only offsets, alignments above a slice, and the first large blocks of a heap to be
//! aligned need more.

use core::ptr;

use ferrimalloc_prim::{Errno, errno};

use super::fail::fail;
use super::free::free;
use super::hardened::{self, Answer};
use super::malloc::{self, alloc_bin, malloc, zalloc};
use super::single;
use crate::base::*;
use crate::diag::{self, Detail, ErrorKind};
use crate::page::Page;
use crate::runtime::{current_theap, live_theap};
use crate::theap::Theap;

/// Allocates `size` bytes at a multiple of `align`, a power of two; null if `align` is none, or without memory.
#[inline]
pub fn malloc_aligned(size: usize, align: usize, zero: Zero) -> *mut u8 {
    let is_natural =
        align.is_power_of_two() && align <= MAX_NATURAL_ALIGN && size <= LARGE_BLOCK_MAX - MAX_NATURAL_ALIGN;
    if is_natural && !current_theap().is_instrumented() {
        // A class that serves a multiple of the alignment has blocks of a multiple of it: where the classes are
        // closer together than `align`, it is a class itself, elsewhere their distance is a multiple.
        let rounded = (size.max(1) + (align - 1)) & !(align - 1);
        let block = if zero == Zero::Zeroed { zalloc(rounded) } else { malloc(rounded) };
        return if is_aligned(block, align) { block } else { realign(block, current_theap(), size, align, zero) };
    }
    malloc_aligned_at(size, align, 0, zero)
}

/// Allocates `size` bytes at an address `p` where `p + offset` is a multiple of `align`, a power of two.
pub fn malloc_aligned_at(size: usize, align: usize, offset: usize, zero: Zero) -> *mut u8 {
    match live_theap() {
        Some(theap) => alloc_aligned_at_in(theap, size, align, offset, zero),
        None => fail(size),
    }
}

/// The same through one of this thread's theaps.
pub fn alloc_aligned_at_in(theap: &'static Theap, size: usize, align: usize, offset: usize, zero: Zero) -> *mut u8 {
    if !align.is_power_of_two() {
        diag::error(ErrorKind::InvalidAlignment, ptr::null(), Detail::Alignment(align));
        errno::set(Errno::EINVAL);
        return ptr::null_mut();
    }
    if size > MAX_REQUEST || align > MAX_REQUEST {
        return fail(size);
    }
    let offset = offset & (align - 1);
    if theap.is_instrumented() {
        match hardened::alloc_aligned(theap, size, align, offset, zero) {
            Answer::Ordinary => (),
            Answer::Block(block) => return block,
            Answer::OutOfMemory => return fail(size),
        }
    }
    alloc_ordinary(theap, size, align, offset, zero)
}

fn alloc_ordinary(theap: &'static Theap, size: usize, align: usize, offset: usize, zero: Zero) -> *mut u8 {
    if offset == 0 {
        return match Bin::of_aligned(size, align) {
            Some(bin) => {
                let block = alloc_bin(theap, bin, zero).unwrap_or_else(|| fail(size));
                if is_aligned(block, align) { block } else { realign(block, theap, size, align, zero) }
            }
            None => single::alloc(theap, size, Alignment { align, offset: 0 }, zero),
        };
    }
    alloc_inside(theap, size, align, offset, zero)
}

/// Null is aligned.
#[inline(always)]
fn is_aligned(block: *mut u8, align: usize) -> bool {
    block as usize & (align - 1) == 0
}

/// The first block of its size that has to be aligned came from a page whose blocks start
/// [anywhere](crate::heap::Heap::keep_alignment): gives it back for another.
#[cold]
#[inline(never)]
fn realign(block: *mut u8, theap: &'static Theap, size: usize, align: usize, zero: Zero) -> *mut u8 {
    theap.heap().keep_alignment();
    // SAFETY: just allocated, and nobody else's.
    unsafe { free(block) };
    alloc_inside(theap, size, align, 0, zero)
}

/// A block at an aligned address inside of a larger one, or with a page of its own.
fn alloc_inside(theap: &'static Theap, size: usize, align: usize, offset: usize, zero: Zero) -> *mut u8 {
    match size.checked_add(align) {
        Some(larger) if larger <= LARGE_BLOCK_MAX => shifted(theap, larger, align, offset, zero),
        _ => single::alloc(theap, size, Alignment { align, offset }, zero),
    }
}

/// Takes a block that is larger by the alignment and hands out an address inside.
fn shifted(theap: &'static Theap, larger: usize, align: usize, offset: usize, zero: Zero) -> *mut u8 {
    let block = malloc::alloc_ordinary(theap, larger, zero);
    if block.is_null() {
        return block;
    }
    if let Some(page) = Page::lookup(block)
        && page.is_singleton()
    {
        // A sample of the profiler: such a block is known by its start alone.
        // SAFETY: just allocated, and nobody else's.
        unsafe { free(block) };
        return single::alloc(theap, larger - align, Alignment { align, offset }, zero);
    }
    let shift = (block as usize).wrapping_add(offset).wrapping_neg() & (align - 1);
    if shift > 0 {
        mark_interior(block);
    }
    block.wrapping_add(shift)
}

/// From now on the page of `block`, just allocated from a page of this thread, is asked for the block when an address of it
/// is freed.
fn mark_interior(block: *mut u8) {
    if let Some(page) = Page::lookup(block)
        && let Some(mine) = page.if_mine_of_any_kind()
    {
        mine.set_interior();
    }
}
