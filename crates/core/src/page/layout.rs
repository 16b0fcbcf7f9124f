//! A page's description: 128 bytes in the page map, the first half of it touched by `malloc` and `free`.
//!
//! ```text
//!  0 owner       8 free       16 lent, capacity.. 24 local_free  32 remote   40 block_bytes  48 start  56 theap
//! 64 next       72 prev       80 heap             88 reserved, age, slices, used, committed  104 arena 112 retired_free 120 handed
//! ```
//!
//! # Invariants (of a page that somebody owns)
//! 1. `lent` counts the blocks that are in use or on `free`; the others of the `capacity` are on `local_free`, or in
//!    the remote list, whose blocks count as in use. So `malloc` counts nothing, and when `free` is exhausted
//!    `|local_free| = capacity - lent` without walking.
//! 2. `lent == 0` implies that every block is on `local_free`: the page is empty.
//! 3. Blocks beyond `capacity` (up to `reserved`) are neither in use nor on a list: never linked, or forgotten when the
//!    page was empty ([`Page::start_over`]).
//! 4. With [`Flag::FreeIsZero`], all blocks on `free` read as zero except for their link.
//! 5. A checked page (see `checks`) has empty lists; its ledger says which blocks are free.
//!
//! # Who may touch what
//! Any thread: `owner`, `remote`, `tenure`, and as hints `theap`, `used_unowned` (atomic). Constant while the page has blocks in use: `block_bytes`, `start`, `bin`,
//! `slices`, `arena`. The owner alone: all else.

use core::cell::Cell;
use core::ptr;

use super::block::Block;
use super::remote::Remote;
use super::tenure::{Tenure, Term};
use crate::arena::{Arena, page_map};
use crate::base::*;
use crate::bitmap::BitRange;
use crate::sync::{AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering};

/// The owner word: a thread's id with flags in its low bits.
///
/// | word | meaning |
/// |---|---|
/// | 0 | no page (untouched or released metadata) |
/// | tid | owned by that thread, ordinary: the fast path of `free` compares with this |
/// | tid + INTERIOR | owned by that thread; blocks may be known by addresses inside them |
/// | … + CHECKED | … and checked: no fast path takes such a page for an ordinary one |
/// | tid + UNOWNED (+ INTERIOR) | nobody's; that thread owned it last (a hint) |
/// | UNOWNED (+ INTERIOR) | nobody's; its last owner has ended |
/// | … + GUARDED | … and its last OS page, or the one behind its only block, is inaccessible |
/// | STUB | not the first slice of its page |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner(usize);

impl Owner {
    pub const NONE: Owner = Owner(0);
    pub const STUB: Owner = Owner(2);
    const UNOWNED: usize = 1;
    const GUARDED: usize = 2;
    const INTERIOR: usize = 4;
    const CHECKED: usize = 8;
    const FLAGS: usize = 15;

    /// The word of a page owned by thread `tid`.
    #[inline]
    pub const fn thread(tid: usize) -> Owner {
        Owner(tid)
    }

    /// The thread that owns the page, or owned it last; 0 if none is known.
    #[inline]
    pub const fn tid(self) -> usize {
        self.0 & !Self::FLAGS
    }

    #[inline]
    pub const fn is_unowned(self) -> bool {
        self.0 & Self::UNOWNED != 0
    }

    #[inline]
    pub const fn has_interior(self) -> bool {
        self.0 & Self::INTERIOR != 0
    }

    #[inline]
    pub const fn is_checked(self) -> bool {
        self.0 & Self::CHECKED != 0
    }

    #[inline]
    pub const fn is_guarded(self) -> bool {
        self.0 & Self::GUARDED != 0
    }

    #[inline]
    pub(super) const fn checked(self) -> Owner {
        Owner(self.0 | Self::CHECKED)
    }

    const fn with_tid(self, tid: usize) -> Owner {
        Owner(self.0 & (Self::GUARDED | Self::INTERIOR | Self::CHECKED) | tid)
    }
}

