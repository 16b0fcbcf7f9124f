//! Arenas that somebody asks for: reserved in advance, made of huge OS pages, or over memory of the program's own.
//!
//! Memory that we map is released with the sub-process; the program's memory never is. An exclusive arena serves only
//! heaps that were made for it.

use core::ffi::c_void;

use ferrimalloc_prim::clock;
use ferrimalloc_prim::mem::{self, Access, HugeSize};

use super::page_map;
use super::set::ArenaSet;
use super::space::{Arena, Backing, CommitFn, Setup, Sharing, is_manageable};
use super::thp;
use crate::base::*;
use crate::bitmap::MAX_BITS;
use crate::os::{self, Region};

/// Whether memory may be touched from the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commit {
    Now,
    /// Piece by piece, when it is needed.
    Later,
}

/// Whether OS pages of 2 MiB may be used, which stay resident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LargePages {
    Never,
    /// Where the system has enough of them.
    Try,
}

/// Memory of the program's own.
pub struct UserMemory {
    pub start: *mut u8,
    pub bytes: usize,
    /// Whether all of it may be touched; else it is made accessible by `commit`, or by the system's own way.
    pub commit_state: Commit,
    /// Whether its physical memory must never be given back.
    pub pinned: bool,
    pub zero: Zero,
    pub numa: Option<usize>,
    pub sharing: Sharing,
    pub commit: Option<(CommitFn, *mut c_void)>,
}

/// Why memory cannot become an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Less than [`Arena::MIN_BYTES`] after alignment to slices.
    TooSmall,
    /// Outside of the addresses that the page map covers.
    OutOfReach,
    /// It could not be committed, or there are too many arenas.
    Refused,
}

impl Refusal {
    pub const fn words(self) -> &'static str {
        match self {
            Refusal::TooSmall => "it is too small: not large enough for an arena",
            Refusal::OutOfReach => "it lies outside of the addresses that the page map covers",
            Refusal::Refused => "it could not be committed, or there are too many arenas",
        }
    }
}

/// The most that one arena can manage.
const MAX_BYTES: usize = MAX_BITS * SLICE_BYTES;

impl ArenaSet {
    /// Reserves an arena of `bytes`, rounded up to slices; `None` if there is no such address space, or it is too
    /// small or too large for an arena. Calls the OS.
    pub fn reserve_arena(
        &self,
        bytes: usize,
        commit: Commit,
        large: LargePages,
        sharing: Sharing,
    ) -> Option<&'static Arena> {
        let bytes = align_up(bytes, SLICE_BYTES).filter(|bytes| (Arena::MIN_BYTES..=MAX_BYTES).contains(bytes))?;
        let arena = self.add_mapped(&map_arena(bytes, commit, large)?, sharing, None)?;
        self.count_arena();
        Some(arena)
    }

    /// Makes an arena of memory that we mapped; gives it back if that fails.
    pub(super) fn add_mapped(&self, mapped: &Mapped, sharing: Sharing, numa: Option<usize>) -> Option<&'static Arena> {
        let setup = Setup {
            start: mapped.region.start,
            bytes: mapped.region.bytes,
            backing: mapped.backing,
            sharing,
            committed: mapped.commit == Commit::Now,
            zero: Zero::Zeroed,
            numa,
            commit: None,
        };
        self.count_mapping();
        // SAFETY: the region is fresh, aligned and as described.
        let arena = unsafe { self.add(&setup) };
        if arena.is_none() {
            // SAFETY: nobody uses the region.
            unsafe { os::release(mapped.region) };
        }
        arena
    }

    /// Makes an arena of the program's memory: of the whole slices in it.
    ///
    /// # Safety
    /// Nobody else uses the memory, now or later; it is as described and stays mapped.
    pub unsafe fn manage(&self, user: &UserMemory) -> Result<&'static Arena, Refusal> {
        let (start, bytes) = whole_slices(user.start, user.bytes).ok_or(Refusal::TooSmall)?;
        if !is_manageable(start, bytes) {
            return Err(Refusal::OutOfReach);
        }
        let setup = Setup {
            start,
            bytes,
            backing: if user.pinned { Backing::UserPinned } else { Backing::User },
            sharing: user.sharing,
            committed: user.commit_state == Commit::Now,
            zero: user.zero,
            numa: user.numa,
            commit: user.commit,
        };
        // SAFETY: the precondition, for the part of the memory that is whole slices.
        let arena = unsafe { self.add(&setup) }.ok_or(Refusal::Refused)?;
        self.count_arena();
        Ok(arena)
    }

    /// Reserves `pages` huge OS pages of 1 GiB as one arena: as many as the system gives in `timeout_millis` (0: no
    /// limit), in one piece; `None` if it gives none. Where it has none of that size, those of 2 MiB are tried.
    pub fn reserve_huge(
        &self,
        pages: usize,
        node: Option<usize>,
        timeout_millis: u64,
        sharing: Sharing,
    ) -> Option<&'static Arena> {
        let region = map_huge_run(pages, node, timeout_millis)?;
        let mapped = Mapped { region, backing: Backing::Huge, commit: Commit::Now };
        let arena = self.add_mapped(&mapped, sharing, node)?;
        self.count_arena();
        Some(arena)
    }
}

