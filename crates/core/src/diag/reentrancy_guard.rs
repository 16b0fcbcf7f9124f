//! Keeps a thread from entering a hook that it is already in.
//!
//! A thread-local flag would do, but this floor has none. Instead the ids of the threads that are in a hook stand in
//! a few slots. A slot is claimed by whoever finds it empty and emptied by the same thread; a thread looks only for
//! its own id, which nobody else writes, so relaxed operations suffice: no memory is handed over.

use crate::sync::{AtomicUsize, Ordering::Relaxed, UNDER_LOOM, array_of, const_unless_loom, thread_id};

/// More threads than this in hooks at once go without: see [`Entry::Crowded`].
const SLOTS: usize = if UNDER_LOOM { 2 } else { 16 };
const EMPTY: usize = 0;

/// Who is inside of a hook.
pub struct ReentrancyGuard {
    slots: [AtomicUsize; SLOTS],
}

/// The outcome of an attempt to enter.
pub enum Entry<'a> {
    /// The hook may run until the pass is dropped.
    Entered(Pass<'a>),
    /// This thread is in a hook already.
    Inside,
    /// No slot is free; run nothing that could come back here.
    Crowded,
}

/// The right to run a hook.
pub struct Pass<'a>(&'a AtomicUsize);

impl ReentrancyGuard {
    const_unless_loom! {
        /// Nobody is inside. `const` except under loom.
        pub const fn new() -> Self {
            ReentrancyGuard { slots: array_of!(AtomicUsize::new(EMPTY); SLOTS) }
        }
    }

    pub fn enter(&self) -> Entry<'_> {
        let me = thread_id();
        if self.slots.iter().any(|slot| slot.load(Relaxed) == me) {
            return Entry::Inside;
        }
        match self.slots.iter().find(|slot| claim(slot, me)) {
            Some(slot) => Entry::Entered(Pass(slot)),
            None => Entry::Crowded,
        }
    }

    /// Empties all slots: in the child of a `fork`, where the threads that held them do not exist.
    pub fn clear(&self) {
        self.slots.iter().for_each(|slot| slot.store(EMPTY, Relaxed));
    }
}

fn claim(slot: &AtomicUsize, me: usize) -> bool {
    slot.compare_exchange(EMPTY, me, Relaxed, Relaxed).is_ok()
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.store(EMPTY, Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_passes_once_at_a_time() {
        let reentrancy_guard = ReentrancyGuard::new();
        let first = reentrancy_guard.enter();
        assert!(matches!(first, Entry::Entered(_)));
        assert!(matches!(reentrancy_guard.enter(), Entry::Inside));
        drop(first);
        assert!(matches!(reentrancy_guard.enter(), Entry::Entered(_)));
    }

    #[test]
    fn threads_do_not_shut_each_other_out() {
        let reentrancy_guard = ReentrancyGuard::new();
        let _mine = reentrancy_guard.enter();
        thread::scope(|scope| {
            scope.spawn(|| assert!(matches!(reentrancy_guard.enter(), Entry::Entered(_))));
        });
    }

    #[test]
    fn a_crowd_is_told_so() {
        let reentrancy_guard = ReentrancyGuard::new();
        reentrancy_guard.slots.iter().for_each(|slot| slot.store(1, Relaxed));
        assert!(matches!(reentrancy_guard.enter(), Entry::Crowded));
        reentrancy_guard.clear();
        assert!(matches!(reentrancy_guard.enter(), Entry::Entered(_)));
    }
}
