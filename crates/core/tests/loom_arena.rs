//! Models of slices that are allocated, given back and purged, of counting them, and of a limit on them. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_arena`.
//!
//! The memory behind a slice is a cell that loom watches: only who holds the slice may touch it. The numbers in the comments
//! are the invariants in `src/arena/slice_states.rs`; for the limit, in `src/arena/limit.rs`.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use ferrimalloc_core::arena::limit::Limit;
use ferrimalloc_core::arena::slice_states::{SliceStates, Taken};
use ferrimalloc_core::bitmap::{BitRange, Bitmap, CHUNK_BITS, FIELD_BITS};
use ferrimalloc_core::stats::count::{RawCount, StatCount, StatCounter};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use std::ops::ControlFlow;

/// The last slice of one field and the first of the next.
const PAIR: BitRange = BitRange::new(FIELD_BITS - 1, 2);
const FIRST: BitRange = BitRange::one(FIELD_BITS - 1);
const SECOND: BitRange = BitRange::one(FIELD_BITS);

/// An arena of which two slices are used.
struct Slices {
    slice_states: SliceStates,
    memory: [UnsafeCell<usize>; 2],
    unused: StatCount,
}

// SAFETY: what the models check.
unsafe impl Send for Slices {}
// SAFETY: as above.
unsafe impl Sync for Slices {}

fn bitmap() -> Bitmap {
    let bytes = Bitmap::layout_bytes(CHUNK_BITS) / 8;
    let memory: &'static mut [[u64; 8]] = Box::leak(vec![[0; 8]; bytes].into_boxed_slice());
    let start = memory.as_mut_ptr().cast::<u8>();
    let start = start.wrapping_add(start.align_offset(64));
    // SAFETY: zeroed, aligned, larger than needed, and never freed.
    unsafe { Bitmap::init_at(start, CHUNK_BITS) }
}

impl Slices {
    /// Both are free, and nothing is behind them.
    fn new() -> Arc<Slices> {
        let slices = Slices {
            slice_states: SliceStates::new([(); 4].map(|()| bitmap())),
            memory: Default::default(),
            unused: StatCount::new(),
        };
        slices.slice_states.note_committed(PAIR);
        slices.slice_states.untake(PAIR);
        Arc::new(slices)
    }

    /// Both are free, with memory behind them.
    fn new_used() -> Arc<Slices> {
        let slices = Slices::new();
        assert!(slices.allocate(PAIR));
        slices.free(PAIR);
        slices
    }

    /// Touches the memory of slices that the caller holds.
    fn write(&self, range: BitRange, contents: usize) {
        for slice in range.start..range.end() {
            // SAFETY: loom reports it if this is not exclusive.
            self.memory[slice - PAIR.start].with_mut(|memory| unsafe { *memory = contents });
        }
    }

    fn contents(&self, slice: usize) -> usize {
        // SAFETY: loom reports it if this is not exclusive.
        self.memory[slice - PAIR.start].with_mut(|memory| unsafe { *memory })
    }

    /// What `Arena::claim_at` does, and then the block is used.
    fn allocate(&self, range: BitRange) -> bool {
        if !self.slice_states.free().try_claim(range) {
            return false;
        }
        let Taken { purgeable, clean } = self.slice_states.note_taken(range);
        let waits = |slice: usize| self.slice_states.is_purgeable(slice);
        assert!(!(range.start..range.end()).any(waits), "what is held does not wait to be purged");
        if clean == range.len {
            (range.start..range.end()).for_each(|slice| assert_eq!(self.contents(slice), 0, "known to be zero"));
        }
        self.unused.decrease(purgeable);
        self.write(range, 1);
        true
    }

    fn free(&self, range: BitRange) {
        let purgeable = self.slice_states.give_back(range, 0, true);
        self.unused.increase(purgeable);
    }

