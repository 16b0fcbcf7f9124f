//! A lock for the simulated kernel: spins, yielding. Held for a few hundred instructions, and never while panicking.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Locked<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `with` lets one thread at a time at the value.
unsafe impl<T: Send> Sync for Locked<T> {}

impl<T> Locked<T> {
    pub(crate) const fn new(value: T) -> Self {
        Locked { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Runs `work` alone. It must not come here again.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // ORDERING: acquires the value as the last holder released it.
        while self.taken.swap(true, Ordering::Acquire) {
            crate::thread::yield_now();
        }
        // SAFETY: `taken` went from false to true in this thread: it is alone until the store below.
        let result = work(unsafe { &mut *self.value.get() });
        // ORDERING: releases the value to the next holder.
        self.taken.store(false, Ordering::Release);
        result
    }
}
