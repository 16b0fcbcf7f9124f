//! Statistics of a heap's pages: counted when a page comes and goes, never when a block does.
//!
//! What a page knows of its own blocks (how many are in use, how many have ever been allocated, how often it was extended) is
//! found by walking the live pages when somebody asks (`runtime::gather`); here it is added to the totals when the page
//! goes. Pages of one block are spared that: what there is to know of them follows from their own two counts, and every
//! shared counter touched here would be felt by programs that allocate large blocks.
//!
//! A file of its own, so that what is counted can be read as a whole.

use super::heap::Heap;
use crate::arena::Limit;
use crate::page::{Origin, Owned, Page};
use crate::stats::{HUGE_BIN, Stats, stats_bin_of};

/// The bin in which a page and its blocks are counted.
pub fn stats_bin(page: &Page) -> usize {
    if page.is_singleton() { HUGE_BIN } else { stats_bin_of(page.block_bytes()) }
}

impl Heap {
    /// The limit on its memory: the slices of its pages are charged.
    pub fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Whether this is its sub-process's main heap, which can't be deleted.
    pub fn is_main(&self) -> bool {
        self.subproc().main_heap().is_some_and(|main| main == self)
    }

    /// A page has become the heap's.
    pub(super) fn count_entered(&self, page: &Page) {
        let stats = self.stats();
        stats.pages.increase(1);
        if is_outside(page) {
            stats.pages_os_allocated.increase(1);
        }
        if page.is_singleton() {
            stats.malloc_huge.increase(page.block_bytes());
            stats.malloc_huge_count.increment();
        } else {
            stats.page_bins[stats_bin(page)].increase(1);
        }
    }

    /// A page, whose blocks are all free, is about to be released.
    pub(super) fn count_left(&self, page: &Owned) {
        let stats = self.stats();
        stats.pages.decrease(1);
        if is_outside(page) {
            stats.pages_os_allocated.decrease(1);
        }
        if !page.is_singleton() {
            stats.page_bins[stats_bin(page)].decrease(1);
            count_past_blocks(stats, page);
        } else if !page.is_resting() {
            self.count_block_freed(page);
        }
    }

    /// A singleton's block has been freed.
    pub(super) fn count_block_freed(&self, page: &Page) {
        self.stats().malloc_huge.decrease(page.block_bytes());
    }

    /// A singleton's block is about to get `bytes`.
    pub fn count_resized(&self, page: &Page, bytes: usize) {
        let before = page.block_bytes();
        if bytes >= before {
            self.stats().malloc_huge.increase(bytes - before);
        } else {
            self.stats().malloc_huge.decrease(before - bytes);
        }
    }
}

/// Whether the page has a mapping of its own.
fn is_outside(page: &Page) -> bool {
    matches!(page.origin(), Origin::Os(_))
}

/// Nothing, if a theap has seen to it.
fn count_past_blocks(stats: &Stats, page: &Owned) {
    let blocks = page.allocated_before();
    if blocks == 0 {
        return;
    }
    stats.malloc_bins[stats_bin(page)].pass(blocks);
    stats.malloc_normal.pass(blocks * page.block_bytes() as u64);
    stats.page_committed.pass(page.touched_bytes() as u64);
    stats.pages_extended.add(page.extensions());
}
