//! A page to allocate from.

use ferrimalloc_prim::trace;

use super::counts::Event;
use super::queue::Queue;
use super::theap::Theap;
use crate::arena::Reserve;
use crate::base::*;
use crate::heap::{Demand, advise_filling, release_or_list, release_page, slices_of_page};
use crate::options::{self, OptionId};
use crate::page::{Flag, Owned, Page};

/// One search in so many compares pages, where nobody has chosen how many.
const THOROUGH_EVERY: usize = 8;
/// A page of which less than so many eighths is lent shows that its class has more pages than it needs.
const EMPTY_BELOW: usize = 3;
/// While a class has more than it needs, a page of which less than so many eighths is lent is compared with others.
const COMPARED_BELOW: usize = 6;

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

    /// Looks at the queue's pages until a few with blocks are seen, and takes one of them (see `Candidates`). Full ones met on
    /// the way move to the end of the queue, where their own blocks' frees may make them useful at no cost; those still full
    /// when they are met again are given up, but for a few.
    pub(super) fn search_queue(&'static self, bin: Bin) -> Option<&'static Owned> {
        let mut candidates = self.no_candidates();
        let max_kept_full = options::get(OptionId::PageFullRetain).max(0) as usize;
        let queue = self.queue(bin);
        let last = queue.last();
        for page in queue.pages() {
            self.counts.add(Event::Searched);
            if page.has_available() {
                candidates.add(page, queue);
            } else if !page.is(Flag::KeptFull) {
                self.queues.keep_full(page);
            } else if queue.kept_full() > max_kept_full {
                self.give_up(page);
            }
            // Full pages have moved behind it.
            if candidates.are_enough() || last == Some(page) {
                break;
            }
        }
        let best = candidates.best()?;
        if let Some(page) = candidates.to_drain() {
            self.queues.move_to_back(page);
        }
        self.open(best)
    }

    fn no_candidates(&self) -> Candidates {
        let is_thorough = self.counts.add(Event::Search).is_multiple_of(THOROUGH_EVERY);
        let most = options::get(OptionId::PageMaxCandidates).max(1) as usize;
        let compares_all = is_thorough || options::is_chosen(OptionId::PageMaxCandidates);
        let wanted = if compares_all { most } else { 1 };
        Candidates { first: None, fullest: None, emptiest: None, count: 0, wanted, most, compares_all }
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
        // Where freed blocks rest before they come again, there should be many.
        let is_for_many = self.is_hardened() || self.queue(bin).first().is_some();
        let demand = if is_for_many { Demand::Many } else { Demand::Few };
        let page = self.heap().fresh_page((bin, demand), self.tid(), self.handle(), self.seed(), reserve)?;
        if self.expects_filling(bin) {
            advise_filling(&page);
        }
        if !self.prepare_page(&page) {
            release_page(page);
            return None;
        }
        let page = self.queues.push_front(page);
        self.refill(page).then_some(page)
    }

    /// Whether a fresh page of the class will fill, as far as is known. A page of large blocks has huge OS pages to itself: one is
    /// expected to if another of full size has, which is in the queue still.
    fn expects_filling(&self, bin: Bin) -> bool {
        let full = slices_of_page(bin, Demand::Many);
        full < LARGE_PAGE_SLICES || self.queue(bin).pages().any(|page| page.slices() == full)
    }
}

/// What a search has seen of pages with blocks. It is mostly the first that is taken: always to take the fullest means to search
/// again soon. If the first is rather empty, it is compared with the next ones, provided that there are enough of them.
struct Candidates {
    first: Option<&'static Owned>,
    fullest: Option<&'static Owned>,
    emptiest: Option<&'static Owned>,
    count: usize,
    /// How many are to be seen.
    wanted: usize,
    /// How many at most.
    most: usize,
    /// However many there are, the fullest is taken.
    compares_all: bool,
}

impl Candidates {
    fn add(&mut self, page: &'static Owned, queue: &Queue) {
        self.count += 1;
        if self.count == 1 {
            (self.first, self.fullest, self.emptiest) = (Some(page), Some(page), Some(page));
            queue.note_emptiness(is_lent_below(page, EMPTY_BELOW));
            let limit = if queue.has_too_many() { COMPARED_BELOW } else { EMPTY_BELOW };
            if is_lent_below(page, limit) {
                self.wanted = self.most;
            }
            return;
        }
        if self.fullest.is_some_and(|fullest| fullest.outstanding() < page.outstanding()) {
            self.fullest = Some(page);
        }
        if self.emptiest.is_some_and(|emptiest| emptiest.outstanding() > page.outstanding()) {
            self.emptiest = Some(page);
        }
    }

    fn are_enough(&self) -> bool {
        self.count >= self.wanted
    }

    /// The page to allocate from. The fullest is so as far as is known without walking lists.
    fn best(&self) -> Option<&'static Owned> {
        if self.compares_all || self.are_enough() { self.fullest } else { self.first }
    }

    /// A page that is put off, so that it can become empty.
    fn to_drain(&self) -> Option<&'static Owned> {
        self.emptiest.filter(|page| self.count > 1 && self.are_enough() && is_lent_below(page, EMPTY_BELOW))
    }
}

/// Whether less than so many eighths of the page's blocks are lent, those that others have freed counted as such.
fn is_lent_below(page: &'static Owned, eighths: usize) -> bool {
    page.outstanding() * 8 < page.capacity() * eighths
}
