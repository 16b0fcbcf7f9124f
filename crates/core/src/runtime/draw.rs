//! The arenas as pictures: what each slice is used for.

use crate::arena::Arena;
use crate::diag::Output;
use crate::heap::{Subproc, walk_of};
use crate::page::{Owner, Page};
use crate::report::{self, ArenaShape, PageShape, PageStanding, SliceKind};
use crate::theap::Theap;

/// Draws all arenas of a sub-process.
pub fn draw_arenas(out: &mut dyn Output, subproc: &Subproc) {
    report::draw_legend(out);
    for arena in subproc.arenas().arenas() {
        let shape =
            ArenaShape { index: arena.index(), start: arena.start(), slices: arena.slices(), numa_node: arena.numa() };
        report::draw_arena(out, &shape, &|slice| kind_of(arena, slice));
    }
}

fn kind_of(arena: &Arena, slice: usize) -> SliceKind {
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
    use crate::base::{LARGE_PAGE_SLICES, MEDIUM_PAGE_SLICES};
    match page.slices() {
        _ if page.is_singleton() => PageShape::Singleton,
        LARGE_PAGE_SLICES => PageShape::Large,
        MEDIUM_PAGE_SLICES => PageShape::Medium,
        _ => PageShape::Small,
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
