//! The books of a hardened page: which of its blocks are free, in memory far away from the blocks.
//!
//! A hardened page has no lists. Nothing that the allocator relies on is ever written into a free block, so whoever
//! writes there damages nothing of ours, and every free is told from a second one.
//!
//! # Bits
//! Each block has four bits.
//! | bit | the block is | set by | cleared by |
//! |---|---|---|---|
//! | idle | free, as far as the owner knows | the owner: `open`, `put`, `drain` | the owner: `take` |
//! | free (and idle) | to be made ready next | the owner: `open`, `wake` | the owner: `make_ready` |
//! | aged (and idle) | in quarantine since before the last `wake` | the owner: `wake` | the owner: `wake` |
//! | freed | freed by another thread, not yet noticed | `put_remote` | the owner: `drain` |
//! | freed and idle | freed twice at the same moment, by the owner and another thread | | `drain`, which tells |
//!
//! A block with no bit is in use, or has never been opened. One that is idle and neither free nor aged is *ready* (while any
//! are), or rests. Only the page's owner changes the first three, by plain loads and stores; anybody may look. `freed` is
//! changed by read-modify-write operations alone, so that of two threads that free a block only one succeeds.
//!
//! # Quarantine
//! What is freed rests. Only when no block is free or ready any more, and enough of them rest ([`BlockBitmap::least_rest`]),
//! some are woken: those that had aged, if they are enough, and those that rest begin to age; else a random half of all. So a
//! block comes again after others of its page have been taken, at random among those that woke with it, and a second free
//! finds it idle meanwhile. It costs nothing: the owner sets one bit, as it would anyway.
//!
//! # Invariants
//! 1. Whoever frees a block from outside sets its `freed` bit first and then counts it in the page's remote word. So
//!    what has been counted is found by the next `drain`; a bit may be found before its block is counted.
//! 2. Hence at least as many `idle` bits are set, after a drain, as the page's counts say there are free
//!    blocks.
//!
//! # Order
//! A few free blocks are made *ready*, beginning at a random place; `take` picks at random among those. The random numbers
//! are a fast generator's, with a secret seed per page. Blocks that are ready have their `free` bit until they are taken.

use core::cell::Cell;
use core::ops::Deref;
use core::ptr;

use crate::base::WORD_BYTES;
use crate::sync::{self, AtomicU64, Ordering, Relaxed};

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
    /// How long blocks rest.
    pub rest: Rest,
}

/// How many of a page's blocks rest before any is used again, at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rest {
    /// One.
    Any,
    /// A sixteenth of the page's blocks, at most 64.
    Short,
    /// A quarter of the page's blocks, at most 256.
    Long,
}

impl Rest {
    const fn least(self, blocks: usize) -> usize {
        let (share, most) = match self {
            Rest::Any => return 1,
            Rest::Short => (blocks / 16, 64),
            Rest::Long => (blocks / 4, 256),
        };
        if share == 0 {
            1
        } else if share < most {
            share
        } else {
            most
        }
    }
}

/// What is done to a block when it is taken and put back: the kinds that have fast paths, and all others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Work {
    /// Nothing.
    Bare,
    /// A canary.
    Padded,
    /// A canary, and free blocks are zero.
    Cleared,
    /// What the style says.
    ByStyle,
}

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
    pub const BARE: Style = Style { pads: false, fills: false, verifies: false, clears: false, rest: Rest::Any };

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

/// 64 blocks.
#[repr(C)]
struct Bits {
    idle: AtomicU64,
    free: AtomicU64,
    aged: AtomicU64,
    freed: AtomicU64,
}

impl Bits {
    /// Of blocks that are idle, and were put since the last `wake`; while none is ready.
    fn resting(&self) -> u64 {
        self.idle.get() & !(self.free.get() | self.aged.get())
    }
}

/// How many atomic words [`Bits`] has.
const BITS_WORDS: usize = size_of::<Bits>() / size_of::<AtomicU64>();

