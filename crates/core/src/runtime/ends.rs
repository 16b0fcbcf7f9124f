//! The ends of heaps, and who must not meet one.
//!
//! Whoever allocates in a heap keeps it from ending by contract. But threads have theaps in heaps that they don't use
//! any more, and touch them unasked: when they collect, when they hand over what they have counted, and at their own end.
//!
//! Invariant: nobody works on a theap of a heap that may end, unless the theap's thread is allocating there, but under
//! this lock; a heap ends under it, too, and moves its theaps to a heap that stays.
//!
//! A file of its own, for the model checker.

use crate::sync::{Lock, LockGuard, const_unless_loom};

/// Held while a heap ends, or none may.
pub struct Ends(Lock<()>);

impl Ends {
    const_unless_loom! {
        /// No heap ends. `const` except under loom.
        pub const fn new() -> Self {
            Ends(Lock::new(()))
        }
    }

    /// Waits until no other heap ends, and keeps the threads away that `wait`: to end one.
    pub fn begin(&self) -> LockGuard<'_, ()> {
        self.0.lock()
    }

    /// Waits until no heap ends and keeps all from ending: for a thread's own end.
    pub fn wait(&self) -> LockGuard<'_, ()> {
        self.0.lock()
    }

    /// Keeps heaps from ending, if none is: for what can be done another time.
    pub fn unless_now(&self) -> Option<LockGuard<'_, ()>> {
        self.0.try_lock()
    }

    /// Held over `fork`.
    pub fn lock(&self) -> &Lock<()> {
        &self.0
    }
}
