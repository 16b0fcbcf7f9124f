//! What is mapped: regions of addresses with equal access, in ascending order, in a table of fixed size.
//!
//! Invariant 1: regions are not empty and do not overlap; each ends at or below the start of the next.
//! Invariant 2: neighbours that touch differ in access (as the kernel's own mappings, they merge).
//!
//! Every change is made of two steps: *cut* regions at both ends of the range, then change whole regions inside it.

use crate::mem::Access;
use core::ops::Range;

/// Room for this many regions.
const CAPACITY: usize = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) access: Access,
}

const NOWHERE: Region = Region { start: 0, end: 0, access: Access::None };

impl Region {
    pub(crate) fn bytes(&self) -> usize {
        self.end - self.start
    }

    /// The part of it inside `range`.
    fn within(&self, range: &Range<usize>) -> Region {
        Region { start: self.start.max(range.start), end: self.end.min(range.end), access: self.access }
    }
}

pub(crate) struct Regions {
    table: [Region; CAPACITY],
    count: usize,
}

impl Regions {
    pub(crate) const fn new() -> Self {
        Regions { table: [NOWHERE; CAPACITY], count: 0 }
    }

    /// All regions, ascending.
    pub(crate) fn all(&self) -> &[Region] {
        &self.table[..self.count]
    }

    /// The parts of regions that lie in `range`, ascending.
    pub(crate) fn parts(&self, range: Range<usize>) -> impl Iterator<Item = Region> {
        let touched = self.all()[self.first_ending_after(range.start)..].iter();
        touched.take_while(move |region| region.start < range.end).map(move |region| region.within(&range))
    }

    /// Whether every byte of `range` is mapped.
    pub(crate) fn cover(&self, range: Range<usize>) -> bool {
        self.parts(range.clone()).map(|part| part.bytes()).sum::<usize>() == range.len()
    }

    /// Adds a range, of which nothing is mapped.
    pub(crate) fn add(&mut self, range: Range<usize>, access: Access) {
        debug_assert!(self.parts(range.clone()).next().is_none(), "mapped twice");
        let at = self.first_ending_after(range.start);
        self.insert(at, Region { start: range.start, end: range.end, access });
        self.merge();
    }

    /// Removes a range.
    pub(crate) fn remove(&mut self, range: Range<usize>) {
        let inside = self.cut_out(range);
        self.table.copy_within(inside.end..self.count, inside.start);
        self.count -= inside.len();
    }

    /// Sets the access of a range.
    pub(crate) fn set_access(&mut self, range: Range<usize>, access: Access) {
        let inside = self.cut_out(range);
        self.table[inside].iter_mut().for_each(|region| region.access = access);
        self.merge();
    }

    /// Bytes of all regions with that access.
    pub(crate) fn bytes_with(&self, access: Access) -> usize {
        self.all().iter().filter(|region| region.access == access).map(Region::bytes).sum()
    }

    fn first_ending_after(&self, address: usize) -> usize {
        self.all().partition_point(|region| region.end <= address)
    }

    /// Cuts at both ends; the indices of the regions that lie in `range`.
    fn cut_out(&mut self, range: Range<usize>) -> Range<usize> {
        self.cut(range.start);
        self.cut(range.end);
        self.first_ending_after(range.start)..self.all().partition_point(|region| region.end <= range.end)
    }

    /// Splits the region that has `address` inside.
    fn cut(&mut self, address: usize) {
        let at = self.first_ending_after(address);
        match self.all().get(at).copied() {
            Some(region) if region.start < address => {
                self.table[at].start = address;
                self.insert(at, Region { end: address, ..region });
            }
            _ => {}
        }
    }

    fn insert(&mut self, at: usize, region: Region) {
        assert!(self.count < CAPACITY, "sim: more regions than the table has room for");
        self.table.copy_within(at..self.count, at + 1);
        self.table[at] = region;
        self.count += 1;
    }

    /// Restores invariant 2.
    fn merge(&mut self) {
        let mut kept = 0;
        for next in 0..self.count {
            let region = self.table[next];
            match self.table[..kept].last_mut() {
                Some(last) if last.end == region.start && last.access == region.access => last.end = region.end,
                _ => {
                    self.table[kept] = region;
                    kept += 1;
                }
            }
        }
        self.count = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Access::{None as N, Read as R, ReadWrite as W};
    use std::sync::Mutex;
    use std::vec::Vec;

    /// The oracle: the access of every address below 64.
    type Picture = [Option<Access>; 64];

    fn picture(regions: &Regions) -> Picture {
        let mut picture = [None; 64];
        for region in regions.all() {
            picture[region.start..region.end].fill(Some(region.access));
        }
        picture
    }

    fn check_invariants(regions: &Regions) {
        assert!(regions.all().iter().all(|region| region.start < region.end));
        assert!(
            regions
                .all()
                .windows(2)
                .all(|w| w[0].end < w[1].start || w[0].end == w[1].start && w[0].access != w[1].access)
        );
    }

    /// A sequence of numbers without a pattern (Marsaglia, "Xorshift RNGs").
    fn numbers(mut state: u64) -> impl FnMut(usize) -> usize {
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 20) as usize % below
        }
    }

    #[test]
    fn agrees_with_a_picture_of_every_address() {
        // Too large for a thread's stack.
        static REGIONS: Mutex<Regions> = Mutex::new(Regions::new());
        let mut regions = REGIONS.lock().unwrap();
        let mut expected: Picture = [None; 64];
        let mut number = numbers(0x9e37_79b9_7f4a_7c15);
        for _ in 0..20_000 {
            let start = number(60);
            let range = start..start + 1 + number(64 - start - 1).min(11);
            let access = [N, R, W][number(3)];
            let mapped = expected[range.clone()].iter().filter(|a| a.is_some()).count();
            assert_eq!(regions.cover(range.clone()), mapped == range.len());
            match number(3) {
                0 if mapped == 0 => {
                    regions.add(range.clone(), access);
                    expected[range].fill(Some(access));
                }
                1 if mapped == range.len() => {
                    regions.set_access(range.clone(), access);
                    expected[range].fill(Some(access));
                }
                2 => {
                    regions.remove(range.clone());
                    expected[range].fill(None);
                }
                _ => {}
            }
            check_invariants(&regions);
            assert_eq!(picture(&regions), expected);
            let writable = expected.iter().filter(|&&a| a == Some(W)).count();
            assert_eq!(regions.bytes_with(W), writable);
        }
    }

    #[test]
    fn parts_are_clipped() {
        // Too large for a thread's stack.
        static REGIONS: Mutex<Regions> = Mutex::new(Regions::new());
        let mut regions = REGIONS.lock().unwrap();
        regions.add(10..20, N);
        regions.add(20..30, W);
        regions.add(40..50, N);
        let parts: Vec<_> = regions.parts(15..45).map(|part| (part.start, part.end, part.access)).collect();
        assert_eq!(parts, [(15, 20, N), (20, 30, W), (40, 45, N)]);
    }
}
