//! Arithmetic on one 64-bit field: pure functions, no atomics, tested against a naive oracle.

/// Bits in a field.
pub const FIELD_BITS: usize = 64;

/// The `len` bits from `offset` on. `1 <= len <= 64 - offset`.
#[inline]
pub const fn mask(offset: usize, len: usize) -> u64 {
    debug_assert!(len >= 1 && offset + len <= FIELD_BITS);
    (u64::MAX >> (FIELD_BITS - len)) << offset
}

/// The lowest set bit.
#[inline]
pub const fn lowest(field: u64) -> Option<usize> {
    if field == 0 { None } else { Some(field.trailing_zeros() as usize) }
}

/// The highest set bit.
#[inline]
pub const fn highest(field: u64) -> Option<usize> {
    if field == 0 { None } else { Some(FIELD_BITS - 1 - field.leading_zeros() as usize) }
}

/// Where in `low` a run of `len <= 64` ones begins, which may run on into `high`, the field that follows.
///
/// The runs known double each step: bit *i* survives if runs of `known` ones begin at *i* and at *i* + `step <= known`.
#[inline]
pub const fn run_starts(low: u64, high: u64, len: usize) -> u64 {
    debug_assert!(len >= 1 && len <= FIELD_BITS);
    let mut starts = ((high as u128) << FIELD_BITS) | low as u128;
    let mut known = 1;
    while known < len {
        let step = if known < len - known { known } else { len - known };
        starts &= starts >> step;
        known += step;
    }
    starts as u64
}

/// The bits *i* of a field for which `base + i` is a multiple of `align`, a power of two.
#[inline]
pub const fn aligned_bits(base: usize, align: usize) -> u64 {
    debug_assert!(align.is_power_of_two());
    if align == 1 {
        return u64::MAX;
    }
    let first = base.wrapping_neg() & (align - 1);
    if first >= FIELD_BITS { 0 } else { multiples(align) << first }
}

/// The bits of a field whose positions are multiples of `align`.
const fn multiples(align: usize) -> u64 {
    if align >= FIELD_BITS { 1 } else { u64::MAX / mask(0, align) }
}

/// The positions of the set bits, from either end.
#[derive(Clone, Copy)]
pub struct SetBits(pub u64);

impl Iterator for SetBits {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let bit = lowest(self.0)?;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

impl DoubleEndedIterator for SetBits {
    #[inline]
    fn next_back(&mut self) -> Option<usize> {
        let bit = highest(self.0)?;
        self.0 &= !(1 << bit);
        Some(bit)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All ways to fill twelve low, middle or high bits, their complements, and periodic patterns.
    fn samples() -> impl Iterator<Item = u64> {
        let dense = (0..1 << 12).flat_map(|x: u64| [x, x << 24, x << 52, !x, !(x << 52)]);
        let periodic = (1..=64).map(|period| multiples(1 << (period % 7)).wrapping_mul(period as u64));
        dense.chain(periodic)
    }

    fn bit(low: u64, high: u64, index: usize) -> bool {
        index < 128 && (((high as u128) << 64 | low as u128) >> index) & 1 == 1
    }

    fn naive_run_starts(low: u64, high: u64, len: usize) -> u64 {
        let begins = |i: &usize| (*i..*i + len).all(|j| bit(low, high, j));
        (0..64).filter(begins).fold(0, |starts, i| starts | 1 << i)
    }

    #[test]
    fn masks_of_all_offsets_and_lengths() {
        for offset in 0..64 {
            for len in 1..=64 - offset {
                let naive = (offset..offset + len).fold(0u64, |mask, i| mask | 1 << i);
                assert_eq!(mask(offset, len), naive);
            }
        }
    }

    #[test]
    fn single_runs_of_all_places_and_lengths() {
        for (start, ones) in (0..128usize).flat_map(|start| (1..=128 - start).map(move |n| (start, n))) {
            let both = (u128::MAX >> (128 - ones)) << start;
            let (low, high) = (both as u64, (both >> 64) as u64);
            for len in 1..=64 {
                assert_eq!(run_starts(low, high, len), naive_run_starts(low, high, len));
            }
        }
    }

    #[test]
    fn dense_fields_of_some_lengths() {
        for low in samples() {
            for len in [1, 2, 3, 5, 8, 16, 63, 64] {
                assert_eq!(run_starts(low, !low, len), naive_run_starts(low, !low, len));
            }
        }
    }

    #[test]
    fn alignments_of_all_phases() {
        for align in (0..10).map(|shift| 1usize << shift) {
            for base in (0..2 * align).chain([usize::MAX - 3]) {
                let naive = (0..64).filter(|i| base.wrapping_add(*i).is_multiple_of(align));
                assert_eq!(aligned_bits(base, align), naive.fold(0, |mask, i| mask | 1 << i));
            }
        }
    }

    #[test]
    fn ends_of_a_field() {
        assert_eq!((lowest(0), highest(0)), (None, None));
        for i in 0..64 {
            assert_eq!((lowest(u64::MAX << i), highest(u64::MAX >> i)), (Some(i), Some(63 - i)));
        }
    }

    proptest! {
        #[test]
        fn runs_of_random_fields(a: u64, b: u64, c: u64, len in 1usize..=64) {
            let (low, high) = (a | b, a | c);
            prop_assert_eq!(run_starts(low, high, len), naive_run_starts(low, high, len));
        }

        #[test]
        fn set_bits_from_both_ends(field: u64) {
            let naive: std::vec::Vec<usize> = (0..64).filter(|i| field >> i & 1 == 1).collect();
            prop_assert!(SetBits(field).eq(naive.iter().copied()));
            prop_assert!(SetBits(field).rev().eq(naive.iter().rev().copied()));
        }
    }
}
