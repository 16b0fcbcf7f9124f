//! Names for bits: ranges, their pieces per field, and what a search asks for.

use super::field::{self, FIELD_BITS};

/// `len` consecutive bits (slices) from `start` on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitRange {
    /// The first bit.
    pub start: usize,
    /// How many bits.
    pub len: usize,
}

impl BitRange {
    /// `len` bits from `start` on.
    #[inline]
    pub const fn new(start: usize, len: usize) -> Self {
        BitRange { start, len }
    }

    /// The one bit `index`.
    #[inline]
    pub const fn one(index: usize) -> Self {
        BitRange::new(index, 1)
    }

    /// From `start` up to but not including `end`; empty if that is not above `start`.
    #[inline]
    pub const fn between(start: usize, end: usize) -> Self {
        BitRange::new(start, end.saturating_sub(start))
    }

    /// The first bit behind the range.
    #[inline]
    pub const fn end(self) -> usize {
        self.start + self.len
    }

    /// Whether it has no bits.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The part of the range that lies in `other` too.
    #[inline]
    pub fn intersect(self, other: BitRange) -> Self {
        BitRange::between(self.start.max(other.start), self.end().min(other.end()))
    }

    /// The runs of bits in the range that `is_in` holds for, in order.
    pub fn runs(self, is_in: impl Fn(usize) -> bool) -> impl Iterator<Item = BitRange> {
        let mut rest = self.start..self.end();
        core::iter::from_fn(move || {
            let start = rest.find(|&bit| is_in(bit))?;
            let end = rest.find(|&bit| !is_in(bit)).unwrap_or(self.end());
            Some(BitRange::between(start, end))
        })
    }

    /// The range field by field, from either end.
    #[inline]
    pub(super) const fn pieces(self) -> Pieces {
        Pieces(self)
    }
}

/// The part of a range inside one field; `mask` is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub field: usize,
    pub mask: u64,
}

impl Piece {
    #[inline]
    const fn of(range: BitRange) -> Self {
        Piece { field: range.start / FIELD_BITS, mask: field::mask(range.start % FIELD_BITS, range.len) }
    }

    /// The index of the field's first bit.
    #[inline]
    pub const fn base(self) -> usize {
        self.field * FIELD_BITS
    }

    /// The index of the piece's first bit.
    #[inline]
    pub const fn start(self) -> usize {
        self.base() + self.mask.trailing_zeros() as usize
    }
}

/// Iterator over a range's pieces; holds what is left of the range.
#[derive(Clone, Copy)]
pub struct Pieces(BitRange);

impl Iterator for Pieces {
    type Item = Piece;

    #[inline]
    fn next(&mut self) -> Option<Piece> {
        let BitRange { start, len } = self.0;
        let taken = len.min(FIELD_BITS - start % FIELD_BITS);
        self.0 = BitRange::new(start + taken, len - taken);
        (taken > 0).then(|| Piece::of(BitRange::new(start, taken)))
    }
}

impl DoubleEndedIterator for Pieces {
    #[inline]
    fn next_back(&mut self) -> Option<Piece> {
        let BitRange { start, len } = self.0;
        let taken = len.min((start + len + FIELD_BITS - 1) % FIELD_BITS + 1);
        self.0 = BitRange::new(start, len - taken);
        (taken > 0).then(|| Piece::of(BitRange::new(start + len - taken, taken)))
    }
}

/// What a search asks for: `len` set bits in a row whose first index `start` satisfies
/// `(start + phase) % align == 0`.
///
/// `phase` is the arena's own offset: slice `start` of an arena that begins `phase` slices behind an aligned address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    len: usize,
    align: usize,
    phase: usize,
}

impl Fit {
    /// `len >= 1` bits anywhere, except that 8 and 64 bits come from a grid of 8 and 64: a byte, a whole field. These are
    /// the common page sizes, and a grid keeps them from splitting each other's room.
    #[inline]
    pub const fn new(len: usize) -> Self {
        debug_assert!(len >= 1);
        let align = if len == 8 || len == FIELD_BITS { len } else { 1 };
        Fit { len, align, phase: 0 }
    }

