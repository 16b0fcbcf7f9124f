//! Work that is done once, and that nobody waits for: whoever comes meanwhile goes on without it.
//!
//! Invariants:
//! 1. One thread begins.
//! 2. Who finds it done sees all that the work wrote.

use super::{AtomicU32, Ordering, const_unless_loom};

const NEW: u32 = 0;
const BEGUN: u32 = 1;
const DONE: u32 = 2;

/// A piece of work's state. Zeroed memory is that of one not begun.
#[repr(transparent)]
pub struct TryOnce(AtomicU32);

impl TryOnce {
    const_unless_loom! {
        /// Not begun. `const` except under loom.
        pub const fn new() -> Self {
            TryOnce(AtomicU32::new(NEW))
        }
    }

    /// Whether the work is done, and all it wrote is visible. One load.
    #[inline]
    pub fn is_done(&self) -> bool {
        // ORDERING: acquire pairs with the release in `finish` (invariant 2).
        self.0.load(Ordering::Acquire) == DONE
    }

    /// Whether the caller is the one to do the work; it must `finish` then.
    pub fn begin(&self) -> bool {
        self.0.compare_exchange(NEW, BEGUN, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// The caller has done the work.
    pub fn finish(&self) {
        // ORDERING: release publishes what the work wrote.
        self.0.store(DONE, Ordering::Release);
    }

    /// In the child of a `fork`: lets the work be begun anew that a thread had begun which is gone.
    pub fn after_fork(&self) {
        let _ = self.0.compare_exchange(BEGUN, NEW, Ordering::Relaxed, Ordering::Relaxed);
    }
}
