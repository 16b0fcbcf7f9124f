//! A heap's pages for the profiler's samples: blocks that are not to be freed by the fast path, which would not look at the record.
//!
//! Samples of a class share pages (`page::sampled`), whatever thread allocates them: so a sample costs what a block costs, and not a
//! page. The pages of a class that have a free block are in a list, under one lock for all classes. A page that has become empty is
//! released, but for the last of its class, unless it holds much memory: that one is kept until everything is collected.
//!
//! Lock order: behind a page's heap (`page_heap`), before everything that making a page takes. No page is made or released under it:
//! `sample_blocks` does that. A file of its own, as a heap has this.

use crate::base::*;
use crate::page::{Flag, OwnedPage, Page, PageRef};
use crate::sync::Lock;

/// Larger blocks get a page of their own: few would share one.
const MAX_BYTES: usize = SLICE_BYTES;
const CLASSES: usize = Bin::of(MAX_BYTES).index() + 1;
/// An empty page is kept if no more of it has been used.
const MAX_KEPT_BYTES: usize = SLICE_BYTES;

/// The lists, behind their lock. Valid when zeroed.
pub type SamplePages = Lock<Lists>;

/// Pages with a free block, by class. Valid when zeroed.
pub struct Lists([List<Page>; CLASSES]);

impl Lists {
    /// Whether samples of the class share pages.
    pub fn admit(bin: Bin) -> bool {
        bin.index() < CLASSES
    }

    /// A page has a free block. It is in no list.
    pub fn add(&mut self, page: PageRef) {
        // SAFETY: a page for samples, and the caller has the lock.
        unsafe { page.of_samples() }.raise(Flag::Queued);
        self.0[page.bin().index()].push_front(page);
    }

    fn remove(&mut self, page: PageRef) {
        // SAFETY: a page for samples, and the caller has the lock.
        unsafe { page.of_samples() }.drop_flag(Flag::Queued);
        self.0[page.bin().index()].remove(page);
    }

    /// A block of the class, and its page; `None` if there is no page in the list, or no memory for its next block.
    pub fn take(&mut self, bin: Bin) -> Option<(PageRef, *mut u8)> {
        let page = self.0[bin.index()].first()?;
        // SAFETY: a page for samples, and the caller has the lock.
        let owned = unsafe { page.of_samples() };
        let block = owned.take_sample_block();
        if !owned.has_sample_block() {
            self.remove(page);
        }
        (!block.is_null()).then_some((page, block))
    }

    /// Puts a block back; answers the page, if it is empty now and not kept.
    ///
    /// # Safety
    /// The block's record has been taken from the page, and nobody uses the block any more.
    pub unsafe fn put(&mut self, page: PageRef, block: *mut u8) -> Option<OwnedPage> {
        // SAFETY: a page for samples, and the caller has the lock.
        let owned = unsafe { page.of_samples() };
        // SAFETY: the precondition.
        let used = unsafe { owned.put_sample_block(block) };
        if !owned.is(Flag::Queued) {
            self.add(page);
        }
        let list = &self.0[page.bin().index()];
        let is_last = list.first() == list.last();
        let is_kept = used > 0 || is_last && page.touched_bytes() <= MAX_KEPT_BYTES;
        if is_kept {
            return None;
        }
        self.remove(page);
        page.claim_emptied()
    }

    /// A page that is kept empty.
    pub fn take_kept(&mut self) -> Option<OwnedPage> {
        // SAFETY: pages for samples, and the caller has the lock.
        let is_empty = |page: &PageRef| unsafe { page.of_samples() }.used_when_let_go() == 0;
        let page = self.0.iter().flat_map(List::iter).find(is_empty)?;
        self.remove(page);
        page.claim_emptied()
    }

    /// Takes a page out, whatever is in it.
    pub fn pop(&mut self) -> Option<PageRef> {
        let page = self.0.iter().find_map(List::first)?;
        self.remove(page);
        Some(page)
    }
}
