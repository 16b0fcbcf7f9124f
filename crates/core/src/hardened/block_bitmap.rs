//! The books of a hardened page: which of its blocks are free, in memory far away from the blocks.
//!
//! A hardened page has no lists. Nothing that the allocator relies on is ever written into a free block, so whoever
//! writes there damages nothing of ours, and every free is told from a second one.
//!
//! # Bits
//! Each block has two bits.
//! | free | freed | the block is | set by | cleared by |
//! |---|---|---|---|---|
//! | 0 | 0 | in use, or has never been opened | | |
//! | 1 | 0 | free | the owner: `open`, `put`, `drain` | the owner: `take` |
//! | 0 | 1 | freed by another thread, not yet noticed | `put_remote` | the owner: `drain` |
//! | 1 | 1 | freed twice at the same moment, by the owner and another thread | | `drain`, which tells |
//!
//! Only the page's owner changes `free`, by plain loads and stores; anybody may look. `freed` is changed by
//! read-modify-write operations alone, so that of two threads that free a block only one succeeds.
//!
//! # Invariants
//! 1. Whoever frees a block from outside sets its `freed` bit first and then counts it in the page's remote word. So
//!    what has been counted is found by the next `drain`; a bit may be found before its block is counted.
//! 2. Hence at least as many `free` bits are set, after a drain, as the page's counts say there are free blocks.
//!
//! # Order
//! `take` picks at random among the free blocks of one word of bits and moves on to another word when that has none. The
//! random numbers are fast ones with a secret seed per page.

use core::cell::Cell;
use core::ops::Deref;
use core::ptr;

use crate::base::WORD_BYTES;
use crate::random::Fast;
use crate::sync::{self, AtomicU64, Ordering};

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
}

impl Style {
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
    free: AtomicU64,
    freed: AtomicU64,
}

/// How many atomic words [`Bits`] has.
const BITS_WORDS: usize = size_of::<Bits>() / size_of::<AtomicU64>();

/// The head of a bitmap; the bits follow it.
#[repr(C, align(64))]
pub struct BlockBitmap {
    key: u64,
    /// For dividing by the block size: see [`BlockBitmap::index_at`].
    reciprocal: u64,
    block_bytes: usize,
    words: usize,
    style: Style,
    /// The word that was allocated from last.
    word: Cell<usize>,
    /// Random bits not used yet, below a 1 that marks their end.
    pool: Cell<u64>,
    draws: Cell<u64>,
}

/// A distance below 4 MiB, divided by at most 512 KiB: with `r = ⌈2^41 / b⌉` the product `d * r` exceeds `d * 2^41 / b` by
/// less than `2^41 / b`, so that its upper bits are the quotient.
const RECIPROCAL_SHIFT: u32 = 41;