/// The head of a bitmap; the bits follow it.
#[repr(C, align(64))]
pub struct BlockBitmap {
    key: u64,
    /// For dividing by the block size: see [`BlockBitmap::index_at`].
    reciprocal: u64,
    block_bytes: u32,
    words: u32,
    style: Style,
    work: Work,
    least_rest: u16,
    /// A linear congruential generator's.
    random: Cell<u64>,
    /// How many bits `free` and `aged` have.
    free_count: Cell<u32>,
    aged_count: Cell<u32>,
    /// How many of `ready` there are.
    ready_count: Cell<u32>,
    /// Blocks to be taken next, free ones: so that most takes touch little.
    ready: [Cell<u16>; READY],
}

/// How many blocks are made ready at a time.
const READY: usize = 32;

/// A distance below 4 MiB, divided by at most 512 KiB: with `r = ⌈2^41 / b⌉` the product `d * r` exceeds `d * 2^41 / b` by
/// less than `2^41 / b`, so that its upper bits are the quotient.
const RECIPROCAL_SHIFT: u32 = 41;
const MAX_DISTANCE: usize = 1 << 22;

/// Knuth's multiplier and any odd increment: a full period, and good upper bits.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;
const INCREMENT: u64 = 1_442_695_040_888_963_407;
/// log2 of how many blocks a word of bits has.
const PICK_BITS: u32 = 6;
/// Blocks of this size in a padded page have no memory: see [`BlockBitmap::is_void`].
const VOID_BYTES: usize = WORD_BYTES;

impl BlockBitmap {
    /// How much memory a bitmap for `blocks` blocks takes.
    pub const fn bytes(blocks: usize) -> usize {
        size_of::<BlockBitmap>() + blocks.div_ceil(WORD_BITS) * size_of::<Bits>()
    }

