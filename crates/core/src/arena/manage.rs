//! Arenas that somebody asks for: reserved in advance, made of huge OS pages, or over memory of the program's own.
//!
//! Memory that we map is released with the sub-process; the program's memory never is. An exclusive arena serves only
//! heaps that were made for it.

use core::ffi::c_void;

use super::arena::{Arena, Setup, Sharing, is_manageable};
use super::arenas::ArenaSet;
use super::mapping::{Backing, Commit, CommitFn, LargePages, Mapped, map_arena, map_huge_run};
use crate::base::*;
use crate::bitmap::MAX_BITS;

/// Memory of the program's own.
pub struct UserMemory {
    /// Where it begins. Need not be aligned: the arena gets the whole slices inside.
    pub start: *mut u8,
    /// Its size in bytes.
    pub bytes: usize,
    /// Whether all of it may be touched; else it is made accessible by `commit`, or by the system's own way.
    pub commit_state: Commit,
    /// Whether its physical memory must never be given back.
    pub pinned: bool,
    /// Whether all of it reads as zero.
    pub zero: Zero,
    /// The NUMA node that it belongs to, if that is known.
    pub numa: Option<usize>,
    /// Whether any heap may allocate there.
    pub sharing: Sharing,
    /// The program's function that commits and decommits parts of it, and the function's argument; any thread may call
    /// it. `None`: the system's own way.
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
    /// The reason as a clause, for a warning that has named the memory.
    pub const fn words(self) -> &'static str {
        match self {
            Refusal::TooSmall => "it is too small: not large enough for an arena",
            Refusal::OutOfReach => "it lies outside of the addresses that the page map covers",
            Refusal::Refused => "it could not be committed, or there are too many arenas",
        }
    }
}

/// The most that one arena can manage.
const MAX_BYTES: usize = MAX_BITS.saturating_mul(SLICE_BYTES);

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
        let arena = self.add_mapped(&map_arena(bytes, commit, large)?, sharing, None, None)?;
        self.stats().arena_count.increment();
        Some(arena)
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
            info: None,
        };
        // SAFETY: the precondition, for the part of the memory that is whole slices.
        let arena = unsafe { self.add(&setup) }.ok_or(Refusal::Refused)?;
        self.stats().arena_count.increment();
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
        let arena = self.add_mapped(&mapped, sharing, node, None)?;
        self.stats().arena_count.increment();
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
