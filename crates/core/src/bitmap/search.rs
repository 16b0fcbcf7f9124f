//! Finding and claiming runs of set bits.
//!
//! A search looks at snapshots, then claims what it saw; if the claim fails, somebody else has changed these very bits,
//! and it looks at the same chunk again. So a retry always means that another thread got on.

use super::bitmap::{Bitmap, CHUNK_BITS, CHUNK_FIELDS};
use super::field::{self, FIELD_BITS};
use super::range::{BitRange, Fit};

/// Where a search begins; it wraps around. Threads that begin at different places rarely meet.
///
/// Both numbers are taken modulo what there is, so any will do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// The chunk to look at first.
    pub chunk: usize,
    /// The field to look at first in every chunk (for runs of at most 64 bits).
    pub field: usize,
}

impl Bitmap {
    /// Finds and claims a run of at most [`CHUNK_BITS`] bits inside one chunk, among the chunks that `accept` lets
    /// pass, and returns its first index.
    ///
    /// The claim is an acquire. Never waits; may miss bits that others claim, set or give back at the same time.
    pub fn find_claim(&self, fit: Fit, hint: Hint, accept: impl Fn(usize) -> bool) -> Option<usize> {
        debug_assert!(fit.len() <= CHUNK_BITS);
        self.marked_from(hint.chunk).filter(|&chunk| accept(chunk)).find_map(|chunk| self.claim_in(chunk, fit, hint))
    }

    /// Finds and claims the lowest run of any length, which may cross chunks, and returns its first index.
    ///
    /// The way for runs above [`CHUNK_BITS`]; for shorter ones a costlier second try. An acquire, as above.
    pub fn find_claim_spanning(&self, fit: Fit) -> Option<usize> {
        loop {
            let start = self.find_run(self.all(), fit)?;
            if self.try_claim(BitRange::new(start, fit.len())) {
                return Some(start);
            }
        }
    }

    /// The marked chunks from `first` on, then those before it.
    fn marked_from(&self, first: usize) -> impl Iterator<Item = usize> {
        let count = self.chunk_count();
        let first = first.checked_rem(count).unwrap_or(0);
        self.marked(BitRange::between(first, count)).chain(self.marked(BitRange::between(0, first)))
    }

    fn claim_in(&self, chunk: usize, fit: Fit, hint: Hint) -> Option<usize> {
        while let Some(start) = self.find_in(chunk, fit, hint) {
            if self.try_claim(BitRange::new(start, fit.len())) {
                return Some(start);
            }
        }
        self.retire_if_empty(chunk);
        None
    }

    fn find_in(&self, chunk: usize, fit: Fit, hint: Hint) -> Option<usize> {
        if fit.len() > FIELD_BITS {
            return self.find_run(self.chunk_range(chunk), fit);
        }
        (0..CHUNK_FIELDS)
            .find_map(|step| self.find_from_field(chunk, hint.field.wrapping_add(step) % CHUNK_FIELDS, fit))
    }

    /// A run of at most 64 bits that begins in a chunk's field `slot`, and may end in the next of the same chunk.
    fn find_from_field(&self, chunk: usize, slot: usize, fit: Fit) -> Option<usize> {
        let field = chunk * CHUNK_FIELDS + slot;
        let base = field * FIELD_BITS;
        let low = self.load(field);
        if low == 0 {
            return None;
        }
        let has_next = fit.len() > 1 && slot + 1 < CHUNK_FIELDS;
        let high = if has_next { self.load(field + 1) } else { 0 };
        let starts = field::run_starts(low, high, fit.len()) & fit.allowed_starts(base);
        field::lowest(starts).map(|bit| base + bit)
    }

    /// The lowest run in a window, of any length; reads every field about once.
    fn find_run(&self, window: BitRange, fit: Fit) -> Option<usize> {
        let mut start = fit.next_allowed(window.start);
        while start + fit.len() <= window.end() {
            let Some(clear) = self.first_clear(BitRange::new(start, fit.len())) else {
                return Some(start);
            };
            start = fit.next_allowed(self.first_set_by_map(BitRange::between(clear + 1, window.end()))?);
        }
        None
    }

    /// The lowest set bit of a long range, passing by chunks that the map knows to be empty.
    fn first_set_by_map(&self, range: BitRange) -> Option<usize> {
        let chunks = BitRange::between(range.start / CHUNK_BITS, range.end().div_ceil(CHUNK_BITS));
        self.marked(chunks).find_map(|chunk| self.first_set(self.chunk_range(chunk).intersect(range)))
    }
}
