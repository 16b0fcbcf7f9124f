//! A first-class heap: any thread may allocate in it, each through a theap of its own.
//!
//! A heap owns pages (its registry) and knows the theaps through which threads use it. Theaps live on a higher
//! floor; here they are opaque handles on a locked list.

use core::ptr;

use super::color::Starts;
use super::registry::Registry;
use super::subproc::Subproc;
use crate::arena::{Arena, Meta};
use crate::base::*;
use crate::page::{Lifetime, Page};
use crate::stats::Stats;
use crate::sync::{AtomicBool, AtomicUsize, Lock, Ordering, References};

/// What a theap has on this floor: its place in its heap's list. The theap floor embeds it.
#[repr(transparent)]
pub struct TheapLinks(Links);

impl TheapLinks {
    pub const fn new() -> Self {
        Self(Links::new())
    }
}

impl Default for TheapLinks {
    fn default() -> Self {
        Self::new()
    }
}

impl Linked for TheapLinks {
    fn links(&self) -> &Links {
        &self.0
    }
}
// SAFETY: the links are only followed through the heap's list, which is locked.
unsafe impl Sync for TheapLinks {}

/// A heap. Every live heap has an id that no other heap ever has.
pub struct Heap {
    subproc: *const Subproc,
    id: usize,
    lifetime: Lifetime,
    /// Allocate only here, if set.
    arena: Option<&'static Arena>,
    /// The NUMA node it prefers, plus one; 0 for none.
    numa: AtomicUsize,
    /// Whether somebody relies on the natural alignment of large blocks.
    is_aligned: AtomicBool,
    registry: Registry,
    theaps: Lock<List<TheapLinks>>,
    stats: Stats,
    meta: Meta,
    /// Neighbours among the sub-process's heaps, under its lock.
    links: Links,
    /// Those that keep the structure: its life, and visitors.
    references: References,
}

/// A heap whose structure stays, even if the heap ends.
pub struct PinnedHeap(&'static Heap);

impl PinnedHeap {
    /// Valid while this is kept.
    pub fn heap(&self) -> &'static Heap {
        self.0
    }
}

impl Drop for PinnedHeap {
    fn drop(&mut self) {
        self.0.unpin();
    }
}

// SAFETY: everything that changes is atomic or behind a lock; the links are followed through the sub-process's list, which is
// locked.
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
    pub fn create(
        subproc: &'static Subproc,
        arena: Option<&'static Arena>,
        lifetime: Lifetime,
    ) -> Option<&'static Heap> {
        let meta = subproc.arenas().meta_alloc(size_of::<Heap>())?;
        let place = meta.start.cast::<Heap>();
        // SAFETY: zeroed memory of the right size and alignment; the large parts are valid when zeroed, and writing
        // field by field leaves them untouched.
        let heap = unsafe {
            ptr::addr_of_mut!((*place).subproc).write(subproc);
            ptr::addr_of_mut!((*place).id).write(subproc.next_heap_id());
            ptr::addr_of_mut!((*place).lifetime).write(lifetime);
            ptr::addr_of_mut!((*place).arena).write(arena);
            ptr::addr_of_mut!((*place).references).write(References::new());
            ptr::addr_of_mut!((*place).meta).write(meta);
            &*place
        };
        subproc.add_heap(heap);
        Some(heap)
    }

    /// Keeps the structure; by a thread that found the heap on its sub-process's list, which is locked.
    pub(super) fn pin(&'static self) -> PinnedHeap {
        self.references.add();
        PinnedHeap(self)
    }

    fn unpin(&'static self) {
        if self.references.remove() {
            let arenas = self.subproc().arenas();
            // SAFETY: the heap has ended (`end`), and nobody keeps its structure.
            unsafe {
                self.registry.free_bitmaps(arenas);
                arenas.meta_free(self.meta);
            }
        }
    }

    /// Gives the heap's own memory back, as soon as no visitor needs it. It must be off the sub-process's list.
    ///
    /// # Safety
    /// The heap has no page and no theap left, and nobody uses it any more but as a [`PinnedHeap`].
    pub unsafe fn end(&'static self) {
        self.unpin();
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
    pub fn lifetime(&self) -> Lifetime {
        self.lifetime
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
    pub fn theaps(&self) -> &Lock<List<TheapLinks>> {
        &self.theaps
    }

    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether this is its sub-process's main heap, which can't be deleted.
    pub fn is_main(&self) -> bool {
        self.subproc().main_heap().is_some_and(|main| main == self)
    }
}

impl Linked for Heap {
    fn links(&self) -> &Links {
        &self.links
    }
}
