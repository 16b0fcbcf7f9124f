//! A pointer to something that was made ready before it could be seen.
//!
//! Whoever reads the pointer sees all that its publisher had written. Either one thread publishes, or several race to
//! install theirs and all go on with the winner's.

use super::{AtomicPtr, Ordering, const_unless_loom};
use core::ptr;

/// Null until something is published. Zeroed memory is an empty one.
#[repr(transparent)]
pub struct Published<T>(AtomicPtr<T>);

impl<T> Published<T> {
    const_unless_loom! {
        /// With nothing in it. `const` except under loom.
        pub const fn new() -> Self {
            Published(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// What has been published, or null. One load.
    #[inline]
    pub fn get(&self) -> *const T {
        // ORDERING: acquire pairs with the release in `publish` and `install`: what the publisher wrote is visible.
        self.0.load(Ordering::Acquire)
    }

    /// Shows `made` to everyone. One thread publishes at a time.
    #[inline]
    pub fn publish(&self, made: *const T) {
        // ORDERING: release publishes what was written to `made`.
        self.0.store(made.cast_mut(), Ordering::Release);
    }

    /// Shows `made` to everyone unless something is there already: then answers that.
    pub fn install(&self, made: *const T) -> Result<(), *const T> {
        // ORDERING: release publishes what was written to `made`; the loser of a race acquires what the winner wrote.
        let installed = self.0.compare_exchange(ptr::null_mut(), made.cast_mut(), Ordering::Release, Ordering::Acquire);
        installed.map(drop).map_err(|winner| winner.cast_const())
    }

    /// Takes back what was published; by the last user.
    pub fn take(&self) -> *const T {
        self.0.swap(ptr::null_mut(), Ordering::Relaxed)
    }
}
