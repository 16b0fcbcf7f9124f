//! Whose a theap is: what other threads may compare, at any time, even after its end.
//!
//! A page keeps a pointer to the theap that owned it last. By the time somebody follows it, the theap may have ended
//! and its memory serve another thread. So that memory is never used for anything but theaps, and these two words
//! tell a thread whether the theap is its own. A file of its own, for the model checker.
//!
//! Invariants
//! 1. A thread finds its own number in a theap only while that theap is its own: it wrote the number itself, and takes
//!    it away before anybody else can have the memory.
//! 2. The heap of a live theap changes at most once, to the heap that takes its pages over.

use crate::sync::{AtomicPtr, AtomicUsize, Ordering, const_unless_loom};
use core::ptr;

/// The words. Zeroed memory is that of no theap.
pub struct Identity {
    /// 0 when the theap has ended.
    tid: AtomicUsize,
    heap: AtomicPtr<()>,
}

impl Identity {
    /// Where the thread's number lies.
    pub const TID_AT: usize = core::mem::offset_of!(Identity, tid);
    /// Where the heap lies.
    pub const HEAP_AT: usize = core::mem::offset_of!(Identity, heap);

    const_unless_loom! {
        /// Nobody's. `const` except under loom.
        pub const fn new() -> Self {
            Identity { tid: AtomicUsize::new(0), heap: AtomicPtr::new(ptr::null_mut()) }
        }
    }

    /// The theap is thread `tid`'s part of `heap`; by that thread.
    pub fn begin(&self, tid: usize, heap: *const ()) {
        self.move_to(heap);
        self.tid.store(tid, Ordering::Relaxed);
    }

    /// The theap is nobody's any more; before its memory can be used again.
    pub fn end(&self) {
        self.tid.store(0, Ordering::Relaxed);
        self.move_to(ptr::null());
    }

    /// The theap's pages have become another heap's.
    pub fn move_to(&self, heap: *const ()) {
        self.heap.store(heap.cast_mut(), Ordering::Relaxed);
    }

    #[inline]
    pub fn tid(&self) -> usize {
        self.tid.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn heap(&self) -> *const () {
        self.heap.load(Ordering::Relaxed)
    }

    /// Whether thread `tid`, the caller, may use the theap for pages of `heap`.
    #[inline]
    pub fn serves(&self, tid: usize, heap: *const ()) -> bool {
        self.tid() == tid && ptr::eq(self.heap(), heap)
    }
}
