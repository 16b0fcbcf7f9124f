//! What callers say about a block that they free: its size, its alignment. That is compared with the block where blocks have canaries,
//! which know the size asked for. A block that is not as it was said to be is reported, and stays. A file
//! of its own, since only the faces know what callers say.

use super::hardened::canary_size;
use super::origins;
use crate::base::*;
use crate::diag::{Detail, ErrorKind};
use crate::options;
use crate::page::{Page, PageRef};
use crate::sync::Relaxed;

/// What a caller of [`free_as`](super::free_as) knows of the block's size. One word, so that it stays in its register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Stated(usize);

impl Stated {
    /// At most as many bytes as a small block has. (No block has as many as stand for this.)
    pub const SMALL: Stated = Stated(usize::MAX);

    /// As many bytes were asked for.
    #[inline(always)]
    pub const fn bytes(bytes: usize) -> Stated {
        Stated(bytes)
    }
}

/// Whether the block at `p` may be freed as one of that size and alignment; if not, that is reported. What is no block is left to
/// `free`, as is everything where blocks have no canaries.
#[inline]
pub fn check_free(p: *mut u8, stated: Option<Stated>, align: usize) -> bool {
    !options::CHECKS_FREES.get() || check_free_slow(p, stated, align)
}

#[cold]
#[inline(never)]
fn check_free_slow(p: *mut u8, stated: Option<Stated>, align: usize) -> bool {
    let Some(page) = Page::lookup(p) else { return true };
    !page.owner().is_hardened() || accepts(p, page, stated, align)
}

/// Whether the block at `p` may be freed as one of a stated size and alignment; if not, that is reported. The size has to be the one
/// that was asked for, or what becomes that in whole words: some callers ask in words. What is no block in use, or has no
/// size that is known, is the free's to report.
fn accepts(p: *mut u8, page: PageRef, stated: Option<Stated>, align: usize) -> bool {
    let Some(actual) = sealed_size(p, page) else { return true };
    let given = match stated {
        None => actual,
        Some(Stated::SMALL) => actual.min(SMALL_SIZE_MAX),
        Some(Stated(bytes)) => bytes,
    };
    if given != actual && given.checked_next_multiple_of(WORD_BYTES) != Some(actual) {
        origins::error(ErrorKind::SizeMismatch, p, Detail::Sizes { given, actual });
        return false;
    }
    if !(p as usize).is_multiple_of(align.max(1)) {
        origins::error(ErrorKind::AlignmentMismatch, p, Detail::Alignment(align));
        return false;
    }
    true
}

/// The size that the block at `p` of a hardened page was sealed with; `None` if there is no block, if it is free or damaged, or if
/// blocks there have no seal. Says nothing.
fn sealed_size(p: *mut u8, page: PageRef) -> Option<usize> {
    if page.is_singleton() {
        return (p == page.start()).then(|| page.block_bytes() - page.padding_bytes());
    }
    let table = page.block_table();
    let is_block = page.index_in(table, p).is_some_and(|index| table.is_used(index));
    match () {
        () if !is_block || !table.style().pads => None,
        () if table.is_void() => Some(0),
        () => canary_size(p, page),
    }
}
