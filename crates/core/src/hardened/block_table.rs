//! The books of a hardened page: which of its blocks are free, in memory far away from the blocks.
//!
//! A hardened page has no lists. Nothing that the allocator relies on is ever written into a free block, so whoever
//! writes there damages nothing of ours, and every free is told from a second one.
//!
//! # State
//! Each block has a byte, its *state*, and a bit.
//! | state | bit `freed` | the block is | comes by |
//! |---|---|---|---|
//! | used | | in use, or has never been opened | the owner: `take` |
//! | idle | | free, and in the ring | the owner: `open`, `put`, `drain` |
//! | waits | | free; the ring had no room for it | the owner: the same |
//! | used | set | freed by another thread, not yet noticed | others: `put_remote`; `drain` ends it |
//! | idle, waits | set | freed twice at the same moment, by the owner and another thread | `drain` tells |
//!
//! Only the page's owner changes states, by plain loads and stores; anybody may look. `freed` is changed by read-modify-write
//! operations alone, so that of two threads that free a block only one succeeds.
//!
//! # Quarantine
//! What is freed rests in the [`Ring`], and is drawn from there at random, the oldest first. Before that, enough blocks must be free
//! ([`BlockTable::least_rest`]). A second free finds the state meanwhile.
//!
//! # Invariants
//! 1. Whoever frees a block from outside sets its `freed` bit first and then counts it in the page's remote word. So
//!    what has been counted is found by the next `drain`; a bit may be found before its block is counted.
//! 2. Hence at least as many states are idle or wait, after a drain, as the page's counts say there are free
//!    blocks.
//! 3. The ring has the blocks that are idle, each once. The child of a fork may find that half done in pages of other threads, and
//!    makes their rings anew from the states ([`OwnedBlockTable::close_from`]).

use core::cell::Cell;
use core::ops::Deref;
use core::ptr;

use ferrimalloc_prim::cpu;

use super::ring::Ring;
use crate::base::{BUILD, WORD_BYTES};
use crate::sync::{self, AtomicU8, AtomicU64, Ordering, Relaxed, pin};

const WORD_BITS: usize = u64::BITS as usize;

/// What is done to the blocks of a page besides keeping these books.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Style {
    /// Padding and a canary behind each block.
    pub pads: bool,
    /// Blocks are filled when they are allocated and when they are freed.
    pub fills: bool,
    /// Free blocks are verified before they are allocated again.
    pub verifies: bool,
    /// Free blocks are zero, which is verified before they are allocated again.
    pub clears: bool,
    /// All of it is verified, not the first [`VERIFIED_BYTES`] alone.
    pub verifies_all: bool,
    /// How long blocks rest.
    pub rest: Rest,
}

/// As many bytes of a free block are verified, where free blocks are zero.
pub const VERIFIED_BYTES: usize = 1024;

/// How many of a page's blocks rest before any is used again, at least: by count, and by bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// One.
    Any,
    /// A sixteenth of the page's blocks, and two of 16 or more; at most 64 and 256 KiB.
    Short,
    /// A quarter of the page's blocks, at most 192 and 2 MiB.
    Long,
}

impl Rest {
    const fn least(self, blocks: usize, block_bytes: usize) -> usize {
        let (share, few, most, most_bytes) = match self {
            Rest::Any => return 1,
            Rest::Short => (blocks / 16, blocks / 8, 64, 256 << 10),
            Rest::Long => (blocks / 4, blocks / 4, 192, 2 << 20),
        };
        let wanted = at_least(share, if few < 2 { few } else { 2 });
        let fitting = most_bytes / block_bytes;
        let most = if fitting < most { fitting } else { most };
        at_least(if wanted < most { wanted } else { most }, 1)
    }
}

const fn at_least(one: usize, other: usize) -> usize {
    if one > other { one } else { other }
}

/// What is done to a block when it is taken and put back: the kinds that have fast paths, and all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Work {
    /// Nothing.
    Bare,
    /// A canary.
    Padded,
    /// The same, and the block is short.
    PaddedShort,
    /// A canary, and free blocks are zero.
    Cleared,
    /// The same, and the block is short.
    ClearedShort,
    /// The same, and all of the block is verified, which is more than [`VERIFIED_BYTES`].
    ClearedLong,
    /// What the style says.
    ByStyle,
}

