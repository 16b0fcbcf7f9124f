//! Visiting a heap's pages and the blocks in them, without asking the threads that own them.
//!
//! What a visitor is shown is copied from the page first (`page::peek`), so it may free the blocks that it is shown.
//! While other threads use the heap, it is shown a snapshot.

use super::heap::{Heap, Subproc};
use super::orphans::adopt_orphans_first;
use crate::os;
use crate::page::{Marks, Origin, Page, PageRef, Walk};

impl Subproc {
    /// What `pick` makes of the first heap of which it makes something; also `None` while the list of heaps is locked.
    pub fn find_heap_unless_locked<R>(&self, pick: impl FnMut(&'static Heap) -> Option<R>) -> Option<R> {
        self.heaps.try_lock()?.iter().find_map(pick)
    }
}

/// A run of blocks of one size: what `mi_heap_area_t` tells.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    /// The first block.
    pub blocks: *mut u8,
    /// Bytes that can hold blocks.
    pub reserved_bytes: usize,
    /// Bytes that have held blocks.
    pub committed_bytes: usize,
    /// Blocks in use.
    pub used: usize,
    /// From one block to the next.
    pub block_bytes: usize,
    /// Of those, what the user can have at most.
    pub usable_bytes: usize,
}

/// How closely to look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Areas only.
    Areas,
    /// Areas, and after each the blocks in use.
    Blocks,
}

/// Is told of an area with no block, then of its blocks; answers false to end the visit.
pub type Visitor<'a> = &'a mut dyn FnMut(&Area, Option<*mut u8>) -> bool;

impl Heap {
    /// Visits the pages that `wants` admits; false if the visitor ended it.
    pub fn visit(&self, depth: Depth, wants: impl Fn(&Page) -> bool, visitor: Visitor<'_>) -> bool {
        adopt_orphans_first();
        let visits = |page| self.has_page(page) && wants(page);
        self.registry().all_pages(self.subproc().arenas(), |page| {
            !visits(page) || visit_blocks(page, depth, self.walk_of(page), visitor)
        })
    }

    /// Who visits a heap whose freed objects are read is one of those who read: its pages wait for him.
    fn walk_of(&self, page: &Page) -> Walk {
        if self.postponing().is_some() { Walk::Allowed } else { walk_of(page) }
    }

    /// Calls `visit` with every page of the heap. Pages that come or go meanwhile may be missed.
    pub fn for_each_own_page(&self, mut visit: impl FnMut(PageRef)) {
        self.registry().for_each_page(self.subproc().arenas(), |page| {
            if self.has_page(page) {
                visit(page);
            }
        });
    }

    /// Whether the entry still describes a page, and one of this heap's.
    fn has_page(&self, page: &Page) -> bool {
        page.owner().is_page() && self.has(page)
    }
}

/// Visits one page; false if the visitor ended it.
pub fn visit_page(page: PageRef, depth: Depth, visitor: Visitor<'_>) -> bool {
    visit_blocks(page, depth, walk_of(page), visitor)
}

fn visit_blocks(page: PageRef, depth: Depth, walk: Walk, visitor: Visitor<'_>) -> bool {
    let mut marks = Marks::new();
    let area = match walk {
        Walk::Allowed => area_of(page, page.mark_free(&mut marks)),
        Walk::Never => area_of(page, page.in_use(Walk::Never)),
    };
    if !visitor(&area, None) {
        return false;
    }
    depth == Depth::Areas || area.used == 0 || page.for_each_unmarked(&marks, |block| visitor(&area, Some(block)))
}

fn area_of(page: &Page, used: usize) -> Area {
    let (block_bytes, single) = (page.block_bytes(), page.is_singleton());
    Area {
        blocks: page.start(),
        reserved_bytes: if single { page.area_bytes() } else { page.reserved() * block_bytes },
        committed_bytes: page.frontier() * block_bytes,
        used,
        block_bytes,
        usable_bytes: block_bytes - page.canary_bytes(),
    }
}

/// Whether a page's lists may be followed though another thread might own it (`page::peek`).
pub fn walk_of(page: &Page) -> Walk {
    let is_mine = !page.owner().is_unowned() && page.owner().tid() == ferrimalloc_prim::thread::id();
    if is_mine || stays_readable(page) { Walk::Allowed } else { Walk::Never }
}

fn stays_readable(page: &Page) -> bool {
    match page.origin() {
        Origin::Arena(arena) => os::overcommits() && arena.keeps_memory(),
        Origin::Os(_) => page.is_singleton(),
    }
}
