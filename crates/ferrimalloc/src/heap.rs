//! Heaps: memory for one job, given back at once.

use core::alloc::Layout;
use core::ffi::CStr;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::{ControlFlow, Deref};
use core::ptr::{self, NonNull};

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{SLICE_BYTES, Zero};
use ferrimalloc_core::heap::{self, Depth};
use ferrimalloc_core::options::{self, Hardening, OptionId};
use ferrimalloc_core::runtime;

use crate::arena::Arena;
use crate::request;
use crate::stats::Stats;

/// A heap that somebody else owns: what allocating takes. See [`Heap`].
///
/// Any thread may use it, and the blocks of one thread may be freed by another.
#[doc(alias = "mi_heap_t")]
#[repr(transparent)]
pub struct HeapRef(heap::Heap);

impl HeapRef {
    /// The heap of the global allocator; `None` if there is no memory at all.
    #[doc(alias = "mi_heap_main")]
    pub fn main() -> Option<&'static HeapRef> {
        runtime::heap_main().map(Self::from_core)
    }

    fn from_core(heap: &'static heap::Heap) -> &'static HeapRef {
        // SAFETY: `HeapRef` is a transparent wrapper.
        unsafe { &*ptr::from_ref(heap).cast::<HeapRef>() }
    }

    /// What the heap's [builder](Heap::builder) was told to call it.
    pub fn name(&self) -> Option<&'static CStr> {
        self.0.name()
    }

    fn core(&self) -> &'static heap::Heap {
        // SAFETY: the core asks for `'static` because it keeps heaps in its own structures; it forgets a heap there when
        // the heap is destroyed or deleted, which the borrow of `self` keeps from happening meanwhile.
        unsafe { &*ptr::from_ref(&self.0) }
    }

    fn request(&self, layout: Layout, zero: Zero) -> Option<NonNull<u8>> {
        let theap = runtime::theap_for(self.core())?;
        NonNull::new(request::allocate_in(theap, layout, zero))
    }

    /// A block for `layout`; `None` without memory. Its contents are arbitrary.
    ///
    /// The block lives until it is freed, or until the heap is destroyed.
    ///
    /// ```
    /// use ferrimalloc::Heap;
    /// use std::alloc::Layout;
    ///
    /// let heap = Heap::new().unwrap();
    /// let block = heap.alloc(Layout::new::<u64>()).unwrap().cast::<u64>();
    /// // SAFETY: the block is ours and as large as a `u64`.
    /// unsafe {
    ///     block.write(42);
    ///     assert_eq!(block.read(), 42);
    ///     heap.free(block.cast());
    /// }
    /// ```
    #[doc(alias = "mi_heap_malloc")]
    #[inline]
    pub fn alloc(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.request(layout, Zero::Any)
    }

    /// Like [`alloc`](Self::alloc), and the block reads as zero. Memory fresh from the OS is not cleared again.
    #[doc(alias = "mi_heap_zalloc")]
    #[inline]
    pub fn alloc_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.request(layout, Zero::Zeroed)
    }

    /// Resizes a block to `layout`; it may move, keeping its contents as far as they fit. `None` without memory: the
    /// block is as it was. Blocks above 1 MiB are moved by moving page tables, not bytes.
    ///
    /// # Safety
    /// `block` is a block of this allocator in use. After success only the answer may be used.
    #[doc(alias = "mi_heap_realloc")]
    #[inline]
    pub unsafe fn realloc(&self, block: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        let theap = runtime::theap_for(self.core())?;
        // SAFETY: the precondition.
        NonNull::new(unsafe { request::resize_in(theap, block.as_ptr(), layout) })
    }

    /// Frees a block. Any thread may free a block of any heap.
    ///
    /// # Safety
    /// `block` is a block of this heap, and nobody uses it any more. (A block of a heap that has been
    /// [deleted](Heap::delete) belongs to the main heap.)
    #[doc(alias = "mi_free")]
    #[inline]
    pub unsafe fn free(&self, block: NonNull<u8>) {
        // SAFETY: the precondition.
        unsafe { alloc::free(block.as_ptr()) }
    }

    /// Whether `p` points into a block that this heap has handed out, or into its free memory.
    #[doc(alias = "mi_heap_contains")]
    pub fn contains(&self, p: *const u8) -> bool {
        alloc::heap_of(p).is_some_and(|heap| *heap == self.0)
    }

    /// A number that no other heap of the process ever has.
    pub fn id(&self) -> usize {
        self.0.id()
    }

    /// Limits the memory of the heap's pages to so many bytes, rounded down to 64 KiB; `None`: no limit. What is in use stays,
    /// if it is more. Counted are pages as a whole: one for each size class in use by a thread, and one for each large block.
    ///
    /// A request that would exceed it fails, after all that the thread keeps without need was given back, and the hook of
    /// [`hooks::on_limit`](crate::hooks::on_limit) was asked.
    ///
    /// ```
    /// use ferrimalloc::Heap;
    /// use std::alloc::Layout;
    ///
    /// let heap = Heap::new().unwrap();
    /// heap.set_limit(Some(8 << 20));
    /// let five_mib = Layout::from_size_align(5 << 20, 1).unwrap();
    /// let block = heap.alloc(five_mib).unwrap();
    /// assert!(heap.alloc(five_mib).is_none());
    /// // SAFETY: nobody uses it.
    /// unsafe { heap.free(block) };
    /// assert!(heap.alloc(five_mib).is_some());
    /// assert!(heap.charged_bytes() <= heap.limit().unwrap());
    /// ```
    #[doc(alias = "mi_heap_set_limit")]
    pub fn set_limit(&self, bytes: Option<usize>) {
        self.0.limit().set(bytes.map(|bytes| bytes / SLICE_BYTES));
    }

    /// The limit on the heap's memory, in bytes.
    #[doc(alias = "mi_heap_limit")]
    pub fn limit(&self) -> Option<usize> {
        self.0.limit().most().map(|slices| slices * SLICE_BYTES)
    }

    /// What counts against that limit now, in bytes.
    #[doc(alias = "mi_heap_charged")]
    pub fn charged_bytes(&self) -> usize {
        self.0.limit().charged() * SLICE_BYTES
    }

    /// Shows the heap's areas to `visit` until it breaks. Areas that come or go meanwhile may be missed.
    ///
    /// ```
    /// use ferrimalloc::Heap;
    /// use std::alloc::Layout;
    /// use std::ops::ControlFlow;
    ///
    /// let heap = Heap::new().unwrap();
    /// heap.alloc(Layout::new::<[u8; 100]>()).unwrap();
    /// let mut used = 0;
    /// let _: ControlFlow<()> = heap.for_each_area(|area| {
    ///     used += area.used * area.block_bytes;
    ///     ControlFlow::Continue(())
    /// });
    /// assert_eq!(used, 112);
    /// ```
    #[doc(alias = "mi_heap_visit_blocks")]
    pub fn for_each_area<B>(&self, mut visit: impl FnMut(&Area) -> ControlFlow<B>) -> ControlFlow<B> {
        self.visit(Depth::Areas, |area, _| visit(area))
    }

    /// Shows the heap's blocks in use to `visit`, with their areas, until it breaks. Blocks that other threads allocate or
    /// free meanwhile, or have freed just now, may be missed or be shown all the same.
    #[doc(alias = "mi_heap_visit_blocks")]
    pub fn for_each_block<B>(&self, mut visit: impl FnMut(&Area, NonNull<u8>) -> ControlFlow<B>) -> ControlFlow<B> {
        self.visit(Depth::Blocks, |area, block| match block {
            Some(block) => visit(area, block),
            None => ControlFlow::Continue(()),
        })
    }

    fn visit<B>(
        &self,
        depth: Depth,
        mut visit: impl FnMut(&Area, Option<NonNull<u8>>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let mut end = ControlFlow::Continue(());
        self.0.visit(depth, |_| true, &mut |area, block| {
            end = visit(&Area::from(area), block.and_then(NonNull::new));
            end.is_continue()
        });
        end
    }

    /// What this heap alone has counted. Looks at every page of it.
    pub fn stats(&self) -> Stats {
        Stats::from(&runtime::heap_stats(&self.0))
    }
}