impl Work {
    /// Of blocks of so many bytes in a page of this style.
    fn of(style: Style, block_bytes: usize) -> Work {
        let is_short = (SHORT_BYTES_MIN..=SHORT_BYTES).contains(&block_bytes);
        match style {
            _ if BUILD.is_watched() || style.fills => Work::ByStyle,
            Style { pads: false, clears: false, .. } => Work::Bare,
            Style { pads: false, .. } => Work::ByStyle,
            _ if block_bytes == VOID_BYTES => Work::ByStyle,
            Style { clears: false, .. } if is_short => Work::PaddedShort,
            Style { clears: false, .. } => Work::Padded,
            _ if is_short => Work::ClearedShort,
            Style { verifies_all: true, .. } if block_bytes > VERIFIED_BYTES => Work::ClearedLong,
            _ => Work::Cleared,
        }
    }
}

/// Blocks of these sizes are short: clearing them calls nothing, and two words of their room lie before the canary.
const SHORT_BYTES_MIN: usize = 4 * WORD_BYTES;
const SHORT_BYTES: usize = cpu::LOOP_BYTES;

/// A page's secrets.
#[derive(Clone, Copy, Debug)]
pub struct Secrets {
    /// Of canaries.
    pub key: u64,
    /// Of the order of blocks.
    pub order: u64,
}

impl Style {
    /// Nothing besides the books.
    pub const BARE: Style =
        Style { pads: false, fills: false, verifies: false, clears: false, verifies_all: false, rest: Rest::Any };

    /// Bytes of a block that its canary takes.
    #[inline]
    pub const fn canary_bytes(self) -> usize {
        if self.pads { WORD_BYTES } else { 0 }
    }
}

/// A block that is free already was freed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AlreadyFree;

/// What a drain found wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doubles {
    /// How many blocks were freed twice.
    pub count: usize,
    /// One of them.
    pub index: usize,
}

/// A block's state.
const USED: u8 = 0;
const IDLE: u8 = 1;
const WAITS: u8 = 2;

/// The head of a table; the states follow it, and the words of `freed` those.
#[repr(C, align(64))]
pub struct BlockTable {
    key: u64,
    /// For dividing by the block size: see [`BlockTable::index_at`].
    inverse: u64,
    block_bytes: usize,
    words: u32,
    work: Work,
    style: Style,
    least_rest: u16,
    /// How many blocks wait, and where the next is looked for.
    waiting: Cell<u32>,
    wanted: Cell<u32>,
    ring: Ring,
}

/// Blocks of this size in a padded page have no memory: see [`BlockTable::is_void`].
const VOID_BYTES: usize = WORD_BYTES;

/// States of 64 blocks.
const STATES_BYTES: usize = WORD_BITS * size_of::<AtomicU8>();

impl BlockTable {
    /// How much memory a table for `blocks` blocks takes.
    pub const fn bytes(blocks: usize) -> usize {
        size_of::<BlockTable>() + blocks.div_ceil(WORD_BITS) * (STATES_BYTES + size_of::<AtomicU64>())
    }

