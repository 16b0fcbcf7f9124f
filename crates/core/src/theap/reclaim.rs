//! Which pages a free may take (back) into a queue, and giving pages up on request.
//!
//! A page that nobody owns is taken back by its last owner when enough of its blocks are free (`ownership`), and with
//! option `page_reclaim_on_free` at 1 by any thread that frees a block of it; at -1 by none. Two more options bound how
//! many pages of a class a theap may have for that.

use super::theap::Theap;
use crate::base::*;
use crate::options::{self, OptionId};
use crate::page::{Freed, Page};

/// Values of option `page_reclaim_on_free`.
const NEVER: i64 = -1;
const BY_ANY: i64 = 1;

impl Theap {
    /// Whether a page that this theap owned last may come back.
    pub(super) fn may_take_back(&self, page: &Page) -> bool {
        let limit = options::get(OptionId::PageMaxReclaim);
        options::get(OptionId::PageReclaimOnFree) != NEVER && (limit < 0 || self.has_fewer_pages(page.bin(), limit))
    }

    pub(super) fn may_take_from_others(&self, page: &Page) -> bool {
        options::get(OptionId::PageReclaimOnFree) == BY_ANY
            && self.heap().has(page)
            && self.suits(page)
            && self.has_fewer_pages(page.bin(), options::get(OptionId::PageCrossThreadMaxReclaim))
    }

    /// Whether the class's queue has fewer than `limit` pages. Walks no further than that.
    fn has_fewer_pages(&self, bin: Bin, limit: i64) -> bool {
        let pages = core::iter::successors(self.queue(bin).first(), |page| page.next());
        (pages.take(limit.clamp(0, 1 << 20) as usize).count() as i64) < limit
    }

    /// Frees block `p` of a page that nobody owns and that this thread did not own last, taking the page into this
    /// theap; false, and nothing has happened, if the options don't want that or somebody owns the page by now.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more; the page is no singleton.
    pub unsafe fn free_abandoned(&'static self, page: &'static Page, p: *mut u8) -> bool {
        if !self.may_take_from_others(page) {
            return false;
        }
        let Some(chain) = page.remote.claim() else { return false };
        page.adopt(chain);
        self.take_in(page);
        // SAFETY: the thread owns the page now, and the block is the caller's.
        if unsafe { page.push_local(p) } == Freed::Empty {
            self.page_emptied(page);
        }
        true
    }

    /// Collects, then gives pages up until those left take at most `target_bytes`; answers how many bytes they take.
    pub fn reduce(&self, target_bytes: usize) -> usize {
        self.collect(Force::All);
        let mut bytes = 0;
        self.for_each_page(|page| bytes += page.slices() * SLICE_BYTES);
        self.for_each_page(|page| {
            if bytes > target_bytes {
                bytes -= page.slices() * SLICE_BYTES;
                self.abandon_page(page);
            }
        });
        bytes
    }
}
