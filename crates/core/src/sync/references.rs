//! How many hold on to a structure that ends with the last of them.
//!
//! Invariants
//! 1. The structure ends once: of the threads that let go, one is told that it was the last.
//! 2. What every holder did with the structure is over before it ends.

use super::{AtomicUsize, Ordering, const_unless_loom, fence};

/// The count.
pub struct References(AtomicUsize);

impl References {
    const_unless_loom! {
        /// Held once. `const` except under loom.
        pub const fn new() -> Self {
            Self(AtomicUsize::new(1))
        }
    }

    /// One more; by a thread that knows of one that stays meanwhile.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less. If it was the last, the caller ends the structure.
    #[must_use]
    pub fn remove(&self) -> bool {
        // ORDERING: release, so that what this thread did with the structure is seen by the last (invariant 2).
        if self.0.fetch_sub(1, Ordering::Release) != 1 {
            return false;
        }
        // ORDERING: acquire pairs with the others' release (invariant 2).
        fence(Ordering::Acquire);
        true
    }
}
