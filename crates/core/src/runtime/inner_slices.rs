//! The page around a slice deep inside of a block that has a page of its own, of which the page map knows the first
//! slices only.
//!
//! The question is asked before every copy (`alloc::bounds`), also in signal handlers: nothing that it needs waits. A page that
//! was found is kept as a *hint*, one for each of some regions of addresses. A hint is not trusted but verified: its
//! page must hold the address, and no two pages hold the same. So whatever another thread writes there meanwhile, an
//! answer is right. Without a hint, the page map is searched backwards, slice by slice, within the arena; the hints of
//! the regions on the way shorten that.
//!
//! Stacks and libraries lie among our arenas, and are asked about as often. So of some slices it is kept, too, that
//! they are in no arena; until one more region is ours, whichever.
//!
//! Pages with a mapping of their own are on lists that are locked. While another thread has such a lock, they are not
//! found.

use crate::arena::{Arena, page_map};
use crate::base::*;
use crate::heap::{Subproc, any_os_pages};
use crate::page::{Page, PageRef};
use crate::sync::{AtomicPtr, AtomicU64, Relaxed};

use super::main_subproc;
use super::subprocs::{find_in_subprocs, find_in_subprocs_unless_locked, is_main_alone};

/// As much address space has one hint: 2 MiB, 32 slices.
const REGION_SHIFT: u32 = 21;
/// A power of two.
const HINTS: usize = 256;

static FOUND: [AtomicPtr<Page>; HINTS] = [const { AtomicPtr::new(core::ptr::null_mut()) }; HINTS];

fn hint(p: *const u8) -> &'static AtomicPtr<Page> {
    &FOUND[(p.addr() >> REGION_SHIFT) % HINTS]
}

/// Slices that are nobody's here, each with how many regions there were then.
static FOREIGN: [AtomicU64; HINTS] = [const { AtomicU64::new(0) }; HINTS];
/// As many bits are left for the number of regions: addresses have at most 57.
const REGION_BITS: u32 = u64::BITS - (57 - SLICE_SHIFT);

/// The page that holds `p`, an address in a slice that the page map has nothing about; `None` if there is none, or if
/// a lock is held behind which it could be. With a hint, some 20 instructions; a search reads 128 bytes for each 64
/// KiB, at most from the block's start. Doesn't wait.
#[cold]
#[inline(never)]
pub fn page_around_inner(p: *const u8) -> Option<PageRef> {
    let (slice, mark) = foreign(p);
    hinted(p).or_else(|| search(p)).or_else(|| {
        if is_surely_foreign(p) {
            slice.set(mark);
        }
        None
    })
}

/// Whether `p` is in the slices of a page anywhere: also deep inside of a block that has a page of its own, of which the
/// page map knows the first slices only. Tests a bit per slice for those.
pub fn page_around(p: *const u8) -> Option<PageRef> {
    if let Some(page) = Page::lookup(p) {
        return page.holds(p).then_some(page);
    }
    find_in_subprocs(|subproc| match subproc.arenas().find(p) {
        Some(arena) => page_in_arena(arena, p),
        None => subproc.find_heap(|heap| heap.registry().os_page_around(p)),
    })
}

/// Whether the slice around `p` is known to be nobody's here. Some 8 instructions.
#[inline(always)]
pub fn is_foreign(p: *const u8) -> bool {
    let (slice, mark) = foreign(p);
    slice.get() == mark
}

/// Where it is kept that the slice is nobody's, and how.
#[inline(always)]
fn foreign(p: *const u8) -> (&'static AtomicU64, u64) {
    let slice = (p.addr() >> SLICE_SHIFT) as u64;
    let mark = (slice << REGION_BITS).wrapping_add(page_map::regions_so_far() as u64);
    (&FOREIGN[slice as usize % HINTS], mark)
}

/// Whether there is nothing of ours in the slice, and nobody could have kept the search from it.
fn is_surely_foreign(p: *const u8) -> bool {
    is_main_alone() && !any_os_pages() && main_subproc().arenas().find(p).is_none()
}

fn search(p: *const u8) -> Option<PageRef> {
    let page = find_in_subprocs_unless_locked(|subproc| page_in(subproc, p))?;
    hint(p).set(core::ptr::from_ref(page).cast_mut());
    Some(page)
}

fn hinted(p: *const u8) -> Option<PageRef> {
    // SAFETY: null or an entry of the page map, none of which is ever unmapped.
    unsafe { hint(p).get().as_ref() }.filter(|page| page.holds(p))
}

fn page_in(subproc: &'static Subproc, p: *const u8) -> Option<PageRef> {
    match subproc.arenas().find(p) {
        Some(arena) => page_in_arena(arena, p),
        None if any_os_pages() => {
            subproc.find_heap_unless_locked(|heap| heap.registry().os_page_around_unless_locked(p))
        }
        None => None,
    }
}

/// The last page that begins before `p`, if it holds it.
fn page_in_arena(arena: &Arena, p: *const u8) -> Option<PageRef> {
    let slice = arena.slice_of(p);
    if arena.is_free(slice) {
        return None;
    }
    let before = (0..slice).rev().map(|before| arena.slice_memory(before));
    let page = before.filter_map(|at| Page::lookup(at).or_else(|| hinted(at))).next()?;
    page.holds(p).then_some(page)
}
