//! Statistics of a heap's pages: counted when a page comes and goes, never when a block does.
//!
//! Blocks in shared pages, and how many pages there are of each size, are found by walking the pages when somebody asks
//! (`runtime::gather`): every shared counter touched here would be felt by programs that allocate large blocks.

use super::heap::Heap;
use crate::page::Page;
use crate::stats::{HUGE_BIN, stats_bin_of};

/// The bin in which a page and its blocks are counted.
pub fn stats_bin(page: &Page) -> usize {
    if page.is_singleton() { HUGE_BIN } else { stats_bin_of(page.block_bytes()) }
}

impl Heap {
    /// A page has become the heap's.
    pub(super) fn count_entered(&self, page: &Page) {
        let stats = self.stats();
        stats.pages.increase(1);
        if page.is_singleton() {
            stats.malloc_huge.increase(page.block_bytes());
            stats.malloc_huge_count.increment();
        }
    }

    /// A page is about to be released.
    pub(super) fn count_left(&self, page: &Page) {
        let stats = self.stats();
        stats.pages.decrease(1);
        if page.is_singleton() {
            stats.malloc_huge.decrease(page.block_bytes());
        }
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
