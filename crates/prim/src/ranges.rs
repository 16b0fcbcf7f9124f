//! Ranges of pages that nobody uses: a few, in a table.
//!
//! Invariant: the ranges that are not empty neither overlap nor touch each other.

use core::cell::UnsafeCell;

/// More ranges than a program has by far: what is unmapped is mostly an arena's cut ends.
const ROOM: usize = 64;

#[derive(Clone, Copy)]
struct Range {
    start: usize,
    pages: usize,
}

impl Range {
    fn end(self) -> usize {
        self.start + self.pages
    }
}

const EMPTY: Range = Range { start: 0, pages: 0 };

pub(crate) struct Ranges(UnsafeCell<[Range; ROOM]>);

// SAFETY: there is one thread (`platform` refuses to be built for more), and no function here calls another that comes back.
unsafe impl Sync for Ranges {}

impl Ranges {
    pub(crate) const fn new() -> Self {
        Ranges(UnsafeCell::new([EMPTY; ROOM]))
    }

    #[allow(clippy::mut_from_ref, reason = "one thread, and each function ends before the next")]
    fn all(&self) -> &mut [Range; ROOM] {
        // SAFETY: as for `Sync`.
        unsafe { &mut *self.0.get() }
    }

    /// Adds pages; false, and nothing happens, if there is no room.
    pub(crate) fn put(&self, start: usize, pages: usize) -> bool {
        let all = self.all();
        let mut joined = Range { start, pages };
        // At most two touch it: what it is joined with leaves room for the whole.
        for range in all.iter_mut().filter(|range| range.pages > 0) {
            if range.end() == joined.start {
                joined = Range { start: range.start, pages: range.pages + joined.pages };
                *range = EMPTY;
            } else if joined.end() == range.start {
                joined.pages += range.pages;
                *range = EMPTY;
            }
        }
        let place = all.iter_mut().find(|range| range.pages == 0);
        place.map(|place| *place = joined).is_some()
    }

    /// Takes `pages` from `wanted` on if all of them are here, else from the start of the smallest range that has so many.
    pub(crate) fn take(&self, wanted: usize, pages: usize) -> Option<usize> {
        let all = self.all();
        let exact = |range: &Range| wanted > 0 && range.start <= wanted && wanted + pages <= range.end();
        let (range, start) = match all.iter().position(exact) {
            Some(index) => (index, wanted),
            None => {
                let fits = all.iter().enumerate().filter(|(_, range)| range.pages >= pages);
                let (index, range) = fits.min_by_key(|(_, range)| range.pages)?;
                (index, range.start)
            }
        };
        let before = Range { start: all[range].start, pages: start - all[range].start };
        let after = Range { start: start + pages, pages: all[range].end() - (start + pages) };
        if before.pages > 0 && after.pages > 0 {
            // The middle of a range: what is behind needs a place of its own.
            let place = all.iter().position(|range| range.pages == 0)?;
            all[place] = after;
            all[range] = before;
        } else {
            all[range] = if before.pages > 0 { before } else { after };
        }
        Some(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined_and_ranges_are_cut() {
        let ranges = Ranges::new();
        assert_eq!(ranges.take(0, 1), None);
        assert!(ranges.put(10, 2) && ranges.put(20, 5) && ranges.put(12, 3));
        assert_eq!(ranges.take(0, 5), Some(10), "10 to 15 are one, and as small as the other");
        assert_eq!(ranges.take(22, 1), Some(22), "from the middle");
        assert_eq!(ranges.take(0, 3), None);
        assert!(ranges.put(22, 1));
        assert_eq!(ranges.take(23, 6), None, "not all of them are there, and no other range is so large");
        assert_eq!(ranges.take(0, 5), Some(20));
    }

    #[test]
    fn a_full_table_refuses_what_touches_nothing() {
        let ranges = Ranges::new();
        assert!((0..ROOM).all(|index| ranges.put(2 * index + 100, 1)));
        assert!(!ranges.put(1000, 1));
        assert!(ranges.put(101, 1), "joins two");
        assert!(ranges.put(1000, 1));
    }
}
