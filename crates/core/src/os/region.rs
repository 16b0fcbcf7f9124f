//! Reserving aligned regions.
//!
//! The system aligns mappings to its own small unit only; an aligned region is cut out of a larger one, or asked for where
//! mappings can't be cut. A region
//! that the caller can't use where it is (`max_vabits`) is given back and tried again at
//! other addresses.

use ferrimalloc_prim::Errno;
use ferrimalloc_prim::mem::{self, Access};

use super::Region;
use super::unmap_retry;
use crate::base::{align_down, align_up};

/// How many other places are tried when a region is not where it can be used.
const ATTEMPTS: usize = 64;

/// Reserves `bytes` aligned to `align` (a power of two) such that `admits(start)`; `None` when there is no such
/// address space. `hints` gives addresses to try after the system's own choice.
pub fn reserve(
    bytes: usize,
    align: usize,
    access: Access,
    admits: impl Fn(usize) -> bool,
    hints: impl Iterator<Item = usize>,
) -> Option<Region> {
    retry_unmaps();
    core::iter::once(0).chain(hints).take(ATTEMPTS).find_map(|hint| reserve_at(hint, bytes, align, access, &admits))
}

fn reserve_at(
    hint: usize,
    bytes: usize,
    align: usize,
    access: Access,
    admits: impl Fn(usize) -> bool,
) -> Option<Region> {
    let region = reserve_aligned(hint, bytes, align, access)?;
    if admits(region.start as usize) {
        return Some(region);
    }
    // SAFETY: the region is ours and unused.
    unsafe { release(region) };
    None
}

fn reserve_aligned(hint: usize, bytes: usize, align: usize, access: Access) -> Option<Region> {
    let start = mem::map(hint, bytes, access).ok()?;
    if (start as usize) & (align - 1) == 0 {
        return Some(Region { start, bytes });
    }
    // SAFETY: just mapped and unused.
    unsafe { release(Region { start, bytes }) };
    // Right below a place that the system has chosen there mostly is room, too.
    if let Some(region) = map_exactly(align_down(start as usize, align), bytes, access) {
        return Some(region);
    }
    match mem::map_aligned(bytes, align, access) {
        Err(Errno::ENOTSUP) => cut_aligned(hint, bytes, align, access),
        mapped => mapped.ok().map(|start| Region { start, bytes }),
    }
}

fn cut_aligned(hint: usize, bytes: usize, align: usize, access: Access) -> Option<Region> {
    let larger = bytes.checked_add(align)?;
    let start = mem::map(hint, larger, access).ok()?;
    Some(trim(start, larger, bytes, align))
}

/// Maps `bytes` just there, or nothing.
pub(super) fn map_exactly(place: usize, bytes: usize, access: Access) -> Option<Region> {
    let start = mem::map(place, bytes, access).ok()?;
    if start as usize == place {
        return Some(Region { start, bytes });
    }
    // SAFETY: just mapped and unused.
    unsafe { release(Region { start, bytes }) };
    None
}

/// Keeps the aligned `bytes` of a mapping of `larger` bytes and gives the rest back.
fn trim(start: *mut u8, larger: usize, bytes: usize, align: usize) -> Region {
    let before = align_up(start as usize, align).map_or(0, |aligned| aligned - start as usize);
    let unit = mem::config().os_page_bytes;
    debug_assert_eq!(align_down(before, unit), before);
    let kept = Region { start: start.wrapping_add(before), bytes };
    let after = larger - bytes - before;
    // SAFETY: both ends are parts of a mapping of ours that nobody uses.
    unsafe {
        release(Region { start, bytes: before });
        release(Region { start: kept.start.wrapping_add(bytes), bytes: after });
    }
    kept
}

/// Gives a region back. If the system refuses (it ran out of mappings), the region's memory is given back at least, and
/// its addresses are offered again later.
///
/// # Safety
/// The region is ours, and nobody uses it any more.
pub unsafe fn release(region: Region) {
    if region.bytes == 0 {
        return;
    }
    // SAFETY: the precondition.
    unsafe {
        if mem::unmap(region.start, region.bytes).is_err() {
            let _ = mem::discard(region.start, region.bytes);
            unmap_retry::note_refused(region);
        }
    }
}

/// Offers regions to the system again that it would not take back.
pub fn retry_unmaps() {
    // SAFETY: what is kept came from `release`: ours, and used by nobody.
    unmap_retry::retry(|region| unsafe { mem::unmap(region.start, region.bytes).is_ok() });
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn regions_are_aligned_and_usable() {
        for align in [1 << 16, MIB, 32 * MIB] {
            let anywhere = core::iter::empty();
            let region = reserve(MIB, align, Access::ReadWrite, |_| true, anywhere).unwrap();
            assert_eq!(region.start as usize % align, 0);
            // SAFETY: the region is ours.
            unsafe {
                region.start.write(1);
                region.start.add(MIB - 1).write(2);
                release(region);
            }
        }
    }

    #[test]
    fn a_region_that_is_not_admitted_is_not_kept() {
        let refused = reserve(MIB, MIB, Access::None, |_| false, [1 << 30, 2 << 30].into_iter());
        assert!(refused.is_none());
    }

    #[test]
    fn absurd_sizes_are_refused() {
        let anywhere = core::iter::empty();
        assert!(reserve(usize::MAX - MIB, MIB, Access::None, |_| true, anywhere).is_none());
    }
}