/// Blocks of one size, side by side.
#[doc(alias = "mi_heap_area_t")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Area {
    /// Where the first block is.
    pub start: *const u8,
    /// From one block to the next, in bytes.
    pub block_bytes: usize,
    /// Blocks in use.
    pub used: usize,
    /// Blocks that have ever been in use.
    pub touched: usize,
    /// Blocks that fit.
    pub capacity: usize,
}

impl From<&heap::Area> for Area {
    fn from(area: &heap::Area) -> Area {
        let blocks = |bytes: usize| bytes.checked_div(area.block_bytes).unwrap_or(0);
        Area {
            start: area.blocks,
            block_bytes: area.block_bytes,
            used: area.used,
            touched: blocks(area.committed_bytes),
            capacity: blocks(area.reserved_bytes),
        }
    }
}

impl PartialEq for HeapRef {
    fn eq(&self, other: &HeapRef) -> bool {
        self.0 == other.0
    }
}

impl Eq for HeapRef {}

impl fmt::Debug for HeapRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "Heap {} ({})", self.id(), name.to_bytes().escape_ascii()),
            None => write!(f, "Heap {}", self.id()),
        }
    }
}

/// Memory of its own for one job: everything in it is gone, at once, when the heap is dropped.
///
/// Any thread may allocate in a heap and free what another has allocated. Dropping it gives its pages back without
/// looking at the blocks, so it costs next to nothing, but runs no destructor of what the blocks hold. The borrow
/// checker knows: a collection in a heap cannot outlive it.
///
/// ```
/// # #[cfg(feature = "allocator-api2")] {
/// use allocator_api2::vec::Vec;
/// use ferrimalloc::Heap;
///
/// let heap = Heap::new().unwrap();
/// let mut squares = Vec::new_in(&heap);
/// squares.extend((0..1000u64).map(|n| n * n));
/// assert_eq!(squares[31], 961);
/// # }
/// ```
///
/// ```compile_fail,E0505
/// use ferrimalloc::{Heap, HeapRef};
/// use std::alloc::Layout;
///
/// let heap = Heap::new().unwrap();
/// let borrowed: &HeapRef = &heap;
/// drop(heap); // error: it is borrowed
/// borrowed.alloc(Layout::new::<u64>());
/// ```
///
/// | end | the heap's blocks | the heap's memory |
/// |---|---|---|
/// | `drop` | are gone | is given back |
/// | [`delete`](Heap::delete) | live on in the main heap | stays as long as they do |
/// | [`leak`](Heap::leak) | live on in the heap | stays for ever |
pub struct Heap(&'static HeapRef);

impl Heap {
    /// A new heap; `None` without memory. Costs some KiB, and as much again per thread that uses it.
    #[doc(alias = "mi_heap_new")]
    pub fn new() -> Option<Heap> {
        runtime::heap_new().map(|heap| Heap(HeapRef::from_core(heap)))
    }

    /// A heap with properties of its own.
    ///
    /// ```
    /// use ferrimalloc::Heap;
    ///
    /// let secrets = Heap::builder().secure(4).name(c"secrets").build().unwrap();
    /// assert_eq!(secrets.name(), Some(c"secrets"));
    /// ```
    pub fn builder() -> HeapBuilder {
        HeapBuilder::default()
    }

    /// A new heap that takes memory from one arena only; `None` without memory.
    #[doc(alias = "mi_heap_new_in_arena")]
    pub fn new_in(arena: Arena) -> Option<Heap> {
        runtime::heap_new_in_arena(arena.core()).map(|heap| Heap(HeapRef::from_core(heap)))
    }

    /// Never ends the heap: its blocks live until they are freed, or as long as the process.
    ///
    /// ```
    /// use ferrimalloc::Heap;
    /// use std::alloc::Layout;
    ///
    /// let heap = Heap::new().unwrap().leak();
    /// let block = heap.alloc_zeroed(Layout::new::<u32>()).unwrap().cast::<u32>();
    /// // SAFETY: a zeroed block of that size, which is never freed.
    /// let number: &'static u32 = unsafe { block.as_ref() };
    /// assert_eq!(*number, 0);
    /// ```
    pub fn leak(self) -> &'static HeapRef {
        ManuallyDrop::new(self).0
    }

    /// Ends the heap and keeps its blocks: they become the main heap's and are freed like any others.
    ///
    /// Whoever frees one of them while this runs breaks the contract of [`HeapRef::free`].
    #[doc(alias = "mi_heap_delete")]
    pub fn delete(self) {
        // SAFETY: the owner is here, so nobody borrows the heap to allocate in it, now or later.
        unsafe { runtime::heap_delete(self.leak().core()) };
    }
}

