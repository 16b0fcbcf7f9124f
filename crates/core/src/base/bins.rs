//! Size classes: which block size serves a request.
//!
//! Up to 256 bytes the classes are 8 and the multiples of 16; above, eight classes per doubling, so that rounding
//! wastes at most an eighth of the request. Every block size is a multiple of 16 but the first, which keeps
//! `malloc`'s alignment promise without any per-block work.

use super::consts::*;

/// A size class. `0` is 8 bytes; [`Bin::SINGLETON`] stands for blocks that have a page of their own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Bin(u8);

/// log2 of the size up to which classes are linear.
const LINEAR_SHIFT: u32 = 8;
const LINEAR_MAX: usize = 1 << LINEAR_SHIFT;
const LINEAR_STEP: usize = 16;
/// The first class above the linear ones.
const FIRST_GEOMETRIC: usize = LINEAR_MAX / LINEAR_STEP + 1;
/// log2 of the number of classes per doubling.
const PER_DOUBLING_SHIFT: u32 = 3;
const PER_DOUBLING: usize = 1 << PER_DOUBLING_SHIFT;

impl Bin {
    /// How many classes share pages.
    pub const COUNT: usize = FIRST_GEOMETRIC + PER_DOUBLING * (LARGE_BLOCK_MAX.ilog2() - LINEAR_SHIFT) as usize;
    /// The class of blocks with a page of their own.
    pub const SINGLETON: Bin = Bin(Self::COUNT as u8);

    /// The class that serves a request of `bytes`, at most [`LARGE_BLOCK_MAX`].
    #[inline]
    pub const fn of(bytes: usize) -> Bin {
        if bytes <= WORD_BYTES {
            return Bin(0);
        }
        if bytes <= LINEAR_MAX {
            return Bin(bytes.div_ceil(LINEAR_STEP) as u8);
        }
        Self::of_geometric(bytes)
    }

    /// The class that serves a request of `bytes`, which is above the linear classes and at most [`LARGE_BLOCK_MAX`].
    #[inline(always)]
    pub const fn of_geometric(bytes: usize) -> Bin {
        debug_assert!(bytes > LINEAR_MAX && bytes <= LARGE_BLOCK_MAX);
        let last = bytes - 1;
        let doubling = last.ilog2();
        // From `PER_DOUBLING` up to twice that.
        let step = last >> (doubling - PER_DOUBLING_SHIFT);
        let below = PER_DOUBLING * (LINEAR_SHIFT as usize + 1) - FIRST_GEOMETRIC;
        Bin((step + PER_DOUBLING * doubling as usize - below) as u8)
    }

    /// The smallest class for `bytes` whose blocks are all multiples of `align`, a power of two; `None` if that
    /// takes a singleton.
    #[inline]
    pub const fn of_aligned(bytes: usize, align: usize) -> Option<Bin> {
        if align > MAX_NATURAL_ALIGN || bytes > LARGE_BLOCK_MAX {
            return None;
        }
        let mut bin = Bin::of(if bytes < align { align } else { bytes });
        while bin.block_bytes() & (align - 1) != 0 {
            bin = Bin(bin.0 + 1);
        }
        Some(bin)
    }

    /// The class with this number, if blocks of that class share pages.
    pub const fn from_index(index: usize) -> Option<Bin> {
        if index < Self::COUNT { Some(Bin(index as u8)) } else { None }
    }

    /// The class's number: below [`Bin::COUNT`], or equal to it for [`Bin::SINGLETON`].
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The block size of this class in bytes; 0 for [`Bin::SINGLETON`].
    #[inline]
    pub const fn block_bytes(self) -> usize {
        let index = self.0 as usize;
        if index == 0 {
            return WORD_BYTES;
        }
        if index < FIRST_GEOMETRIC {
            return index * LINEAR_STEP;
        }
        if index >= Self::COUNT {
            return 0;
        }
        let geometric = index - FIRST_GEOMETRIC;
        let doubling = LINEAR_SHIFT + (geometric / PER_DOUBLING) as u32;
        (PER_DOUBLING + geometric % PER_DOUBLING + 1) << (doubling - PER_DOUBLING_SHIFT)
    }

