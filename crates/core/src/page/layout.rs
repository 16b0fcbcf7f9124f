//! A page's description: 128 bytes in the page map, the first half of it touched by `malloc` and `free`.
//!
//! ```text
//!  0 ownership: owner, remote, used, listed           24 free       32 local_free   40 lent, capacity, flags, bin
//! 48 block_bytes  56 start
//! 64 theap        72 heap       80 links               96 side word 104 handed       112 arena
//! 120 slices, reserved, committed, age
//! ```
//!
//! # Invariants (of a page that a thread owns)
//! 1. `outstanding` counts the blocks that are in use or on `free`; the others of the `capacity` are on `local_free`, or in
//!    the remote list, whose blocks count as in use. So `malloc` counts nothing, and when `free` is exhausted
//!    `|local_free| = capacity - outstanding` without walking.
//! 2. `outstanding == 0` implies that every block is on `local_free`: the page is empty.
//! 3. Blocks beyond the *frontier* (up to `reserved`) are neither in use nor on a list: never linked, or forgotten when the
//!    page was empty ([`Owned::relink`](super::Owned::relink)). The frontier is `capacity`, but in a page with holes: there
//!    `capacity` counts the blocks below the frontier that are not withdrawn (see `holes`).
//! 4. With [`Flag::FreeIsZero`], all blocks on `free` read as zero except for their link.
//! 5. A hardened page (see `hardened`) has empty lists; its block table says which blocks are free.
//! 6. With [`Flag::Lifo`], `free` is empty, `local_free` is both freed to and allocated from, and all blocks that are
//!    not on it are in use or in the remote list. `outstanding` then says how many more frees there are until that ends,
//!    and invariants 1 and 2 hold again ([`Owned::end_lifo`](super::Owned::end_lifo)): so slow paths keep coming.
//!
//! # Who may touch what
//! Every field that a thread may read without owning the page is atomic; loads and stores are relaxed, and cost what plain
//! ones do. The methods of [`Page`] read; only those of [`Owned`](super::Owned), which stands for the right of the page's
//! owner, write. The plain cells are read by the owner alone.

use core::cell::Cell;
use core::mem::offset_of;
use core::ptr;

use super::block::Block;
use super::heap_word::HeapWord;
use super::ownership::{Owner, Ownership};
use crate::arena::{Arena, page_map};
use crate::base::*;
use crate::os::PrivateMemory;
use crate::sync::{AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Relaxed};

/// How much of a page that has been used before is put on its free list at a time. Bytes.
pub(super) const EXTEND_TOUCHED_BYTES: usize = 4 * EXTEND_BYTES;

/// Properties of a page that only its owner changes.
#[derive(Clone, Copy)]
#[repr(u8)]
pub enum Flag {
    /// Invariant 4.
    FreeIsZero = 1,
    /// Never-used blocks (beyond the frontier) read as zero.
    FreshIsZero = 2,
    /// Invariant 6.
    Lifo = 4,
    /// Empty and kept by its theap for a while.
    Retired = 8,
    /// In its theap's queue, or in its heap's list of pages for samples.
    Queued = 16,
    /// Has blocks beyond the frontier, or withdrawn ones.
    Extensible = 32,
    /// Was found full by a search of its queue, and has been kept.
    KeptFull = 64,
    /// Its blocks have been used and were forgotten ([`Owned::relink`](super::Owned::relink)).
    Touched = 128,
}

/// Where a page's memory comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Slices of an arena.
    Arena(&'static Arena),
    /// A mapping of its own.
    Os(PrivateMemory),
}

/// What a new page is to be.
pub struct Placement {
    /// Where the memory comes from.
    pub origin: Origin,
    /// The first slice.
    pub memory: *mut u8,
    /// How many slices.
    pub slices: usize,
    /// Where the first block starts, in bytes from `memory`.
    pub offset_bytes: usize,
    /// The blocks' class.
    pub bin: Bin,
    /// Bytes from one block to the next; of a singleton, the size of its block.
    pub block_bytes: usize,
    /// How many blocks fit.
    pub reserved: u16,
    /// Whether the memory reads as zero.
    pub zero: Zero,
}

