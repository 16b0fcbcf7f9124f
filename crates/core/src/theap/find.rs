//! A page to allocate from.

use ferrimalloc_prim::trace;

use super::counts::Event;
use super::theap::Theap;
use crate::arena::Reserve;
use crate::base::*;
use crate::heap::{release_or_list, release_page};
use crate::options::{self, OptionId};
use crate::page::{Flag, Owned, Page};

/// One search in so many compares pages, where nobody has chosen how many.
const THOROUGH_EVERY: usize = 8;

impl Theap {
    /// A page of class `bin` whose `free` list has a block; it is first in its queue. `None`: out of memory.
    pub fn find_page(&'static self, bin: Bin) -> Option<&'static Owned> {
        let first = self.first_refilled(bin);
        let own = || self.search_queue(bin).or_else(|| self.take_listed(bin));
        first.or_else(own).or_else(|| self.fresh_or_shared(bin))
    }

    /// The first page of the class, if its `free` list has a block now.
    pub(super) fn first_refilled(&self, bin: Bin) -> Option<&'static Owned> {
        let first = self.queue(bin).first()?;
        self.queues.end_lifo(first);
        self.refill(first).then_some(first)
    }

    fn fresh_or_shared(&'static self, bin: Bin) -> Option<&'static Owned> {
        if self.heap().subproc().arenas().is_narrow() {
            self.find_sparingly(bin)
        } else {
            self.fresh(bin, Reserve::IfFull)
        }
    }

    /// Looks at the queue's pages until a few with blocks are seen, and takes the fullest of those, so that others
    /// can become empty. Full ones met on the way move to the end of the queue, where their own blocks' frees may make
    /// them useful at no cost; those still full when they are met again are given up, but for a few.
    pub(super) fn search_queue(&'static self, bin: Bin) -> Option<&'static Owned> {
        let max_candidates = self.max_candidates();
        let max_kept_full = options::get(OptionId::PageFullRetain).max(0) as usize;
        let queue = self.queue(bin);
        let (mut best, mut candidates) = (None, 0);
        let last = queue.last();
        for page in queue.pages() {
            self.counts.add(Event::Searched);
            if page.has_available() {
                best = Some(fuller(best, page));
                candidates += 1;
            } else if !page.is(Flag::KeptFull) {
                self.queues.keep_full(page);
            } else if queue.kept_full() > max_kept_full {
                self.give_up(page);
            }
            // Full pages have moved behind it.
            if candidates >= max_candidates || last == Some(page) {
                break;
            }
        }
        self.open(best?)
    }

    /// How many pages with blocks a search compares. It is mostly the first that is taken: always to take the fullest means
    /// to search again soon.
    fn max_candidates(&self) -> i64 {
        let is_thorough = self.counts.add(Event::Search).is_multiple_of(THOROUGH_EVERY);
        match is_thorough || options::is_chosen(OptionId::PageMaxCandidates) {
            true => options::get(OptionId::PageMaxCandidates).max(1),
            false => 1,
        }
    }

    fn open(&self, page: &'static Owned) -> Option<&'static Owned> {
        self.queues.move_to_front(page);
        self.refill(page).then_some(page)
    }

    /// Takes a page with free blocks that nobody owns.
    fn take_listed(&'static self, bin: Bin) -> Option<&'static Owned> {
        let heap = self.heap();
        let is_ours = |page: &Page| heap.has(page) && self.suits(page);
        let (page, chain) = heap.registry().take_listed(heap.subproc().arenas(), bin, is_ours, release_or_list)?;
        if let Some(postponing) = heap.postponing() {
            postponing.use_again(&page);
        }
        self.placing(&page, |page| page.adopt(chain));
        self.mark_as_own(&page);
        let page = self.queues.push_front(page);
        heap.stats().pages_reclaim_on_alloc.increment();
        trace::page_stolen(page.memory() as usize, page.block_bytes(), page.outstanding());
        self.refill(page).then_some(page)
    }

    pub(super) fn fresh(&'static self, bin: Bin, reserve: Reserve) -> Option<&'static Owned> {
        if self.is_hardened() {
            self.heap().keep_alignment();
        }
        let page = self.heap().fresh_page(bin, self.tid(), self.handle(), self.seed(), reserve)?;
        if !self.prepare_page(&page) {
            release_page(page);
            return None;
        }
        let page = self.queues.push_front(page);
        self.refill(page).then_some(page)
    }
}

/// The page with fewer blocks left to lend, as far as is known without walking lists.
fn fuller(best: Option<&'static Owned>, page: &'static Owned) -> &'static Owned {
    match best {
        Some(best) if best.outstanding() >= page.outstanding() => best,
        _ => page,
    }
}
