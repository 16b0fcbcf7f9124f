//! How many operations of the allocator the models of this process have done: calls that allocate, resize or free a block, make or
//! end a heap, or collect. Questions are not counted, and no step that found nothing to work on.

use std::sync::atomic::{AtomicU64, Ordering};

static OPERATIONS: AtomicU64 = AtomicU64::new(0);

/// One model's count, added to the process's when the model ends.
#[derive(Default)]
pub struct Tally(u64);

impl Tally {
    pub fn add_one(&mut self) {
        self.0 += 1;
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        OPERATIONS.fetch_add(self.0, Ordering::Relaxed);
    }
}

/// Those of all models that have ended.
pub fn operations() -> u64 {
    OPERATIONS.load(Ordering::Relaxed)
}
