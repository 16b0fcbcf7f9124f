//! A heap's pages: found without asking any thread.
//!
//! For each arena in which the heap has pages there is a bitmap of the slices where pages start, and per size class a
//! bitmap of those *listed*: pages that nobody owns and that have free blocks, for any thread to take. Blocks too big
//! for an arena have pages of their own mapping, on a locked list.
//!
//! Bits are set and cleared only by the page's owner. A searching thread finds a bit, then claims the page through
//! its remote word, and only then clears the bit; so a bit never outlives its page, and two searchers of the same bit
//! are told apart by the page's word.

use core::ops::ControlFlow;
use core::ptr;

use crate::arena::{Arena, ArenaSet, MAX_ARENAS};
use crate::base::*;
use crate::bitmap::Bitmap;
use crate::page::{Chain, Origin, Owned, OwnedPage, Page, PageRef};
use crate::sync::{AtomicBool, AtomicU32, Lock, Ordering, Published, Relaxed, array_of, pin};

static ANY_OS_PAGES: AtomicBool = AtomicBool::new(false);

/// Whether any page has ever had a mapping of its own. Who has a block of such a page sees this set.
pub fn any_os_pages() -> bool {
    ANY_OS_PAGES.get()
}

/// A bitmap with its bits behind it, in metadata memory.
#[repr(C, align(64))]
struct SliceBitmap {
    bits: Bitmap,
}

/// A heap's pages in one arena.
struct ArenaPages {
    pages: SliceBitmap,
    listed: [Published<SliceBitmap>; Bin::COUNT],
}

/// All pages of a heap. Valid when zeroed.
pub struct Registry {
    arenas: [Published<ArenaPages>; MAX_ARENAS],
    listed_counts: [AtomicU32; Bin::COUNT],
    /// Pages with a mapping of their own.
    os_pages: Lock<List<Page>>,
}

impl Registry {
    /// Where the address of the first page with a mapping of its own lies.
    pub const OS_PAGES_AT: usize =
        core::mem::offset_of!(Registry, os_pages) + Lock::<List<Page>>::VALUE_AT + List::<Page>::FIRST_AT;

    pub const fn new() -> Self {
        Self {
            arenas: array_of!(Published::new(); MAX_ARENAS),
            listed_counts: array_of!(AtomicU32::new(0); Bin::COUNT),
            os_pages: Lock::new(List::new()),
        }
    }

    /// Held over `fork`.
    pub fn lock_fork(&self) -> &Lock<impl Sized + use<>> {
        &self.os_pages
    }

