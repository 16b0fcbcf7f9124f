//! The right to touch a page is a value.
//!
//! | type | which thread has it | what it can do |
//! |---|---|---|
//! | [`PageRef`] | any with an address | read, push a block, try to claim |
//! | [`OwnedPage`] | the one that made, claimed or took the page back | everything; give the right up |
//! | [`&Owned`](Owned) | a borrower of the owner's right | the owner's work on lists and counts |
//! | [`SinglePage`] | the one that has a singleton's only block | what concerns that block and the memory behind it |
//!
//! An `OwnedPage` is neither `Copy` nor `Clone`, and comes only from [`PageRef`]'s claims, from a new page, or out of the
//! structure that held it (a theap's queue). Letting go, releasing and erasing consume it. It is to [`Owned`] what a `Box` is
//! to its contents: a queue that holds pages lends `&Owned`.
//!
//! ```compile_fail,E0382
//! # use ferrimalloc_core::page::OwnedPage;
//! fn twice(page: OwnedPage) {
//!     let _ = page.let_go(0, 1, 1);
//!     page.refill(); // the page is nobody's
//! }
//! ```
//! ```compile_fail,E0599
//! # use ferrimalloc_core::page::OwnedPage;
//! fn copy(page: &OwnedPage) -> OwnedPage {
//!     page.clone()
//! }
//! ```
//! ```compile_fail,E0423
//! # use ferrimalloc_core::page::{Owned, OwnedPage};
//! fn made_up(page: &'static Owned) -> OwnedPage {
//!     OwnedPage(page)
//! }
//! ```
//! ```compile_fail,E0599
//! # use ferrimalloc_core::page::PageRef;
//! fn not_mine(page: PageRef) {
//!     page.pop();
//! }
//! ```
//! ```compile_fail,E0277
//! # use ferrimalloc_core::page::Owned;
//! fn shared(page: &'static Owned) -> impl Sync {
//!     page
//! }
//! ```
//! The same with what the types allow:
//! ```
//! # use ferrimalloc_core::page::{Owned, OwnedPage, PageRef};
//! fn once(page: OwnedPage) -> Result<(), OwnedPage> {
//!     page.refill();
//!     page.let_go(0, 1, 1)
//! }
//! fn claimed(page: PageRef) -> Option<OwnedPage> {
//!     page.claim().map(|(owned, _)| owned)
//! }
//! fn borrowed(page: &Owned) -> *mut u8 {
//!     page.pop()
//! }
//! ```

use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr;

use ferrimalloc_prim::cpu;
use ferrimalloc_prim::thread::id as thread_id;

use super::block::Block;
use super::hardened::CLEARS;
use super::heap_word::Lifetime;
use super::layout::{Flag, Origin, Page, PageRef, Placement};
use super::ownership::{BlockOffset, Chain, Owner, Push};
use crate::arena::Tally;
use crate::base::*;
use crate::bitmap::BitRange;
use crate::diag::ErrorKind;
use crate::sync::{Relaxed, pin};

/// The most slices of a page that become accessible before they are needed: 512 KiB.
const COMMIT_STEP: usize = (512 << 10) / SLICE_BYTES;

/// A page as its owner may see it: behind a reference, which only a thread with the right has.
#[repr(transparent)]
pub struct Owned {
    page: Page,
    /// The right is one thread's.
    _not_shared: PhantomData<*mut ()>,
}