/// The end mark of an empty pool.
const POOL_EMPTY: u64 = 1;
const PICK_BITS: u32 = 6;

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
        key: u64,
        style: Style,
    ) -> &'static BlockBitmap {
        let bitmap = BlockBitmap {
            key,
            reciprocal: (1u64 << RECIPROCAL_SHIFT).div_ceil(block_bytes as u64),
            block_bytes,
            words: blocks.div_ceil(WORD_BITS),
            style,
            word: Cell::new(0),
            pool: Cell::new(POOL_EMPTY),
            draws: Cell::new(0),
        };
        let place = memory.cast::<BlockBitmap>();
        let words = BITS_WORDS * bitmap.words;
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

    #[inline]
    fn bits(&self) -> &[Bits] {
        // SAFETY: the bits follow the head (`create`); zeroed memory is a valid `Bits`.
        unsafe { core::slice::from_raw_parts(ptr::from_ref(self).add(1).cast::<Bits>(), self.words) }
    }

    /// The number of the block that starts `distance` bytes behind the first; `None` if none does.
    #[inline]
    pub fn index_at(&self, distance: usize) -> Option<usize> {
        if distance >= self.words * WORD_BITS * self.block_bytes {
            return None;
        }
        let index = ((distance as u64 * self.reciprocal) >> RECIPROCAL_SHIFT) as usize;
        (index * self.block_bytes == distance).then_some(index)
    }

    /// Whether neither of the block's bits is set. A snapshot, unless the caller has the block.
    #[inline]
    pub fn is_used(&self, index: usize) -> bool {
        let bits = &self.bits()[index / WORD_BITS];
        let any = bits.free.load(Ordering::Relaxed) | bits.freed.load(Ordering::Relaxed);
        any >> (index % WORD_BITS) & 1 == 0
    }

    /// Marks a block as freed; by any thread, which then counts it in the page's remote word.
    #[inline]
    pub fn put_remote(&self, index: usize) -> Result<(), AlreadyFree> {
        let (bits, bit) = (&self.bits()[index / WORD_BITS], 1 << (index % WORD_BITS));
        if bits.free.load(Ordering::Relaxed) & bit != 0 {
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
            let free = &self.bits()[index / WORD_BITS].free;
            free.store(free.load(Ordering::Relaxed) | 1 << (index % WORD_BITS), Ordering::Relaxed);
        }
    }

    /// Forgets that blocks from `capacity` on are free, as if they had not been opened.
    pub fn close_from(&self, capacity: usize) {
        for (word, bits) in self.bits().iter().enumerate() {
            let below = capacity.saturating_sub(word * WORD_BITS).min(WORD_BITS);
            let kept = if below == WORD_BITS { u64::MAX } else { (1 << below) - 1 };
            bits.free.store(bits.free.load(Ordering::Relaxed) & kept, Ordering::Relaxed);
        }
    }

    /// Takes a free block at random; `None` if there is none.
    #[inline]
    pub fn take(&self) -> Option<usize> {
        let word = self.word.get();
        let free = self.bits()[word].free.load(Ordering::Relaxed);
        if free != 0 { Some(self.take_from(word, free)) } else { self.take_elsewhere() }
    }

    #[inline]
    fn take_from(&self, word: usize, free: u64) -> usize {
        let turn = self.pick();
        let bit = (free.rotate_right(turn).trailing_zeros() + turn) as usize % WORD_BITS;
        self.bits()[word].free.store(free & !(1 << bit), Ordering::Relaxed);
        word * WORD_BITS + bit
    }

    #[inline(never)]
    fn take_elsewhere(&self) -> Option<usize> {
        let first = Fast::new(self.draw()).below(self.words as u64) as usize;
        for step in 0..self.words {
            let word = (first + step) % self.words;
            let free = self.bits()[word].free.load(Ordering::Relaxed);
            if free != 0 {
                self.word.set(word);
                return Some(self.take_from(word, free));
            }
        }
        None
    }

    /// A random number below 64.
    #[inline]
    fn pick(&self) -> u32 {
        let mut pool = self.pool.get();
        if pool < 1 << PICK_BITS {
            pool = self.draw() | 1 << 63;
        }
        self.pool.set(pool >> PICK_BITS);
        pool as u32 & ((1 << PICK_BITS) - 1)
    }

    fn draw(&self) -> u64 {
        let draws = self.draws.get() + 1;
        self.draws.set(draws);
        Fast::new(self.key.wrapping_add(draws.rotate_left(32))).next_u64()
    }

    /// Frees a block.
    #[inline]
    pub fn put(&self, index: usize) -> Result<(), AlreadyFree> {
        let (bits, bit) = (&self.bits()[index / WORD_BITS], 1 << (index % WORD_BITS));
        let free = bits.free.load(Ordering::Relaxed);
        if (free | bits.freed.load(Ordering::Relaxed)) & bit != 0 {
            return Err(AlreadyFree);
        }
        bits.free.store(free | bit, Ordering::Relaxed);
        Ok(())
    }

    /// Turns freed blocks into free ones.
    pub fn drain(&self) -> Doubles {
        let mut doubles = Doubles { count: 0, index: 0 };
        for (word, bits) in self.bits().iter().enumerate() {
            if bits.freed.load(Ordering::Relaxed) != 0 {
                // ORDERING: acquire pairs with `put_remote`.
                let freed = bits.freed.swap(0, Ordering::Acquire);
                let free = bits.free.load(Ordering::Relaxed);
                bits.free.store(free | freed, Ordering::Relaxed);
                let both = free & freed;
                if both != 0 {
                    doubles.count += both.count_ones() as usize;
                    doubles.index = word * WORD_BITS + both.trailing_zeros() as usize;
                }
            }
        }
        doubles
    }

    /// How many blocks are free.
    pub fn count_free(&self) -> usize {
        self.bits().iter().map(|bits| bits.free.load(Ordering::Relaxed).count_ones() as usize).sum()
    }

    /// Whether the block is known to be free to its owner.
    pub fn is_free(&self, index: usize) -> bool {
        self.bits()[index / WORD_BITS].free.load(Ordering::Relaxed) >> (index % WORD_BITS) & 1 != 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::vec::Vec;

    const BLOCKS: usize = 200;
    const STYLE: Style = Style { pads: true, fills: false, verifies: false };

    /// Memory for a bitmap, aligned like the real one's.
    #[repr(align(64))]
    struct Memory([u8; BlockBitmap::bytes(BLOCKS)]);

    fn with_bitmap(block_bytes: usize, key: u64, test: impl FnOnce(&OwnedBlockBitmap)) {
        let mut memory = Memory([0; BlockBitmap::bytes(BLOCKS)]);
        // SAFETY: zeroed, aligned, large enough, and alive during the test.
        test(unsafe { BlockBitmap::create(memory.0.as_mut_ptr(), BLOCKS, block_bytes, key, STYLE).owned() });
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
    fn frees_that_raced_are_found_by_the_drain() {
        with_bitmap(48, 1, |bitmap| {
            bitmap.bits()[1].free.store(4, Ordering::Relaxed);
            bitmap.bits()[1].freed.store(4, Ordering::Relaxed);
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
                    assert_eq!(bitmap.index_at(distance), Some(index));
                    assert_eq!(bitmap.index_at(distance + 1), None);
                    assert_eq!(bitmap.index_at(distance + block_bytes - 1), None);
                }
                assert_eq!(bitmap.index_at(usize::MAX), None);
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