    /// How many slices a page of this class takes.
    #[inline]
    pub const fn page_slices(self) -> usize {
        let bytes = self.block_bytes();
        if bytes <= SMALL_BLOCK_MAX {
            SMALL_PAGE_SLICES
        } else if bytes <= MEDIUM_BLOCK_MAX {
            MEDIUM_PAGE_SLICES
        } else {
            LARGE_PAGE_SLICES
        }
    }

    /// The word sizes (`first..=last`) that a table of small requests maps to this class; empty above it.
    #[inline]
    pub const fn small_words(self) -> core::ops::Range<usize> {
        let bytes = self.block_bytes();
        if bytes > SMALL_SIZE_MAX || bytes == 0 {
            return 0..0;
        }
        if self.0 == 0 {
            return 0..2;
        }
        let below = Bin(self.0 - 1).block_bytes();
        below / WORD_BYTES + 1..bytes / WORD_BYTES + 1
    }
}

/// The size of the block that a request of `bytes` gets: itself rounded up to its class, or to OS pages of
/// `os_page_bytes` for a singleton. Saturates at the request where rounding overflows.
pub const fn good_size(bytes: usize, os_page_bytes: usize) -> usize {
    if bytes <= LARGE_BLOCK_MAX {
        return Bin::of(bytes).block_bytes();
    }
    match super::align_up(bytes, os_page_bytes) {
        Some(rounded) => rounded,
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_ascend_and_contain_their_own_size() {
        let mut previous = 0;
        for bin in (0..Bin::COUNT).map(|index| Bin::from_index(index).unwrap()) {
            let bytes = bin.block_bytes();
            assert!(bytes > previous, "{bin:?}");
            assert_eq!(Bin::of(bytes), bin);
            assert_eq!(Bin::of(previous + 1), bin);
            previous = bytes;
        }
        assert_eq!(previous, LARGE_BLOCK_MAX);
        assert_eq!(Bin::from_index(Bin::COUNT), None);
    }

    #[test]
    fn waste_is_at_most_an_eighth_above_the_linear_classes() {
        for bytes in LINEAR_MAX + 1..=LARGE_BLOCK_MAX {
            let waste = Bin::of(bytes).block_bytes() - bytes;
            assert!(waste * 8 < bytes, "{bytes}");
        }
    }

    #[test]
    fn every_block_but_the_smallest_is_a_multiple_of_sixteen() {
        for index in 1..Bin::COUNT {
            assert_eq!(Bin(index as u8).block_bytes() % 16, 0);
        }
    }

    #[test]
    fn every_page_holds_at_least_eight_blocks() {
        for index in 0..Bin::COUNT {
            let bin = Bin(index as u8);
            assert!(bin.page_slices() * SLICE_BYTES / bin.block_bytes() >= MIN_BLOCKS_PER_PAGE);
        }
    }

    #[test]
    fn aligned_classes_are_multiples_of_the_alignment() {
        for shift in 3..=MAX_NATURAL_ALIGN.ilog2() {
            let align = 1usize << shift;
            for bytes in [1, 8, 24, 100, 200, 257, 1000, 5000, 70_000, 500_000] {
                let bin = Bin::of_aligned(bytes, align).unwrap();
                assert!(bin.block_bytes() >= bytes && bin.block_bytes().is_multiple_of(align));
                assert!(bin.block_bytes() <= (bytes.max(align)).next_power_of_two());
            }
        }
        assert_eq!(Bin::of_aligned(1, 2 * MAX_NATURAL_ALIGN), None);
    }

    #[test]
    fn small_words_partition_the_table() {
        let mut next = 0;
        for index in 0..Bin::COUNT {
            let words = Bin(index as u8).small_words();
            if words.is_empty() {
                continue;
            }
            assert_eq!(words.start, next);
            next = words.end;
        }
        assert_eq!(next, SMALL_SIZE_MAX / WORD_BYTES + 1);
    }

    #[test]
    fn good_size_never_shrinks() {
        assert_eq!(good_size(0, 4096), 8);
        assert_eq!(good_size(17, 4096), 32);
        assert_eq!(good_size(LARGE_BLOCK_MAX + 1, 4096), LARGE_BLOCK_MAX + 4096);
        assert_eq!(good_size(usize::MAX, 4096), usize::MAX);
    }
}
