//! Which heap a page belongs to, and keeping that heap from ending while a thread works on it.
//!
//! Blocks are freed by any thread at any time, also while their heap is being deleted, which moves its pages to a heap
//! that stays. A free may have to enter the page in its heap's lists or strike it out. Its heap must then be alive, and
//! the page must not move meanwhile.
//!
//! # Protocol
//! The word names the heap; its lowest bit tells that the heap may end. A thread that works on a page's heap *guards* it
//! ([`HeapWord::guard`]). For a heap that stays, that is one load. For one that may end, it is the lock that the heap shares
//! with some others, and a second look: the page may have moved while the thread waited. The thread that ends a heap takes
//! the heap's lock, enters each page elsewhere and only then changes the page's word.
//!
//! # Invariants
//! 1. The heap that the word names lives while it is one that stays, or while its lock is held.
//! 2. While a page has blocks, its word changes at most once, to a heap that stays, under the old heap's lock.
//! 3. A thread that sees a word sees the page entered in the lists of that heap.

use crate::sync::{AtomicPtr, Lock, LockGuard, Ordering, UNDER_LOOM, array_of, const_unless_loom};
use core::ptr;

/// How many locks the heaps share.
const LOCKS: usize = if UNDER_LOOM { 1 } else { 8 };
/// Heaps lie at multiples of this.
const HEAP_ALIGN: usize = 64;
const MAY_END: usize = 1;

/// How long a heap lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lifetime {
    /// As long as anybody could ask.
    Stays,
    /// It can be deleted or destroyed while others free blocks.
    MayEnd,
}

/// The word. Zeroed memory is one without a heap.
#[repr(transparent)]
pub struct HeapWord(AtomicPtr<()>);

/// What keeps heaps from ending.
pub struct HeapLocks([Lock<()>; LOCKS]);

/// A page's heap, kept from ending.
pub struct HeapGuard<'a> {
    heap: *const (),
    _lock: Option<LockGuard<'a, ()>>,
}

impl HeapWord {
    const_unless_loom! {
        /// Of no page. `const` except under loom.
        pub const fn new() -> Self {
            HeapWord(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// The heap, to be compared: it may be ending.
    #[inline]
    pub fn heap(&self) -> *const () {
        without_lifetime(self.0.load(Ordering::Relaxed))
    }

    /// A new page's heap; by its owner, before it has blocks.
    pub fn begin(&self, heap: *const (), lifetime: Lifetime) {
        let may_end = if lifetime == Lifetime::MayEnd { MAY_END } else { 0 };
        self.0.store(heap.cast_mut().map_addr(|address| address | may_end), Ordering::Relaxed);
    }

    /// The page moves to a heap that stays; by the holder of the old heap's lock.
    pub fn move_to(&self, heap: *const ()) {
        // ORDERING: release, so that who sees the new heap sees the page in its lists (invariant 3).
        self.0.store(heap.cast_mut(), Ordering::Release);
    }

    /// Keeps the heap from ending, and the page from moving, until the answer is dropped. May sleep.
    #[inline]
    pub fn guard<'a>(&self, locks: &'a HeapLocks) -> HeapGuard<'a> {
        // ORDERING: acquire pairs with `move_to` (invariant 3).
        let word = self.0.load(Ordering::Acquire);
        if may_end(word) { self.guard_ending(locks, word) } else { HeapGuard { heap: word, _lock: None } }
    }

    #[cold]
    fn guard_ending<'a>(&self, locks: &'a HeapLocks, word: *const ()) -> HeapGuard<'a> {
        let lock = locks.lock(without_lifetime(word));
        // The lock's last holder may have moved the page; by invariant 2 that was the last time. What it wrote is visible
        // by the lock.
        match self.0.load(Ordering::Relaxed).cast_const() {
            now if may_end(now) => HeapGuard { heap: without_lifetime(now), _lock: Some(lock) },
            now => HeapGuard { heap: now, _lock: None },
        }
    }
}

impl HeapGuard<'_> {
    /// The heap's handle. What it leads to is alive as long as the guard.
    pub fn heap(&self) -> *const () {
        self.heap
    }
}

impl HeapLocks {
    const_unless_loom! {
        /// None held. `const` except under loom.
        pub const fn new() -> Self {
            HeapLocks(array_of!(Lock::new(()); LOCKS))
        }
    }

    /// Takes a heap's lock: no thread guards the heap until the answer is dropped. May sleep.
    pub fn lock(&self, heap: *const ()) -> LockGuard<'_, ()> {
        self.0[heap.addr() / HEAP_ALIGN % LOCKS].lock()
    }

    /// All of them, for `fork`.
    pub fn each(&self) -> impl Iterator<Item = &Lock<()>> {
        self.0.iter()
    }
}

#[inline]
fn may_end(word: *const ()) -> bool {
    word.addr() & MAY_END != 0
}

#[inline]
fn without_lifetime(word: *const ()) -> *const () {
    word.map_addr(|address| address & !MAY_END)
}
