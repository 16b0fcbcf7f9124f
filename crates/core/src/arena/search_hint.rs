//! Where an arena need not be searched: what makes claims of many big blocks take the same time, however many there
//! are.
//!
//! Per class of lengths, a chunk below which there was no room when one was last claimed; and the shortest length for
//! which there was no room anywhere. Giving slices back takes both back as far as it concerns them.
//!
//! These are hints: threads that change them at the same time may lose a change, and room below the chunk for a
//! shorter run of the same class is passed by. So they are forgotten, and everything is searched, before another
//! arena is reserved.

use crate::bitmap::CHUNK_BITS;
use crate::sync::{AtomicU32, AtomicUsize, Ordering};

/// Two classes per doubling of the length, up to a chunk.
const CLASSES: usize = 2 * (CHUNK_BITS.ilog2() as usize + 1);

/// See the module's head. Forgotten when zeroed, but for `full_from`, which then says that there is no room for
/// anything.
pub struct SearchHint {
    /// The chunk to begin with, by class.
    first: [AtomicU32; CLASSES],
    /// From this length on there is no room.
    full_from: AtomicUsize,
}

/// The class of a length of 1 to `CHUNK_BITS`.
fn class(slices: usize) -> usize {
    let log2 = slices.ilog2() as usize;
    let is_upper_half = log2 > 0 && slices >> (log2 - 1) & 1 == 1;
    2 * log2 + usize::from(is_upper_half)
}

impl SearchHint {
    pub const fn new() -> Self {
        Self { first: [const { AtomicU32::new(0) }; CLASSES], full_from: AtomicUsize::new(usize::MAX) }
    }

    /// The first chunk worth looking at.
    pub fn first_chunk(&self, slices: usize) -> usize {
        self.first[class(slices)].load(Ordering::Relaxed) as usize
    }

    /// The lowest run was claimed in this chunk.
    pub fn note_found(&self, slices: usize, chunk: usize) {
        self.first[class(slices)].store(chunk as u32, Ordering::Relaxed);
    }

    pub fn is_full_for(&self, slices: usize) -> bool {
        slices >= self.full_from.load(Ordering::Relaxed)
    }

    /// Nowhere was a run of this length.
    pub fn note_full(&self, slices: usize) {
        if !self.is_full_for(slices) {
            self.full_from.store(slices, Ordering::Relaxed);
        }
    }

    /// Slices have become free, in this chunk and maybe in higher ones.
    pub fn note_released(&self, chunk: usize) {
        if self.full_from.load(Ordering::Relaxed) != usize::MAX {
            self.full_from.store(usize::MAX, Ordering::Relaxed);
        }
        for first in &self.first {
            if first.load(Ordering::Relaxed) > chunk as u32 {
                first.store(chunk as u32, Ordering::Relaxed);
            }
        }
    }

    pub fn forget(&self) {
        self.note_released(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_has_a_class_and_longer_ones_higher_classes() {
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(class), [0, 2, 3, 4, 4, 5, 5, 6]);
        assert_eq!(class(CHUNK_BITS), CLASSES - 2);
        assert!((1..CHUNK_BITS).all(|slices| class(slices) <= class(slices + 1)));
    }

    #[test]
    fn what_is_given_back_is_looked_at_again() {
        let hint = SearchHint::new();
        hint.note_found(10, 7);
        hint.note_full(40);
        hint.note_full(50);
        assert_eq!((hint.first_chunk(10), hint.first_chunk(9), hint.first_chunk(20)), (7, 7, 0));
        assert!(hint.is_full_for(40) && !hint.is_full_for(39));
        hint.note_released(9);
        assert!(hint.first_chunk(10) == 7 && !hint.is_full_for(40));
        hint.note_released(3);
        assert_eq!(hint.first_chunk(10), 3);
        hint.forget();
        assert_eq!(hint.first_chunk(10), 0);
    }
}
