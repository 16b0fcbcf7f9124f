//! How many there are, such that the last one to leave knows that it is the last.
//!
//! Invariants:
//! 1. Who leaves while others are present has nothing to see to; exactly one leaves as the last.
//! 2. The last one sees everything that the others did before they left.

use super::{AtomicUsize, Ordering, const_unless_loom};

/// Who left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Left {
    /// Others are still present: there is nothing to see to.
    OthersStay,
    /// Nobody is present any more.
    Last,
}

/// See the module's head.
pub struct Presence {
    count: AtomicUsize,
}

impl Presence {
    const_unless_loom! {
        /// Nobody is present.
        pub const fn new() -> Self {
            Presence { count: AtomicUsize::new(0) }
        }
    }

    /// One more.
    pub fn enter(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// One less, who has entered.
    pub fn leave(&self) -> Left {
        // ORDERING: invariant 2: what was done before, to the last one, who reads what each has written.
        let before = self.count.fetch_sub(1, Ordering::AcqRel);
        debug_assert!(before > 0);
        if before == 1 { Left::Last } else { Left::OthersStay }
    }

    /// So many are present, whatever was before: in the child of a fork.
    pub fn reset(&self, count: usize) {
        self.count.store(count, Ordering::Relaxed);
    }
}