/// A page, or an interior slice of one, as any thread may see it. See the module's head.
#[repr(C, align(128))]
pub struct Page {
    pub(super) ownership: Ownership,
    pub(super) free: AtomicPtr<Block>,
    pub(super) local_free: AtomicPtr<Block>,
    pub(super) outstanding: AtomicU32,
    pub(super) capacity: AtomicU16,
    pub(super) flags: AtomicU8,
    pub(super) bin: AtomicU8,
    pub(super) block_bytes: AtomicUsize,
    /// Less `BUILD.start_disguise`, which is 0 but under valgrind.
    pub(super) start: AtomicPtr<u8>,

    pub(super) theap: AtomicPtr<()>,
    pub(super) heap: HeapWord,
    /// The owner's, in a theap's queue; else those of a list of the heap's, under its lock: of pages with a mapping of their own, or
    /// of pages for samples.
    pub(super) links: Links,
    /// Of a hardened page: where its block table is, or of a single block, the bytes of padding behind it. Of an ordinary
    /// one that is retired: what `free` was, to see whether the page has been used since. Of an entry of one with holes:
    /// which OS pages of the slice are holes, and in a page's first one its frontier. Above that the first entry has the rest
    /// of `free`, if that was ended early (`cut`), else what the lists looked like (`punch`).
    pub(super) side_word: AtomicU64,
    /// How many blocks have been put on `free` so far, each as often as that was: those and not on `free` now have
    /// been allocated. Of a single block that is a sample: the profiler's record of it.
    pub(super) handed: AtomicU64,
    pub(super) arena: AtomicPtr<Arena>,
    /// In a stub: how many slices its head is away.
    pub(super) slices: AtomicU32,
    /// In the first stub of a page of large blocks: what its owner knows of the next looks (`looks`).
    pub(super) reserved: AtomicU16,
    /// How many slices are committed, of a page that is committed as it fills; else 0.
    pub(super) committed: Cell<u8>,
    /// How long it has been retired, or how often it has been found unchanged (`punch`); above that, [`Page::HOLES`]
    /// and [`Page::EARLY_HOLES`].
    pub(super) age_and_holes: AtomicU8,
}

/// Where `outstanding` is in a page. Bytes.
pub(super) const OUTSTANDING: usize = core::mem::offset_of!(Page, outstanding);

const _: () = assert!(size_of::<Page>() == ENTRY_BYTES);
const _: () = assert!(usize::BITS < 64 || core::mem::offset_of!(Page, theap) == 64);
const _: () = assert!(LARGE_PAGE_SLICES <= u8::MAX as usize);

// SAFETY: `Page`'s methods touch atomics only. The cells are touched by those of `Owned`, which is not `Sync`: the thread
// that has one owns the page (`ownership`, invariant 1). The links belong to the list that the page is in.
unsafe impl Sync for Page {}

/// A page for whoever has an address in it: what is atomic, or constant while a block of it is in use. Entries of the page
/// map are never unmapped.
pub type PageRef = &'static Page;