/// The right to a page.
#[must_use = "the page would be nobody's, and never be found again"]
pub struct OwnedPage(&'static Owned);

/// The threshold of a page that was claimed by mistake, to put it back with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Threshold(pub usize);

/// A page without blocks: stands in wherever a theap has no page. Nothing is ever written to it, since it has no block.
pub struct EmptyPage(Owned);
// SAFETY: the owner's methods that a theap calls without having asked whether there is a block (`pop`, `pop_recycled`) only
// read a page that has none.
unsafe impl Sync for EmptyPage {}
/// The only one, shared by all theaps.
pub static EMPTY_PAGE: EmptyPage = EmptyPage(Owned { page: Page::zeroed(), _not_shared: PhantomData });

impl EmptyPage {
    /// As a theap's table has it.
    pub const fn as_ptr(&'static self) -> *const Owned {
        &raw const self.0
    }
}

impl Deref for EmptyPage {
    type Target = Owned;

    #[inline]
    fn deref(&self) -> &Owned {
        &self.0
    }
}

impl Deref for Owned {
    type Target = Page;

    #[inline(always)]
    fn deref(&self) -> &Page {
        &self.page
    }
}

impl Deref for OwnedPage {
    type Target = Owned;

    #[inline(always)]
    fn deref(&self) -> &Owned {
        self.0
    }
}

impl Linked for Owned {
    fn links(&self) -> &Links {
        &self.page.links
    }
}

impl PartialEq for Owned {
    fn eq(&self, other: &Owned) -> bool {
        ptr::eq(self, other)
    }
}

/// What the owner's free left behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freed {
    /// Other blocks are in use, or still on `free`.
    InUse,
    /// That was the last block: the page is empty and `free` is exhausted.
    Empty,
}

/// What [`Page::push_or_claim`] did.
#[must_use = "a claimed page is the caller's to see to"]
pub enum Pushed {
    /// The block is in the remote list, and nothing else happened.
    Left,
    /// The block is in the remote list and made it reach the threshold.
    Due(OwnedPage),
    /// The page is the caller's, and the list; the block is not in it.
    Claimed(OwnedPage, Chain),
}

