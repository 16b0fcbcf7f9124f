//! What a snapshot says: which classes hold how much for how little, and what could be given back.

use super::snapshot::{Certainty, Owner, Page, Snapshot};
use std::collections::BTreeMap;

/// All pages of one block size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Class {
    /// 0: all blocks that have a page of their own.
    pub block_bytes: u64,
    pub pages: u64,
    pub blocks: u64,
    /// How many blocks would fit.
    pub room: u64,
    pub live_bytes: u64,
    /// Memory that its pages hold.
    pub held_bytes: u64,
    /// The part of it that no block uses.
    pub idle_bytes: u64,
    /// Pages of whose blocks less than a quarter is in use, what they hold, and the blocks that keep them.
    pub sparse_pages: u64,
    pub sparse_held_bytes: u64,
    pub sparse_blocks: u64,
    /// Whole OS pages of its pages that no block in use touches.
    pub hole_bytes: u64,
}

/// Whose pages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Share {
    pub pages: u64,
    pub blocks: u64,
    pub live_bytes: u64,
    pub held_bytes: u64,
}

/// What giving memory back would give. Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Gains {
    /// Of free slices: what a purge takes.
    pub purge_bytes: u64,
    /// Of empty pages that threads keep for a while: what a forced collection of those threads takes.
    pub retired_bytes: u64,
    /// Of OS pages inside pages in use that no block touches: what no purge takes. `None`: lists were not followed.
    pub hole_bytes: Option<u64>,
}

/// The sums.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Analysis {
    /// By block size; the last is that of big blocks.
    pub classes: Vec<Class>,
    pub threads: BTreeMap<u64, Share>,
    pub abandoned: Share,
    pub given_up: Share,
    pub singles: Share,
    pub heaps: BTreeMap<u16, Share>,
    pub pages: u64,
    pub blocks: u64,
    pub live_bytes: u64,
    /// What pages hold.
    pub held_bytes: u64,
    /// Of arenas.
    pub reserved_bytes: u64,
    pub accessible_bytes: u64,
    /// Free slices with memory behind them: as many bytes, and what of it is resident.
    pub unused_bytes: u64,
    pub unused_resident_bytes: Option<u64>,
    /// Slices that are neither free nor a page's: the allocator's own.
    pub own_bytes: u64,
    pub own_resident_bytes: Option<u64>,
    /// Slices that changed hands while the heap was read, or whose descriptions could not be read.
    pub changing_bytes: u64,
    pub gains: Gains,
    /// Pages whose number of blocks is not known for sure.
    pub moving_pages: u64,
    pub at_most_pages: u64,
}

/// A page is sparse if less than a quarter of it is in use.
pub const SPARSE: f64 = 0.25;

impl Analysis {
    pub fn of(snapshot: &Snapshot) -> Analysis {
        let mut all = Analysis::default();
        let mut classes: BTreeMap<u64, Class> = BTreeMap::new();
        for page in &snapshot.pages {
            // Behind all others.
            let key = if page.is_single() { u64::MAX } else { page.block_bytes };
            classes.entry(key).or_default().add(page);
            all.add_page(page);
        }
        for (key, class) in &mut classes {
            class.block_bytes = if *key == u64::MAX { 0 } else { *key };
        }
        all.classes = classes.into_values().collect();
        all.add_slices(snapshot);
        let followed = snapshot.pages.iter().any(|page| page.holes.is_some());
        all.gains.hole_bytes = followed.then(|| all.classes.iter().map(|class| class.hole_bytes).sum());
        all
    }

    fn add_page(&mut self, page: &Page) {
        self.pages += 1;
        self.blocks += u64::from(page.used);
        self.live_bytes += live_bytes(page);
        self.held_bytes += page.held_bytes();
        self.moving_pages += u64::from(page.certainty == Certainty::Moving);
        self.at_most_pages += u64::from(page.certainty == Certainty::AtMost);
        if page.is_retired && page.used == 0 {
            self.gains.retired_bytes += page.held_bytes();
        }
        self.heaps.entry(page.heap).or_default().add(page);
        match page.owner {
            Owner::Thread(number) => self.threads.entry(number).or_default().add(page),
            Owner::GivenUp(_) => self.given_up.add(page),
            Owner::Abandoned => self.abandoned.add(page),
            Owner::Single | Owner::Samples => self.singles.add(page),
        }
    }

    fn add_slices(&mut self, snapshot: &Snapshot) {
        let (slice_bytes, os_page) = (snapshot.slice_bytes, snapshot.os_page_bytes);
        let mut taken: u64 = 0;
        for (number, arena) in snapshot.arenas.iter().enumerate() {
            let paged = paged_slices(snapshot, number);
            self.reserved_bytes += arena.bytes(slice_bytes);
            for (slice, is_paged) in paged.into_iter().enumerate() {
                self.accessible_bytes += u64::from(arena.is_committed(slice)) * slice_bytes;
                let resident = arena.resident.get(slice).map(|parts| u64::from(*parts) * os_page);
                if arena.is_changing(slice) && !is_paged {
                    self.changing_bytes += slice_bytes;
                } else if arena.is_purgeable(slice) {
                    self.unused_bytes += slice_bytes;
                    add(&mut self.unused_resident_bytes, resident);
                } else if !arena.is_free(slice) && !is_paged {
                    taken += slice_bytes;
                    add(&mut self.own_resident_bytes, resident);
                }
            }
        }
        self.own_bytes = taken;
        self.gains.purge_bytes = self.unused_resident_bytes.unwrap_or(self.unused_bytes);
    }

