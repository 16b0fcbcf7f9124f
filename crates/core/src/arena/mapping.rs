//! Memory from the system for an arena: aligned, where the options admit it, in huge OS pages where these are wanted; and how
//! memory of each kind becomes accessible.

use core::ffi::c_void;

use ferrimalloc_prim::clock;
use ferrimalloc_prim::mem::{self, Access, HugeSize};

use super::page_map::{self, CHUNK_BYTES};
use crate::base::*;
use crate::options::{self, OptionId};
use crate::os::{self, PrivateMemory, Region};

/// A transparent huge page: 2 MiB.
const UNIT_BYTES: usize = 2 << 20;
/// Its slices.
pub(super) const UNIT_SLICES: usize = UNIT_BYTES / SLICE_BYTES;

/// Whether memory may be touched from the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Commit {
    /// All of it.
    Now,
    /// Piece by piece, when it is needed.
    Later,
}

/// Whether OS pages of 2 MiB may be used, which stay resident.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LargePages {
    /// Ordinary OS pages only.
    Never,
    /// Where the system has enough of them.
    Try,
}

/// Where an arena's memory comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing {
    /// Private memory of ours, reserved from the system; unmapped when the arena is destroyed.
    Os(PrivateMemory),
    /// Huge OS pages of ours: always resident, never purged; unmapped likewise.
    Huge,
    /// The user's memory, whatever it is: never unmapped, purged by the user's own function only.
    User,
    /// The user's memory, always resident: never purged either.
    UserPinned,
}

/// Fresh memory for an arena.
pub(super) struct Mapped {
    pub region: Region,
    pub backing: Backing,
    pub commit: Commit,
}

/// Arenas up to this size may be in core files before they are used.
const DUMPED_BYTES: usize = 64 << 20;

/// Maps memory for an arena, in large OS pages if they are wanted and there are enough.
pub(super) fn map_arena(bytes: usize, commit: Commit, large: LargePages) -> Option<Mapped> {
    if large == LargePages::Try
        && let Some(region) = map_large(bytes)
    {
        return Some(Mapped { region, backing: Backing::Huge, commit: Commit::Now });
    }
    let access = if commit == Commit::Now { Access::ReadWrite } else { Access::None };
    let admits = |start| page_map::admits(start, bytes);
    let memory = os::reserve(bytes, alignment(bytes), access, admits, page_map::hints(bytes))?;
    memory.refuse_huge_at_first();
    let memory = if commit == Commit::Later { memory.leave_out_above(DUMPED_BYTES) } else { memory };
    Some(Mapped { region: memory.region(), backing: Backing::Os(memory), commit })
}

/// Where an arena of that size starts: chunks and huge OS pages are to be aligned, if it has any.
fn alignment(bytes: usize) -> usize {
    match bytes {
        CHUNK_BYTES.. => CHUNK_BYTES,
        UNIT_BYTES.. => UNIT_BYTES,
        _ => SLICE_BYTES,
    }
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
pub(super) fn map_huge_run(pages: usize, node: Option<usize>, timeout_millis: u64) -> Option<Region> {
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

/// The smallest step in which memory becomes accessible: 1 MiB.
pub(super) const LEAST_STEP: usize = (1 << 20) / SLICE_BYTES;

/// Commits (true) or decommits (false) a range of user memory, telling whether it is zero; false if refused.
/// `mi_commit_fun_t`.
pub type CommitFn =
    unsafe extern "C" fn(commit: bool, start: *mut c_void, size: usize, is_zero: *mut bool, arg: *mut c_void) -> bool;

/// Whether memory of this kind becomes accessible in steps.
pub(super) fn goes_in_steps(backing: Backing) -> bool {
    matches!(backing, Backing::Os(_)) && os::overcommits() && options::get(OptionId::ArenaEagerCommit) != 0
}

/// Makes a range of an arena accessible; tells whether it is known to read as zero for that. `None` if refused.
fn commit_range(commit: Option<(CommitFn, *mut c_void)>, start: *mut u8, bytes: usize) -> Option<Zero> {
    let Some((commit, arg)) = commit else {
        // SAFETY: the range is the arena's; making it accessible changes nothing else.
        return unsafe { mem::protect(start, bytes, Access::ReadWrite) }.ok().map(|()| Zero::Any);
    };
    let mut is_zero = false;
    // SAFETY: the contract of the user's function: any range of its memory.
    let done = unsafe { commit(true, start.cast(), bytes, &mut is_zero, arg) };
    done.then_some(if is_zero { Zero::Zeroed } else { Zero::Any })
}

/// The same, and what we reserved belongs into core files from now on.
pub(super) fn open(
    backing: Backing,
    commit: Option<(CommitFn, *mut c_void)>,
    start: *mut u8,
    bytes: usize,
) -> Option<Zero> {
    let zero = commit_range(commit, start, bytes)?;
    if let Backing::Os(memory) = backing {
        memory.part(start as usize - memory.region().start as usize, bytes).dump();
    }
    Some(zero)
}
