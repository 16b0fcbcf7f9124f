//! What callers say about a block that they free: its size, its alignment. That is compared with the block in hardened pages: where
//! blocks have canaries, with the size asked for, else with the block's class. A block that is not as it was said to be is reported, and stays.
//! A file of its own, since only the faces know what callers say.

use super::hardened::{canary_size, usable_size};
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

/// Whether the block at `p` may be freed as one of a stated size and alignment; if not, that is reported. What is no block in use, or
/// has no size that is known, is the free's to report.
fn accepts(p: *mut u8, page: PageRef, stated: Option<Stated>, align: usize) -> bool {
    let wrong = match size_of(p, page) {
        Size::Unknown => return true,
        Size::Exact(actual) => wrong_size(stated, actual),
        Size::Class(bin) => wrong_class(stated, align, bin),
    };
    if let Some((given, actual)) = wrong {
        origins::error(ErrorKind::SizeMismatch, p, Detail::Sizes { given, actual });
        return false;
    }
    if !(p as usize).is_multiple_of(align.max(1)) {
        origins::error(ErrorKind::AlignmentMismatch, p, Detail::Alignment(align));
        return false;
    }
    true
}

/// The stated size and the right one, unless they agree: it has to be the one that was asked for, or what becomes that in whole words,
/// as some callers ask in words.
fn wrong_size(stated: Option<Stated>, actual: usize) -> Option<(usize, usize)> {
    let given = match stated? {
        Stated::SMALL => actual.min(SMALL_SIZE_MAX),
        Stated(bytes) => bytes,
    };
    let agrees = given == actual || given.checked_next_multiple_of(WORD_BYTES) == Some(actual);
    (!agrees).then_some((given, actual))
}

/// An alignment that may have been asked for without being stated: that of cache lines.
const UNSTATED_ALIGN: usize = 64;

/// The stated size and that of the class, if no block of the stated size can have come to that class. A block that has shrunk where it
/// is has half of its class or more; a larger alignment than its size needs gives a larger class.
fn wrong_class(stated: Option<Stated>, align: usize, bin: Bin) -> Option<(usize, usize)> {
    let room = bin.block_bytes();
    let given = match stated? {
        Stated::SMALL => return None,
        Stated(bytes) => bytes,
    };
    // Of smaller alignments, the one that the class has leads to the largest class.
    let align = align.max(UNSTATED_ALIGN).min(1 << room.trailing_zeros());
    let can = given <= room && (given >= room / 2 || Bin::of_aligned(given, align) == Some(bin));
    (!can).then_some((given, room))
}

/// What is known of a block's size.
enum Size {
    /// There is no block, or it is free or damaged, or nothing is known.
    Unknown,
    /// So many bytes were asked for.
    Exact(usize),
    /// It is one of this class.
    Class(Bin),
}

/// The size of the block at `p` of a hardened page. Says nothing.
fn size_of(p: *mut u8, page: PageRef) -> Size {
    if page.is_singleton() {
        return usable_size(p, page).map_or(Size::Unknown, Size::Exact);
    }
    let table = page.block_table();
    let is_block = page.index_in(table, p).is_some_and(|index| table.is_used(index));
    match () {
        () if !is_block => Size::Unknown,
        () if !table.style().pads => Size::Class(page.bin()),
        () if table.is_void() => Size::Exact(0),
        () => canary_size(p, page).map_or(Size::Unknown, Size::Exact),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_tells_sizes_that_none_of_its_blocks_has() {
        let wrong = |size: usize, given: usize| wrong_class(Some(Stated::bytes(given)), 1, Bin::of(size)).is_some();
        for size in [1, 8, 16, 24, 100, 112, 1000, 5000, 70_000, LARGE_BLOCK_MAX] {
            let room = Bin::of(size).block_bytes();
            let right = [size, room, room.div_ceil(2)];
            assert!(!right.iter().any(|&given| wrong(size, given)), "{size}");
            assert!(wrong(size, room + 1) && wrong(size, usize::MAX / 2), "{size}");
        }
        assert!(wrong(100, 40) && wrong(1000, 100) && wrong(70_000, 10_000));
    }

    #[test]
    fn no_alignment_makes_a_right_size_wrong() {
        for size in (0..2000).chain([5000, 70_000]) {
            for align in (0..17).map(|power| 1 << power) {
                let bin = Bin::of_aligned(size, align).expect("a class");
                assert_eq!(wrong_class(Some(Stated::bytes(size)), align, bin), None, "{size} at {align}");
            }
        }
    }
}