    /// What `ArenaSet::purge_run` does.
    fn purge(&self, range: BitRange) -> bool {
        let drop_memory = || {
            self.write(range, 0);
            self.slice_states.note_clean(range);
        };
        let purged = self.slice_states.purge(range, drop_memory);
        self.unused.decrease(purged.unwrap_or(0));
        purged.is_some()
    }

    /// What `Arena::drop_unused` does.
    fn drop_clean(&self, range: BitRange) {
        let drop_run = |run| self.slice_states.drop_clean(run, || self.write(run, 0));
        self.slice_states.clean_runs(range).for_each(drop_run);
    }

    fn purge_all(&self) {
        self.slice_states.for_each_purgeable_rev(|run| {
            if !self.purge(run) {
                (run.start..run.end()).for_each(|slice| _ = self.purge(BitRange::one(slice)));
            }
            ControlFlow::Continue(())
        });
    }

    /// With all threads done and both slices free: a slice waits to be purged if there is something behind it, and is counted.
    fn finish(&self) {
        let mut waiting = 0;
        for slice in PAIR.start..PAIR.end() {
            assert!(self.slice_states.is_free(slice), "lost");
            assert_eq!(self.slice_states.is_purgeable(slice), self.contents(slice) != 0, "invariant 3");
            assert_eq!(self.slice_states.is_dirty(slice), self.contents(slice) != 0, "known to be zero");
            waiting += i64::from(self.slice_states.is_purgeable(slice));
        }
        assert_eq!(self.unused.current(), waiting, "invariant 2");
    }
}

fn spawn<R: 'static>(slices: &Arc<Slices>, work: fn(&Slices) -> R) -> JoinHandle<R> {
    let slices = slices.clone();
    thread::spawn(move || work(&slices))
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("no panic")
}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Invariants 1 to 3: a slice is allocated and freed while it is purged.
#[test]
fn purging_against_allocation() {
    bounded(3, || {
        let slices = Slices::new_used();
        let purger = spawn(&slices, |slices| slices.purge(FIRST));
        if slices.allocate(FIRST) {
            slices.free(FIRST);
        }
        join(purger);
        slices.finish();
    });
}

/// Invariants 1 to 3: the whole walk over what waits, while half of it is allocated and freed.
#[test]
fn purging_everything_against_allocation() {
    bounded(2, || {
        let slices = Slices::new_used();
        let purger = spawn(&slices, Slices::purge_all);
        if slices.allocate(SECOND) {
            slices.free(SECOND);
        }
        join(purger);
        slices.finish();
    });
}

/// Invariants 1 and 3: what huge pages put behind slices is dropped while one of these is allocated and freed.
#[test]
fn dropping_clean_slices_against_allocation() {
    bounded(3, || {
        let slices = Slices::new();
        let dropper = spawn(&slices, |slices| slices.drop_clean(PAIR));
        if slices.allocate(FIRST) {
            slices.free(FIRST);
        }
        join(dropper);
        slices.finish();
    });
}

/// Invariant 3: a claim of both slices that fails in the end makes the purger miss one, which it must not forget.
#[test]
fn purging_against_a_claim_that_fails() {
    bounded(2, || {
        let slices = Slices::new_used();
        assert!(slices.allocate(SECOND));
        let purger = spawn(&slices, Slices::purge_all);
        assert!(!slices.allocate(PAIR));
        join(purger);
        slices.free(SECOND);
        slices.finish();
    });
}

/// Invariants 2 and 3: two purgers, of the same slices.
#[test]
fn purging_twice_at_once() {
    bounded(2, || {
        let slices = Slices::new_used();
        let other = spawn(&slices, |slices| slices.purge(PAIR));
        slices.purge(FIRST);
        join(other);
        slices.finish();
    });
}

