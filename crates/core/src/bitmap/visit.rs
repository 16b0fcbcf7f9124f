//! Walking over the set bits in runs. A visitor that wants a run claims it ([`Bitmap::try_claim`]): others may have
//! changed it.
//!
//! A run never crosses a chunk. A walk passes every chunk once and never goes back, so it ends even if others keep setting
//! bits; it sees every bit that was set before it began and that nobody else takes.

use super::bitmap::Bitmap;
use super::range::BitRange;
use core::ops::ControlFlow;

impl Bitmap {
    /// Shows `visit` the set bits in runs, lowest first, until it breaks. Changes nothing; others may.
    pub fn for_each_set_run(&self, mut visit: impl FnMut(BitRange) -> ControlFlow<()>) -> ControlFlow<()> {
        self.marked_chunks().try_for_each(|chunk| {
            let mut window = self.chunk_range(chunk);
            while let Some(run) = self.first_run(window) {
                window = BitRange::between(run.end(), window.end());
                visit(run)?;
            }
            ControlFlow::Continue(())
        })
    }

    /// The same, highest first, in runs of at most `max_len >= 1`.
    pub fn for_each_set_run_rev(
        &self,
        max_len: usize,
        mut visit: impl FnMut(BitRange) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.marked_chunks().rev().try_for_each(|chunk| {
            let mut window = self.chunk_range(chunk);
            while let Some(run) = self.last_run(window, max_len) {
                window = BitRange::between(window.start, run.start);
                visit(run)?;
            }
            self.retire_if_empty(chunk);
            ControlFlow::Continue(())
        })
    }

    fn marked_chunks(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.marked(BitRange::new(0, self.chunk_count()))
    }

    /// The lowest run of set bits in a window.
    fn first_run(&self, window: BitRange) -> Option<BitRange> {
        let start = self.first_set(window)?;
        let end = self.first_clear(BitRange::between(start + 1, window.end())).unwrap_or(window.end());
        Some(BitRange::between(start, end))
    }

    /// The highest run of set bits in a window, cut at `max` bits.
    fn last_run(&self, window: BitRange, max: usize) -> Option<BitRange> {
        let last = self.last_set(window)?;
        let limit = window.start.max((last + 1).saturating_sub(max));
        let start = self.last_clear(BitRange::between(limit, last)).map_or(limit, |clear| clear + 1);
        Some(BitRange::between(start, last + 1))
    }
}
