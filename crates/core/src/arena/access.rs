//! Making memory of an arena accessible, for `commit` and for an arena that is just made.

use core::ffi::c_void;

use ferrimalloc_prim::mem::{self, Access};

use super::mapping::Backing;
use crate::base::*;
use crate::options::{self, OptionId};
use crate::os;

/// The smallest step: 1 MiB.
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