/// Both slices are taken, only the first one is used, and the other one goes back as clean as it was, while all that waits
/// is purged.
#[test]
fn what_was_not_used_stays_clean() {
    bounded(2, || {
        let slices = Slices::new();
        let purger = spawn(&slices, Slices::purge_all);
        assert!(slices.slice_states.free().try_claim(PAIR));
        assert_eq!(slices.slice_states.note_taken(PAIR), Taken { purgeable: 0, clean: 2 });
        slices.write(FIRST, 1);
        let purgeable = slices.slice_states.give_back(PAIR, 1, true);
        slices.unused.increase(purgeable);
        join(purger);
        slices.finish();
        assert!(slices.slice_states.free().try_claim(SECOND));
        assert_eq!(slices.slice_states.note_taken(SECOND), Taken { purgeable: 0, clean: 1 });
    });
}

/// Invariant 1: what the last holder wrote is what the next one finds.
#[test]
fn memory_travels_with_the_slice() {
    bounded(3, || {
        let slices = Slices::new();
        let user = |slices: &Slices| {
            let had = slices.allocate(FIRST);
            if had {
                slices.free(FIRST);
            }
            had
        };
        let other = spawn(&slices, user);
        let mine = user(&slices);
        assert!(join(other) || mine);
        slices.finish();
    });
}

/// Statistics: nothing is lost or counted twice when one table is emptied into another while others count.
#[test]
fn counts_are_moved_while_others_count() {
    bounded(3, || {
        let tables = Arc::new((StatCount::new(), StatCount::new(), StatCounter::new()));
        tables.0.increase(2);
        let counting = tables.clone();
        let counting = thread::spawn(move || {
            counting.0.increase(3);
            counting.0.decrease(1);
            counting.2.add(5);
        });
        tables.1.merge(&tables.0.take());
        let moved = tables.2.take().total;
        counting.join().expect("no panic");
        tables.1.merge(&tables.0.take());
        let RawCount { total, current, .. } = tables.1.snapshot();
        assert_eq!((total, current), (5, 4));
        assert_eq!(moved + tables.2.take().total, 5);
    });
}

/// Statistics: the peak is at least what was there at once, and at most what there ever was.
#[test]
fn the_peak_is_seen() {
    bounded(3, || {
        let count = Arc::new(StatCount::new());
        let other = count.clone();
        let other = thread::spawn(move || other.increase(1));
        count.increase(1);
        other.join().expect("no panic");
        assert_eq!(count.snapshot(), RawCount { total: 2, peak: 2, current: 2 });
        count.decrease(2);
        assert_eq!(count.snapshot(), RawCount { total: 2, peak: 2, current: 0 });
    });
}

fn limit_of(most: usize) -> Arc<Limit> {
    let limit = Limit::new();
    limit.set(Some(most));
    Arc::new(limit)
}

/// Limit, invariants 1 and 2: of three that want two slices each, where five may be had, one is refused unless another has given
/// its slices back; and nothing is lost.
#[test]
fn a_limit_is_never_exceeded() {
    bounded(3, || {
        let limit = limit_of(5);
        let user = |limit: &Limit| {
            let had = limit.try_charge(2);
            assert!(limit.charged() <= 5);
            had
        };
        let others = [limit.clone(), limit.clone()].map(|limit| thread::spawn(move || user(&limit)));
        let mine = user(&limit);
        if mine {
            limit.give_back(2);
        }
        let had = others.into_iter().map(join).filter(|&had| had).count();
        assert!(mine || had == 2, "the first two can't be refused");
        assert_eq!(limit.charged(), 2 * had, "invariant 2");
    });
}

/// Limit, invariants 1 and 3: once a limit has been lowered no charge is admitted that the new one forbids.
#[test]
fn a_lower_limit_holds_at_once() {
    bounded(3, || {
        let limit = limit_of(3);
        let other = limit.clone();
        let other = thread::spawn(move || other.try_charge(2));
        limit.set(Some(1));
        let charged = limit.charged();
        let had = join(other);
        assert_eq!(limit.charged(), if had { 2 } else { 0 });
        assert!(!had || charged == 2, "admitted after it was lowered");
        // More than there is, as may come of a fork.
        limit.give_back(3);
        assert_eq!((limit.charged(), limit.most()), (0, Some(1)));
    });
}
