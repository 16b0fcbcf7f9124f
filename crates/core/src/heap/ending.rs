//! A page's heap, for those who may meet it at its end: whoever frees a block, whatever heap it is of.
//!
//! Whoever allocates in a heap keeps it from ending by contract and may use it as it is.

use core::ops::Deref;

use super::heap::Heap;
use crate::page::{Gates, Held, Page};
use crate::sync::{Lock, LockGuard};

static GATES: Gates = Gates::new();

/// The heap of a page, which neither ends nor loses the page while this is kept.
pub struct PageHeap(Held<'static>);

impl Deref for PageHeap {
    type Target = Heap;

    #[inline]
    fn deref(&self) -> &Heap {
        // SAFETY: pages name the heap that they were made by, or one that stays; it lives (`page::tenure`, invariant 1).
        unsafe { &*self.0.heap().cast::<Heap>() }
    }
}

/// Keeps the heap of a page that the caller owns or has a block of. Not to be called again meanwhile.
#[inline]
pub fn heap_of_page(page: &Page) -> PageHeap {
    PageHeap(page.tenure().hold(&GATES))
}

/// Lets nobody keep `heap` through one of its pages until the answer is dropped: its pages can be moved and released.
pub fn close_gate(heap: &Heap) -> LockGuard<'static, ()> {
    GATES.close(heap.handle())
}

/// Held over `fork`: after all lists of heaps, before the locks of heaps and arenas.
pub fn gates() -> impl Iterator<Item = &'static Lock<()>> {
    GATES.each()
}