/// Properties of a page that only its owner reads and writes.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Flag {
    /// Invariant 4.
    FreeIsZero = 1,
    /// Never-used blocks (beyond `capacity`) read as zero.
    FreshIsZero = 2,
    /// In its heap's bitmap of pages that any thread may take.
    Listed = 4,
    /// Empty and kept by its theap for a while.
    Retired = 8,
    /// In its theap's queue.
    Queued = 16,
    /// Has blocks beyond `capacity`.
    Extensible = 32,
    /// Was found full by a search of its queue, and has been kept.
    Passed = 64,
    /// Its blocks have been used and were forgotten ([`Page::start_over`]).
    Touched = 128,
}

/// Where a page's memory comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Slices of an arena.
    Arena(&'static Arena),
    /// A mapping of its own.
    Os,
}

/// What a new page is to be.
pub struct Placement {
    pub origin: Origin,
    /// The first slice.
    pub memory: *mut u8,
    pub slices: usize,
    /// Where the first block starts, in bytes from `memory`.
    pub offset_bytes: usize,
    pub bin: Bin,
    pub block_bytes: usize,
    /// How many blocks fit.
    pub reserved: u16,
    pub zero: Zero,
}

/// A page, or an interior slice of one. See the module's head.
#[repr(C, align(128))]
pub struct Page {
    owner: AtomicUsize,
    pub(super) free: Cell<*mut Block>,
    pub(super) lent: Cell<u32>,
    pub(super) capacity: Cell<u16>,
    flags: Cell<u8>,
    bin: Cell<u8>,
    pub(super) local_free: Cell<*mut Block>,
    pub remote: Remote,
    block_bytes: Cell<usize>,
    /// Less `BUILD.start_disguise`, which is 0 but under valgrind.
    start: Cell<*mut u8>,
    theap: AtomicPtr<()>,

    next: Cell<*const Page>,
    prev: Cell<*const Page>,
    tenure: Tenure,
    reserved: Cell<u16>,
    retired_age: Cell<u16>,
    slices: Cell<u32>,
    /// In a stub: how many slices its head is away.
    head_distance: AtomicU32,
    /// While nobody owns the page: how many blocks are in use.
    used_unowned: AtomicU16,
    /// How many slices are committed, of a page that is committed as it fills; else 0.
    committed: Cell<u16>,
    arena: Cell<*const Arena>,
    /// While retired: what `free` was, to see whether the page has been used since. Of a checked page: where its ledger
    /// is, or of a single block, the bytes of padding behind it.
    retired_free: Cell<*mut Block>,
    /// How many blocks have been put on `free` so far, each as often as that was: those and not on `free` now have
    /// been allocated.
    pub(super) handed: Cell<u64>,
}

const _: () = assert!(size_of::<Page>() == ENTRY_BYTES);
const _: () = assert!(core::mem::offset_of!(Page, theap) < 64);

// SAFETY: fields that several threads may touch at a time are atomic; the others belong to the page's owner, or are
// constant while anybody else may read them (module head, "Who may touch what").
unsafe impl Sync for Page {}

/// A page without blocks, owned by nobody: stands in wherever a theap has no page.
pub static EMPTY_PAGE: Page = Page::zeroed();

/// Finding a page by an address inside it.
pub enum Lookup {
    /// The address is in a slice of this page.
    Page(&'static Page),
    /// No page of ours is there.
    None,
}

impl Page {
    const fn zeroed() -> Page {
        Page {
            owner: AtomicUsize::new(0),
            free: Cell::new(ptr::null_mut()),
            lent: Cell::new(0),
            capacity: Cell::new(0),
            flags: Cell::new(0),
            bin: Cell::new(0),
            local_free: Cell::new(ptr::null_mut()),
            remote: Remote::new(),
            block_bytes: Cell::new(0),
            start: Cell::new(ptr::null_mut()),
            theap: AtomicPtr::new(ptr::null_mut()),
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
            tenure: Tenure::new(),
            reserved: Cell::new(0),
            retired_age: Cell::new(0),
            slices: Cell::new(0),
            head_distance: AtomicU32::new(0),
            used_unowned: AtomicU16::new(0),
            committed: Cell::new(0),
            arena: Cell::new(ptr::null()),
            retired_free: Cell::new(ptr::null_mut()),
            handed: Cell::new(0),
        }
    }