    fn existing(&self, arena: &Arena) -> Option<&'static ArenaPages> {
        // SAFETY: installed structures live as long as the heap, whose users hold it.
        unsafe { self.arenas[arena.index()].get().as_ref() }
    }

    fn in_arena(&self, arena: &Arena) -> Option<&'static ArenaPages> {
        self.existing(arena).or_else(|| {
            get_or_install(ArenaSet::of(arena), &self.arenas[arena.index()], arena_pages_bytes(arena), |memory| {
                // SAFETY: zeroed memory of that size; zeroed pointers are null.
                unsafe {
                    let place = memory.cast::<ArenaPages>();
                    let bits = Bitmap::init_at(memory.wrapping_add(size_of::<ArenaPages>()), arena.slices());
                    ptr::addr_of_mut!((*place).pages).write(SliceBitmap { bits });
                }
            })
        })
    }

    /// Enters a new page; false if there is no memory for the bitmap.
    pub fn register(&self, page: &OwnedPage) -> bool {
        match page.origin() {
            Origin::Arena(arena) => match self.in_arena(arena) {
                Some(pages) => pages.pages.bits.set_one(arena.slice_of(page.memory())),
                None => false,
            },
            Origin::Os(_) => {
                ANY_OS_PAGES.set(true);
                self.os_pages.lock().push_front(page.page());
                true
            }
        }
    }

    /// Strikes out a page that is about to be released.
    pub fn unregister(&self, page: &Owned) {
        if page.is_listed() {
            self.unlist(page);
        }
        match page.origin() {
            Origin::Arena(arena) => {
                if let Some(pages) = self.existing(arena) {
                    pages.pages.bits.clear_one(arena.slice_of(page.memory()));
                }
            }
            Origin::Os(_) => self.os_pages.lock().remove(page.page()),
        }
    }

    /// Lets any thread take the page, which has free blocks; its owner is about to let go of it. Without
    /// memory for the bitmap the page stays unlisted: it is found again when its blocks are freed. So does a singleton,
    /// which has nothing to offer.
    pub fn list(&self, page: &Owned) {
        if page.is_singleton() {
            return;
        }
        let Origin::Arena(arena) = page.origin() else { return };
        let Some(listed) = self.in_arena(arena).and_then(|pages| pages.listed(arena, page.bin())) else { return };
        page.set_listed(true);
        pin();
        self.mark_listed(listed, arena, page);
    }

    fn mark_listed(&self, listed: &SliceBitmap, arena: &Arena, page: &Page) {
        // The count first: a fork may leave it too high, and searches find nothing; too low it must not be.
        self.listed_counts[page.bin().index()].fetch_add(1, Ordering::Relaxed);
        pin();
        listed.bits.set_one(arena.slice_of(page.memory()));
    }

    /// Whether the page was marked.
    fn unmark_listed(&self, arena: &Arena, page: &Page) -> bool {
        let listed = self.existing(arena).and_then(|pages| pages.listed_existing(page.bin()));
        let was_marked = listed.is_some_and(|listed| listed.bits.clear_one(arena.slice_of(page.memory())));
        if was_marked {
            self.listed_counts[page.bin().index()].fetch_sub(1, Ordering::Relaxed);
        }
        was_marked
    }

    /// Takes a page that its owner keeps off the list.
    pub fn unlist(&self, page: &Owned) {
        page.set_listed(false);
        pin();
        let Origin::Arena(arena) = page.origin() else { return };
        self.unmark_listed(arena, page);
    }

    /// Takes a page over from the registry of a heap that is ending, whoever owns the page: nothing is touched that
    /// belongs to the owner. By the one who ends that heap, so that the page can't go meanwhile.
    pub fn take_over(&self, page: PageRef, from: &Registry) {
        match page.origin() {
            Origin::Arena(arena) => self.take_over_in(arena, page, from),
            Origin::Os(_) => {
                from.os_pages.lock().remove(page);
                self.os_pages.lock().push_front(page);
            }
        }
    }

    fn take_over_in(&self, arena: &Arena, page: PageRef, from: &Registry) {
        let pages = self.in_arena(arena);
        if let Some(pages) = pages {
            pages.pages.bits.set_one(arena.slice_of(page.memory()));
        }
        if !page.is_singleton()
            && from.unmark_listed(arena, page)
            && let Some(listed) = pages.and_then(|pages| pages.listed(arena, page.bin()))
        {
            self.mark_listed(listed, arena, page);
        }
    }

    /// Takes a listed page of this class, if there is one, with its remote list; `owns` tells whether a page is this heap's. A
    /// page that was claimed by mistake and can't be put back is given to `decide`.
    pub fn take_listed(
        &self,
        set: &ArenaSet,
        bin: Bin,
        owns: impl Fn(&Page) -> bool,
        decide: impl Fn(OwnedPage),
    ) -> Option<(OwnedPage, Chain)> {
        if self.listed_counts[bin.index()].load(Ordering::Relaxed) == 0 {
            return None;
        }
        set.arenas().find_map(|arena| {
            let listed = self.existing(arena)?.listed_existing(bin)?;
            self.take_listed_in(arena, listed, |page| owns(page) && page.bin() == bin, &decide)
        })
    }

    fn take_listed_in(
        &self,
        arena: &Arena,
        listed: &SliceBitmap,
        is_right: impl Fn(&Page) -> bool,
        decide: &impl Fn(OwnedPage),
    ) -> Option<(OwnedPage, Chain)> {
        let mut taken = None;
        let _ = listed.bits.for_each_set_run(|run| {
            for slice in run.start..run.end() {
                let page = Page::entry(arena.slice_memory(slice));
                let Some((page, threshold)) = page.claim_in_place() else { continue };
                if page.is_listed() && is_right(&page) {
                    self.unlist(&page);
                    let chain = page.take_remote();
                    taken = Some((page, chain));
                    return ControlFlow::Break(());
                }
                // The slice has become another page, which nobody owned either: it goes back as it was.
                if let Err(page) = page.put_back(threshold) {
                    decide(page);
                }
            }
            ControlFlow::Continue(())
        });
        taken
    }

    /// Calls `visit` with every page. Pages that come or go meanwhile may be missed.
    pub fn for_each_page(&self, set: &ArenaSet, mut visit: impl FnMut(PageRef)) {
        self.all_pages(set, |page| {
            visit(page);
            true
        });
    }

    /// The same until `visit` answers false; whether it never did.
    pub fn all_pages(&self, set: &ArenaSet, mut visit: impl FnMut(PageRef) -> bool) -> bool {
        set.arenas().all(|arena| self.all_pages_in(arena, &mut visit)) && self.all_os_pages(&mut visit)
    }

    fn all_pages_in(&self, arena: &Arena, visit: &mut impl FnMut(PageRef) -> bool) -> bool {
        let Some(pages) = self.existing(arena) else { return true };
        let end = pages.pages.bits.for_each_set_run(|run| {
            for slice in run.start..run.end() {
                if !visit(Page::entry(arena.slice_memory(slice))) {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(())
        });
        end.is_continue()
    }

    /// In the order of their addresses, so that the list need not be locked during a visit.
    fn all_os_pages(&self, visit: &mut impl FnMut(PageRef) -> bool) -> bool {
        let mut visited = ptr::null();
        while let Some(page) = self.os_page_behind(visited) {
            visited = ptr::from_ref(page);
            if !visit(page) {
                return false;
            }
        }
        true
    }

    fn os_page_behind(&self, visited: *const Page) -> Option<PageRef> {
        let pages = self.os_pages.lock();
        pages.iter().filter(|page| ptr::from_ref(*page) > visited).min_by_key(|page| ptr::from_ref(*page))
    }

    /// The page with a mapping of its own that holds `p`.
    pub fn os_page_around(&self, p: *const u8) -> Option<PageRef> {
        let pages = self.os_pages.lock();
        pages.iter().find(|page| page.holds(p))
    }

    /// The same; also `None` while the list is locked.
    pub fn os_page_around_unless_locked(&self, p: *const u8) -> Option<PageRef> {
        let pages = self.os_pages.try_lock()?;
        pages.iter().find(|page| page.holds(p))
    }

    /// Gives the bitmaps' memory back.
    ///
    /// # Safety
    /// The heap is gone: nobody uses the registry, and it holds no page.
    pub unsafe fn free_bitmaps(&self, set: &ArenaSet) {
        for arena in set.arenas() {
            let pages = self.arenas[arena.index()].take();
            // SAFETY: the slot held null or a structure of ours.
            let Some(structure) = (unsafe { pages.as_ref() }) else { continue };
            for slot in &structure.listed {
                let listed = slot.take();
                // SAFETY: the precondition.
                unsafe { free_structure(set, listed, slice_bitmap_bytes(arena)) };
            }
            // SAFETY: the precondition.
            unsafe { free_structure(set, pages, arena_pages_bytes(arena)) };
        }
    }
}

impl ArenaPages {
    fn listed_existing(&self, bin: Bin) -> Option<&'static SliceBitmap> {
        // SAFETY: as for `Registry::existing`.
        unsafe { self.listed[bin.index()].get().as_ref() }
    }

    fn listed(&self, arena: &Arena, bin: Bin) -> Option<&'static SliceBitmap> {
        self.listed_existing(bin).or_else(|| {
            get_or_install(ArenaSet::of(arena), &self.listed[bin.index()], slice_bitmap_bytes(arena), |memory| {
                // SAFETY: zeroed memory of that size.
                unsafe {
                    let bits = Bitmap::init_at(memory.wrapping_add(size_of::<SliceBitmap>()), arena.slices());
                    memory.cast::<SliceBitmap>().write(SliceBitmap { bits });
                }
            })
        })
    }
}

