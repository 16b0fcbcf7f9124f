//! Allocation through a theap that is watched: guarded blocks first, then checked ones.

use super::checked;
use super::guarded;
use crate::base::*;
use crate::theap::Theap;

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
    match checked::bin_for(theap, room, 1) {
        Some(bin) => checked::alloc(theap, bin, size, zero).into(),
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
    match checked::bin_for(theap, size, align) {
        Some(bin) if offset == 0 => checked::alloc(theap, bin, size, zero).into(),
        _ => large(theap, size, Alignment { align, offset }, zero),
    }
}

/// What comes first: levels that were not known, and guarded blocks.
#[inline]
fn before_hardened(theap: &'static Theap, size: usize, align: usize, zero: Zero) -> Option<*mut u8> {
    theap.decide_levels();
    if theap.is_sampled() && theap.is_due_for_guard(size) {
        return guarded::alloc(theap, size, align, zero);
    }
    None
}

fn large(theap: &'static Theap, size: usize, at: Alignment, zero: Zero) -> Answer {
    if theap.levels().guards_pages()
        && at.offset == 0
        && let Some(block) = guarded::alloc(theap, size, at.align, zero)
    {
        return Answer::Block(block);
    }
    if size > MAX_REQUEST {
        return Answer::OutOfMemory;
    }
    checked::alloc_single(theap, size, at, zero).into()
}
