//! The order of a thread's plain stores, for the child of a `fork`.
//!
//! The child has memory as it was at one moment, in which another thread was anywhere: between two stores of a list
//! operation, too. Of each thread it sees the stores up to one of its instructions, for the processor completes in the
//! copied memory what stood before (and waits with what stands behind, until the copy is made). So what the child may rely
//! on is the order of the instructions, which the compiler chooses: [`pin`] keeps it. No instruction comes of it.

use core::sync::atomic::{Ordering, compiler_fence};

/// What this thread has stored is stored before what follows. Costs nothing at run time.
///
/// Tests of what a fork finds stop here (`steps`).
#[inline(always)]
pub fn pin() {
    // ORDERING: release, for the compiler alone: no store moves behind a later one.
    compiler_fence(Ordering::Release);
    #[cfg(all(test, not(loom)))]
    steps::pass();
}

/// Stopping a thread's work at one of its pins.
#[cfg(all(test, not(loom)))]
pub(crate) mod steps {
    use std::boxed::Box;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    std::thread_local! {
        /// Pins to pass before work stops; 0: it doesn't.
        static LEFT: Cell<usize> = const { Cell::new(0) };
    }

    struct Stopped;

    pub(super) fn pass() {
        let left = LEFT.get();
        LEFT.set(left.saturating_sub(1));
        if left == 1 {
            resume_unwind(Box::new(Stopped));
        }
    }

    /// Does `work` without stopping: another thread's.
    pub(crate) fn unstopped<T>(work: impl FnOnce() -> T) -> T {
        let left = LEFT.replace(0);
        let done = work();
        LEFT.set(left);
        done
    }

    /// Does `work` up to its `pin`th pin (from 1), as a thread that a fork has left behind; `None` if it has fewer.
    pub(crate) fn stop_at(pin: usize, work: impl FnOnce()) -> Option<()> {
        LEFT.set(pin);
        let end = catch_unwind(AssertUnwindSafe(work));
        LEFT.set(0);
        match end {
            Ok(()) => None,
            Err(stop) if stop.is::<Stopped>() => Some(()),
            Err(failure) => resume_unwind(failure),
        }
    }
}