/// The whole slices inside of a stretch of memory, if they suffice for an arena.
fn whole_slices(start: *mut u8, bytes: usize) -> Option<(*mut u8, usize)> {
    let first = align_up(start as usize, SLICE_BYTES)?;
    let end = align_down((start as usize).checked_add(bytes)?, SLICE_BYTES);
    let bytes = end.checked_sub(first)?.min(MAX_BYTES);
    (!start.is_null() && bytes >= Arena::MIN_BYTES).then(|| (start.with_addr(first), bytes))
}

/// Fresh memory for an arena.
pub(super) struct Mapped {
    pub region: Region,
    pub backing: Backing,
    pub commit: Commit,
}

/// Maps memory for an arena, in large OS pages if they are wanted and there are enough.
pub(super) fn map_arena(bytes: usize, commit: Commit, large: LargePages) -> Option<Mapped> {
    if large == LargePages::Try
        && let Some(region) = map_large(bytes)
    {
        return Some(Mapped { region, backing: Backing::Huge, commit: Commit::Now });
    }
    let access = if commit == Commit::Now { Access::ReadWrite } else { Access::None };
    let admits = |start| page_map::admits(start, bytes);
    let region = os::reserve(bytes, super::set::ARENA_ALIGN, access, admits, page_map::hints(bytes))?;
    thp::refuse_at_first(region.start, bytes);
    Some(Mapped { region, backing: Backing::Os, commit })
}

fn map_large(bytes: usize) -> Option<Region> {
    let size = HugeSize::TwoMiB;
    let bytes = bytes.is_multiple_of(size.bytes()).then_some(bytes)?;
    let region = Region { start: mem::map_huge(0, bytes, size).ok()?, bytes };
    keep_if_reachable(region)
}

fn keep_if_reachable(region: Region) -> Option<Region> {
    if page_map::admits(region.start as usize, region.bytes) {
        return Some(region);
    }
    // SAFETY: just mapped; nobody uses it.
    unsafe { os::release(region) };
    None
}

/// Maps huge pages one behind the other until there are enough, the system refuses, or time is up.
fn map_huge_run(pages: usize, node: Option<usize>, timeout_millis: u64) -> Option<Region> {
    let began = clock::now_millis();
    let in_time = || timeout_millis == 0 || clock::now_millis() - began <= timeout_millis;
    let mut run = map_huge_page(0, node).and_then(keep_if_reachable)?;
    for _ in 1..pages {
        if !in_time() || !grow_run(&mut run, node) {
            break;
        }
    }
    Some(run)
}

/// Adds a page right behind the run; false if it can't be had there.
fn grow_run(run: &mut Region, node: Option<usize>) -> bool {
    let end = run.start as usize + run.bytes;
    let Some(page) = map_huge_page(end, node) else { return false };
    if page.start as usize == end && page_map::admits(end, page.bytes) {
        run.bytes += page.bytes;
        return true;
    }
    // SAFETY: just mapped; nobody uses it.
    unsafe { os::release(page) };
    false
}

/// 1 GiB in one huge page, or in many of 2 MiB, on `node` if the system can.
fn map_huge_page(hint: usize, node: Option<usize>) -> Option<Region> {
    let bytes = HugeSize::OneGiB.bytes();
    let start =
        mem::map_huge(hint, bytes, HugeSize::OneGiB).or_else(|_| mem::map_huge(hint, bytes, HugeSize::TwoMiB)).ok()?;
    if let Some(node) = node {
        // SAFETY: just mapped by us. Where it is bound is a preference.
        let _ = unsafe { mem::bind_numa(start, bytes, node) };
    }
    Some(Region { start, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ptr;

    #[test]
    fn user_memory_is_cut_to_whole_slices() {
        let at = |address: usize| ptr::without_provenance_mut::<u8>(address);
        let cut = |start, bytes| whole_slices(at(start), bytes).map(|(start, bytes)| (start as usize, bytes));
        let min = Arena::MIN_BYTES;
        assert_eq!(cut(SLICE_BYTES, min), Some((SLICE_BYTES, min)));
        assert_eq!(cut(SLICE_BYTES + 1, min), None);
        assert_eq!(cut(1, min + 2 * SLICE_BYTES), Some((SLICE_BYTES, min + SLICE_BYTES)));
        assert_eq!(cut(0, 10 * min), None, "null is no memory");
        assert_eq!(cut(usize::MAX - SLICE_BYTES, 10 * min), None);
    }
}
