//! A first-class heap, and the sub-process that it belongs to: a set of heaps and arenas that shares nothing with another's.
//!
//! Any thread may allocate in a heap, each through a theap of its own. A heap owns pages (its registry) and knows its
//! theaps, which live on a higher floor; here they are elements of a locked list.

use core::ffi::{CStr, c_char};
use core::mem::offset_of;
use core::ptr;

use super::color::Starts;
use super::free_stack::FreeStack;
use super::orphans::unlock;
use super::postponed::Hooks;
use super::registry::Registry;
use super::resting::Resting;
use super::samples::SamplePages;
use super::waiting_pages::Postponing;
use crate::arena::{Arena, ArenaSet, Limit, Meta};
use crate::base::*;
use crate::options::Hardening;
use crate::page::{Lifetime, Page};
use crate::profile::Choice;
use crate::stats::Stats;
use crate::sync::{AtomicBool, AtomicPtr, AtomicUsize, Lock, Ordering, Published, References};

/// What a theap has on this floor: its place in its heap's list. The theap floor embeds it.
#[repr(transparent)]
pub struct TheapLinks(Links);

impl TheapLinks {
    /// Where the next theap's links are told.
    pub const NEXT_AT: usize = Links::NEXT_AT;

    /// Those of a theap that is in no list.
    pub const fn new() -> Self {
        Self(Links::new())
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
    /// Levels of its own, packed; 0 for the process's.
    levels: AtomicUsize,
    /// What the program calls it; null for nothing.
    name: AtomicPtr<c_char>,
    /// Whether somebody relies on the natural alignment of large blocks.
    is_aligned: AtomicBool,
    /// How many bytes at the beginning of blocks are not filled at debug levels, and the most that ever were not.
    preserve: [AtomicUsize; 2],
    /// Of a heap whose pages wait for the program (`postponed`).
    postponing: Published<Postponing>,
    /// Whether the profiler looks at it.
    profiling: Choice,
    /// On the slices of its pages.
    pub(super) limit: Limit,
    registry: Registry,
    pub(super) samples: SamplePages,
    theaps: Lock<List<TheapLinks>>,
    stats: Stats,
    meta: Meta,
    /// Neighbours among the sub-process's heaps, under its lock.
    links: Links,
    /// Those that keep the structure: its life, and visitors.
    references: References,
}

offsets! {
    /// Where the fields of a heap lie, for a reader in another process.
    HeapOffsets {
        /// A word: the address of its sub-process.
        subproc: offset_of!(Heap, subproc),
        /// A word: its id, which no other heap of the process ever has.
        id: offset_of!(Heap, id),
        /// Its statistics, as `mi_stats_t` has them.
        stats: offset_of!(Heap, stats),
        /// The next heap of its sub-process.
        next: offset_of!(Heap, links) + Links::NEXT_AT,
        /// The links of its first theap.
        first_theap: offset_of!(Heap, theaps) + Lock::<List<TheapLinks>>::VALUE_AT + List::<TheapLinks>::FIRST_AT,
        /// The description of its first page with a mapping of its own.
        first_os_page: offset_of!(Heap, registry) + Registry::OS_PAGES_AT,
    }
}

offsets! {
    /// Where the fields of a sub-process lie, for a reader in another process.
    SubprocOffsets {
        /// An array of words: the addresses of its arenas; null in the place of one that is just being added.
        arenas: offset_of!(Subproc, arenas) + ArenaSet::PLACES_AT,
        /// A word: how many places of that array are in use.
        arena_count: offset_of!(Subproc, arenas) + ArenaSet::COUNT_AT,
        /// Its statistics, as `mi_stats_t` has them. Heaps count the rest.
        stats: offset_of!(Subproc, arenas) + ArenaSet::STATS_AT,
        /// A word: the address of its newest heap. Each leads to the next older one ([`HeapOffsets::next`]).
        first_heap: offset_of!(Subproc, heaps) + Lock::<List<Heap>>::VALUE_AT + List::<Heap>::FIRST_AT,
        /// A word: the address of its main heap.
        main_heap: offset_of!(Subproc, main_heap),
        /// The next sub-process, but for the main one.
        next: offset_of!(Subproc, next),
    }
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
            ptr::addr_of_mut!((*place).id).write(NEXT_HEAP_ID.fetch_add(1, Ordering::Relaxed));
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
                if let Some(postponing) = self.postponing() {
                    postponing.give_up(arenas);
                }
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

    /// The sub-process that it belongs to, which outlives it.
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

    /// The only arena in which it allocates; `None`: any.
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

    /// The levels of its own, if it has some.
    pub fn levels(&self) -> Option<Hardening> {
        match self.levels.load(Ordering::Relaxed) {
            0 => None,
            word => Some(Hardening::unpack(word)),
        }
    }

    /// Theaps that start from now on have these levels, whatever the process has.
    pub fn set_levels(&self, levels: Hardening) {
        self.levels.store(levels.or_least().pack(), Ordering::Relaxed);
    }

    /// What the program calls it.
    pub fn name(&self) -> Option<&'static CStr> {
        let name = self.name.load(Ordering::Relaxed);
        // SAFETY: it came from a string that lives for ever and never changes (`set_name`).
        (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
    }

    /// Gives it a name, from any thread. A name from before may still be in use elsewhere, so names live for ever.
    pub fn set_name(&self, name: &'static CStr) {
        self.name.store(name.as_ptr().cast_mut(), Ordering::Relaxed);
    }

    /// From now on the first `bytes` of the heap's blocks are left alone where memory is filled.
    pub fn set_fill_preserve(&self, bytes: usize) {
        let [now, most] = &self.preserve;
        now.store(bytes, Ordering::Relaxed);
        most.fetch_max(bytes, Ordering::Relaxed);
        if bytes > 0 {
            PRESERVES.store(true, Ordering::Relaxed);
        }
    }

    /// Has the heap's empty pages wait for the program; before any page is made. False without memory.
    pub fn begin_postponing(&self, hooks: Hooks) -> bool {
        let made = Postponing::begin(self.subproc().arenas(), hooks);
        if let Some(made) = made {
            self.postponing.publish(made);
            ANY_POSTPONES.store(true, Ordering::Relaxed);
            // Freed blocks are read: nothing in front of a block's padding may change when it is used again.
            PRESERVES.store(true, Ordering::Relaxed);
        }
        made.is_some()
    }

    /// Of a heap whose empty pages wait.
    #[inline]
    pub fn postponing(&self) -> Option<&'static Postponing> {
        // SAFETY: it lives as long as the heap, whose users hold that.
        unsafe { self.postponing.get().as_ref() }
    }

