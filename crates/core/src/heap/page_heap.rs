//! A page's heap, for a thread that may meet it at its end: one that frees a block, whatever heap the block is of; and what
//! becomes of a page that such a free has claimed.
//!
//! A thread that allocates in a heap keeps it from ending by contract, and may use it as it is.

use core::ops::Deref;

use super::heap::Heap;
use super::page_alloc::release_page;
use crate::page::{HeapGuard, HeapLocks, OwnedPage, Page, Threshold};
use crate::sync::{Lock, LockGuard};

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

/// Lets no thread guard `heap` through one of its pages until the answer is dropped: its pages can be moved and released.
pub fn lock_heap(heap: &Heap) -> LockGuard<'static, ()> {
    LOCKS.lock(heap.handle())
}

/// Held over `fork`: after all lists of heaps, before the locks of heaps and arenas.
pub fn heap_locks() -> impl Iterator<Item = &'static Lock<()>> {
    LOCKS.each()
}

/// Decides about a page that a free has claimed, its remote list still in the word. All blocks free: releases it.
/// Otherwise lists it, so that a thread in need of blocks of this size takes it, and lets go of it until the last block is
/// freed.
#[cold]
pub fn release_or_list(mut page: OwnedPage) {
    loop {
        let used = page.used_when_let_go();
        if page.arrived() >= used {
            return release_page(page);
        }
        if !page.is_listed() {
            let heap = heap_of_page(&page);
            heap.registry().list(&page);
            heap.stats().pages_reabandon_full.increment();
        }
        match page.put_back(Threshold(used)) {
            Ok(()) => return,
            Err(refused) => page = refused,
        }
    }
}
