//! A page's heap, for a thread that may meet it at its end: one that frees a block, whatever heap the block is of.
//!
//! A thread that allocates in a heap keeps it from ending by contract, and may use it as it is; hence a file of its own, beside
//! `heap`.

use core::ops::Deref;

use super::heap::{ANY_POSTPONES, Heap, PRESERVES};
use crate::page::{HeapGuard, HeapLocks, Page};
use crate::sync::{Lock, LockGuard, Relaxed};

static LOCKS: HeapLocks = HeapLocks::new();

/// The heap of a page, which neither ends nor loses the page while this is kept.
pub struct PageHeap(HeapGuard<'static>);

impl Deref for PageHeap {
    type Target = Heap;

    #[inline]
    fn deref(&self) -> &Heap {
        // SAFETY: pages name the heap that they were made by, or one that stays; it lives (`page::heap_word`, invariant 1).
        unsafe { &*self.0.heap().cast::<Heap>() }
    }
}

/// Keeps the heap of a page that the caller owns or has a block of. Not to be called again meanwhile.
#[inline]
pub fn heap_of_page(page: &Page) -> PageHeap {
    PageHeap(page.heap_word().guard(&LOCKS))
}

/// The bytes at the beginning of a page's blocks that are left alone when memory is filled, and when it is verified: what
/// was freed earlier may have been filled with more left alone.
pub fn preserved(page: &Page) -> (usize, usize) {
    if may_preserve() { heap_of_page(page).fill_preserve() } else { (0, 0) }
}

/// Whether any heap has ever had bytes to preserve, or pages that wait because somebody reads them.
#[inline]
pub fn may_preserve() -> bool {
    PRESERVES.get()
}

/// Whether there has been a heap whose empty pages wait for the program. Asks no lock.
#[inline]
pub fn any_postpones() -> bool {
    ANY_POSTPONES.get()
}

/// Whether empty pages of the page's heap wait for the program, so that threads may look at memory that has been freed.
pub fn postpones(page: &Page) -> bool {
    any_postpones() && heap_of_page(page).postponing().is_some()
}

/// Whose a page is said to be that is let go of, for `hint` to have it back: where pages wait for the program it may ask whose a page was.
pub fn hint_of(page: &Page, hint: usize) -> usize {
    if postpones(page) { page.owner().tid() } else { hint }
}

/// Lets no thread guard `heap` through one of its pages until the answer is dropped: its pages can be moved and released.
pub fn lock_heap(heap: &Heap) -> LockGuard<'static, ()> {
    LOCKS.lock(heap.handle())
}

/// Held over `fork`: after all lists of heaps, before the locks of heaps and arenas.
pub fn heap_locks() -> impl Iterator<Item = &'static Lock<()>> {
    LOCKS.each()
}
