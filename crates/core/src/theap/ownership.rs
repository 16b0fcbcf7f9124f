//! Giving pages up and taking them back.
//!
//! A full page is given up at once: a thread that waits must not sit on memory that others free into it. Its last
//! owner stays known as a hint, and takes the page back with one compare-and-swap when enough of its blocks are free; when
//! others have freed a share of its blocks, it is listed for any thread to take. With option `page_reclaim_on_free` at 1
//! any thread takes a page of which it frees a block; at -1 none does. Two more options bound how many pages of a class a
//! theap may have for that.

use ferrimalloc_prim::thread::id as thread_id;
use ferrimalloc_prim::trace;

use super::counts::Event;
use super::remote_free::{count_freed, push_one};
use super::theap::Theap;
use crate::base::*;
use crate::heap::{Heap, do_orphans_wait, heap_of_page, hint_of, release_or_list, release_page};
use crate::options::{self, OptionId};
use crate::page::{Chain, Freed, Owned, OwnedPage, Owner, Page, PageRef, Pushed};
use crate::sync::pin;

/// The share of a given-up page's blocks that its last owner must free before it takes the page back, at most
/// [`MAX_TAKE_BACK`] blocks: fewer trips through the queue for programs that free all over a large heap.
const TAKE_BACK_SHARE: usize = 16;
const MAX_TAKE_BACK: usize = 16;
/// The share of a given-up page's blocks that others must free before it is listed.
const LISTING_SHARE: usize = 4;

/// Values of option `page_reclaim_on_free`.
const NEVER: i64 = -1;
const BY_ANY: i64 = 1;

/// Giving up.
impl Theap {
    /// Gives up a full page. If blocks of it have just been freed by others, the page stays.
    pub(super) fn give_up(&self, page: &'static Owned) {
        let Some(page) = self.remove(page) else { return };
        let used = page.outstanding();
        match page.let_go(self.tid(), used, listing_threshold(used)) {
            Ok(()) => _ = self.counts.add(Event::Abandoned),
            Err(page) => {
                page.keep(self.tid());
                self.queues.push_back(page);
            }
        }
    }

    /// Lets go of all pages: those without blocks in use are released, the others are left for whoever frees into
    /// them or needs them.
    pub fn abandon_all(&self) {
        self.batch.flush();
        self.expire_retired(Force::All);
        self.for_each_page(|page| self.abandon_page(page));
    }

    /// Lets go of one page.
    fn abandon_page(&self, page: &'static Owned) {
        let Some(page) = self.remove(page) else { return };
        let used = page.collect();
        if used == 0 {
            return release_page(page);
        }
        self.counts.add(Event::Abandoned);
        abandon(page, used, NOBODY);
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

    /// Abandons a page whose owner vanished in a fork, in the middle of anything.
    pub fn abandon_orphan(page: OwnedPage) {
        if page.is_sampled() {
            return page.resume_samples().map_or((), release_page);
        }
        if !page.is_singleton() {
            // Listed or not: the flag and the bit may disagree.
            heap_of_page(&page).registry().unlist(&page);
        }
        let used = page.mend();
        if used == 0 {
            return release_page(page);
        }
        heap_of_page(&page).stats().pages_abandoned.pass(1);
        abandon(page, used, NOBODY);
    }
}

/// How many blocks of a page that lends `used` and is not listed must be freed to have it listed.
fn listing_threshold(used: usize) -> usize {
    (used / LISTING_SHARE).max(1)
}

/// No thread would have the page back.
const NOBODY: usize = 0;

/// Lets go of a page of which `used` blocks are in use and that is in no queue any more. Thread `hint` would have it back.
fn abandon(page: OwnedPage, used: usize, hint: usize) {
    if !page.is_listed() && page.has_available() {
        heap_of_page(&page).registry().list(&page);
    }
    let threshold = if page.is_listed() { used } else { listing_threshold(used) };
    let hint = hint_of(&page, hint);
    if let Err(page) = page.let_go(hint, used, threshold) {
        release_or_list(page);
    }
}

/// Gives back what is empty of a page of `heap`, if nobody owns it; with `Force::Routine` if it is quiet. The heap doesn't end
/// meanwhile. True if it was looked into. Not where threads may look at memory that has been freed.
pub fn punch_unowned(heap: &Heap, page: PageRef, force: Force) -> bool {
    if heap.postponing().is_some() || !page.is_let_go() || !page.may_be_punched() {
        return false;
    }
    let Some((page, threshold)) = page.claim_in_place() else { return false };
    // The slice may have become another page, or a thread may have been quicker.
    let is_right = heap.has(&page) && page.may_be_punched();
    if !is_right || force == Force::Routine && !page.is_quiet() {
        page.put_back(threshold).unwrap_or_else(release_or_list);
        return false;
    }
    let used = page.collect();
    if used == 0 {
        release_page(page);
        return true;
    }
    match force {
        Force::All => page.punch(Force::All),
        Force::Routine => page.punch_quiet(),
    };
    let hint = page.owner().tid();
    abandon(page, used, hint);
    true
}

/// Taking back.
impl Theap {
    /// Frees block `p` of a page that this thread owned last, and takes the page back if enough of its blocks are free
    /// to be worth a place in the queue.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more (in a hardened page: marked as freed).
    #[inline]
    pub unsafe fn free_given_up(&'static self, page: PageRef, p: *mut u8) {
        // SAFETY: the precondition.
        match unsafe { page.push_or_claim(p, self.wanted_to_take_back(page)) } {
            Pushed::Left => {}
            Pushed::Due(page) => release_or_list(page),
            // SAFETY: the precondition.
            Pushed::Claimed(page, chain) => unsafe { self.take_back(page, p, chain) },
        }
    }