    /// Lays a table out in which no block has been opened.
    ///
    /// # Safety
    /// `memory` has [`BlockTable::bytes`] zeroed bytes, aligned to 64, that live as long as the page.
    pub unsafe fn create(
        memory: *mut u8,
        blocks: usize,
        block_bytes: usize,
        secrets: Secrets,
        style: Style,
    ) -> &'static BlockTable {
        let words = blocks.div_ceil(WORD_BITS);
        let place = memory.cast::<BlockTable>();
        let table = BlockTable {
            key: secrets.key,
            inverse: (u64::MAX / block_bytes as u64) + 1,
            block_bytes,
            words: words as u32,
            work: Work::of(style, block_bytes),
            style,
            least_rest: style.rest.least(blocks, block_bytes) as u16,
            waiting: Cell::new(0),
            wanted: Cell::new(0),
            ring: Ring::new(secrets.order),
        };
        // SAFETY: the precondition; states and bits follow the head.
        unsafe {
            place.write(table);
            let table = &*place;
            sync::adopt_zeroed(table.states_at(), words * WORD_BITS, || AtomicU8::new(USED));
            sync::adopt_zeroed(table.freed_at(), words, || AtomicU64::new(0));
            table
        }
    }

    /// The page's secret.
    #[inline]
    pub fn key(&self) -> u64 {
        self.key
    }

    /// What the page's levels have decided about its blocks. It never changes.
    #[inline]
    pub fn style(&self) -> Style {
        self.style
    }

    /// Bytes from one block to the next, the canary included.
    #[inline(always)]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes
    }

    /// What must be done to a block that is taken or put back.
    #[inline]
    pub fn work(&self) -> Work {
        self.work
    }

    /// Whether the blocks are those of requests for nothing: of a padded page's smallest size, which is all canary and no room.
    /// Their memory is inaccessible.
    pub fn is_void(&self) -> bool {
        self.style.pads && self.block_bytes == VOID_BYTES
    }

    /// How many blocks must rest before they are woken.
    #[inline]
    pub fn least_rest(&self) -> usize {
        self.least_rest as usize
    }

    #[inline(always)]
    fn states_at(&self) -> *mut AtomicU8 {
        ptr::from_ref(self).wrapping_add(1).cast_mut().cast()
    }

    #[inline]
    fn freed_at(&self) -> *mut AtomicU64 {
        self.states_at().wrapping_add(self.words as usize * WORD_BITS).cast()
    }

    fn states(&self) -> &[AtomicU8] {
        // SAFETY: they follow the head (`create`).
        unsafe { core::slice::from_raw_parts(self.states_at(), self.words as usize * WORD_BITS) }
    }

    #[inline]
    fn freed(&self) -> &[AtomicU64] {
        // SAFETY: they follow the states (`create`).
        unsafe { core::slice::from_raw_parts(self.freed_at(), self.words as usize) }
    }

    /// The state of block `index`.
    #[inline(always)]
    fn state(&self, index: usize) -> &AtomicU8 {
        debug_assert!(index < self.words as usize * WORD_BITS);
        // SAFETY: as above; indices are those of blocks.
        unsafe { &*self.states_at().add(index) }
    }

    /// The word of `freed` that has block `index`, and its bit there.
    #[inline]
    fn freed_bit(&self, index: usize) -> (&AtomicU64, u64) {
        debug_assert!(index < self.words as usize * WORD_BITS);
        // SAFETY: as above.
        (unsafe { &*self.freed_at().add(index / WORD_BITS) }, 1 << (index % WORD_BITS))
    }

    /// The number of the block that starts `distance` bytes behind the first, if it is one of the first `blocks`; else `None`.
    ///
    /// With `i = ⌈2^64 / b⌉`, the upper half of `d * i` is the quotient `d / b`, and the lower one is below `i` only if nothing is
    /// left over, for `d` up to 2^32 (Lemire, Kaser, Kurz: "Faster remainder by direct computation", 2019). Beyond, the quotient
    /// is more than a page has blocks.
    #[inline(always)]
    pub fn index_at(&self, distance: usize, blocks: usize) -> Option<usize> {
        let product = u128::from(distance as u64) * u128::from(self.inverse);
        let (index, rest) = ((product >> 64) as usize, product as u64);
        (rest < self.inverse && index < blocks).then_some(index)
    }

    /// Whether the block is neither free nor freed. A snapshot, unless the caller has the block.
    #[inline(always)]
    pub fn is_used(&self, index: usize) -> bool {
        let (freed, bit) = self.freed_bit(index);
        self.state(index).get() == USED && freed.get() & bit == 0
    }

    /// Whether the block is known to be free to its owner.
    #[inline(always)]
    pub fn is_free(&self, index: usize) -> bool {
        self.state(index).get() != USED
    }

    /// Marks a block as freed; by any thread, which then counts it in the page's remote word.
    #[inline]
    pub fn put_remote(&self, index: usize) -> Result<(), AlreadyFree> {
        if self.is_free(index) {
            return Err(AlreadyFree);
        }
        let (freed, bit) = self.freed_bit(index);
        // ORDERING: release: what this thread did with the block is over when the owner hands it out again; pairs with
        // `drain`.
        let before = freed.fetch_or(bit, Ordering::Release);
        if before & bit == 0 { Ok(()) } else { Err(AlreadyFree) }
    }

    /// The owner's view.
    ///
    /// # Safety
    /// The caller owns the page.
    #[inline]
    pub unsafe fn owned(&self) -> &OwnedBlockTable {
        // SAFETY: a transparent wrapper.
        unsafe { &*ptr::from_ref(self).cast::<OwnedBlockTable>() }
    }
}

