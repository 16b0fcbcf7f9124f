//! Walking over the set bits in runs, with or without taking them.
//!
//! A run never crosses a chunk. A walk passes every chunk once and never goes back, so it ends even if others keep setting
//! bits; it sees every bit that was set before it began and that nobody else takes.

use super::bitmap::Bitmap;
use super::range::BitRange;
use core::ops::ControlFlow;

/// What becomes of a run that a visitor was given, and whether the walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The bits stay clear.
    Drop,
    /// The bits are set again; the walk does not come back to them.
    Keep,
    /// The bits stay clear, and the walk ends.
    DropAndStop,
    /// The bits are set again, and the walk ends.
    KeepAndStop,
}

impl Bitmap {
    /// Takes the set bits in runs of at most `max_len >= 1`, lowest first, and asks `visit` about each.
    ///
    /// A run is claimed as a whole (an acquire); bits that another thread took first are not in it.
    pub fn claim_runs(&self, max_len: usize, mut visit: impl FnMut(BitRange) -> Fate) {
        let _ = self.marked_chunks().try_for_each(|chunk| self.claim_runs_up(chunk, max_len, &mut visit));
    }

    /// The same, highest first.
    pub fn claim_runs_rev(&self, max_len: usize, mut visit: impl FnMut(BitRange) -> Fate) {
        let _ = self.marked_chunks().rev().try_for_each(|chunk| self.claim_runs_down(chunk, max_len, &mut visit));
    }

    /// Shows `visit` the set bits in runs, lowest first, until it breaks. Changes nothing; others may.
    pub fn for_each_set_run(&self, mut visit: impl FnMut(BitRange) -> ControlFlow<()>) -> ControlFlow<()> {
        self.marked_chunks().try_for_each(|chunk| {
            let mut window = self.chunk_range(chunk);
            while let Some(run) = self.first_run(window, usize::MAX) {
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

    fn claim_runs_up(&self, chunk: usize, max: usize, visit: &mut impl FnMut(BitRange) -> Fate) -> ControlFlow<()> {
        let mut window = self.chunk_range(chunk);
        while let Some(run) = self.first_run(window, max) {
            if self.try_claim(run) {
                window = BitRange::between(run.end(), window.end());
                self.settle(run, visit(run))?;
            }
        }
        self.retire_if_empty(chunk);
        ControlFlow::Continue(())
    }

    fn claim_runs_down(&self, chunk: usize, max: usize, visit: &mut impl FnMut(BitRange) -> Fate) -> ControlFlow<()> {
        let mut window = self.chunk_range(chunk);
        while let Some(run) = self.last_run(window, max) {
            if self.try_claim(run) {
                window = BitRange::between(window.start, run.start);
                self.settle(run, visit(run))?;
            }
        }
        self.retire_if_empty(chunk);
        ControlFlow::Continue(())
    }

    fn settle(&self, run: BitRange, fate: Fate) -> ControlFlow<()> {
        if matches!(fate, Fate::Keep | Fate::KeepAndStop) {
            self.set(run);
        }
        match fate {
            Fate::Drop | Fate::Keep => ControlFlow::Continue(()),
            Fate::DropAndStop | Fate::KeepAndStop => ControlFlow::Break(()),
        }
    }

    /// The lowest run of set bits in a window, cut at `max` bits.
    fn first_run(&self, window: BitRange, max: usize) -> Option<BitRange> {
        let start = self.first_set(window)?;
        let limit = window.end().min(start.saturating_add(max));
        let end = self.first_clear(BitRange::between(start + 1, limit)).unwrap_or(limit);
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
