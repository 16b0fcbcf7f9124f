//! Where a page's blocks start. Pages of one size would otherwise all begin in the same cache set, and blocks of more
//! than an OS page, whose first lines are their busiest, in very few sets.
//!
//! A file of its own, since it is arithmetic that knows no heap.
//!
//! Idea: slab coloring (Bonwick, USENIX Summer 1994).

use crate::base::*;

const LINE: usize = 64;
/// Larger blocks start at any cache line, unless their natural alignment is wanted.
const SPREAD_ABOVE: usize = 4096;
/// The lines among which such blocks start.
const SPREAD_LINES: usize = 64;

/// What is known of the alignment wanted of large blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Starts {
    /// Nothing: blocks above an OS page start at multiples of a cache line.
    AnyLine,
    /// Somebody relies on it: every block is aligned as its size is.
    Natural,
}

/// Bytes in front of the first block of a page of `area_bytes` at `memory`. At least [`MIN_BLOCKS_PER_PAGE`] blocks fit behind them.
pub fn color(memory: *const u8, area_bytes: usize, block_bytes: usize, starts: Starts) -> usize {
    if starts == Starts::AnyLine && block_bytes > SPREAD_ABOVE && has_room_to_spread(area_bytes, block_bytes) {
        return number(memory, block_bytes) % SPREAD_LINES * LINE;
    }
    let granule = (block_bytes & block_bytes.wrapping_neg()).max(LINE);
    let colors = area_bytes % block_bytes / granule + 1;
    (memory as usize >> SLICE_SHIFT) % colors * granule
}

/// Blocks that fill a page to its end cost it one of them: address space, but no memory.
fn has_room_to_spread(area_bytes: usize, block_bytes: usize) -> bool {
    area_bytes / block_bytes > MIN_BLOCKS_PER_PAGE || area_bytes % block_bytes >= SPREAD_LINES * LINE
}

/// A number that differs for neighbouring pages and sizes.
fn number(memory: *const u8, block_bytes: usize) -> usize {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let page = (memory as usize >> SLICE_SHIFT) as u64 ^ (block_bytes as u64) << 16;
    (page.wrapping_mul(GOLDEN) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn sizes() -> impl Iterator<Item = (usize, usize)> {
        (0..Bin::COUNT).map(|index| {
            let bin = Bin::from_index(index).unwrap();
            (bin.block_bytes(), bin.page_slices() * SLICE_BYTES)
        })
    }

    fn page(slice: usize) -> *const u8 {
        core::ptr::without_provenance(slice * SLICE_BYTES)
    }

    #[test]
    fn natural_starts_stay_inside_the_rest_and_keep_alignment() {
        for (bytes, area) in sizes() {
            for slice in 0..40 {
                let offset = color(page(slice), area, bytes, Starts::Natural);
                assert!(offset + area / bytes * bytes <= area);
                assert_eq!(offset % (1 << bytes.trailing_zeros().min(12)), 0, "{bytes} {offset}");
            }
        }
    }

    #[test]
    fn large_blocks_start_at_many_lines_and_cost_a_block_at_most() {
        for (bytes, area) in sizes().filter(|(bytes, _)| (SPREAD_ABOVE + 1..LARGE_BLOCK_MAX).contains(bytes)) {
            let offsets: BTreeSet<_> = (0..64).map(|n| color(page(64 * n), area, bytes, Starts::AnyLine)).collect();
            assert!(offsets.len() >= 30, "{bytes}: {}", offsets.len());
            assert!(offsets.iter().all(|offset| offset % LINE == 0));
            assert!(
                offsets.iter().all(|offset| (area - offset) / bytes >= (area / bytes - 1).max(MIN_BLOCKS_PER_PAGE))
            );
        }
    }

    #[test]
    fn small_blocks_are_aligned_as_their_size_is() {
        for (bytes, area) in sizes().filter(|(bytes, _)| *bytes <= SPREAD_ABOVE) {
            let [natural, any] = [Starts::Natural, Starts::AnyLine].map(|starts| color(page(7), area, bytes, starts));
            assert_eq!(natural, any);
        }
    }
}