    /// Frees block `p` of a page that nobody owns and that this thread did not own last, taking the page into this
    /// theap; false, and nothing has happened, if the options don't want that or a thread owns the page by now.
    ///
    /// # Safety
    /// As for [`Theap::free_given_up`]; the page is no singleton.
    pub unsafe fn free_abandoned(&'static self, page: PageRef, p: *mut u8) -> bool {
        if !self.may_take_from_others(page) {
            return false;
        }
        let Some((page, chain)) = page.claim() else { return false };
        // SAFETY: the precondition.
        unsafe { self.take_back(page, p, chain) };
        true
    }

    /// Enters a page that this thread has claimed with `chain`, to free block `p` of it.
    ///
    /// # Safety
    /// As for [`Theap::free_given_up`].
    unsafe fn take_back(&'static self, page: OwnedPage, p: *mut u8, chain: Chain) {
        // SAFETY: the precondition.
        let freed = unsafe { page.reopen(p, chain) };
        self.mark_as_own(&page);
        if page.is_listed() {
            heap_of_page(&page).registry().unlist(&page);
        }
        let page = self.queues.push_back(page);
        self.counts.add(Event::Reclaimed);
        trace::page_stolen(page.memory() as usize, page.block_bytes(), page.outstanding());
        if freed == Freed::Empty {
            self.page_emptied(page);
        }
    }

    pub(super) fn mark_as_own(&self, page: &Owned) {
        page.set_theap(self.handle());
        pin();
        page.keep(self.tid());
    }

    /// How many blocks of a page that this thread owned last must be free before it is taken back.
    #[inline]
    pub(super) fn wanted_to_take_back(&self, page: &Page) -> usize {
        let enough = (page.reserved() / TAKE_BACK_SHARE).clamp(1, MAX_TAKE_BACK);
        if self.may_take_back(page) { enough } else { usize::MAX }
    }

    fn may_take_back(&self, page: &Page) -> bool {
        let limit = options::get(OptionId::PageMaxReclaim);
        self.suits(page)
            && options::get(OptionId::PageReclaimOnFree) != NEVER
            && (limit < 0 || self.has_fewer_pages(page.bin(), limit))
    }

    fn may_take_from_others(&self, page: &Page) -> bool {
        options::get(OptionId::PageReclaimOnFree) == BY_ANY
            && self.heap().has(page)
            && self.suits(page)
            && self.has_fewer_pages(page.bin(), options::get(OptionId::PageCrossThreadMaxReclaim))
    }

    /// Whether the theap may own the page: all pages of a theap are ordinary, or are hardened in the same way. The caller
    /// has claimed the page, or has a block of it.
    #[inline]
    pub(super) fn suits(&self, page: &Page) -> bool {
        let is_hardened = page.has_block_table();
        is_hardened == self.is_hardened() && (!is_hardened || page.block_table().style() == self.style())
    }

    /// Whether the class's queue has fewer than `limit` pages. Walks no further than that.
    fn has_fewer_pages(&self, bin: Bin, limit: i64) -> bool {
        (self.queue(bin).pages().take(limit.clamp(0, 1 << 20) as usize).count() as i64) < limit
    }
}

/// Frees into pages that this thread does not own.
impl Theap {
    /// Gathers block `p` of a page that this thread, whose default theap this is, doesn't own: the short way for the most common
    /// of these frees. False, and nothing has happened, if it takes more: see [`Theap::free_foreign`].
    ///
    /// # Safety
    /// `p` is nothing in use by others, if it is a block of the page.
    #[inline(always)]
    pub unsafe fn gathers(&'static self, page: PageRef, p: *mut u8) -> bool {
        let owner = page.owner();
        let is_block = owner.has_plain_blocks() && (p as usize).is_multiple_of(WORD_BYTES) && page.reaches(p);
        if !is_block || !self.has_heap(page.heap()) || do_orphans_wait() {
            return false;
        }
        if owner.is_unowned() && !is_left_to_others(page, owner) {
            return false;
        }
        // SAFETY: the precondition.
        unsafe { self.batch.add(page, p) };
        true
    }

    /// Frees block `p` of a page that this thread, whose default theap this is, doesn't own. Such frees may be gathered, but
    /// not those of a heap that could be destroyed while they wait, and its page with it; nor those of hardened pages, in
    /// whose blocks nothing is written.
    ///
    /// # Safety
    /// `p` is a block of the page, no singleton, that nobody uses any more (in a hardened page: marked as freed).
    #[inline]
    pub unsafe fn free_foreign(&'static self, page: PageRef, p: *mut u8) {
        let owner = page.owner();
        // SAFETY: the precondition.
        unsafe {
            if owner.is_unowned() && owner.tid() == thread_id() {
                return free_last_owned(page, p);
            }
            if !self.has_heap(page.heap()) {
                push_one(page, p);
            } else if owner.is_unowned() && self.free_abandoned(page, p) {
            } else if owner.is_hardened() {
                count_freed(page, p);
            } else {
                self.batch.add(page, p);
            }
        }
    }
}

/// Whether blocks of a page that nobody owns are gathered: it has several, this thread would not have it back, nor would any.
#[inline(always)]
fn is_left_to_others(page: PageRef, owner: Owner) -> bool {
    owner.tid() != thread_id() && !page.is_singleton() && options::get_known(OptionId::PageReclaimOnFree) != BY_ANY
}

/// A page that this thread owned last: takes it back, if it may.
///
/// # Safety
/// As for [`Theap::free_foreign`].
unsafe fn free_last_owned(page: PageRef, p: *mut u8) {
    let theap = Theap::of_page(page);
    // SAFETY: the precondition.
    unsafe { if theap.serves(thread_id(), page.heap()) { theap.free_given_up(page, p) } else { push_one(page, p) } }
}
