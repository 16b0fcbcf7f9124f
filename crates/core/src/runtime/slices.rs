//! What each slice of an arena is used for, for pictures of arenas.

use crate::arena::Arena;
use crate::heap::walk_of;
use crate::page::{Owner, Page};
use crate::theap::Theap;

/// What a slice is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SliceKind {
    /// The arena's own description.
    Info,
    /// Other metadata of the allocator.
    Meta,
    /// The first slice of a page.
    Page(PageShape, PageStanding),
    /// A further slice of what began before.
    Inside,
    /// Free, and waiting to be purged.
    FreePurgeable,
    /// Free and committed.
    FreeCommitted,
    /// Free address space.
    FreeReserved,
}

/// How large the blocks of a page are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageShape {
    /// Up to 4 KiB, mostly in a page of one slice.
    Small,
    /// Up to 16 KiB, mostly in a page of 8 slices.
    Medium,
    /// Up to 512 KiB, in a page of up to 64 slices.
    Large,
    /// One block.
    Singleton,
}

/// Who has a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageStanding {
    /// A thread that allocates from it.
    Owned,
    /// Nobody, and it has free blocks.
    Abandoned,
    /// No free block is left.
    Full,
}

/// What a slice of an arena is used for. Others may change it while we look.
pub fn slice_kind(arena: &Arena, slice: usize) -> SliceKind {
    if slice < arena.info_slices() {
        SliceKind::Info
    } else if arena.is_free(slice) {
        kind_of_free(arena, slice)
    } else {
        kind_of_used(Page::entry(arena.slice_memory(slice)))
    }
}

fn kind_of_free(arena: &Arena, slice: usize) -> SliceKind {
    if arena.is_purgeable(slice) {
        SliceKind::FreePurgeable
    } else if arena.is_committed(slice) {
        SliceKind::FreeCommitted
    } else {
        SliceKind::FreeReserved
    }
}

/// Slices deep inside of a block with a page of its own are not known to the page map: they look like metadata.
fn kind_of_used(entry: &Page) -> SliceKind {
    match entry.owner() {
        Owner::NONE => SliceKind::Meta,
        Owner::STUB => SliceKind::Inside,
        _ => SliceKind::Page(shape_of(entry), standing_of(entry)),
    }
}

fn shape_of(page: &Page) -> PageShape {
    use crate::base::{MEDIUM_BLOCK_MAX, SMALL_BLOCK_MAX};
    match page.block_bytes() {
        _ if page.is_singleton() => PageShape::Singleton,
        bytes if bytes <= SMALL_BLOCK_MAX => PageShape::Small,
        bytes if bytes <= MEDIUM_BLOCK_MAX => PageShape::Medium,
        _ => PageShape::Large,
    }
}

fn standing_of(page: &Page) -> PageStanding {
    if page.in_use(walk_of(page)) >= page.reserved() {
        PageStanding::Full
    } else if page.owner().is_unowned() && Theap::of_page(page).tid() == 0 {
        PageStanding::Abandoned
    } else {
        PageStanding::Owned
    }
}
