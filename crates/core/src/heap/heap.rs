//! A first-class heap: any thread may allocate in it, each through a theap of its own.
//!
//! A heap owns pages (its registry) and knows the theaps through which threads use it. Theaps live on a higher
//! floor; here they are opaque handles on a locked list.

use core::ptr;

use super::color::Starts;
use super::registry::Registry;
use super::subproc::Subproc;
use crate::arena::{Arena, Meta};
use crate::page::{Page, Term};
use crate::stats::Stats;
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Lock, Ordering};

/// A handle of the theap floor, kept for it.
#[derive(Clone, Copy)]
pub struct TheapHandle(pub *const ());
// SAFETY: a handle is only compared and stored here.
unsafe impl Send for TheapHandle {}

/// A heap. Every live heap has an id that no other heap ever has.
pub struct Heap {
    subproc: *const Subproc,
    id: usize,
    term: Term,
    /// Allocate only here, if set.
    arena: Option<&'static Arena>,
    /// The NUMA node it prefers, plus one; 0 for none.
    numa: AtomicUsize,
    /// Whether somebody relies on the natural alignment of large blocks.
    is_aligned: AtomicBool,
    registry: Registry,
    /// The first of its theaps.
    theaps: Lock<TheapHandle>,
    stats: Stats,
    meta: Meta,
    /// Neighbours among the sub-process's heaps, under its lock.
    next: AtomicPtr<Heap>,
    prev: AtomicPtr<Heap>,
}

// SAFETY: everything that changes is atomic or behind a lock.
unsafe impl Sync for Heap {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Heap {}

impl PartialEq for Heap {
    fn eq(&self, other: &Heap) -> bool {
        ptr::eq(self, other)
    }
}

impl Heap {
    /// What fresh pages are to care for.
    pub(super) fn starts(&self) -> Starts {
        if self.is_aligned.load(Ordering::Relaxed) { Starts::Natural } else { Starts::AnyLine }
    }

    /// From now on the blocks of fresh pages are aligned as their size is.
    pub fn keep_alignment(&self) {
        self.is_aligned.store(true, Ordering::Relaxed);
    }

    /// A new heap of `subproc`, on its list of heaps; `None` without memory. With an arena, only its slices are used.
    pub fn create(subproc: &'static Subproc, arena: Option<&'static Arena>, term: Term) -> Option<&'static Heap> {
        let meta = subproc.arenas().meta_alloc(size_of::<Heap>())?;
        let place = meta.start.cast::<Heap>();
        // SAFETY: zeroed memory of the right size and alignment; the large parts are valid when zeroed, and writing
        // field by field leaves them untouched.
        let heap = unsafe {
            ptr::addr_of_mut!((*place).subproc).write(subproc);
            ptr::addr_of_mut!((*place).id).write(subproc.next_heap_id());
            ptr::addr_of_mut!((*place).term).write(term);
            ptr::addr_of_mut!((*place).arena).write(arena);
            ptr::addr_of_mut!((*place).meta).write(meta);
            &*place
        };
        subproc.add_heap(heap);
        Some(heap)
    }

    /// Gives the heap's own memory back. It must be off the sub-process's list.
    ///
    /// # Safety
    /// The heap has no page and no theap left, and nobody uses it any more.
    pub unsafe fn free(&'static self) {
        let arenas = self.subproc().arenas();
        // SAFETY: the precondition.
        unsafe {
            self.registry.free_bitmaps(arenas);
            arenas.meta_free(self.meta);
        }
    }

    /// The heap of a page, for those who know that it isn't ending. Others: `heap_of_page`.
    #[inline]
    pub fn of_page(page: &Page) -> &'static Heap {
        // SAFETY: pages are only ever created by heaps (`supply`), which outlive them.
        unsafe { &*page.heap().cast::<Heap>() }
    }

    /// Whether a page belongs to this heap.
    #[inline]
    pub fn has(&self, page: &Page) -> bool {
        ptr::eq(page.heap(), self.handle())
    }

    /// As an opaque handle for the page floor.
    #[inline]
    pub fn handle(&self) -> *const () {
        ptr::from_ref(self).cast()
    }

    #[inline]
    pub fn subproc(&self) -> &'static Subproc {
        // SAFETY: a sub-process outlives its heaps.
        unsafe { &*self.subproc }
    }

    /// Unique over the life of the process.
    #[inline]
    pub fn id(&self) -> usize {
        self.id
    }

    /// How long it lives.
    pub fn term(&self) -> Term {
        self.term
    }

    pub fn arena(&self) -> Option<&'static Arena> {
        self.arena
    }

    /// The NUMA node that new pages should come from.
    pub fn numa(&self) -> Option<usize> {
        self.numa.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Prefers a NUMA node from now on; `None` for the thread's own.
    pub fn set_numa(&self, node: Option<usize>) {
        self.numa.store(node.map_or(0, |node| node + 1), Ordering::Relaxed);
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The list of theaps, for the theap floor.
    pub fn theaps(&self) -> &Lock<TheapHandle> {
        &self.theaps
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether this is its sub-process's main heap, which can't be deleted.
    pub fn is_main(&self) -> bool {
        self.subproc().main_heap().is_some_and(|main| main == self)
    }

    // Links of the sub-process's list, under its lock.

    pub(super) fn next(&self) -> Option<&'static Heap> {
        // SAFETY: the list holds live heaps.
        unsafe { self.next.load(Ordering::Relaxed).as_ref() }
    }

    pub(super) fn prev(&self) -> Option<&'static Heap> {
        // SAFETY: as for `next`.
        unsafe { self.prev.load(Ordering::Relaxed).as_ref() }
    }

    pub(super) fn set_next(&self, heap: Option<&'static Heap>) {
        self.next.store(as_mut_ptr(heap), Ordering::Relaxed);
    }

    pub(super) fn set_prev(&self, heap: Option<&'static Heap>) {
        self.prev.store(as_mut_ptr(heap), Ordering::Relaxed);
    }
}

fn as_mut_ptr(heap: Option<&'static Heap>) -> *mut Heap {
    heap.map_or(ptr::null_mut(), |heap| ptr::from_ref(heap).cast_mut())
}