offsets! {
    /// Where the fields of a page's description lie, for a reader in another process.
    PageOffsets {
        /// The owner word: a thread's id with flags in its low bits (see [`Owner`]); 0: no page.
        owner: offset_of!(Page, ownership) + Ownership::OWNER_AT,
        /// The remote word, of 64 bits: from the top the remote list's head in units of 8 bytes from `start` (31), the
        /// threshold (16), the list's length (16), and whether nobody owns the page (1).
        remote: offset_of!(Page, ownership) + Ownership::REMOTE_AT,
        /// 16 bits: while nobody owns the page, how many blocks are in use, those in the remote list included.
        used: offset_of!(Page, ownership) + Ownership::USED_AT,
        /// A byte: 1 if the page is in its heap's bitmap of those that any thread may take.
        listed: offset_of!(Page, ownership) + Ownership::LISTED_AT,
        /// A word: the first block to be allocated; 0: none. A block's first word is the address of the next.
        free: offset_of!(Page, free),
        /// A word: the first of the blocks that the owner has freed, linked in the same way.
        local_free: offset_of!(Page, local_free),
        /// 32 bits: how many blocks are in use or on `free`.
        outstanding: offset_of!(Page, outstanding),
        /// 16 bits: how many blocks have been linked and are not withdrawn.
        capacity: offset_of!(Page, capacity),
        /// A byte of [`Flag`]s.
        flags: offset_of!(Page, flags),
        /// A byte: the number of the blocks' class.
        bin: offset_of!(Page, bin),
        /// A word: bytes from one block to the next; of a singleton, the size of its block.
        block_bytes: offset_of!(Page, block_bytes),
        /// A word: the address of the first block, less the disguise that the build may have.
        start: offset_of!(Page, start),
        /// A word: the address of the theap that owns the page, or owned it last.
        theap: offset_of!(Page, theap),
        /// A word: the address of the page's heap. Its lowest bit is a flag: the heap may end.
        heap: offset_of!(Page, heap),
        /// A word: the address of the next page in the list that this one is in.
        next: offset_of!(Page, links) + Links::NEXT_AT,
        /// 64 bits, whose meaning depends on the page: holes, a retired page's `free`, or a hardened one's block table.
        side_word: offset_of!(Page, side_word),
        /// 64 bits: how many blocks have been put on `free` so far. Of a singleton that is a sample, the profiler's record
        /// of it.
        handed: offset_of!(Page, handed),
        /// A word: the address of the arena; 0: a mapping of its own.
        arena: offset_of!(Page, arena),
        /// 32 bits: how many slices the page has, or, in a stub, how many its head is away.
        slices: offset_of!(Page, slices),
        /// 16 bits: how many blocks fit.
        reserved: offset_of!(Page, reserved),
        /// A byte: how many slices are committed, of a page that is committed as it fills; else 0.
        committed: offset_of!(Page, committed),
        /// A byte: how long the page has been retired or unchanged; the top bit tells that it has holes.
        age_and_holes: offset_of!(Page, age_and_holes),
    }
}

impl Page {
    pub(super) const fn zeroed() -> Page {
        // SAFETY: atomics, addresses and counts, all of which are valid when zero.
        unsafe { core::mem::zeroed() }
    }

    /// The entry of the slice that holds `p`, whether or not a page is there; the entry of no page for an address that
    /// has none.
    #[inline]
    pub fn entry(p: *const u8) -> PageRef {
        // SAFETY: the page map's answers are readable, and zeroed memory is a valid `Page`.
        unsafe { &*page_map::entry(p).cast::<Page>() }
    }

    /// The same, if the address is where most of ours are: for the fast paths.
    #[inline(always)]
    pub fn near_entry(p: *const u8) -> Option<PageRef> {
        let entry = page_map::near_entry(p)?;
        let entry = ferrimalloc_prim::cpu::pin(entry.cast::<Page>().as_ptr());
        // SAFETY: as for `entry`; not null, which the compiler can't know any more of what is pinned.
        unsafe {
            core::hint::assert_unchecked(!entry.is_null());
            Some(&*entry)
        }
    }

    /// The entry of the slice that holds `p`; `None` for an address that has none, and so is not ours.
    #[inline]
    pub fn entry_if_any(p: *const u8) -> Option<PageRef> {
        // SAFETY: as for `entry`.
        page_map::find(p).map(|entry| unsafe { entry.cast::<Page>().as_ref() })
    }

