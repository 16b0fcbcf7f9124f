//! Whose page it is, and keeping that heap from ending while somebody works on it.
//!
//! Blocks are freed by any thread at any time, also while their heap is being deleted, which moves its pages to a heap
//! that stays. A free may have to enter the page in its heap's lists or strike it out: it must then have a heap that
//! lives, and the page must not move meanwhile.
//!
//! # Protocol
//! The word names the heap; its lowest bit tells that the heap may end. Whoever works on a page's heap *holds* it.
//! For a heap that stays, that is one load. For one that may end, it is the *gate* that the heap shares with some others,
//! and a second look: the page may have moved while we waited. Whoever ends a heap closes its gate, enters each
//! page elsewhere and only then changes the word.
//!
//! # Invariants
//! 1. The heap that the word names lives while it is one that stays, or while its gate is held.
//! 2. While a page has blocks, its word changes at most once, to a heap that stays, under the old one's gate.
//! 3. Whoever sees a word sees the page entered in the lists of that heap.

use crate::sync::{AtomicPtr, Lock, LockGuard, Ordering, UNDER_LOOM, array_of, const_unless_loom};
use core::ptr;

/// How many gates the heaps share.
const GATES: usize = if UNDER_LOOM { 1 } else { 8 };
/// Heaps lie at multiples of this.
const HEAP_ALIGN: usize = 64;
const MAY_END: usize = 1;

/// How long a heap lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Term {
    /// As long as anybody could ask.
    Stays,
    /// It can be deleted or destroyed while others free blocks.
    MayEnd,
}

/// The word. Zeroed memory is one without a heap.
#[repr(transparent)]
pub struct Tenure(AtomicPtr<()>);

/// What keeps heaps from ending.
pub struct Gates([Lock<()>; GATES]);

/// A page's heap, kept from ending.
pub struct Held<'a> {
    heap: *const (),
    _gate: Option<LockGuard<'a, ()>>,
}

impl Tenure {
    const_unless_loom! {
        /// Of no page. `const` except under loom.
        pub const fn new() -> Self {
            Tenure(AtomicPtr::new(ptr::null_mut()))
        }
    }

    /// The heap, to be compared: it may be ending.
    #[inline]
    pub fn heap(&self) -> *const () {
        without_term(self.0.load(Ordering::Relaxed))
    }

    /// A new page's heap; by its owner, before it has blocks.
    pub fn begin(&self, heap: *const (), term: Term) {
        let may_end = if term == Term::MayEnd { MAY_END } else { 0 };
        self.0.store(heap.cast_mut().map_addr(|address| address | may_end), Ordering::Relaxed);
    }

    /// The page moves to a heap that stays; by the holder of the old heap's gate.
    pub fn move_to(&self, heap: *const ()) {
        // ORDERING: release, so that who sees the new heap sees the page in its lists (invariant 3).
        self.0.store(heap.cast_mut(), Ordering::Release);
    }

    /// Keeps the heap from ending, and the page from moving, until the answer is dropped. May sleep.
    #[inline]
    pub fn hold<'a>(&self, gates: &'a Gates) -> Held<'a> {
        // ORDERING: acquire pairs with `move_to` (invariant 3).
        let word = self.0.load(Ordering::Acquire);
        if may_end(word) { self.hold_slow(gates, word) } else { Held { heap: word, _gate: None } }
    }

    #[cold]
    fn hold_slow<'a>(&self, gates: &'a Gates, word: *const ()) -> Held<'a> {
        let gate = gates.close(without_term(word));
        // The gate's last holder may have moved the page; by invariant 2 that was the last time. What it wrote is visible
        // by the gate.
        match self.0.load(Ordering::Relaxed).cast_const() {
            now if may_end(now) => Held { heap: without_term(now), _gate: Some(gate) },
            now => Held { heap: now, _gate: None },
        }
    }
}

impl Default for Tenure {
    fn default() -> Self {
        Self::new()
    }
}

impl Held<'_> {
    pub fn heap(&self) -> *const () {
        self.heap
    }
}

impl Gates {
    const_unless_loom! {
        /// All open. `const` except under loom.
        pub const fn new() -> Self {
            Gates(array_of!(Lock::new(()); GATES))
        }
    }

    /// Closes a heap's gate: nobody holds the heap, nor can, until the answer is dropped. May sleep.
    pub fn close(&self, heap: *const ()) -> LockGuard<'_, ()> {
        self.0[heap.addr() / HEAP_ALIGN % GATES].lock()
    }

    /// All of them, for `fork`.
    pub fn each(&self) -> impl Iterator<Item = &Lock<()>> {
        self.0.iter()
    }
}

impl Default for Gates {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn may_end(word: *const ()) -> bool {
    word.addr() & MAY_END != 0
}

#[inline]
fn without_term(word: *const ()) -> *const () {
    word.map_addr(|address| address & !MAY_END)
}