    /// What is preserved of each block now, and the most that ever was.
    pub(super) fn fill_preserve(&self) -> (usize, usize) {
        let [now, most] = &self.preserve;
        (now.load(Ordering::Relaxed), most.load(Ordering::Relaxed))
    }

    /// Whether the profiler looks at it.
    pub fn profiling(&self) -> &Choice {
        &self.profiling
    }

    /// Its pages.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The list of theaps, for the theap floor.
    pub fn theaps(&self) -> &Lock<List<TheapLinks>> {
        &self.theaps
    }

    /// What it has counted so far. Its theaps count for themselves, too, and hand that over from time to time.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}

/// Whether any heap has ever had bytes to preserve.
pub(super) static PRESERVES: AtomicBool = AtomicBool::new(false);

/// Whether any heap has ever had pages that wait.
pub(super) static ANY_POSTPONES: AtomicBool = AtomicBool::new(false);

impl Linked for Heap {
    fn links(&self) -> &Links {
        &self.links
    }
}

/// Numbers heaps over all sub-processes.
static NEXT_HEAP_ID: AtomicUsize = AtomicUsize::new(1);

/// A sub-process. Valid when zeroed, but for its main heap. In this order: what a start touches lies together.
#[repr(C)]
pub struct Subproc {
    arenas: ArenaSet,
    main_heap: Published<Heap>,
    pub(super) heaps: Lock<List<Heap>>,
    /// Memory of ended theaps, which other threads may still compare with: never used for anything else.
    theap_cache: Lock<FreeStack>,
    threads: AtomicUsize,
    /// The next one in the list of all, for the runtime floor.
    next: AtomicPtr<Subproc>,
    /// Guarded blocks that have been freed. (Large, and mostly never touched: behind all else.)
    resting: Resting,
}

impl Subproc {
    /// No arena and no heap: [`Subproc::open`] makes the main one.
    pub const fn new() -> Self {
        Self {
            arenas: ArenaSet::new(),
            main_heap: Published::new(),
            heaps: Lock::new(List::new()),
            theap_cache: Lock::new(FreeStack::new()),
            threads: AtomicUsize::new(0),
            resting: Resting::new(),
            next: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Makes the main heap; false without memory.
    pub fn open(&'static self) -> bool {
        let Some(main) = Heap::create(self, None, Lifetime::Stays) else { return false };
        self.main_heap.publish(main);
        true
    }

    /// A new sub-process in metadata of `parent`; `None` without memory.
    pub fn create(parent: &Subproc) -> Option<&'static Subproc> {
        let meta = parent.arenas.meta_alloc(size_of::<Subproc>())?;
        // SAFETY: zeroed memory of the right size is a valid sub-process.
        let subproc = unsafe { &*meta.start.cast::<Subproc>() };
        if subproc.open() {
            return Some(subproc);
        }
        // SAFETY: nobody else knows it.
        unsafe { parent.arenas.meta_free(meta) };
        None
    }

    /// Its arenas.
    #[inline]
    pub fn arenas(&self) -> &ArenaSet {
        &self.arenas
    }

    /// The heap of plain allocations; `None` before the sub-process is open.
    #[inline]
    pub fn main_heap(&self) -> Option<&'static Heap> {
        // SAFETY: the main heap lives as long as the sub-process.
        unsafe { self.main_heap.get().as_ref() }
    }