    /// Lays a bitmap out in which no block has been opened.
    ///
    /// # Safety
    /// `memory` has [`BlockBitmap::bytes`] zeroed bytes, aligned to 64, that live as long as the page.
    pub unsafe fn create(
        memory: *mut u8,
        blocks: usize,
        block_bytes: usize,
        secrets: Secrets,
        style: Style,
    ) -> &'static BlockBitmap {
        let words = blocks.div_ceil(WORD_BITS);
        let work = match style {
            _ if style.pads && block_bytes == VOID_BYTES => Work::ByStyle,
            Style { pads: false, fills: false, clears: false, .. } => Work::Bare,
            Style { pads: true, fills: false, clears: false, .. } => Work::Padded,
            Style { pads: true, fills: false, clears: true, .. } => Work::Cleared,
            _ => Work::ByStyle,
        };
        let bitmap = BlockBitmap {
            key: secrets.key,
            reciprocal: (1u64 << RECIPROCAL_SHIFT).div_ceil(block_bytes as u64),
            block_bytes: block_bytes as u32,
            words: words as u32,
            style,
            work,
            least_rest: style.rest.least(blocks) as u16,
            random: Cell::new(secrets.order),
            free_count: Cell::new(0),
            aged_count: Cell::new(0),
            ready_count: Cell::new(0),
            ready: [const { Cell::new(0) }; READY],
        };
        let place = memory.cast::<BlockBitmap>();
        let words = BITS_WORDS * words;
        // SAFETY: the precondition; the bits follow the head.
        unsafe {
            sync::adopt_zeroed(place.add(1).cast(), words);
            place.write(bitmap);
            &*place
        }
    }

    /// The page's secret.
    #[inline]
    pub fn key(&self) -> u64 {
        self.key
    }

    #[inline]
    pub fn style(&self) -> Style {
        self.style
    }

    #[inline(always)]
    pub fn block_bytes(&self) -> usize {
        self.block_bytes as usize
    }

    #[inline]
    pub fn work(&self) -> Work {
        self.work
    }

    /// Whether the blocks are those of requests for nothing: of a padded page's smallest size, which is all canary and no room.
    /// Their memory is inaccessible.
    pub fn is_void(&self) -> bool {
        self.style.pads && self.block_bytes as usize == VOID_BYTES
    }

    /// How many blocks must rest before they are woken.
    #[inline]
    pub fn least_rest(&self) -> usize {
        self.least_rest as usize
    }

    #[inline]
    fn bits(&self) -> &[Bits] {
        // SAFETY: the bits follow the head (`create`); zeroed memory is a valid `Bits`.
        unsafe { core::slice::from_raw_parts(ptr::from_ref(self).add(1).cast::<Bits>(), self.words as usize) }
    }

    /// The bits of the word `word`.
    #[inline]
    fn bits_at(&self, word: usize) -> &Bits {
        debug_assert!(word < self.words as usize);
        // SAFETY: as above; words come from indices of blocks.
        unsafe { &*ptr::from_ref(self).add(1).cast::<Bits>().add(word) }
    }

    /// The number of the block that starts `distance` bytes behind the first, if it is one of the first `blocks`; else `None`.
    #[inline(always)]
    pub fn index_at(&self, distance: usize, blocks: usize) -> Option<usize> {
        if distance >= MAX_DISTANCE {
            return None;
        }
        let index = ((distance as u64 * self.reciprocal) >> RECIPROCAL_SHIFT) as usize;
        (index * self.block_bytes as usize == distance && index < blocks).then_some(index)
    }

    /// Whether none of the block's bits is set. A snapshot, unless the caller has the block.
    #[inline]
    pub fn is_used(&self, index: usize) -> bool {
        let bits = self.bits_at(index / WORD_BITS);
        let any = bits.idle.get() | bits.freed.get();
        any >> (index % WORD_BITS) & 1 == 0
    }

    /// Marks a block as freed; by any thread, which then counts it in the page's remote word.
    #[inline]
    pub fn put_remote(&self, index: usize) -> Result<(), AlreadyFree> {
        let (bits, bit) = (self.bits_at(index / WORD_BITS), 1 << (index % WORD_BITS));
        if bits.idle.get() & bit != 0 {
            return Err(AlreadyFree);
        }
        // ORDERING: release: what this thread did with the block is over when the owner hands it out again; pairs with
        // `drain`.
        let before = bits.freed.fetch_or(bit, Ordering::Release);
        if before & bit == 0 { Ok(()) } else { Err(AlreadyFree) }
    }

    /// The owner's view.
    ///
    /// # Safety
    /// The caller owns the page.
    #[inline]
    pub unsafe fn owned(&self) -> &OwnedBlockBitmap {
        // SAFETY: a transparent wrapper.
        unsafe { &*ptr::from_ref(self).cast::<OwnedBlockBitmap>() }
    }
}

/// A block bitmap as the page's owner sees it.
#[repr(transparent)]
pub struct OwnedBlockBitmap(BlockBitmap);

impl Deref for OwnedBlockBitmap {
    type Target = BlockBitmap;

    #[inline(always)]
    fn deref(&self) -> &BlockBitmap {
        &self.0
    }
}

impl OwnedBlockBitmap {
    /// Makes never-used blocks free.
    pub fn open(&self, from: usize, count: usize) {
        for index in from..from + count {
            let (bits, bit) = (self.bits_at(index / WORD_BITS), 1 << (index % WORD_BITS));
            bits.free.set(bits.free.get() | bit);
            bits.idle.set(bits.idle.get() | bit);
        }
        self.free_count.set(self.free_count.get() + count as u32);
    }

    /// Forgets that blocks from `capacity` on are free, as if they had not been opened; and which were ready or aged, which may be
    /// half done.
    pub fn close_from(&self, capacity: usize) {
        for (word, bits) in self.bits().iter().enumerate() {
            let below = capacity.saturating_sub(word * WORD_BITS).min(WORD_BITS);
            let kept = if below == WORD_BITS { u64::MAX } else { (1 << below) - 1 };
            bits.idle.set(bits.idle.get() & kept);
            bits.free.set(0);
            bits.aged.set(0);
        }
        self.ready_count.set(0);
        self.free_count.set(0);
        self.aged_count.set(0);
    }

    /// Takes a free block at random; `None` if there is none.
    #[inline]
    pub fn take(&self) -> Option<usize> {
        (self.is_ready() || self.make_ready()).then(|| self.take_ready()).flatten()
    }