fn arena_pages_bytes(arena: &Arena) -> usize {
    size_of::<ArenaPages>() + Bitmap::layout_bytes(arena.slices())
}

fn slice_bitmap_bytes(arena: &Arena) -> usize {
    size_of::<SliceBitmap>() + Bitmap::layout_bytes(arena.slices())
}

/// Installs a structure of `bytes` in an empty slot, initialised by `init`; the loser of a race gives its own back.
fn get_or_install<T>(
    set: &ArenaSet,
    slot: &Published<T>,
    bytes: usize,
    init: impl FnOnce(*mut u8),
) -> Option<&'static T> {
    let meta = set.meta_alloc(bytes)?;
    init(meta.start);
    let structure = match slot.install(meta.start.cast()) {
        Ok(()) => meta.start.cast::<T>().cast_const(),
        Err(winner) => {
            // SAFETY: never published.
            unsafe { set.meta_free(meta) };
            winner
        }
    };
    // SAFETY: initialised by us or by the winner.
    unsafe { structure.as_ref() }
}

/// # Safety
/// `structure` is null or came from `get_or_install` with the same `bytes`, and nobody uses it.
unsafe fn free_structure<T>(set: &ArenaSet, structure: *const T, bytes: usize) {
    if !structure.is_null() {
        // SAFETY: the precondition.
        unsafe { set.meta_free(crate::arena::Meta { start: structure.cast_mut().cast(), bytes }) };
    }
}