    /// The page that holds `p`, if there is one.
    pub fn lookup(p: *const u8) -> Option<PageRef> {
        let entry = Self::entry(p);
        match entry.owner() {
            Owner::NONE => None,
            Owner::STUB => Some(entry.head()),
            _ => Some(entry),
        }
    }

    /// From a stub to its page.
    #[inline(always)]
    pub fn head(&self) -> PageRef {
        let distance = self.slices();
        // SAFETY: a stub is `distance` entries behind its page's entry in the same map.
        unsafe { &*ptr::from_ref(self).sub(distance) }
    }

    /// Whether a stub is so far behind its head that the page is a large one. (Nearly all of a large page's are.)
    #[inline(always)]
    pub fn is_far_inside(&self) -> bool {
        self.slices() >= MEDIUM_PAGE_SLICES
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

    pub(super) fn mark_stubs(&self, memory: *mut u8, owner: Owner) {
        for distance in 1..self.described_slices() {
            let stub = Self::entry(memory.wrapping_add(distance * SLICE_BYTES));
            stub.slices.set(distance as u32);
            stub.ownership.set_owner(owner);
        }
    }

    /// Who owns the page, or what the entry is if not a page's first. One relaxed load; a snapshot, unless the caller
    /// owns the page or has one of its blocks.
    #[inline(always)]
    pub fn owner(&self) -> Owner {
        self.ownership.owner()
    }

    #[inline]
    pub(super) fn has_flag(&self, flag: Flag) -> bool {
        self.flags.get() & flag as u8 != 0
    }

    /// The blocks' class; [`Bin::SINGLETON`] for a page of one block.
    #[inline]
    pub fn bin(&self) -> Bin {
        Bin::from_index(self.bin.get() as usize).unwrap_or(Bin::SINGLETON)
    }

    /// Whether the page is for one block.
    #[inline]
    pub fn is_singleton(&self) -> bool {
        self.bin() == Bin::SINGLETON
    }

    /// Whether the page's block was a guarded one that has been freed, and nobody may touch its memory. (Its page has had a block
    /// before it was guarded.)
    #[inline]
    pub fn is_resting(&self) -> bool {
        self.owner().is_guarded() && self.is_singleton() && self.capacity.get() == 0
    }

    /// Bytes from one block to the next; of a singleton, the size of its block.
    #[inline(always)]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes.get()
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

    /// How many slices the page has. In a stub: how many its head is away.
    pub fn slices(&self) -> usize {
        self.slices.get() as usize
    }

    /// Bytes from the first block to the end of the last slice.
    pub fn area_bytes(&self) -> usize {
        self.slices() * SLICE_BYTES - (self.start() as usize - self.memory() as usize)
    }

    /// Where the page's memory comes from, and so what may be done with it.
    pub fn origin(&self) -> Origin {
        // SAFETY: arenas live until their sub-process is destroyed, after all its pages.
        match unsafe { self.arena.get().as_ref() } {
            Some(arena) => Origin::Arena(arena),
            // SAFETY: a page without an arena was made of such memory (`create`), of which it has these slices.
            None => Origin::Os(unsafe { PrivateMemory::assume(self.memory(), self.slices() * SLICE_BYTES) }),
        }
    }

    /// Whether its blocks are large enough to be seen to one by one.
    #[inline(always)]
    pub fn has_large_blocks(&self) -> bool {
        self.block_bytes() > MEDIUM_BLOCK_MAX
    }

    /// A part of the page's memory, of whole OS pages, if it is private memory of ours.
    pub fn private_at(&self, start: *const u8, bytes: usize) -> Option<PrivateMemory> {
        match self.origin() {
            Origin::Arena(arena) => arena.private_at(start, bytes),
            Origin::Os(memory) => Some(memory.part(start as usize - self.memory() as usize, bytes)),
        }
    }

    /// The theap that owns the page or owned it last: an opaque handle on this floor.
    #[inline(always)]
    pub fn theap(&self) -> *const () {
        self.theap.get()
    }

    /// The heap that the page belongs to, to be compared: an opaque handle on this floor.
    #[inline]
    pub fn heap(&self) -> *const () {
        self.heap.heap()
    }

    /// For those who do more with the page's heap.
    #[inline]
    pub fn heap_word(&self) -> &HeapWord {
        &self.heap
    }

    /// How many blocks the page can hold.
    #[inline]
    pub fn reserved(&self) -> usize {
        self.reserved.get() as usize
    }

    /// How many blocks are in use or on a list.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity.get() as usize
    }