/// A block table as the page's owner sees it.
#[repr(transparent)]
pub struct OwnedBlockTable(BlockTable);

impl Deref for OwnedBlockTable {
    type Target = BlockTable;

    #[inline(always)]
    fn deref(&self) -> &BlockTable {
        &self.0
    }
}

impl OwnedBlockTable {
    /// Makes never-used blocks ready.
    pub fn open(&self, from: usize, count: usize) {
        let put = self.ring.put_first(from, count);
        pin();
        (from..from + put).for_each(|index| self.state(index).set(IDLE));
        pin();
        (from + put..from + count).for_each(|index| self.wait(index));
    }

    /// Forgets that blocks from `capacity` on are free, as if they had not been opened, and the ring, which may be half done.
    pub fn close_from(&self, capacity: usize) {
        self.ring.clear();
        self.waiting.set(0);
        for (index, state) in self.states().iter().enumerate() {
            match state.get() {
                USED => (),
                _ if index >= capacity => state.set(USED),
                _ => self.put_used(index),
            }
        }
    }

    /// Whether blocks are ready.
    #[inline(always)]
    pub fn is_ready(&self) -> bool {
        self.ring.is_ready()
    }

    /// Takes a block that is ready; `None` if there is none.
    #[inline(always)]
    pub fn take(&self) -> Option<usize> {
        let index = self.ring.take()?;
        pin();
        self.state(index).set(USED);
        Some(index)
    }

    /// Makes blocks ready, if none is, and at least `enough` are free; false if none is then.
    #[inline(never)]
    pub fn make_ready(&self, enough: usize) -> bool {
        if self.ring.is_ready() {
            return true;
        }
        if self.waiting.get() > 0 && self.ring.count() <= Ring::ROOM / 2 {
            self.call_waiting();
        }
        self.count_known() >= enough && self.ring.draw(self.least_rest())
    }

    /// How many blocks are free, without looking at them.
    pub fn count_known(&self) -> usize {
        self.ring.count() + self.waiting.get() as usize
    }

    /// Frees a block, which rests.
    #[inline(always)]
    pub fn put(&self, index: usize) -> Result<(), AlreadyFree> {
        if !self.is_used(index) {
            return Err(AlreadyFree);
        }
        self.put_used(index);
        Ok(())
    }

    /// The same for a block that is not free, as far as the owner knows.
    #[inline(always)]
    pub fn put_used(&self, index: usize) {
        self.state(index).set(IDLE);
        pin();
        if !self.ring.put(index) {
            self.wait(index);
        }
    }

    /// A block waits outside of the ring.
    #[inline(always)]
    fn wait(&self, index: usize) {
        self.state(index).set(WAITS);
        pin();
        self.waiting.set(self.waiting.get() + 1);
    }

    /// Blocks that wait come into the ring, as many as it has room for, in turn.
    #[cold]
    #[inline(never)]
    fn call_waiting(&self) {
        let first = self.wanted.get() as usize;
        let (before, behind) = self.states().split_at(first);
        if self.call_some(behind, first) {
            self.call_some(before, 0);
        }
    }

    /// The same for those with these states, the first of which is that of block `first`; false if no more are to come.
    fn call_some(&self, states: &[AtomicU8], first: usize) -> bool {
        for (at, state) in states.iter().enumerate() {
            if state.get() == WAITS {
                if self.waiting.get() == 0 || !self.ring.put(first + at) {
                    self.wanted.set((first + at) as u32);
                    return false;
                }
                pin();
                state.set(IDLE);
                pin();
                self.waiting.set(self.waiting.get() - 1);
            }
        }
        true
    }

