//! Giving pages up and taking them back.
//!
//! A full page is given up at once: a thread that waits must not sit on memory that others free into it. Its last
//! owner stays known as a hint, and takes the page back with one compare-and-swap when it frees a block of it; when
//! others have freed a share of its blocks, it is listed for any thread to take.

use super::counts::Event;
use super::theap::Theap;
use crate::base::*;
use crate::heap::{heap_of_page, release_page, settle};
use crate::page::remote::{Chain, PushOrClaim};
use crate::page::{Block, Flag, Freed, Page};
use crate::sync::pin;

/// The share of a given-up page's blocks that its last owner must free before it takes the page back, at most
/// [`MAX_TAKE_BACK`] blocks: fewer trips through the queue for programs that free all over a large heap.
const TAKE_BACK_SHARE: usize = 16;
const MAX_TAKE_BACK: usize = 16;
/// The share of a given-up page's blocks that others must free before it is listed.
const LISTING_SHARE: usize = 4;

impl Theap {
    /// Gives up a full page. If blocks of it have just been freed by others, the page stays.
    pub(super) fn give_up(&self, page: &'static Page) {
        self.forget_retired(page);
        self.remove(page);
        let used = page.lent();
        page.set_used_unowned(used);
        pin();
        page.set_owner_unowned(self.tid());
        pin();
        if page.remote.let_go(listing_threshold(used)).is_err() {
            page.set_owner_thread(self.tid());
            return self.push_back(page);
        }
        self.counts.add(Event::Abandoned);
    }

    /// Frees block `p` of a page that this thread owned last, and takes the page back if enough of its blocks are free
    /// to be worth a place in the queue.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more.
    #[inline]
    pub unsafe fn free_given_up(&'static self, page: &'static Page, p: *mut u8) {
        let wanted = self.wanted_to_take_back(page);
        let freed = page.remote.push_or_claim(page.offset_of(p), wanted, |next| {
            let next = next.map_or(core::ptr::null_mut(), |offset| page.block_at(offset));
            // SAFETY: the block is ours until it is pushed.
            unsafe { Block::set_next(p.cast(), next.cast()) };
        });
        match freed {
            PushOrClaim::Left => {}
            PushOrClaim::Due => settle(page),
            // SAFETY: the precondition; the thread owns the page now.
            PushOrClaim::Claimed(chain) => unsafe { self.take_back(page, p, chain) },
        }
    }

    /// How many blocks of a page that this thread owned last must be free before it is taken back.
    #[inline]
    pub(super) fn wanted_to_take_back(&self, page: &Page) -> usize {
        let enough = (page.reserved() / TAKE_BACK_SHARE).clamp(1, MAX_TAKE_BACK);
        if self.may_take_back(page) { enough } else { usize::MAX }
    }

    /// Takes back a page that this thread had given up and has just claimed with `chain`, to free block `p` of it.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more.
    unsafe fn take_back(&'static self, page: &'static Page, p: *mut u8, chain: Chain) {
        // SAFETY: the precondition; the thread owns the page now.
        let freed = unsafe { page.reopen(p, chain) };
        self.take_in(page);
        if freed == Freed::Empty {
            self.page_emptied(page);
        }
    }

    /// Enters a page that a free has claimed, whoever owned it last.
    pub(super) fn take_in(&'static self, page: &'static Page) {
        page.set_theap(self.handle());
        pin();
        page.set_owner_thread(self.tid());
        if page.is(Flag::Listed) {
            heap_of_page(page).registry().unlist(page);
        }
        self.push_back(page);
        self.counts.add(Event::Reclaimed);
    }

    /// Lets go of all pages: those without blocks in use are released, the others are left for whoever frees into
    /// them or needs them.
    pub fn abandon_all(&self) {
        self.batch.flush();
        self.expire_retired(Force::All);
        self.for_each_page(|page| self.abandon_page(page));
    }

    /// Lets go of one page.
    pub(super) fn abandon_page(&self, page: &'static Page) {
        self.forget_retired(page);
        self.remove(page);
        let used = page.collect();
        if used == 0 {
            return release_page(page);
        }
        self.counts.add(Event::Abandoned);
        abandon(page, used);
    }
}

impl Theap {
    /// Abandons a page whose owner vanished in a fork, in the middle of anything.
    pub fn abandon_orphan(page: &'static Page) {
        if !page.is_singleton() {
            // Listed or not: the flag and the bit may disagree.
            heap_of_page(page).registry().unlist(page);
        }
        let used = page.mend();
        if used == 0 {
            return release_page(page);
        }
        heap_of_page(page).stats().pages_abandoned.pass(1);
        abandon(page, used);
    }

    /// Drops all pages without looking at them: they are being destroyed, or are seen to one by one.
    pub fn forget_pages(&self) {
        self.reset_queues();
        self.retired.clear();
        self.batch.clear();
    }
}

/// How many blocks of a page that lends `used` and is not listed must be freed to have it listed.
fn listing_threshold(used: usize) -> usize {
    (used / LISTING_SHARE).max(1)
}

/// Lets go of a page of which `used` blocks are in use and that is in no queue any more.
fn abandon(page: &'static Page, used: usize) {
    page.set_used_unowned(used);
    page.set_owner_unowned(0);
    pin();
    if page.has_available() {
        heap_of_page(page).registry().list(page);
    }
    let threshold = if page.is(Flag::Listed) { used } else { listing_threshold(used) };
    if page.remote.let_go(threshold).is_err() {
        settle(page);
    }
}
