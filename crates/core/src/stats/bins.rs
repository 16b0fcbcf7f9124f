//! The size bins of statistics.
//!
//! They are part of mimalloc's interface (four bins per doubling up to 4 MiB) and coarser than our own size classes,
//! several of which share a bin here. A bin counts blocks above the one before it up to its own size.

use crate::base::{Bin, LARGE_BLOCK_MAX, SLICE_BYTES, WORD_BYTES};

/// The bin of all blocks that have a page of their own.
pub const HUGE_BIN: usize = 73;
/// How many bins there are.
pub const STATS_BINS: usize = HUGE_BIN + 1;

/// log2 of the number of bins per doubling.
const STEP_SHIFT: usize = 2;
const STEPS: usize = 1 << STEP_SHIFT;

/// The largest block in bytes that `bin` counts; for [`HUGE_BIN`] the smallest; 0 for numbers that are no bin.
#[doc(alias = "mi_stats_get_bin_size")]
pub const fn stats_bin_size(bin: usize) -> usize {
    match bin {
        0 => WORD_BYTES,
        1..STEPS => bin * WORD_BYTES,
        STEPS..HUGE_BIN => (STEPS + bin % STEPS) << (bin / STEPS + STEP_SHIFT),
        HUGE_BIN => LARGE_BLOCK_MAX + WORD_BYTES,
        _ => 0,
    }
}

/// The bin that counts blocks of `block_bytes`.
pub const fn stats_bin_of(block_bytes: usize) -> usize {
    if block_bytes > LARGE_BLOCK_MAX {
        return HUGE_BIN;
    }
    let words = block_bytes.div_ceil(WORD_BYTES);
    if words <= STEPS {
        return if words == 0 { 1 } else { words };
    }
    let last = words - 1;
    let doubling = last.ilog2() as usize;
    let step = (last >> (doubling - STEP_SHIFT)) & (STEPS - 1);
    (doubling - 1) * STEPS + step + 1
}

/// The bytes of a page whose blocks have `block_bytes`; 0 where each has a page of its own size.
pub fn page_bytes_of(block_bytes: usize) -> usize {
    Bin::of_aligned(block_bytes, 1).map_or(0, |bin| bin.page_slices() * SLICE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SMALL_BLOCK_MAX;

    #[test]
    fn sizes_are_those_of_the_interface() {
        let expected = [
            (0, 8),
            (1, 8),
            (2, 16),
            (3, 24),
            (4, 32),
            (7, 56),
            (8, 64),
            (9, 80),
            (12, 128),
            (13, 160),
            (37, 10_240),
            (60, 524_288),
            (61, 655_360),
            (72, 4_194_304),
            (73, 524_296),
            (74, 0),
            (usize::MAX, 0),
        ];
        for (bin, bytes) in expected {
            assert_eq!(stats_bin_size(bin), bytes, "{bin}");
        }
    }

    #[test]
    fn every_size_is_in_the_first_bin_that_holds_it() {
        for bytes in 1..=LARGE_BLOCK_MAX {
            let bin = stats_bin_of(bytes);
            assert!(stats_bin_size(bin) >= bytes);
            assert!(bin == 1 || stats_bin_size(bin - 1) < bytes, "{bytes}");
        }
        assert_eq!(stats_bin_of(0), 1);
        assert_eq!(stats_bin_of(LARGE_BLOCK_MAX + 1), HUGE_BIN);
        assert_eq!(stats_bin_of(usize::MAX), HUGE_BIN);
    }

    #[test]
    fn pages_grow_with_blocks() {
        assert_eq!(page_bytes_of(8), SLICE_BYTES);
        assert_eq!(page_bytes_of(SMALL_BLOCK_MAX + 1), 512 << 10);
        assert_eq!(page_bytes_of(LARGE_BLOCK_MAX), 4 << 20);
        assert_eq!(page_bytes_of(LARGE_BLOCK_MAX + 1), 0);
    }
}