    /// From 0 to 1: how much of the memory that pages hold is not in use.
    pub fn idle_share(&self) -> f64 {
        if self.held_bytes == 0 {
            return 0.0;
        }
        1.0 - self.live_bytes.min(self.held_bytes) as f64 / self.held_bytes as f64
    }

    /// Classes by what they hold for nobody, most first.
    pub fn by_waste(&self) -> Vec<&Class> {
        let mut classes: Vec<&Class> = self.classes.iter().collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.idle_bytes));
        classes
    }
}

/// Which slices of an arena are pages'.
pub fn paged_slices(snapshot: &Snapshot, arena: usize) -> Vec<bool> {
    let mut paged = vec![false; snapshot.arenas[arena].slices as usize];
    for page in &snapshot.pages[snapshot.pages_of(arena)] {
        let Some((_, slice)) = snapshot.slice_of(page) else { continue };
        let end = (slice + page.slices as usize).min(paged.len());
        paged[slice.min(end)..end].fill(true);
    }
    paged
}

/// Of a page of one block that is not all resident, what is: its user has not touched the rest.
fn live_bytes(page: &Page) -> u64 {
    if page.is_single() { page.used_bytes().min(page.held_bytes()) } else { page.used_bytes() }
}

fn add(sum: &mut Option<u64>, bytes: Option<u64>) {
    if let Some(bytes) = bytes {
        *sum = Some(sum.unwrap_or(0) + bytes);
    }
}

impl Class {
    fn add(&mut self, page: &Page) {
        self.pages += 1;
        self.blocks += u64::from(page.used);
        self.room += u64::from(page.reserved);
        self.live_bytes += live_bytes(page);
        self.held_bytes += page.held_bytes();
        self.idle_bytes += page.idle_bytes();
        self.hole_bytes += u64::from(page.holes.unwrap_or(0));
        if page.occupancy() < SPARSE {
            self.sparse_pages += 1;
            self.sparse_held_bytes += page.held_bytes();
            self.sparse_blocks += u64::from(page.used);
        }
    }
}

impl Share {
    fn add(&mut self, page: &Page) {
        self.pages += 1;
        self.blocks += u64::from(page.used);
        self.live_bytes += live_bytes(page);
        self.held_bytes += page.held_bytes();
    }
}

/// The pages that hold most for nobody, by number; at most so many.
pub fn worst_pages(snapshot: &Snapshot, most: usize) -> Vec<usize> {
    let mut pages: Vec<usize> =
        (0..snapshot.pages.len()).filter(|index| snapshot.pages[*index].idle_bytes() > 0).collect();
    pages.sort_by_key(|index| std::cmp::Reverse(snapshot.pages[*index].idle_bytes()));
    pages.truncate(most);
    pages
}

#[cfg(test)]
mod tests {
    use super::super::snapshot::Arena;
    use super::*;

    fn page(address: u64, used: u16, owner: Owner) -> Page {
        Page {
            address,
            arena: Some(0),
            slices: 1,
            block_bytes: 1024,
            reserved: 60,
            capacity: 40,
            used,
            owner,
            resident: Some(49152),
            holes: Some(4096),
            ..Page::default()
        }
    }

    #[test]
    fn sums_are_those_of_the_pages() {
        let arena = Arena {
            address: 0x10000,
            slices: 5,
            info_slices: 1,
            free: vec![0b11000],
            purge: vec![0b01000],
            committed: vec![0b11111],
            resident: vec![2, 12, 12, 16, 0],
            ..Arena::default()
        };
        let pages = vec![page(0x20000, 30, Owner::Thread(7)), page(0x30000, 3, Owner::Abandoned)];
        let snapshot =
            Snapshot { slice_bytes: 65536, os_page_bytes: 4096, arenas: vec![arena], pages, ..Snapshot::default() };
        let analysis = Analysis::of(&snapshot);
        assert_eq!((analysis.pages, analysis.blocks, analysis.live_bytes), (2, 33, 33 << 10));
        assert_eq!(analysis.held_bytes, 2 * 49152);
        assert_eq!(analysis.gains, Gains { purge_bytes: 65536, retired_bytes: 0, hole_bytes: Some(8192) });
        assert_eq!((analysis.own_bytes, analysis.own_resident_bytes), (65536, Some(8192)));
        let class = analysis.classes[0];
        assert_eq!((class.sparse_pages, class.sparse_blocks, class.sparse_held_bytes), (1, 3, 49152));
        assert_eq!(class.idle_bytes, 2 * 49152 - (33 << 10));
        assert_eq!(analysis.threads[&7].blocks, 30);
        assert_eq!(analysis.abandoned.pages, 1);
        assert_eq!(worst_pages(&snapshot, 1), [1]);
    }
}