impl Deref for Heap {
    type Target = HeapRef;

    fn deref(&self) -> &HeapRef {
        self.0
    }
}

impl Drop for Heap {
    #[doc(alias = "mi_heap_destroy")]
    fn drop(&mut self) {
        // SAFETY: nobody borrows the heap, and its blocks are borrowed from it or handled by contract
        // (`HeapRef::alloc`: a block lives until the heap is destroyed).
        unsafe { runtime::heap_destroy(self.core()) };
    }
}

impl fmt::Debug for Heap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a new [`Heap`] shall be. Made by [`Heap::builder`]; costs nothing until [`build`](HeapBuilder::build).
#[derive(Clone, Copy, Default, Debug)]
#[must_use = "a builder makes a heap when `build` is called"]
pub struct HeapBuilder {
    arena: Option<Arena>,
    numa_node: Option<usize>,
    levels: Option<Hardening>,
    name: Option<&'static CStr>,
}

impl HeapBuilder {
    /// Takes memory from this arena only.
    #[doc(alias = "mi_heap_new_in_arena")]
    pub fn arena(self, arena: Arena) -> Self {
        HeapBuilder { arena: Some(arena), ..self }
    }

    /// Prefers memory of this NUMA node, whatever node a thread runs on. Without such a node the heap is as any other.
    #[doc(alias = "mi_heap_set_numa_affinity")]
    pub fn numa_node(self, node: usize) -> Self {
        HeapBuilder { numa_node: Some(node), ..self }
    }