/// What any thread can do to become the owner.
impl Page {
    /// As its owner, of a page that this thread owns, and that is an ordinary one without inner addresses: the compare of
    /// `free`'s fast path.
    #[inline(always)]
    pub fn if_mine(&'static self) -> Option<&'static Owned> {
        // SAFETY: a thread finds its own id in the word only while it owns the page: it wrote the id itself, and takes it away
        // before it lets go.
        cpu::word_is(self.ownership.owner_word(), thread_id()).then(|| unsafe { self.owned() })
    }

    /// The same for any page that this thread owns.
    #[inline]
    pub fn if_mine_of_any_kind(&'static self) -> Option<&'static Owned> {
        let owner = self.owner();
        // SAFETY: as for `if_mine`.
        (owner.tid() == thread_id() && !owner.is_unowned()).then(|| unsafe { self.owned() })
    }

    /// # Safety
    /// The caller owns the page.
    #[inline(always)]
    pub(super) unsafe fn owned(&'static self) -> &'static Owned {
        // SAFETY: `Owned` is a `Page`, transparently.
        unsafe { &*ptr::from_ref(self).cast::<Owned>() }
    }

    /// A look at everything, for tests.
    #[cfg(test)]
    pub fn look(&'static self) -> &'static Owned {
        // SAFETY: the tests' pages have one user at a time.
        unsafe { self.owned() }
    }

    /// Whether the remote word says that nobody owns the page: a hint.
    #[inline]
    pub fn is_let_go(&self) -> bool {
        self.ownership.is_unowned()
    }

    /// Takes the right without a claim.
    ///
    /// # Safety
    /// The page is one that nobody else owns or will claim: the thread that owned it doesn't exist any more, or nobody uses
    /// any block of its heap.
    pub unsafe fn take_over(&'static self) -> OwnedPage {
        // SAFETY: the precondition.
        OwnedPage(unsafe { self.owned() })
    }

    /// No thread takes the page for its own from now on.
    ///
    /// # Safety
    /// The thread that owned it doesn't exist any more.
    pub unsafe fn disown(&self) {
        if !self.owner().is_unowned() {
            self.ownership.set_owner(self.owner().unowned(0));
        }
    }

    /// Becomes the owner of a page that nobody owns and takes its remote list. One compare-and-swap.
    #[inline]
    pub fn claim(&'static self) -> Option<(OwnedPage, Chain)> {
        // SAFETY: the claim made this thread the owner.
        self.ownership.claim().map(|chain| (OwnedPage(unsafe { self.owned() }), chain))
    }

    /// Becomes the owner of a page that nobody owns and leaves its remote list in the word.
    pub fn claim_in_place(&'static self) -> Option<(OwnedPage, Threshold)> {
        // SAFETY: the claim made this thread the owner.
        self.ownership.claim_in_place().map(|threshold| (OwnedPage(unsafe { self.owned() }), Threshold(threshold)))
    }

    /// Pushes a chain of `count` blocks on the remote list. If that reaches the threshold of a page that nobody owns, it is the
    /// caller's. One compare-and-swap when undisturbed.
    ///
    /// # Safety
    /// The blocks from `head` to `tail` are linked, belong to the page, and nobody uses them any more.
    #[inline]
    pub unsafe fn push(&'static self, head: *mut u8, tail: *mut u8, count: usize) -> Option<OwnedPage> {
        // SAFETY: the last block is the caller's until the push succeeds.
        let link = |next| unsafe { self.link(tail, next) };
        self.pushed(self.ownership.push(self.offset_of(head), count, link))
    }

    /// Counts a block in the remote word without a link, for pages that have no lists, or no other block: see [`Page::push`].
    #[inline]
    pub fn push_unlinked(&'static self, p: *mut u8) -> Option<OwnedPage> {
        self.pushed(self.ownership.push(self.offset_of(p), 1, |_| ()))
    }

    #[inline]
    fn pushed(&'static self, push: Push) -> Option<OwnedPage> {
        // SAFETY: the push made this thread the owner.
        (push == Push::Claimed).then(|| OwnedPage(unsafe { self.owned() }))
    }

    /// Frees a block of a page that nobody owns and that the caller would have: once `wanted` blocks are free, this one
    /// among them, it is the caller's. One compare-and-swap when undisturbed. Hardened pages have no links.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more.
    #[inline]
    pub unsafe fn push_or_claim(&'static self, p: *mut u8, wanted: usize) -> Pushed {
        use super::ownership::PushOrClaim;
        let has_lists = !self.owner().is_hardened();
        let link = |next| {
            if has_lists {
                // SAFETY: the block is the caller's until it is pushed.
                unsafe { self.link(p, next) }
            }
        };
        let freed = self.ownership.push_or_claim(self.offset_of(p), wanted, link);
        // SAFETY: where it is used, the free made this thread the owner.
        let owned = || OwnedPage(unsafe { self.owned() });
        match freed {
            PushOrClaim::Left => Pushed::Left,
            PushOrClaim::Due => Pushed::Due(owned()),
            PushOrClaim::Claimed(chain) => Pushed::Claimed(owned(), chain),
        }
    }

    /// Makes the block at `next` follow `block` in the remote list.
    ///
    /// # Safety
    /// `block` is a block of the page that the caller has freed and not yet pushed.
    #[inline(always)]
    unsafe fn link(&self, block: *mut u8, next: Option<BlockOffset>) {
        let next = next.map_or(ptr::null_mut(), |offset| self.block_at(offset));
        // SAFETY: the precondition.
        unsafe { Block::set_next(block.cast(), next.cast()) };
    }

    /// A block's place in the remote word.
    #[inline]
    pub(super) fn offset_of(&self, p: *const u8) -> BlockOffset {
        debug_assert!(self.reaches(p));
        BlockOffset::from_bytes(p as usize - self.start() as usize)
    }

    #[inline]
    pub(super) fn block_at(&self, offset: BlockOffset) -> *mut u8 {
        self.start().wrapping_add(offset.bytes())
    }

    /// How many blocks wait in the remote list: a hint.
    #[inline]
    pub fn remote_count(&self) -> usize {
        self.ownership.count()
    }
}

impl OwnedPage {
    /// Describes a new page, owned by thread `tid`, the caller, with no block linked yet.
    ///
    /// # Safety
    /// The placement's memory is the caller's, accessible, and covered by the page map; `heap` and `theap`
    /// are what later callers of [`Page::heap`] and [`Page::theap`] expect.
    pub unsafe fn create(
        at: &Placement,
        tid: usize,
        theap: *const (),
        (heap, lifetime): (*const (), Lifetime),
    ) -> OwnedPage {
        let entry = Page::entry(at.memory);
        debug_assert_eq!(entry.owner(), Owner::NONE);
        // SAFETY: nobody else describes a page in this memory.
        let page = unsafe { entry.take_over() };
        let fresh = if at.zero == Zero::Zeroed { Flag::FreshIsZero as u8 } else { 0 };
        page.free.set(ptr::null_mut());
        page.local_free.set(ptr::null_mut());
        page.outstanding.set(0);
        page.capacity.set(0);
        page.flags.set(fresh | Flag::Extensible as u8);
        page.bin.set(at.bin.index() as u8);
        page.block_bytes.set(at.block_bytes);
        page.start.set(at.memory.wrapping_add(at.offset_bytes).wrapping_sub(BUILD.start_disguise));
        page.set_theap(theap);
        page.heap.begin(heap, lifetime);
        page.reserved.set(at.reserved);
        page.slices.set(at.slices as u32);
        page.committed.set(0);
        page.age_and_holes.set(0);
        page.handed.set(0);
        page.side_word.set(0);
        page.arena.set(match at.origin {
            Origin::Arena(arena) => ptr::from_ref(arena).cast_mut(),
            Origin::Os(_) => ptr::null_mut(),
        });
        page.mark_stubs(at.memory, Owner::STUB);
        page.begin_looks();
        page.ownership.begin(tid);
        page
    }

    /// Makes the entries of the page's slices those of no page again.
    pub fn erase(self) {
        let memory = self.memory();
        self.ownership.set_owner(Owner::NONE);
        self.mark_stubs(memory, Owner::NONE);
    }

    /// Gives the page up, of whose blocks `used` are in use or in the remote list; the push that brings the list to
    /// `threshold` blocks claims it. `hint` is the thread that would have it back, or 0. Refused if the list is that long
    /// already: the caller then marks the page as its own again ([`Owned::keep`]), or decides about it.
    #[inline]
    pub fn let_go(self, hint: usize, used: usize, threshold: usize) -> Result<(), OwnedPage> {
        self.ownership.let_go(hint, used, threshold).map_err(|_| self)
    }

    /// Gives a page that was only claimed up again as it was.
    #[inline]
    pub fn put_back(self, threshold: Threshold) -> Result<(), OwnedPage> {
        self.ownership.put_back(threshold.0).map_err(|_| self)
    }

    /// Hands the right over to a structure that keeps it, and lends the page. [`Owned::take_out`] brings it back.
    #[inline]
    pub fn hold(self) -> &'static Owned {
        self.0
    }
}

impl Owned {
    /// The right, out of the structure that held it.
    ///
    /// # Safety
    /// The structure holds it ([`OwnedPage::hold`]), and from now on doesn't.
    #[inline]
    pub unsafe fn take_out(&'static self) -> OwnedPage {
        OwnedPage(self)
    }

    /// For those who need no right.
    #[inline(always)]
    pub fn page(&self) -> PageRef {
        // SAFETY: entries of the page map are never unmapped.
        unsafe { &*ptr::from_ref(&self.page) }
    }

    /// Marks the page as owned by thread `tid`, the caller.
    #[inline]
    pub fn keep(&self, tid: usize) {
        self.ownership.keep(tid);
    }

    /// Enters the handle of the theap that owns the page from now on.
    pub fn set_theap(&self, theap: *const ()) {
        self.theap.set(theap.cast_mut());
    }

    /// While the page is claimed, and nothing is decided: see [`super::ownership::Ownership::used`].
    #[inline]
    pub fn used_when_let_go(&self) -> usize {
        self.ownership.used()
    }

    /// How many blocks wait in the remote list, for a decision to release the page if these are all.
    #[inline]
    pub fn arrived(&self) -> usize {
        self.ownership.arrived()
    }

    /// Takes the remote list.
    #[inline]
    pub fn take_remote(&self) -> Chain {
        self.ownership.take()
    }

    /// Whether the page is in its heap's bitmap of those that any thread may take.
    #[inline]
    pub fn is_listed(&self) -> bool {
        self.ownership.is_listed()
    }

    /// Together with the bit in the heap's bitmap.
    #[inline]
    pub fn set_listed(&self, listed: bool) {
        self.ownership.set_listed(listed);
    }

    /// From now on blocks may be known by addresses inside them.
    pub fn set_interior(&self) {
        self.ownership.set_owner(self.owner().interior());
    }

    /// Whether the page's last OS page, or the one behind its only block, is inaccessible, or may be.
    pub fn set_guarded(&self, is_guarded: bool) {
        self.ownership.set_owner(self.owner().guarded(is_guarded));
    }

    /// Takes pushes of the only block out of the remote word. More than are `due`, of its one free, are double frees.
    #[cold]
    pub fn settle_frees(&self, due: usize) {
        if self.take_remote().count > due {
            self.report(ErrorKind::DoubleFree, self.start(), self.start());
        }
    }

    /// The only block has been freed.
    pub fn note_single_freed(&self) {
        self.outstanding.set(0);
        pin();
    }

    /// The only block is to rest, inaccessible: the page is one that has no block from now on ([`Page::is_resting`]).
    pub fn begin_rest(&self) {
        pin();
        self.capacity.set(0);
        pin();
    }

    /// Takes the profiler's record away from the only block, if it is a sample.
    pub fn take_sample(&self) -> Option<*const ()> {
        let record = self.sample()?;
        self.handed.set(0);
        Some(record)
    }

    /// Marks the page as hardened, for as long as it lives.
    pub(super) fn set_hardened(&self) {
        self.ownership.set_owner(self.owner().hardened());
    }

    /// Whether the page has the property.
    #[inline]
    pub fn is(&self, flag: Flag) -> bool {
        self.has_flag(flag)
    }

    /// Gives the page the property.
    #[inline]
    pub fn raise(&self, flag: Flag) {
        self.flags.set(self.flags.get() | flag as u8);
    }

    /// Takes the property away.
    #[inline]
    pub fn drop_flag(&self, flag: Flag) {
        self.flags.set(self.flags.get() & !(flag as u8));
    }

    /// The page is to hold fewer blocks than there is room for; before any is linked.
    pub fn set_reserved(&self, blocks: u16) {
        self.reserved.set(blocks);
    }

    /// Only the first `slices` of the page are committed: it sees to the others as it fills.
    pub fn note_committed(&self, slices: usize) {
        self.committed.set(slices as u8);
    }

    /// Whether blocks up to `end` may be touched, or can be committed.
    #[inline]
    pub fn commit_up_to(&self, end: *const u8) -> bool {
        self.committed.get() == 0 || self.commit_more(end as usize - self.memory() as usize)
    }

    #[cold]
    fn commit_more(&self, bytes: usize) -> bool {
        let (have, need) = (self.committed.get() as usize, bytes.div_ceil(SLICE_BYTES));
        let Origin::Arena(arena) = self.origin() else { return true };
        let first = arena.slice_of(self.memory());
        let commit = |slices: usize| {
            let done = arena.commit(BitRange::between(first + have, first + slices));
            if done {
                self.committed.set(slices as u8);
            }
            done
        };
        // Twice as much, to call the system rarely, up to a step: what is not used of it counts against limits.
        let ample = (have + have.min(COMMIT_STEP)).min(self.slices());
        need <= have || ample > need && commit(ample) || commit(need)
    }

    // What both kinds of pages count.

    /// Blocks in use or on `free` (Invariant 1).
    #[inline]
    pub fn outstanding(&self) -> usize {
        self.outstanding.get() as usize
    }

    /// Counts blocks that have been put on `free`.
    #[inline]
    pub(super) fn hand(&self, blocks: usize) {
        self.handed.set(self.handed.get() + blocks as u64);
    }

    /// The last fresh block has been handed out.
    pub(super) fn note_filled(&self) {
        self.drop_flag(Flag::Extensible);
        pin();
        if let Some(filled) = self.filled() {
            filled.add(self.slices());
        }
    }

    /// Where its slices count once it is filled.
    fn filled(&self) -> Option<&'static Tally> {
        let Origin::Arena(arena) = self.origin() else { return None };
        Some(if self.is_singleton() { &arena.usage().single } else { &arena.usage().filled })
    }

    /// The page is about to have blocks beyond `capacity` again, or to be released.
    pub fn note_unfilled(&self) {
        if !self.is(Flag::Extensible)
            && let Some(filled) = self.filled()
        {
            filled.subtract(self.slices());
        }
    }

    // Being kept empty for a while (see `theap::retire`).

    /// Remembers that the page is empty now.
    pub fn note_retired(&self) {
        self.raise(Flag::Retired);
        self.set_age(0);
        if !self.owner().is_hardened() && self.rest().is_none() {
            self.side_word.set(look_of(self.free.get()));
        }
    }

    /// Whether the lists look as they did at [`Owned::note_retired`]. Blocks freed by others may have restored the look.
    pub fn seems_unused_since_retired(&self) -> bool {
        if self.owner().is_hardened() {
            return self.outstanding() == 0;
        }
        if self.rest().is_some() {
            return self.used() == 0;
        }
        look_of(self.free.get()) == self.side_word.get() && self.local_free.get().is_null()
    }

    /// At most [`Page::MAX_AGE`].
    pub(super) fn set_age(&self, age: u8) {
        self.age_and_holes.set(self.age_and_holes.get() & !Page::MAX_AGE | age.min(Page::MAX_AGE));
    }

    /// One tick older; returns the age before.
    pub fn grow_older(&self) -> u8 {
        let age = self.age();
        self.set_age(age + 1);
        age
    }
}

/// What fits below the length of a rest (`cut`): on all machines of today the whole address.
fn look_of(block: *mut Block) -> u64 {
    block.addr() as u64 & (u64::MAX >> u16::BITS)
}

/// The page of a single block, for the thread that has the block: nobody owns the page, and nobody else has an address in
/// it. Neither `Copy` nor `Clone`.
pub struct SinglePage(PageRef);

impl SinglePage {
    /// The page of the block at `p`; `None` if `page`, which holds `p`, has other blocks, or its block starts elsewhere.
    ///
    /// # Safety
    /// If there is such a block it is in use, the caller has it, and there is no other value of it.
    #[inline]
    pub unsafe fn held(p: *const u8, page: PageRef) -> Option<SinglePage> {
        (page.is_singleton() && p == page.start()).then_some(SinglePage(page))
    }

    /// The page, for those who need no right.
    #[inline]
    pub fn page(&self) -> PageRef {
        self.0
    }

    /// The block has grown or shrunk where it is.
    pub fn set_block_bytes(&mut self, bytes: usize) {
        self.0.block_bytes.set(bytes);
    }

    /// The page has got slices behind its own, or lost some.
    pub fn set_slices(&mut self, slices: usize) {
        self.0.slices.set(slices as u32);
    }

    /// Whether the OS page behind the block is inaccessible, or may be.
    pub fn set_guarded(&mut self, is_guarded: bool) {
        self.0.ownership.set_owner(self.0.owner().guarded(is_guarded));
    }

    /// The block is a sample of the profiler, which has a record of it.
    pub fn set_sample(&mut self, record: *const ()) {
        self.0.handed.set(record.expose_provenance() as u64);
    }

    /// Takes the profiler's record away from the block, if it is a sample.
    pub fn take_sample(&mut self) -> Option<*const ()> {
        let record = self.0.sample()?;
        self.0.handed.set(0);
        Some(record)
    }

    /// Makes the page a hardened one, with `padding_bytes` behind what was asked for; and whether the block is to be cleared
    /// when it is freed.
    pub fn set_padding(&mut self, padding_bytes: usize, clears: bool) {
        self.0.side_word.set(padding_bytes as u64 | if clears { CLEARS } else { 0 });
        self.0.ownership.set_owner(self.0.owner().hardened());
    }

    /// Frees the block. If the page is the caller's then, it has to be released. A thread in search of a page may have claimed
    /// it by mistake, and puts it back at once or releases it: then the block is pushed.
    pub fn free(self) -> Option<OwnedPage> {
        match self.0.claim() {
            Some((page, _)) => Some(page),
            None => self.0.push_unlinked(self.0.start()).inspect(|page| page.settle_frees(1)),
        }
    }
}

impl Deref for SinglePage {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        self.0
    }
}

impl OwnedPage {
    /// Lends the only block of a new page and gives the page up, with thread `hint` as the one that had it.
    pub fn hand_out_single(self, hint: usize) -> SinglePage {
        self.mark_single_handed_out();
        let page = self.page();
        let given_up = self.let_go(hint, 1, 1);
        debug_assert!(given_up.is_ok(), "no block of a new page has been freed");
        SinglePage(page)
    }
}