    /// Whether blocks are ready.
    #[inline(always)]
    pub fn is_ready(&self) -> bool {
        self.ready_count.get() > 0
    }

    /// Takes one of the blocks that are ready, at random; `None` if there is none.
    #[inline(always)]
    pub fn take_ready(&self) -> Option<usize> {
        let count = self.ready_count.get();
        if count == 0 {
            return None;
        }
        let at = ((self.next_random() >> 32) * u64::from(count)) >> 32;
        // SAFETY: `at < count <= READY`.
        let (chosen, last) =
            unsafe { (self.ready.get_unchecked(at as usize), self.ready.get_unchecked(count as usize - 1)) };
        let index = usize::from(chosen.get());
        chosen.set(last.get());
        self.ready_count.set(count - 1);
        let idle = &self.bits_at(index / WORD_BITS).idle;
        idle.set(idle.get() & !(1 << (index % WORD_BITS)));
        Some(index)
    }

    /// Makes up to [`READY`] free blocks ready, beginning at a random one, when none is; false if none is free.
    #[inline(never)]
    pub fn make_ready(&self) -> bool {
        let wanted = self.free_count.get().min(READY as u32);
        if wanted == 0 {
            return false;
        }
        let (words, random) = (self.words as usize, self.next_random());
        let turn = (random >> (u64::BITS - PICK_BITS)) as u32;
        let first = ((u128::from(random << PICK_BITS) * words as u128) >> 64) as usize;
        let mut count = 0;
        for word in (first..words).chain(0..first) {
            let bits = self.bits_at(word);
            let mut free = bits.free.get().rotate_right(turn);
            if free == 0 {
                continue;
            }
            while free != 0 && count < wanted {
                let bit = free.trailing_zeros().wrapping_add(turn) as usize % WORD_BITS;
                self.ready[count as usize % READY].set((word * WORD_BITS + bit) as u16);
                count += 1;
                free &= free - 1;
            }
            bits.free.set(free.rotate_left(turn));
            if count == wanted {
                break;
            }
        }
        self.free_count.set(self.free_count.get() - wanted);
        self.ready_count.set(count);
        count > 0
    }

