//! Regions that the system would not take back, to be offered to it again.
//!
//! An `unmap` is refused when a mapping would have to be split and the process has as many as it may have
//! (`vm.max_map_count`). The addresses would be lost for good, and where they are limited, all of them in the end. So they
//! are noted here and offered again before the next region is reserved.
//!
//! The list is short because neighbours are joined. When it is full, the smallest region is forgotten: that costs
//! address space, and nothing else. A child of `fork` whose parent held the lock finds it held for ever, and
//! forgets too; hence nobody ever waits for it.

use super::Region;
use crate::sync::{AtomicUsize, Lock, Ordering};
use core::ptr;

const MOST: usize = 32;

/// Regions of ours that nobody uses; those of no bytes are empty places.
struct RefusedUnmaps([Region; MOST]);

// SAFETY: the regions are nobody's: whoever has the list may do with them what it likes.
unsafe impl Send for RefusedUnmaps {}

const NOWHERE: Region = Region { start: ptr::null_mut(), bytes: 0 };

static REFUSED: Lock<RefusedUnmaps> = Lock::new(RefusedUnmaps([NOWHERE; MOST]));
/// How many regions are in the list, to be looked at without the lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Notes a region that the system would not take back.
#[cold]
pub(super) fn note_refused(region: Region) {
    if let Some(mut refused) = REFUSED.try_lock() {
        refused.add(region);
        COUNT.store(refused.count(), Ordering::Relaxed);
    }
}

/// Offers everything that was refused to the system again, by `unmap`, which tells whether it was taken.
#[inline]
pub(super) fn retry(unmap: impl Fn(Region) -> bool) {
    if COUNT.load(Ordering::Relaxed) > 0 {
        retry_all(unmap);
    }
}

#[cold]
fn retry_all(unmap: impl Fn(Region) -> bool) {
    if let Some(mut refused) = REFUSED.try_lock() {
        refused.retain(|region| !unmap(region));
        COUNT.store(refused.count(), Ordering::Relaxed);
    }
}

impl RefusedUnmaps {
    fn count(&self) -> usize {
        self.0.iter().filter(|region| region.bytes > 0).count()
    }

    fn retain(&mut self, is_still_ours: impl Fn(Region) -> bool) {
        self.0.iter_mut().filter(|place| place.bytes > 0 && !is_still_ours(**place)).for_each(|place| *place = NOWHERE);
    }

    /// Joins a region with its neighbours; else puts it in place of the smallest, if that is smaller.
    fn add(&mut self, region: Region) {
        let mut joined = region;
        while let Some(neighbour) = self.0.iter_mut().find(|place| touch(place, &joined)) {
            joined = join(neighbour, &joined);
            *neighbour = NOWHERE;
        }
        if let Some(smallest) = self.0.iter_mut().min_by_key(|place| place.bytes)
            && smallest.bytes < joined.bytes
        {
            *smallest = joined;
        }
    }
}

fn end(region: &Region) -> usize {
    region.start as usize + region.bytes
}

fn touch(a: &Region, b: &Region) -> bool {
    a.bytes > 0 && (end(a) == b.start as usize || end(b) == a.start as usize)
}

fn join(a: &Region, b: &Region) -> Region {
    let first = if (a.start as usize) < b.start as usize { a } else { b };
    Region { start: first.start, bytes: a.bytes + b.bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn region(start: usize, bytes: usize) -> Region {
        Region { start: ptr::without_provenance_mut(start), bytes }
    }

    fn places(refused: &RefusedUnmaps) -> Vec<(usize, usize)> {
        let mut places: Vec<_> =
            refused.0.iter().filter(|r| r.bytes > 0).map(|r| (r.start as usize, r.bytes)).collect();
        places.sort_unstable();
        places
    }

    #[test]
    fn neighbours_are_joined() {
        let mut refused = RefusedUnmaps([NOWHERE; MOST]);
        refused.add(region(100, 10));
        refused.add(region(120, 10));
        assert_eq!(places(&refused), [(100, 10), (120, 10)]);
        refused.add(region(110, 10));
        assert_eq!(places(&refused), [(100, 30)]);
    }

    #[test]
    fn the_smallest_is_forgotten() {
        let mut refused = RefusedUnmaps([NOWHERE; MOST]);
        (1..=MOST).for_each(|number| refused.add(region(number * 1000, number)));
        refused.add(region(1 << 20, 50));
        assert_eq!((refused.count(), places(&refused)[0]), (MOST, (2000, 2)));
        refused.add(region(2 << 20, 1));
        assert_eq!(places(&refused).last(), Some(&(1 << 20, 50)));
    }

    #[test]
    fn what_is_taken_leaves_the_list() {
        let mut refused = RefusedUnmaps([NOWHERE; MOST]);
        refused.add(region(100, 10));
        refused.add(region(200, 20));
        refused.retain(|region| region.bytes == 20);
        assert_eq!(places(&refused), [(200, 20)]);
    }
}
