//! Making an arena's memory accessible, in growing steps.
//!
//! An arena's addresses are reserved inaccessible: such memory counts against no limit but that on addresses, is not
//! locked by `mlockall`, and not written to core files. Slices are made accessible when they are claimed. As each call of
//! the system costs as much for many slices as for one, free neighbours become accessible with them: an eighth of
//! what is accessible already, up to 2 MiB, in whole aligned steps. So there are few calls, and few mappings.
//!
//! The neighbours are claimed for that moment like an allocation (`slice_states`, invariant 1), since somebody else could
//! be changing them. They stay free and unused: what is known of their contents does not change.
//!
//! Where the kernel accounts strictly, accessible memory is charged for, so only what is claimed becomes accessible. The
//! same is tried where a limit refuses more; then without the free slices that are accessible, which a limit on data counts.

use core::ops::ControlFlow;

use super::arena::Arena;
use super::mapping::{LEAST_STEP, goes_in_steps, open};
use crate::base::*;
use crate::bitmap::{BitRange, CHUNK_BITS};

/// The largest: 2 MiB, which costs the system a hundred times as much to fill as to make accessible. Each kind of pages has chunks
/// of its own and begins steps there; with 32 MiB a quarter of a heap of 500 MiB was accessible and free, which a limit on data
/// counts.
const MOST_STEP: usize = CHUNK_BITS / 16;
/// A step is this share of what is accessible.
const SHARE: usize = 8;

/// How many slices become accessible at a time when so many are already; a power of two.
fn step(accessible: usize) -> usize {
    let share = (accessible / SHARE).clamp(LEAST_STEP, MOST_STEP);
    1 << share.ilog2()
}

impl Arena {
    /// Makes slices accessible that the caller has claimed: `Some(Zeroed)` if all of it was not and is zero for that
    /// reason; `None` if refused.
    pub(super) fn ensure_committed(&self, range: BitRange) -> Option<Zero> {
        if self.slice_states.is_committed(range) {
            return Some(Zero::Any);
        }
        let done = self.commit_step(range).or_else(|| self.commit_exactly(range));
        let (zero, newly) = done.or_else(|| (self.close_free() > 0).then(|| self.commit_exactly(range))?)?;
        self.usage().stats().commit_calls.increment();
        self.usage().committed.add(newly);
        Some(if newly >= range.len { zero } else { Zero::Any })
    }

    fn commit_exactly(&self, range: BitRange) -> Option<(Zero, usize)> {
        let memory = self.slice_memory(range.start);
        let zero = open(self.backing(), self.commit_fn(), memory, range.len * SLICE_BYTES)?;
        Some((zero, self.slice_states.note_committed(range)))
    }

    /// Makes free slices inaccessible, as before they became so with others or were used; answers how many.
    #[cold]
    pub(super) fn close_free(&self) -> usize {
        let mut closed = 0;
        let _ = self.slice_states.free().for_each_set_run(|run| {
            closed += run.runs(|slice| self.is_committed(slice)).map(|part| self.close(part)).sum::<usize>();
            ControlFlow::Continue(())
        });
        self.usage().committed.subtract(closed);
        closed
    }

    /// Makes accessible slices inaccessible, unless somebody holds one of them; answers how many.
    fn close(&self, part: BitRange) -> usize {
        let Some(memory) = self.private(part).filter(|_| self.slice_states.free().try_claim(part)) else { return 0 };
        // SAFETY: just claimed: the caller's alone.
        let is_closed = unsafe { memory.close() };
        if is_closed {
            self.slice_states.note_decommitted(part);
        }
        self.slice_states.untake(part);
        if is_closed { part.len } else { 0 }
    }

    /// With free neighbours; `None` if there are none, or that is refused.
    fn commit_step(&self, range: BitRange) -> Option<(Zero, usize)> {
        if !goes_in_steps(self.backing()) {
            return None;
        }
        let step = step(self.usage().committed.get());
        let end = range.end().next_multiple_of(step).min(self.slices());
        let before = self.take_below(BitRange::between(range.start / step * step, range.start));
        let after = self.take_above(BitRange::between(range.end(), end));
        let done = self.commit_exactly(BitRange::between(before.start, after.end()));
        [before, after].into_iter().filter(|taken| !taken.is_empty()).for_each(|taken| self.slice_states.untake(taken));
        done
    }

    /// Claims the last slices of a range, as many as are free and inaccessible (all, half of them, …).
    fn take_below(&self, range: BitRange) -> BitRange {
        let lengths = core::iter::successors(Some(range.len), |len| Some(len / 2));
        let last = |len: usize| BitRange::new(range.end() - len, len);
        lengths.map(last).find(|&part| self.take(part)).unwrap_or_default()
    }

    /// Claims the first slices of a range, likewise.
    fn take_above(&self, range: BitRange) -> BitRange {
        let lengths = core::iter::successors(Some(range.len), |len| Some(len / 2));
        let first = |len: usize| BitRange::new(range.start, len);
        lengths.map(first).find(|&part| self.take(part)).unwrap_or_default()
    }

    fn take(&self, part: BitRange) -> bool {
        part.is_empty() || self.slice_states.is_inaccessible(part) && self.slice_states.free().try_claim(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_grow_with_what_is_accessible() {
        assert_eq!(step(0), LEAST_STEP);
        assert_eq!(step(SHARE * LEAST_STEP), LEAST_STEP);
        assert_eq!(step(SHARE * LEAST_STEP * 3), LEAST_STEP * 2);
        assert_eq!(step(usize::MAX), MOST_STEP);
    }
}
