//! Pages that keep a ledger: making them, and blocks freed into those that this thread doesn't own.
//!
//! A block that is freed from outside is marked in the page's ledger first, which tells the first free from a second
//! one; here it is counted in the remote word, which says what happens to the page. Nothing is written into the block,
//! so such frees are not gathered.

use ferrimalloc_prim::thread::id as thread_id;

use super::counts::Event;
use super::theap::Theap;
use crate::heap::{check_page, heap_of_page, settle};
use crate::page::Page;
use crate::page::remote::{Push, PushOrClaim};
use crate::sync::pin;

impl Theap {
    /// Makes a fresh page what the theap's pages are; false without memory for its ledger.
    pub(super) fn prepare_page(&self, page: &'static Page) -> bool {
        !self.is_checked() || check_page(page, self.draw_key(), self.style(), self.levels())
    }

    /// Whether the theap may own the page: all pages of a theap are ordinary, or are checked in the same way. The caller has
    /// claimed the page, or has a block of it.
    pub(super) fn suits(&self, page: &Page) -> bool {
        let is_checked = page.has_ledger();
        is_checked == self.is_checked() && (!is_checked || page.ledger().style() == self.style())
    }

    /// Counts a block that has been marked as freed in its page's ledger.
    pub fn count_freed(page: &'static Page, p: *mut u8) {
        let owner = page.owner();
        let last = Theap::of_page(page);
        if owner.is_unowned() && owner.tid() == thread_id() && last.serves(thread_id(), page.heap()) {
            return last.count_freed_in_given_up(page, p);
        }
        if page.remote.push(page.offset_of(p), 1, |_| ()) == Push::Claimed {
            settle(page);
        }
    }

    /// The same for a page that this thread owned last: takes it back, if it may.
    fn count_freed_in_given_up(&'static self, page: &'static Page, p: *mut u8) {
        match page.remote.push_or_claim(page.offset_of(p), self.wanted_to_take_back(page), |_| ()) {
            PushOrClaim::Left => {}
            PushOrClaim::Due => settle(page),
            PushOrClaim::Claimed(chain) => {
                page.accept_freed(chain.count + 1);
                self.enqueue_taken_back(page);
                if page.lent() == 0 {
                    self.page_emptied(page);
                }
            }
        }
    }

    /// Takes a page of this heap that nobody owns, to count a marked block in it, if the options want that; else false,
    /// and nothing has happened.
    pub fn reclaim_for_freed(&'static self, page: &'static Page) -> bool {
        if !self.may_take_from_others(page) {
            return false;
        }
        let Some(chain) = page.remote.claim() else { return false };
        page.accept_freed(chain.count + 1);
        self.enqueue_taken_back(page);
        if page.lent() == 0 {
            self.page_emptied(page);
        }
        true
    }

    /// Becomes the owner of a page that the thread has claimed and that has free blocks.
    fn enqueue_taken_back(&'static self, page: &'static Page) {
        page.set_theap(self.handle());
        pin();
        page.set_owner_thread(self.tid());
        if page.is(crate::page::Flag::Listed) {
            heap_of_page(page).registry().unlist(page);
        }
        self.push_back(page);
        self.counts.add(Event::Reclaimed);
    }
}