    /// `len` bits anywhere; `len` is at least 1.
    #[inline]
    pub const fn anywhere(len: usize) -> Self {
        Fit { len, align: 1, phase: 0 }
    }

    /// The same at an alignment, a power of two, in place of the grid. An `align` of 1 changes nothing.
    #[inline]
    pub const fn aligned(self, align: usize, phase: usize) -> Self {
        debug_assert!(align.is_power_of_two());
        if align == 1 { self } else { Fit { len: self.len, align, phase } }
    }

    /// How many bits; never 0.
    #[inline]
    #[expect(clippy::len_without_is_empty, reason = "a request for nothing does not exist")]
    pub const fn len(self) -> usize {
        self.len
    }

    /// The bits of the field that begins at index `base` where a run may start.
    #[inline]
    pub(super) const fn allowed_starts(self, base: usize) -> u64 {
        field::aligned_bits(base.wrapping_add(self.phase), self.align)
    }

    /// The first index from `index` on where a run may start.
    #[inline]
    pub(super) const fn next_allowed(self, index: usize) -> usize {
        index + (index.wrapping_add(self.phase).wrapping_neg() & (self.align - 1))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn bits_of(piece: Piece) -> impl Iterator<Item = usize> {
        (0..64).filter(move |i| piece.mask >> i & 1 == 1).map(move |i| piece.base() + i)
    }

    proptest! {
        #[test]
        fn pieces_make_up_the_range(start in 0usize..300, len in 0usize..300) {
            let range = BitRange::new(start, len);
            prop_assert!(range.pieces().flat_map(bits_of).eq(start..start + len));
            let mut backwards: Vec<Piece> = range.pieces().rev().collect();
            backwards.reverse();
            prop_assert!(range.pieces().eq(backwards));
            prop_assert!(range.pieces().all(|piece| bits_of(piece).next() == Some(piece.start())));
        }

        #[test]
        fn pieces_from_both_ends_meet(start in 0usize..300, len in 0usize..300, turns: u16) {
            let mut pieces = BitRange::new(start, len).pieces();
            let from_back = |turn: usize| turns >> (turn % 16) & 1 == 1;
            let ends = |turn| if from_back(turn) { pieces.next_back() } else { pieces.next() };
            let mut bits: Vec<usize> = (0..).map_while(ends).flat_map(bits_of).collect();
            bits.sort();
            prop_assert!(bits.into_iter().eq(start..start + len));
        }

        #[test]
        fn starts_are_where_the_fit_allows(index in 0usize..5000, shift in 0u32..12, phase in 0usize..5000) {
            let align = 1 << shift;
            let fit = Fit::new(2).aligned(align, if align == 1 { 0 } else { phase });
            let allowed = |i: &usize| (i + fit.phase).is_multiple_of(align);
            prop_assert_eq!(Some(fit.next_allowed(index)), (index..).find(allowed));
            let base = index / 64 * 64;
            let naive = (base..base + 64).filter(allowed).fold(0u64, |mask, i| mask | 1 << (i - base));
            prop_assert_eq!(fit.allowed_starts(base), naive);
        }
    }

    #[test]
    fn bytes_and_fields_come_from_their_grid() {
        assert_eq!(Fit::new(8).next_allowed(3), 8);
        assert_eq!(Fit::new(64).next_allowed(65), 128);
        assert_eq!(Fit::new(8).aligned(2, 1).next_allowed(4), 5);
        assert_eq!(Fit::new(8).aligned(1, 1), Fit::new(8));
        assert_eq!(Fit::new(9).next_allowed(3), 3);
        assert_eq!(Fit::anywhere(64).next_allowed(3), 3);
    }

    #[test]
    fn ranges_intersect() {
        assert_eq!(BitRange::new(3, 5).intersect(BitRange::new(6, 9)), BitRange::new(6, 2));
        assert!(BitRange::new(3, 5).intersect(BitRange::new(8, 9)).is_empty());
        assert!(BitRange::between(9, 8).is_empty());
    }
}