    /// Turns freed blocks into resting ones.
    pub fn drain(&self) -> Doubles {
        let mut doubles = Doubles { count: 0, index: 0 };
        for (word, bits) in self.freed().iter().enumerate() {
            if bits.get() != 0 {
                // ORDERING: acquire pairs with `put_remote`.
                let mut freed = bits.swap(0, Ordering::Acquire);
                pin();
                while freed != 0 {
                    let index = word * WORD_BITS + freed.trailing_zeros() as usize;
                    freed &= freed - 1;
                    if !self.is_free(index) {
                        self.put_used(index);
                    } else {
                        doubles = Doubles { count: doubles.count + 1, index };
                    }
                }
            }
        }
        doubles
    }

    /// How many blocks are free.
    pub fn count_free(&self) -> usize {
        self.states().iter().filter(|state| state.get() != USED).count()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::vec::Vec;

    const BLOCKS: usize = 400;
    const STYLE: Style = Style { pads: true, ..Style::BARE };

    fn secrets(order: u64) -> Secrets {
        Secrets { key: 1, order }
    }

    /// Memory for a table, aligned like the real one's.
    #[repr(align(64))]
    struct Memory([u8; BlockTable::bytes(BLOCKS)]);

    fn with_table(block_bytes: usize, key: u64, test: impl FnOnce(&OwnedBlockTable)) {
        let mut memory = Memory([0; BlockTable::bytes(BLOCKS)]);
        // SAFETY: zeroed, aligned, large enough, and alive during the test.
        test(unsafe { BlockTable::create(memory.0.as_mut_ptr(), BLOCKS, block_bytes, secrets(key), STYLE).owned() });
    }

    /// All blocks that are free, as they are drawn.
    fn order(table: &OwnedBlockTable) -> Vec<usize> {
        core::iter::from_fn(|| if table.make_ready(1) { table.take() } else { None }).collect()
    }

    #[test]
    fn every_open_block_is_taken_once_in_an_order_of_the_key() {
        let mut orders = HashSet::new();
        for key in 1..50 {
            with_table(48, key, |table| {
                table.open(0, BLOCKS);
                let order = order(table);
                assert_eq!(order.iter().copied().collect::<HashSet<_>>(), (0..BLOCKS).collect());
                assert_eq!(order.len(), BLOCKS);
                orders.insert(order);
            });
        }
        assert_eq!(orders.len(), 49);
    }

    #[test]
    fn a_second_free_is_noticed_whoever_frees() {
        with_table(48, 1, |table| {
            assert!(table.is_used(7));
            assert_eq!(table.put(7), Ok(()));
            assert_eq!(table.put(7), Err(AlreadyFree));
            assert_eq!(table.put_remote(7), Err(AlreadyFree));
            assert_eq!(table.put_remote(8), Ok(()));
            assert_eq!(table.put_remote(8), Err(AlreadyFree));
            assert_eq!(table.put(8), Err(AlreadyFree));
            assert!(!table.is_used(7) && !table.is_used(8) && table.is_used(9));
            assert_eq!(table.drain().count, 0);
            assert_eq!(table.count_free(), 2);
        });
    }

    #[test]
    fn what_was_freed_rests_until_it_is_drawn() {
        with_table(48, 1, |table| {
            table.open(0, 3);
            assert_eq!(order(table).len(), 3);
            assert_eq!(table.put(0), Ok(()));
            assert_eq!(table.put_remote(1), Ok(()));
            assert_eq!((table.take(), table.make_ready(2)), (None, false), "not enough");
            assert_eq!(table.drain().count, 0);
            assert_eq!(table.take(), None, "a drain draws nothing");
            assert!(table.make_ready(2));
            for index in [0, 1] {
                assert_eq!((table.put(index), table.put_remote(index)), (Err(AlreadyFree), Err(AlreadyFree)));
            }
            assert_eq!(order(table).into_iter().collect::<HashSet<_>>(), [0, 1].into());
            assert!(table.is_used(0) && table.is_used(1));
        });
    }

    #[test]
    fn more_blocks_than_the_ring_has_room_for_wait_outside() {
        with_table(48, 1, |table| {
            table.open(0, BLOCKS);
            let all = order(table);
            for round in 0..3 {
                all.iter().for_each(|&index| {
                    let put = if round == 1 { table.put_remote(index) } else { table.put(index) };
                    assert_eq!(put, Ok(()));
                });
                assert_eq!(table.drain().count, 0);
                assert_eq!((table.count_known(), table.count_free()), (BLOCKS, BLOCKS));
                assert!(all.iter().all(|&index| table.put(index) == Err(AlreadyFree) && !table.is_used(index)));
                assert_eq!(order(table).into_iter().collect::<HashSet<_>>(), (0..BLOCKS).collect());
                assert_eq!(table.count_known(), 0);
            }
        });
    }

    #[test]
    fn books_that_were_left_half_done_are_made_anew_from_the_states() {
        with_table(48, 1, |table| {
            table.open(0, BLOCKS);
            let used = [table.take().unwrap(), table.take().unwrap()];
            table.ring.take();
            table.close_from(300);
            assert_eq!((table.count_known(), table.is_ready()), (table.count_free(), false));
            let free: HashSet<_> = order(table).into_iter().collect();
            assert_eq!(free, (0..300).filter(|index| !used.contains(index)).collect());
        });
    }

    #[test]
    fn how_many_must_rest_is_a_share_of_the_page() {
        let least = |rest: Rest| [1, 8, 16, 128, 4000].map(|blocks| rest.least(blocks, 16));
        assert_eq!(least(Rest::Any), [1; 5]);
        assert_eq!(least(Rest::Short), [1, 1, 2, 8, 64]);
        assert_eq!(least(Rest::Long), [1, 2, 4, 32, 192]);
    }

    #[test]
    fn large_blocks_rest_by_bytes() {
        let least = |rest: Rest| [2 << 10, 32 << 10, 512 << 10].map(|bytes| rest.least((8 << 20) / bytes, bytes));
        assert_eq!(least(Rest::Any), [1; 3]);
        assert_eq!(least(Rest::Short), [64, 8, 1]);
        assert_eq!(least(Rest::Long), [192, 64, 4]);
    }

    #[test]
    fn frees_that_raced_are_found_by_the_drain() {
        with_table(48, 1, |table| {
            table.open(60, 10);
            order(table);
            assert_eq!(table.put_remote(66), Ok(()));
            table.put_used(66);
            assert_eq!(table.drain(), Doubles { count: 1, index: 66 });
            assert_eq!(table.count_free(), 1);
        });
    }

    #[test]
    fn only_multiples_of_the_size_are_blocks() {
        for block_bytes in [16, 48, 80, 1024, 1280, 20480] {
            with_table(block_bytes, 1, |table| {
                for index in 0..BLOCKS {
                    let distance = index * block_bytes;
                    assert_eq!(table.index_at(distance, BLOCKS), Some(index));
                    assert_eq!(table.index_at(distance + 1, BLOCKS), None);
                    assert_eq!(table.index_at(distance + block_bytes - 1, BLOCKS), None);
                }
                assert_eq!(table.index_at(usize::MAX, BLOCKS), None);
                assert_eq!(table.index_at(BLOCKS * block_bytes, BLOCKS), None);
            });
        }
    }

    #[test]
    fn division_is_exact_for_every_class() {
        use crate::base::{Bin, SLICE_BYTES};
        for bin in (0..Bin::COUNT).filter_map(Bin::from_index) {
            let (bytes, area) = (bin.block_bytes(), bin.page_slices() * SLICE_BYTES);
            with_table(bytes, 1, |table| {
                for index in 0..area / bytes {
                    let at = |distance: usize| table.index_at(distance, area / bytes);
                    assert_eq!(at(index * bytes), Some(index));
                    let inside = [1, 2, 3, bytes / 2, bytes - 4, bytes - 2, bytes - 1];
                    assert!(inside.iter().all(|more| at(index * bytes + more).is_none()), "{bytes} {index}");
                }
                let outside = [area / bytes * bytes, usize::MAX / 2 + 1, usize::MAX, 0usize.wrapping_sub(bytes)];
                assert!(outside.iter().all(|&distance| table.index_at(distance, area / bytes).is_none()), "{bytes}");
            });
        }
    }
}