    /// Set while some of its OS pages have been given back, and their blocks are withdrawn (`holes`).
    pub(super) const HOLES: u8 = 0x80;
    /// Set while some of these went early, before anybody knew that they stay free.
    pub(super) const EARLY_HOLES: u8 = 0x40;
    pub(super) const MAX_AGE: u8 = Self::EARLY_HOLES - 1;

    #[inline]
    pub(super) fn has_holes(&self) -> bool {
        self.age_and_holes.get() & Self::HOLES != 0
    }

    pub(super) fn age(&self) -> u8 {
        self.age_and_holes.get() & Self::MAX_AGE
    }

    /// Where the frontier is in the side word of a page with holes.
    pub(super) const FRONTIER_SHIFT: u32 = 16;
    /// What is above the holes and the frontier.
    pub(super) const ABOVE_HOLES_SHIFT: u32 = 32;

    /// What the side word of an ordinary page says of its holes; 0 if there are none.
    pub(super) fn holes_in_side_word(&self) -> u64 {
        if self.has_holes() { self.side_word.get() & ((1 << Self::ABOVE_HOLES_SHIFT) - 1) } else { 0 }
    }

    /// How many blocks have ever been linked.
    #[inline]
    pub fn frontier(&self) -> usize {
        if self.has_holes() {
            usize::from((self.side_word.get() >> Self::FRONTIER_SHIFT) as u16)
        } else {
            self.capacity()
        }
    }

    /// How much of the page's memory has been used since it was made, at least. Bytes from its first block.
    #[inline]
    pub fn touched_bytes(&self) -> usize {
        if self.has_flag(Flag::Touched) {
            self.reserved() * self.block_bytes()
        } else {
            self.frontier() * self.block_bytes()
        }
    }

    /// How many blocks are linked at a time.
    pub(super) fn extension(&self) -> usize {
        let bytes = if self.has_flag(Flag::Touched) { EXTEND_TOUCHED_BYTES } else { EXTEND_BYTES };
        (bytes / self.block_bytes()).max(1)
    }

    /// How often blocks have been linked since the page was made or relinked.
    pub fn extensions(&self) -> usize {
        self.frontier().div_ceil(self.extension())
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

    /// Where the block of that number starts, whether it has been lent or not.
    #[inline]
    pub(super) fn block_start(&self, index: usize) -> *mut u8 {
        self.start().wrapping_add(index * self.block_bytes())
    }

    /// The number, below `limit`, of the block that starts at `p`; `None` for anything else.
    pub(super) fn block_index(&self, p: *const u8, limit: usize) -> Option<usize> {
        let (distance, bytes) = ((p as usize).wrapping_sub(self.start() as usize), self.block_bytes());
        let is_block = bytes > 0 && distance.is_multiple_of(bytes) && distance / bytes < limit;
        is_block.then(|| distance / bytes)
    }

    /// Whether `p` is the address of a block that this page has lent at some time.
    pub fn is_block_start(&self, p: *const u8) -> bool {
        self.block_index(p, self.frontier()).is_some()
    }
}

impl Linked for Page {
    fn links(&self) -> &Links {
        &self.links
    }
}

impl PartialEq for Page {
    fn eq(&self, other: &Page) -> bool {
        ptr::eq(self, other)
    }
}
