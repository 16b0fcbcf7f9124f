//! A value that is detected at first use and never changes again.
//!
//! The obvious cell makes late callers wait for the first one; inside an allocator that first caller may be a signal handler's
//! victim, or the very thread that comes back through a recursive call. So each of the first callers detects on its own into a
//! slot that only it writes, and one of them wins the pointer. Only when more threads arrive at once than there are slots
//! does one wait.
//!
//! Invariant 1: a slot is written by the one thread that drew its number, before `current` can point at it.
//! Invariant 2: `current` goes from null to a written slot once, and never changes again.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

const SLOTS: usize = 4;

pub(crate) struct Detected<T> {
    current: AtomicPtr<T>,
    drawn: AtomicUsize,
    slots: [UnsafeCell<MaybeUninit<T>>; SLOTS],
}

// SAFETY: by invariants 1 and 2 a slot is shared only after its last write; sharing `&T` needs `T: Sync`, and writing from any
// thread needs `T: Send`.
unsafe impl<T: Send + Sync> Sync for Detected<T> {}

impl<T> Detected<T> {
    pub(crate) const fn new() -> Self {
        Detected {
            current: AtomicPtr::new(ptr::null_mut()),
            drawn: AtomicUsize::new(0),
            slots: [const { UnsafeCell::new(MaybeUninit::uninit()) }; SLOTS],
        }
    }

    /// The value; `detect` runs if there is none yet, possibly in several threads at once.
    #[inline]
    pub(crate) fn get(&'static self, detect: fn() -> T) -> &'static T {
        match self.published() {
            Some(value) => value,
            None => self.detect(detect),
        }
    }

    #[inline]
    fn published(&self) -> Option<&'static T> {
        // ORDERING: acquires what `publish` released, the contents of the slot.
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: null or, by invariant 2, a written slot of a static, which nobody writes again.
        unsafe { current.as_ref() }
    }

    #[cold]
    fn detect(&'static self, detect: fn() -> T) -> &'static T {
        match self.slots.get(self.drawn.fetch_add(1, Ordering::Relaxed)) {
            Some(slot) => self.publish(slot, detect()),
            None => self.wait(),
        }
    }

    fn publish(&'static self, slot: &'static UnsafeCell<MaybeUninit<T>>, value: T) -> &'static T {
        // SAFETY: invariant 1: this thread drew the slot's number, `current` does not point at it yet.
        let written = unsafe { (*slot.get()).write(value) };
        // ORDERING: releases the slot's contents to `published`; a loser acquires the winner's.
        let won = self.current.compare_exchange(ptr::null_mut(), written, Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: either way a written slot of a static (invariant 2).
        unsafe { &*won.map_or_else(|winner| winner, |_| written) }
    }

    fn wait(&self) -> &'static T {
        loop {
            self.drawn.store(SLOTS, Ordering::Relaxed);
            match self.published() {
                Some(value) => return value,
                None => crate::thread::yield_now(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_thread_sees_one_value() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        static CELL: Detected<usize> = Detected::new();
        let ask = || CELL.get(|| 100 + CALLS.fetch_add(1, Ordering::Relaxed)) as *const usize as usize;
        let threads: Vec<_> = (0..16).map(|_| std::thread::spawn(ask)).collect();
        let seen: Vec<usize> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert!(seen.iter().all(|&address| address == seen[0]));
        assert!((100..100 + SLOTS).contains(CELL.get(|| unreachable!())));
        assert!(CALLS.load(Ordering::Relaxed) <= SLOTS);
    }
}