    /// Checks the heap's blocks as `MIMALLOC_SECURE` does those of a process, whatever that has: 0 to 5, 2 and more harden pages.
    /// What is found is reported to standard error and to the [hook](crate::hooks), and the program goes on; option
    /// [`Abort`](crate::options::Option::Abort) ends it.
    pub fn secure(self, level: u8) -> Self {
        let levels = self.levels.unwrap_or_default();
        HeapBuilder { levels: Some(Hardening { secure: level.min(Hardening::MAX.secure), ..levels }), ..self }
    }

    /// Fills and verifies the heap's blocks as `MIMALLOC_DEBUG` does those of a process: 0 to 3.
    pub fn debug(self, level: u8) -> Self {
        let levels = self.levels.unwrap_or_default();
        HeapBuilder { levels: Some(Hardening { debug: level.min(Hardening::MAX.debug), ..levels }), ..self }
    }

    /// A name for whoever looks at the heap in a debugger, or prints it.
    pub fn name(self, name: &'static CStr) -> Self {
        HeapBuilder { name: Some(name), ..self }
    }

    /// The heap; `None` without memory.
    pub fn build(self) -> Option<Heap> {
        let heap = match self.arena {
            Some(arena) => runtime::heap_new_in_arena(arena.core()),
            None => runtime::heap_new(),
        }?;
        heap.set_numa(self.numa_node);
        if let Some(levels) = self.levels {
            heap.set_levels(levels);
            options::set_default(OptionId::ShowErrors, i64::from(levels != Hardening::NONE));
        }
        if let Some(name) = self.name {
            heap.set_name(name);
        }
        Some(Heap(HeapRef::from_core(heap)))
    }
}
