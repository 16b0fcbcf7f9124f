//! Two words that are changed and read as one, without waiting.
//!
//! # Protocol
//! `version` is even while the pair stands still and odd while somebody writes it. A writer makes it odd by one
//! compare-and-swap, writes both words, makes it even again. A reader reads the version, both words, and the version
//! again, and believes them if the version was even and is the same. Neither waits: a reader that finds a writer at
//! work reads nothing, and of two writers at once one gives up (either order would have been right).
//!
//! Invariants
//! 1. Both words are written only while `version` is odd, by the thread that made it odd.
//! 2. What a reader believes was written by one writer.

use crate::sync::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom, fence};
use core::ffi::c_void;
use core::ptr;

/// How often a reader tries while writers interfere.
const TRIES: usize = 4;

/// The pair: a word that may be null, which means that there is none, and what goes with it.
pub struct Pair {
    version: AtomicUsize,
    first: AtomicPtr<c_void>,
    second: AtomicPtr<c_void>,
}

impl Pair {
    const_unless_loom! {
        /// None. `const` except under loom.
        pub const fn new() -> Self {
            Pair {
                version: AtomicUsize::new(0),
                first: AtomicPtr::new(ptr::null_mut()),
                second: AtomicPtr::new(ptr::null_mut()),
            }
        }
    }

    /// Replaces the pair, unless another thread is doing so.
    pub fn set(&self, first: *mut c_void, second: *mut c_void) {
        let before = self.version.load(Ordering::Relaxed);
        if is_written(before) || !self.begin(before) {
            return;
        }
        self.first.store(first, Ordering::Relaxed);
        self.second.store(second, Ordering::Relaxed);
        // ORDERING: Release publishes both words; pairs with the Acquire load in `read`.
        self.version.store(before.wrapping_add(2), Ordering::Release);
    }

    /// The pair as it was set; `None` if there is none, or writers are at work all the time.
    pub fn get(&self) -> Option<(*mut c_void, *mut c_void)> {
        (0..TRIES).find_map(|_| self.read()).filter(|(first, _)| !first.is_null())
    }

    /// Removes a pair that a thread was writing when the process forked: in the child, where that thread is gone.
    pub fn repair(&self) {
        let version = self.version.load(Ordering::Relaxed);
        if is_written(version) {
            self.first.store(ptr::null_mut(), Ordering::Relaxed);
            // ORDERING: Release publishes the null; pairs with the Acquire load in `read`.
            self.version.store(version.wrapping_add(1), Ordering::Release);
        }
    }

    fn begin(&self, before: usize) -> bool {
        let odd = before.wrapping_add(1);
        // ORDERING: Acquire keeps the writes of the words behind the odd version in this thread.
        let begun = self.version.compare_exchange(before, odd, Ordering::Acquire, Ordering::Relaxed);
        // ORDERING: Release fence: a reader that sees one of the words written next also sees the odd version;
        // pairs with the Acquire fence in `read`.
        fence(Ordering::Release);
        begun.is_ok()
    }

    fn read(&self) -> Option<(*mut c_void, *mut c_void)> {
        // ORDERING: Acquire sees the words that this version published; pairs with the Release store in `set`.
        let before = self.version.load(Ordering::Acquire);
        let pair = (self.first.load(Ordering::Relaxed), self.second.load(Ordering::Relaxed));
        // ORDERING: Acquire fence: if a word came from a later writer, the version below is later too.
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        (before == after && !is_written(before)).then_some(pair)
    }
}

fn is_written(version: usize) -> bool {
    version & 1 == 1
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn word(number: usize) -> *mut c_void {
        ptr::without_provenance_mut(number)
    }

    #[test]
    fn an_interrupted_change_means_none() {
        let pair = Pair::new();
        pair.set(word(1), word(1));
        pair.version.fetch_add(1, Ordering::Relaxed);
        assert!(pair.get().is_none());
        pair.set(word(2), word(2));
        assert!(pair.get().is_none());
        pair.repair();
        assert!(pair.get().is_none());
        pair.set(word(2), word(2));
        pair.repair();
        assert_eq!(pair.get(), Some((word(2), word(2))));
    }
}
