//! The chunk map: one bit per chunk, set if the chunk may hold a set bit. Only the words; `bitmap` has the protocol.

use super::field::{FIELD_BITS, SetBits};
use super::range::BitRange;
use crate::sync::{AtomicU64, Ordering};

/// The map's words, borrowed from the bitmap's memory.
#[derive(Clone, Copy)]
pub struct ChunkMap {
    words: &'static [AtomicU64],
}

impl ChunkMap {
    pub const fn new(words: &'static [AtomicU64]) -> Self {
        ChunkMap { words }
    }

    /// Says that `chunk` may hold a set bit.
    pub fn mark(&self, chunk: usize) {
        // ORDERING: release publishes the bit that was set in the chunk; pairs with the acquire in `unmark`.
        self.words[chunk / FIELD_BITS].fetch_or(bit(chunk), Ordering::Release);
    }

    /// Marks chunks in a map that nobody else knows yet.
    pub fn mark_unshared(&self, chunks: BitRange) {
        for piece in chunks.pieces() {
            let word = &self.words[piece.field];
            word.store(word.load(Ordering::Relaxed) | piece.mask, Ordering::Relaxed);
        }
    }

    /// Says that `chunk` holds none. The caller looks again afterwards.
    pub fn unmark(&self, chunk: usize) {
        // ORDERING: acquire pairs with the release of every `mark` before this in the word's order (all changes of the
        // word are read-modify-writes, so the release sequence is unbroken): the second look sees what they published.
        self.words[chunk / FIELD_BITS].fetch_and(!bit(chunk), Ordering::Acquire);
    }

    /// The marked ones among `chunks`, in either direction. Each word is read once, when it is reached.
    pub fn marked(self, chunks: BitRange) -> impl DoubleEndedIterator<Item = usize> {
        chunks.pieces().flat_map(move |piece| {
            let word = self.words[piece.field].load(Ordering::Relaxed);
            SetBits(word & piece.mask).map(move |bit| piece.base() + bit)
        })
    }
}

const fn bit(chunk: usize) -> u64 {
    1 << (chunk % FIELD_BITS)
}