    #[inline(always)]
    fn next_random(&self) -> u64 {
        let random = self.random.get().wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT);
        self.random.set(random);
        random
    }

    /// Frees a block, which rests.
    #[inline(always)]
    pub fn put(&self, index: usize) -> Result<(), AlreadyFree> {
        let (bits, bit) = (self.bits_at(index / WORD_BITS), 1 << (index % WORD_BITS));
        let idle = bits.idle.get();
        if (idle | bits.freed.get()) & bit != 0 {
            return Err(AlreadyFree);
        }
        bits.idle.set(idle | bit);
        Ok(())
    }

    /// Turns freed blocks into resting ones.
    pub fn drain(&self) -> Doubles {
        let mut doubles = Doubles { count: 0, index: 0 };
        for (word, bits) in self.bits().iter().enumerate() {
            if bits.freed.get() != 0 {
                // ORDERING: acquire pairs with `put_remote`.
                let freed = bits.freed.swap(0, Ordering::Acquire);
                let idle = bits.idle.get();
                bits.idle.set(idle | freed);
                let both = idle & freed;
                if both != 0 {
                    doubles.count += both.count_ones() as usize;
                    doubles.index = word * WORD_BITS + both.trailing_zeros() as usize;
                }
            }
        }
        doubles
    }

    /// Ends the quarantine of some blocks, when none is free: of those that had aged, if they are `enough`, else of a random
    /// half of all. Nothing changes while some are free.
    #[inline(never)]
    pub fn wake(&self, enough: usize) {
        if self.ready_count.get() + self.free_count.get() > 0 {
            return;
        }
        if self.aged_count.get() as usize >= enough.max(1) {
            self.wake_by(|aged, resting| (aged, resting));
        } else {
            let (random, mut word) = (self.next_random(), 0);
            self.wake_by(|aged, resting| {
                word += 1;
                let half = random.rotate_left(word * 11) ^ random >> 32;
                let all = aged | resting;
                (all & half, all & !half)
            });
            if self.free_count.get() == 0 {
                self.wake_by(|aged, _| (aged, 0));
            }
        }
    }

    /// `split` tells of a word's aged and resting blocks which are free from now on, and which are aged.
    #[inline(always)]
    fn wake_by(&self, mut split: impl FnMut(u64, u64) -> (u64, u64)) {
        let (mut woken_count, mut aged_count) = (0, 0);
        for bits in self.bits() {
            let (aged, resting) = (bits.aged.get(), bits.resting());
            if aged | resting != 0 {
                let (woken, aged) = split(aged, resting);
                bits.free.set(woken);
                bits.aged.set(aged);
                woken_count += woken.count_ones();
                aged_count += aged.count_ones();
            }
        }
        self.free_count.set(woken_count);
        self.aged_count.set(aged_count);
    }

    /// Whether some blocks are in quarantine.
    pub fn has_quarantine(&self) -> bool {
        self.count_free() > (self.ready_count.get() + self.free_count.get()) as usize
    }

    /// How many blocks are free.
    pub fn count_free(&self) -> usize {
        self.bits().iter().map(|bits| bits.idle.get().count_ones() as usize).sum()
    }

    /// Whether the block is known to be free to its owner.
    pub fn is_free(&self, index: usize) -> bool {
        self.bits_at(index / WORD_BITS).idle.get() >> (index % WORD_BITS) & 1 != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::vec::Vec;

    const BLOCKS: usize = 200;
    const STYLE: Style = Style { pads: true, ..Style::BARE };

    fn secrets(order: u64) -> Secrets {
        Secrets { key: 1, order }
    }

    /// Memory for a bitmap, aligned like the real one's.
    #[repr(align(64))]
    struct Memory([u8; BlockBitmap::bytes(BLOCKS)]);

    fn with_bitmap(block_bytes: usize, key: u64, test: impl FnOnce(&OwnedBlockBitmap)) {
        let mut memory = Memory([0; BlockBitmap::bytes(BLOCKS)]);
        // SAFETY: zeroed, aligned, large enough, and alive during the test.
        test(unsafe { BlockBitmap::create(memory.0.as_mut_ptr(), BLOCKS, block_bytes, secrets(key), STYLE).owned() });
    }

    fn order(bitmap: &OwnedBlockBitmap) -> Vec<usize> {
        core::iter::from_fn(|| bitmap.take()).collect()
    }

    #[test]
    fn every_open_block_is_taken_once_in_an_order_of_the_key() {
        let mut orders = HashSet::new();
        for key in 1..50 {
            with_bitmap(48, key, |bitmap| {
                bitmap.open(0, BLOCKS);
                let order = order(bitmap);
                assert_eq!(order.iter().copied().collect::<HashSet<_>>(), (0..BLOCKS).collect());
                assert_eq!(order.len(), BLOCKS);
                orders.insert(order);
            });
        }
        assert_eq!(orders.len(), 49);
    }

    #[test]
    fn a_second_free_is_noticed_whoever_frees() {
        with_bitmap(48, 1, |bitmap| {
            assert!(bitmap.is_used(7));
            assert_eq!(bitmap.put(7), Ok(()));
            assert_eq!(bitmap.put(7), Err(AlreadyFree));
            assert_eq!(bitmap.put_remote(7), Err(AlreadyFree));
            assert_eq!(bitmap.put_remote(8), Ok(()));
            assert_eq!(bitmap.put_remote(8), Err(AlreadyFree));
            assert_eq!(bitmap.put(8), Err(AlreadyFree));
            assert!(!bitmap.is_used(7) && !bitmap.is_used(8) && bitmap.is_used(9));
            assert_eq!(bitmap.drain().count, 0);
            assert_eq!(bitmap.count_free(), 2);
        });
    }

    #[test]
    fn what_was_freed_rests_until_it_is_woken() {
        with_bitmap(48, 1, |bitmap| {
            bitmap.open(0, 3);
            assert_eq!(order(bitmap).len(), 3);
            assert_eq!(bitmap.put(0), Ok(()));
            assert_eq!(bitmap.put_remote(1), Ok(()));
            assert_eq!(bitmap.take(), None);
            assert_eq!(bitmap.drain().count, 0);
            assert_eq!(bitmap.take(), None, "a drain wakes nobody");
            let mut again = Vec::new();
            while bitmap.count_free() > 0 {
                assert_eq!((bitmap.put(1), bitmap.put_remote(1)), (Err(AlreadyFree), Err(AlreadyFree)));
                bitmap.wake(1);
                let woken = order(bitmap);
                assert!(!woken.is_empty(), "somebody wakes");
                again.extend(woken.iter().copied().filter(|&index| index == 0));
                if woken.contains(&1) {
                    break;
                }
            }
            assert!(again.len() <= 1);
        });
    }

    #[test]
    fn those_that_aged_wake_first_and_together() {
        with_bitmap(48, 1, |bitmap| {
            bitmap.open(0, BLOCKS);
            assert_eq!(order(bitmap).len(), BLOCKS);
            (0..10).for_each(|index| assert_eq!(bitmap.put(index), Ok(())));
            bitmap.wake(1);
            let first: HashSet<_> = order(bitmap).into_iter().collect();
            assert!(!first.is_empty() && first.iter().all(|&index| index < 10), "a random half");
            (10..20).for_each(|index| assert_eq!(bitmap.put(index), Ok(())));
            let aged: HashSet<_> = (0..10).filter(|index| !first.contains(index)).collect();
            if !aged.is_empty() {
                bitmap.wake(1);
                assert_eq!(order(bitmap).into_iter().collect::<HashSet<_>>(), aged);
            }
            bitmap.wake(1);
            let last: HashSet<_> = order(bitmap).into_iter().collect();
            assert!(last.iter().all(|&index| (10..20).contains(&index)));
        });
    }

    #[test]
    fn how_many_must_rest_is_a_share_of_the_page() {
        let least = |rest: Rest| [1, 8, 16, 128, 4000].map(|blocks| rest.least(blocks));
        assert_eq!(least(Rest::Any), [1; 5]);
        assert_eq!(least(Rest::Short), [1, 1, 1, 8, 64]);
        assert_eq!(least(Rest::Long), [1, 2, 4, 32, 256]);
    }

    #[test]
    fn frees_that_raced_are_found_by_the_drain() {
        with_bitmap(48, 1, |bitmap| {
            bitmap.bits()[1].idle.set(4);
            bitmap.bits()[1].freed.set(4);
            assert_eq!(bitmap.drain(), Doubles { count: 1, index: 66 });
            assert_eq!(bitmap.count_free(), 1);
        });
    }

    #[test]
    fn only_multiples_of_the_size_are_blocks() {
        for block_bytes in [16, 48, 80, 1024, 1280, 20480] {
            with_bitmap(block_bytes, 1, |bitmap| {
                for index in 0..BLOCKS {
                    let distance = index * block_bytes;
                    assert_eq!(bitmap.index_at(distance, BLOCKS), Some(index));
                    assert_eq!(bitmap.index_at(distance + 1, BLOCKS), None);
                    assert_eq!(bitmap.index_at(distance + block_bytes - 1, BLOCKS), None);
                }
                assert_eq!(bitmap.index_at(usize::MAX, BLOCKS), None);
                assert_eq!(bitmap.index_at(BLOCKS * block_bytes, BLOCKS), None);
            });
        }
    }

    #[test]
    fn division_is_exact_for_every_class() {
        use crate::base::{Bin, SLICE_BYTES};
        for bin in (0..Bin::COUNT).filter_map(Bin::from_index) {
            let (bytes, area) = (bin.block_bytes() as u64, (bin.page_slices() * SLICE_BYTES) as u64);
            let reciprocal = (1u64 << RECIPROCAL_SHIFT).div_ceil(bytes);
            for distance in (0..area / bytes).flat_map(|index| [index * bytes, index * bytes + bytes - 1]) {
                assert_eq!((distance * reciprocal) >> RECIPROCAL_SHIFT, distance / bytes);
            }
        }
    }
}
