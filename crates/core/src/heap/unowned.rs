//! What becomes of a page that nobody owns when a free claims it.
//!
//! The push into its remote word claims a page when its threshold is reached (`page::remote`). The claimer then
//! decides: all blocks free: release the page; otherwise list it, so that a thread in need of blocks of this size takes
//! it, and let go of it until the last block is freed.

use super::ending::heap_of_page;
use super::supply::release_page;
use crate::page::{Flag, Page};

/// Decides about a page that the caller has claimed, its remote list still in the word. Afterwards the caller does
/// not own it.
#[cold]
pub fn settle(page: &'static Page) {
    loop {
        let used = page.used_unowned();
        if page.remote.arrived() >= used {
            return release_page(page);
        }
        if !page.is(Flag::Listed) {
            let heap = heap_of_page(page);
            heap.registry().list(page);
            heap.stats().pages_reabandon_full.increment();
        }
        if page.remote.let_go(used).is_ok() {
            return;
        }
    }
}