    /// Guarded blocks that have been freed.
    pub(super) fn resting(&self) -> &Resting {
        &self.resting
    }

    /// Memory of ended theaps.
    pub fn theap_cache(&self) -> &Lock<FreeStack> {
        &self.theap_cache
    }

    pub(super) fn add_heap(&self, heap: &'static Heap) {
        self.heaps.lock().push_front(heap);
        self.arenas.stats().heaps.increase(1);
    }

    /// Takes a heap off the list; false if it is not on it (deleted already).
    pub fn remove_heap(&self, heap: &'static Heap) -> bool {
        let heaps = self.heaps.lock();
        let is_listed = heaps.has(heap);
        if is_listed {
            heaps.remove(heap);
            self.arenas.stats().heaps.decrease(1);
        }
        is_listed
    }

    /// Calls `visit` with each heap, newest first. The list is locked meanwhile.
    pub fn for_each_heap(&self, visit: impl FnMut(&'static Heap)) {
        self.heaps.lock().iter().for_each(visit);
    }

    /// What `pick` makes of the first heap, newest first, of which it makes something. The list is locked meanwhile.
    pub fn find_heap<R>(&self, pick: impl FnMut(&'static Heap) -> Option<R>) -> Option<R> {
        self.heaps.lock().iter().find_map(pick)
    }

    /// The newest heap that is older than the one with this id. It can end while the answer is kept, but its structure stays.
    pub fn heap_before(&self, id: usize) -> Option<PinnedHeap> {
        let heaps = self.heaps.lock();
        let heap = heaps.iter().filter(|heap| heap.id() < id).max_by_key(|heap| heap.id())?;
        Some(heap.pin())
    }

    /// Where the next theap starts to search arenas.
    pub fn next_seed(&self) -> usize {
        self.threads.fetch_add(1, Ordering::Relaxed)
    }

    /// The next sub-process in the list of all, under that list's lock.
    pub fn next(&self) -> Option<&'static Subproc> {
        // SAFETY: the list holds live sub-processes.
        unsafe { self.next.load(Ordering::Relaxed).as_ref() }
    }

    /// Links the list of all, under its lock.
    pub fn set_next(&self, next: Option<&'static Subproc>) {
        self.next.store(next.map_or(ptr::null_mut(), |next| ptr::from_ref(next).cast_mut()), Ordering::Relaxed);
    }

    /// Forgets the main heap, whose memory has gone with the arenas: the next user opens the sub-process again.
    pub fn close(&self) {
        self.heaps.lock().clear();
        self.resting.clear();
        *self.theap_cache.lock() = FreeStack::new();
        self.main_heap.take();
    }

    /// The first half of taking every lock, so that none is held by another thread at the moment of a `fork`.
    pub fn lock_heaps(&self) {
        self.heaps.lock_raw();
    }

    /// The second half, when the lists of heaps of all sub-processes are locked, and the locks of heaps.
    pub fn lock_rest(&self) {
        self.heaps_locked().for_each(|heap| {
            heap.theaps().lock_raw();
            if let Some(postponing) = heap.postponing() {
                postponing.lock().lock_raw();
            }
            heap.samples.lock_raw();
            heap.registry().lock_fork().lock_raw();
        });
        self.theap_cache.lock_raw();
        self.arenas.lock().lock_raw();
        self.resting.lock().lock_raw();
    }

    /// Releases what `lock_heaps` and `lock_rest` took: in the parent by unlocking, in the child by making the locks new.
    ///
    /// # Safety
    /// The caller (in the parent: this thread; in the child: the thread that forked) has called both.
    pub unsafe fn unlock_all(&self, child: bool) {
        // SAFETY: the precondition, for each lock.
        unsafe {
            self.heaps_locked().for_each(|heap| {
                unlock(heap.theaps(), child);
                if let Some(postponing) = heap.postponing() {
                    unlock(postponing.lock(), child);
                }
                unlock(&heap.samples, child);
                unlock(heap.registry().lock_fork(), child);
            });
            unlock(self.resting.lock(), child);
            unlock(&self.theap_cache, child);
            unlock(self.arenas.lock(), child);
            unlock(&self.heaps, child);
        }
    }

    /// The heaps, while the caller holds the list's lock by `lock_raw`.
    fn heaps_locked(&self) -> impl Iterator<Item = &'static Heap> + use<> {
        // SAFETY: the lock is held.
        unsafe { (*self.heaps.data_ptr()).iter() }
    }
}
