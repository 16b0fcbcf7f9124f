//! Allocating and freeing the profiler's samples that share pages, and making and releasing those (`samples` has them in between). A file
//! of its own, as a heap has `samples`, and this knows heaps.

use super::heap::Heap;
use super::page_alloc::{Maker, release_page};
use super::page_heap::heap_of_page;
use super::samples::Lists;
use crate::base::*;
use crate::page::{OwnedPage, PageRef};

impl Heap {
    /// A block of class `bin` that becomes a sample, and its page; `None` without memory, or if such blocks share no pages: large ones,
    /// and where threads look at memory that has been freed.
    pub fn sample_block(&'static self, bin: Bin, maker: Maker) -> Option<(PageRef, *mut u8)> {
        if !Lists::admit(bin) || self.postponing().is_some() {
            return None;
        }
        let at_once = self.samples.lock().take(bin);
        at_once.or_else(|| {
            let page = self.fresh_samples((bin, slices_for(bin)), maker)?;
            let mut lists = self.samples.lock();
            lists.add(page.begin_samples());
            lists.take(bin)
        })
    }

    /// Hands the pages over to a heap whose they have become. While nobody guards this one (`lock_heap`).
    pub fn hand_over_samples(&self, to: &Heap) {
        while let Some(page) = self.pop_samples() {
            to.samples.lock().add(page);
        }
    }

    fn pop_samples(&self) -> Option<PageRef> {
        self.samples.lock().pop()
    }

    /// Releases the pages that are kept empty.
    pub fn release_kept_samples(&'static self) {
        while let Some(page) = self.take_kept_samples() {
            release_page(page);
        }
    }

    // (So that the lock is free again when the page is released.)
    fn take_kept_samples(&self) -> Option<OwnedPage> {
        self.samples.lock().take_kept()
    }
}

/// Puts a block back that was a sample.
///
/// # Safety
/// The block's record has been taken from the page, and nobody uses the block any more.
pub unsafe fn free_sample(page: PageRef, block: *mut u8) {
    let put = || {
        let heap = heap_of_page(page);
        // SAFETY: the precondition.
        unsafe { heap.samples.lock().put(page, block) }
    };
    if let Some(page) = put() {
        release_page(page);
    }
}

fn slices_for(bin: Bin) -> usize {
    let is_small = bin.block_bytes() * MIN_BLOCKS_PER_PAGE <= SLICE_BYTES;
    if is_small { SMALL_PAGE_SLICES } else { MEDIUM_PAGE_SLICES }
}