    /// The entry of the slice that holds `p`, whether or not a page is there; the entry of no page for an address that
    /// has none.
    #[inline]
    pub fn entry(p: *const u8) -> &'static Page {
        // SAFETY: the page map's answers are readable, and zeroed memory is a valid `Page`.
        unsafe { &*page_map::entry(p).cast::<Page>() }
    }

    /// The same, if the address is where most of ours are: for the fast paths.
    #[inline(always)]
    pub fn near_entry(p: *const u8) -> Option<&'static Page> {
        let entry = page_map::near_entry(p)?;
        let entry = ferrimalloc_prim::cpu::pin(entry.cast::<Page>().as_ptr());
        // SAFETY: as for `entry`; not null, which the compiler can't know any more of what is pinned.
        unsafe {
            core::hint::assert_unchecked(!entry.is_null());
            Some(&*entry)
        }
    }

    /// The page that holds `p`, if there is one.
    pub fn lookup(p: *const u8) -> Lookup {
        let entry = Self::entry(p);
        match entry.owner() {
            Owner::NONE => Lookup::None,
            Owner::STUB => Lookup::Page(entry.head()),
            _ => Lookup::Page(entry),
        }
    }

    /// From a stub to its page.
    #[inline(always)]
    pub fn head(&self) -> &'static Page {
        let distance = self.head_distance.load(Ordering::Relaxed) as usize;
        // SAFETY: a stub is `distance` entries behind its page's entry in the same map.
        unsafe { &*ptr::from_ref(self).sub(distance) }
    }

    /// Describes a new page, owned by thread `tid`, with no block linked yet.
    ///
    /// # Safety
    /// The placement's memory is the caller's, accessible, and covered by the page map; `heap` and `theap`
    /// are what later callers of [`Page::heap`] and [`Page::theap`] expect.
    pub unsafe fn create(
        at: &Placement,
        tid: usize,
        theap: *const (),
        (heap, term): (*const (), Term),
    ) -> &'static Page {
        let page = Self::entry(at.memory);
        debug_assert_eq!(page.owner(), Owner::NONE);
        let fresh = if at.zero == Zero::Zeroed { Flag::FreshIsZero as u8 } else { 0 };
        let flags = fresh | Flag::Extensible as u8;
        page.free.set(ptr::null_mut());
        page.local_free.set(ptr::null_mut());
        page.lent.set(0);
        page.capacity.set(0);
        page.flags.set(flags);
        page.bin.set(at.bin.index() as u8);
        page.block_bytes.set(at.block_bytes);
        page.start.set(at.memory.wrapping_add(at.offset_bytes).wrapping_sub(BUILD.start_disguise));
        page.set_theap(theap);
        page.tenure.begin(heap, term);
        page.next.set(ptr::null());
        page.prev.set(ptr::null());
        page.reserved.set(at.reserved);
        page.slices.set(at.slices as u32);
        page.committed.set(0);
        page.handed.set(0);
        page.arena.set(match at.origin {
            Origin::Arena(arena) => arena,
            Origin::Os => ptr::null(),
        });
        page.remote.reset();
        page.mark_stubs(at.memory, Owner::STUB);
        page.owner.store(tid, Ordering::Relaxed);
        page
    }

    /// Makes the entries of a page's slices those of no page again.
    pub fn erase(&self) {
        let memory = self.memory();
        self.owner.store(0, Ordering::Relaxed);
        self.mark_stubs(memory, Owner::NONE);
    }

    /// How many slices have stubs. Of a singleton only those up to its block's start, since nothing else is ever
    /// looked up; that keeps the metadata of huge blocks untouched.
    fn described_slices(&self) -> usize {
        if self.is_singleton() {
            (self.start() as usize - self.memory() as usize) / SLICE_BYTES + 1
        } else {
            self.slices()
        }
    }

    fn mark_stubs(&self, memory: *mut u8, owner: Owner) {
        for distance in 1..self.described_slices() {
            let stub = Self::entry(memory.wrapping_add(distance * SLICE_BYTES));
            stub.head_distance.store(distance as u32, Ordering::Relaxed);
            stub.owner.store(owner.0, Ordering::Relaxed);
        }
    }

    /// Whether it is an ordinary page that thread `tid` owns: what the fast path of `free` asks.
    #[inline(always)]
    pub fn is_ordinary_of(&self, tid: usize) -> bool {
        ferrimalloc_prim::cpu::word_is(&self.owner, tid)
    }

    #[inline(always)]
    pub fn owner(&self) -> Owner {
        Owner(self.owner.load(Ordering::Relaxed))
    }

    /// Marks the page as owned by thread `tid`; by its owner.
    #[inline]
    pub fn set_owner_thread(&self, tid: usize) {
        self.owner.store(self.owner().with_tid(tid).0, Ordering::Relaxed);
    }

    /// Marks the page as nobody's, with `tid` as the hint; by its owner, before it lets go.
    #[inline]
    pub fn set_owner_unowned(&self, tid: usize) {
        self.owner.store(self.owner().with_tid(tid).0 | Owner::UNOWNED, Ordering::Relaxed);
    }

    /// Marks the page as checked, for as long as it lives; by its owner, or the holder of its only block.
    pub(super) fn set_checked(&self) {
        self.owner.store(self.owner().checked().0, Ordering::Relaxed);
    }

    /// Marks the page as guarded; by its owner, or the holder of its only block.
    pub fn set_guarded(&self) {
        self.owner.store(self.owner().0 | Owner::GUARDED, Ordering::Relaxed);
    }

    /// What `retired_free` means in a checked page.
    #[inline]
    pub(super) fn side_word(&self) -> usize {
        self.retired_free.get() as usize
    }

    pub(super) fn set_side_word(&self, word: usize) {
        self.retired_free.set(ptr::with_exposed_provenance_mut(word));
    }

    /// From now on blocks may be known by addresses inside them; by its owner.
    pub fn set_interior(&self) {
        self.owner.store(self.owner().0 | Owner::INTERIOR, Ordering::Relaxed);
    }

    #[inline]
    pub fn is(&self, flag: Flag) -> bool {
        self.flags.get() & flag as u8 != 0
    }

    #[inline]
    pub fn raise(&self, flag: Flag) {
        self.flags.set(self.flags.get() | flag as u8);
    }

    #[inline]
    pub fn drop_flag(&self, flag: Flag) {
        self.flags.set(self.flags.get() & !(flag as u8));
    }

    #[inline]
    pub fn bin(&self) -> Bin {
        Bin::from_index(self.bin.get() as usize).unwrap_or(Bin::SINGLETON)
    }

    #[inline]
    pub fn is_singleton(&self) -> bool {
        self.bin() == Bin::SINGLETON
    }

    #[inline(always)]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes.get()
    }

    /// A singleton's block has grown or shrunk in place.
    pub fn set_block_bytes(&self, bytes: usize) {
        debug_assert!(self.is_singleton());
        self.block_bytes.set(bytes);
    }

    /// The first block.
    #[inline]
    pub fn start(&self) -> *mut u8 {
        self.start.get().wrapping_add(BUILD.start_disguise)
    }

    /// The first slice.
    pub fn memory(&self) -> *mut u8 {
        self.start().with_addr(page_map::slice_address(ptr::from_ref(self).cast()))
    }

    #[inline]
    pub fn slices(&self) -> usize {
        self.slices.get() as usize
    }

    /// A singleton has been given slices behind its own.
    pub fn set_slices(&self, slices: usize) {
        self.slices.set(slices as u32);
    }

    /// Bytes from the first block to the end of the last slice.
    pub fn area_bytes(&self) -> usize {
        self.slices() * SLICE_BYTES - (self.start() as usize - self.memory() as usize)
    }

    pub fn origin(&self) -> Origin {
        // SAFETY: arenas live until their sub-process is destroyed, after all its pages.
        match unsafe { self.arena.get().as_ref() } {
            Some(arena) => Origin::Arena(arena),
            None => Origin::Os,
        }
    }

    /// Only the first `slices` of the page are committed: it sees to the others as it fills.
    pub fn note_committed(&self, slices: usize) {
        self.committed.set(slices as u16);
    }

    /// Whether blocks up to `end` may be touched, or can be committed; by the owner.
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
                self.committed.set(slices as u16);
            }
            done
        };
        // Twice as much, to call the system rarely.
        let ample = (2 * have).min(self.slices());
        need <= have || ample > need && commit(ample) || commit(need)
    }

    /// The theap that owns the page or owned it last: an opaque handle on this floor.
    #[inline(always)]
    pub fn theap(&self) -> *const () {
        self.theap.load(Ordering::Relaxed)
    }

    pub fn set_theap(&self, theap: *const ()) {
        self.theap.store(theap.cast_mut(), Ordering::Relaxed);
    }

    /// The heap that the page belongs to, to be compared: an opaque handle on this floor.
    #[inline]
    pub fn heap(&self) -> *const () {
        self.tenure.heap()
    }

    /// For those who do more with the page's heap.
    #[inline]
    pub fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// The page is to hold fewer blocks than there is room for; before any is linked.
    pub fn set_reserved(&self, blocks: u16) {
        self.reserved.set(blocks);
    }

    /// How many blocks the page can hold.
    #[inline]
    pub fn reserved(&self) -> usize {
        self.reserved.get() as usize
    }

    /// While nobody owns the page: how many of its blocks are in use, counting those in the remote list.
    #[inline]
    pub fn used_unowned(&self) -> usize {
        self.used_unowned.load(Ordering::Relaxed) as usize
    }

    pub fn set_used_unowned(&self, used: usize) {
        self.used_unowned.store(used as u16, Ordering::Relaxed);
    }

    /// The block that holds address `p`.
    #[inline]
    pub fn block_of(&self, p: *mut u8) -> *mut u8 {
        let distance = p as usize - self.start() as usize;
        p.wrapping_sub(distance % self.block_bytes())
    }

    /// Whether `p`, in one of the page's slices as far as the page map can tell, is not before its first block.
    #[inline]
    pub fn reaches(&self, p: *const u8) -> bool {
        let distance = (p as usize).wrapping_sub(self.start() as usize);
        // Nearly always the first test tells; the second costs another cache line.
        distance < SLICE_BYTES || distance < self.slices() * SLICE_BYTES
    }

    /// Whether `p` is the address of a block that this page has lent at some time.
    pub fn is_block_start(&self, p: *const u8) -> bool {
        let distance = (p as usize).wrapping_sub(self.start() as usize);
        distance.is_multiple_of(self.block_bytes()) && distance / self.block_bytes() < self.capacity.get() as usize
    }

    // Links of a queue of pages (see `theap::queue`).

    #[inline]
    pub fn next(&self) -> Option<&'static Page> {
        // SAFETY: queue links point to page map entries, which are never unmapped.
        unsafe { self.next.get().as_ref() }
    }

    #[inline]
    pub fn prev(&self) -> Option<&'static Page> {
        // SAFETY: as for `next`.
        unsafe { self.prev.get().as_ref() }
    }

    #[inline]
    pub fn set_next(&self, next: Option<&'static Page>) {
        self.next.set(next.map_or(ptr::null(), ptr::from_ref));
    }

    #[inline]
    pub fn set_prev(&self, prev: Option<&'static Page>) {
        self.prev.set(prev.map_or(ptr::null(), ptr::from_ref));
    }

    // Being kept empty for a while (see `theap::retire`).

    /// Remembers that the page is empty now.
    pub fn note_retired(&self) {
        self.raise(Flag::Retired);
        self.retired_age.set(0);
        if !self.owner().is_checked() {
            self.retired_free.set(self.free.get());
        }
    }

    /// Whether the lists look as they did at [`Page::note_retired`]. Blocks freed by others may have restored the look.
    pub fn seems_unused_since_retired(&self) -> bool {
        if self.owner().is_checked() {
            return self.lent() == 0;
        }
        self.free.get() == self.retired_free.get() && self.local_free.get().is_null()
    }

    /// One tick older; returns the age before.
    pub fn grow_older(&self) -> u16 {
        let age = self.retired_age.get();
        self.retired_age.set(age.saturating_add(1));
        age
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Page) -> bool {
        ptr::eq(self, other)
    }
}
