//! From the words of a page's description to a page, or to nothing: what can't be true is no fact.

use super::find::Table;
use super::snapshot::{Certainty, Owner, Page};
use crate::at;
use crate::process::Piece;
use ferrimalloc_core::runtime::Descriptor;
use std::mem::offset_of;

/// Flags in the owner word.
const UNOWNED: u64 = 1;
const HARDENED: u64 = 8;
const FLAGS: u64 = 15;
/// Of a page that the profiler's samples share: a thread that there is not.
const SAMPLES: u64 = !FLAGS;
/// The owner word of a slice that is not its page's first.
const STUB: u64 = 2;
/// Among the flags of a page.
const RETIRED: u64 = 8;
/// Its owner allocates from the list that it frees to.
const LIFO: u64 = 4;
/// In the byte of a page's age: some of its OS pages have been given back. Its side word then has the frontier.
const HOLES: u64 = 0x80;
const FRONTIER_SHIFT: u32 = 16;

/// Where fields lie, and what sizes there are.
#[derive(Clone, Debug)]
pub struct Layout {
    pub slice_bytes: u64,
    pub entry_bytes: usize,
    bins: u64,
    disguise: u64,
    at: Places,
}

#[derive(Clone, Debug)]
struct Places {
    owner: usize,
    remote: usize,
    used: usize,
    free: usize,
    local_free: usize,
    outstanding: usize,
    capacity: usize,
    flags: usize,
    bin: usize,
    block_bytes: usize,
    start: usize,
    heap: usize,
    handed: usize,
    arena: usize,
    slices: usize,
    reserved: usize,
    age_and_holes: usize,
    side_word: usize,
}

/// The words of a page's description, as they were read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    owner: u64,
    remote: u64,
    used: u64,
    pub free: u64,
    pub local_free: u64,
    outstanding: u64,
    capacity: u64,
    flags: u64,
    bin: u64,
    pub block_bytes: u64,
    /// The address of the first block.
    pub start: u64,
    pub heap: u64,
    handed: u64,
    pub arena: u64,
    pub slices: u64,
    reserved: u64,
    /// Whether OS pages of it have been given back.
    pub has_holes: bool,
    side_word: u64,
}

/// What an entry of the page map describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// No page, or a slice inside one.
    None,
    Page(Words),
    /// A page whose words contradict each other.
    Nonsense,
}

impl Layout {
    pub fn of(table: &Table) -> Layout {
        let at = |place: u64| place as usize;
        let shift = at!(table, start_disguise_shift);
        Layout {
            slice_bytes: at!(table, slice_bytes),
            entry_bytes: at(at!(table, entry_bytes)),
            bins: at!(table, bins),
            disguise: if shift == 0 { 0 } else { 1 << shift },
            at: Places {
                owner: at(at!(table, page.owner)),
                remote: at(at!(table, page.remote)),
                used: at(at!(table, page.used)),
                free: at(at!(table, page.free)),
                local_free: at(at!(table, page.local_free)),
                outstanding: at(at!(table, page.outstanding)),
                capacity: at(at!(table, page.capacity)),
                flags: at(at!(table, page.flags)),
                bin: at(at!(table, page.bin)),
                block_bytes: at(at!(table, page.block_bytes)),
                start: at(at!(table, page.start)),
                heap: at(at!(table, page.heap)),
                handed: at(at!(table, page.handed)),
                arena: at(at!(table, page.arena)),
                slices: at(at!(table, page.slices)),
                reserved: at(at!(table, page.reserved)),
                age_and_holes: at(at!(table, page.age_and_holes)),
                side_word: at(at!(table, page.side_word)),
            },
        }
    }

    /// What the entry of the slice at `address` says, in the arena that is described at `arena` (0: none) and has `room` slices
    /// from there on.
    pub fn entry(&self, bytes: &[u8], address: u64, arena: u64, room: u64) -> Entry {
        let number = |at: usize, width: usize| {
            let mut word = [0; 8];
            if let Some(field) = bytes.get(at..at + width) {
                word[..width].copy_from_slice(field);
            }
            u64::from_le_bytes(word)
        };
        let at = &self.at;
        let owner = number(at.owner, 8);
        if owner == 0 || owner == STUB {
            return Entry::None;
        }
        let words = Words {
            owner,
            remote: number(at.remote, 8),
            used: number(at.used, 2),
            free: number(at.free, 8),
            local_free: number(at.local_free, 8),
            outstanding: number(at.outstanding, 4),
            capacity: number(at.capacity, 2),
            flags: number(at.flags, 1),
            bin: number(at.bin, 1),
            block_bytes: number(at.block_bytes, 8),
            start: number(at.start, 8).wrapping_add(self.disguise),
            heap: number(at.heap, 8) & !1,
            handed: number(at.handed, 8),
            arena: number(at.arena, 8),
            slices: number(at.slices, 4),
            reserved: number(at.reserved, 2),
            has_holes: number(at.age_and_holes, 1) & HOLES != 0,
            side_word: number(at.side_word, 8),
        };
        if words.is_plausible(self, address, arena, room) { Entry::Page(words) } else { Entry::Nonsense }
    }
}

impl Words {
    /// Of nothing.
    pub const NONE: Words = Words {
        owner: 0,
        remote: 0,
        used: 0,
        free: 0,
        local_free: 0,
        outstanding: 0,
        capacity: 0,
        flags: 0,
        bin: 0,
        block_bytes: 0,
        start: 0,
        heap: 0,
        handed: 0,
        arena: 0,
        slices: 0,
        reserved: 0,
        has_holes: false,
        side_word: 0,
    };

    /// Relations that hold between the words of every page that is there.
    fn is_plausible(&self, layout: &Layout, address: u64, arena: u64, room: u64) -> bool {
        let Some(area) = self.slices.checked_mul(layout.slice_bytes) else { return false };
        let first = self.start.wrapping_sub(address);
        let lies_well = self.slices > 0 && self.slices <= room && self.arena == arena && first < area;
        let has_blocks = self.block_bytes > 0 && self.bin <= layout.bins;
        if !lies_well || !has_blocks {
            return false;
        }
        if self.is_single(layout) {
            return true;
        }
        let fits = first + self.reserved * self.block_bytes <= area;
        fits && self.reserved > 0
            && self.linked() <= self.reserved
            && self.capacity <= self.linked()
            && self.counted() <= self.capacity
    }

    pub fn is_single(&self, layout: &Layout) -> bool {
        self.bin == layout.bins
    }

    fn is_unowned(&self) -> bool {
        self.owner & UNOWNED != 0
    }

    pub fn is_hardened(&self) -> bool {
        self.owner & HARDENED != 0
    }

    /// Blocks in use or ready to be allocated, and those that wait in the remote list.
    fn counted(&self) -> u64 {
        match () {
            () if self.is_unowned() => self.used,
            () if self.is_lifo() => self.capacity,
            () => self.outstanding,
        }
    }

    fn is_lifo(&self) -> bool {
        self.flags & LIFO != 0
    }

    /// The first block that is ready to be allocated; 0: none.
    fn ready(&self) -> u64 {
        if self.is_lifo() { self.local_free } else { self.free }
    }

    /// The first block of what the profiler has cut off the list of an ordinary page; 0: nothing.
    pub fn rest(&self) -> u64 {
        let (first, count) = (self.side_word >> 32 & 0xFFFF, self.side_word >> 48);
        if count > 0 { self.start + first * self.block_bytes } else { 0 }
    }

    /// Blocks that wait in the remote list.
    pub fn remote_count(&self) -> u64 {
        self.remote >> 1 & 0xFFFF
    }

    /// The first of them.
    pub fn remote_first(&self) -> u64 {
        self.start + (self.remote >> 33) * 8
    }

    /// How many blocks have ever been linked; those of holes are not in `capacity`.
    pub fn linked(&self) -> u64 {
        if self.has_holes { self.side_word >> FRONTIER_SHIFT & 0xFFFF } else { self.capacity }
    }

    /// A thread that has claimed the page works on it, and has not said so elsewhere yet.
    fn is_being_claimed(&self) -> bool {
        self.is_unowned() && self.remote & 1 == 0
    }

    /// Whether blocks that are ready to be allocated are among those that the words count.
    fn counts_ready(&self, layout: &Layout) -> bool {
        !self.is_single(layout) && !self.is_unowned() && !self.is_hardened() && (self.ready() != 0 || self.rest() != 0)
    }

    /// Whether its lists say more than its words: how many blocks are ready, or where the free ones lie.
    pub fn has_lists(&self, layout: &Layout) -> bool {
        let is_ordinary = !self.is_single(layout) && !self.is_hardened() && !self.is_being_claimed();
        let has_any = self.free != 0 || self.rest() != 0 || self.local_free != 0 || self.remote_count() > 0;
        is_ordinary && (self.has_holes || has_any)
    }

    /// Where the system's pages that have been given back are told: a word for each slice, of the page whose entry is there.
    pub fn hole_words(&self, layout: &Layout, entry: u64) -> Vec<Piece> {
        let slices = if self.has_holes { self.slices } else { 0 };
        let word = |slice: u64| entry + slice * layout.entry_bytes as u64 + layout.at.side_word as u64;
        (0..slices).map(|slice| Piece::new(word(slice), 8)).collect()
    }

    /// The page, of whose blocks so many are in use by its lists; `None`: they were not followed.
    pub fn page(&self, layout: &Layout, address: u64, in_use: Option<u64>) -> Page {
        let waiting = self.remote_count();
        let most = self.counted().saturating_sub(waiting);
        let single = self.is_single(layout);
        let (used, certainty) = match in_use {
            _ if single => (1, Certainty::Exact),
            _ if self.is_being_claimed() => (most, Certainty::Moving),
            Some(in_use) => (in_use, Certainty::Exact),
            None if self.counts_ready(layout) => (most, Certainty::AtMost),
            None => (most, Certainty::Exact),
        };
        Page {
            address,
            arena: None,
            slices: self.slices as u32,
            block_bytes: self.block_bytes,
            start: (self.start - address) as u32,
            reserved: if single { 1 } else { self.reserved as u16 },
            capacity: if single { 1 } else { self.linked() as u16 },
            used: used as u16,
            certainty,
            owner: self.owner_of(single),
            heap: 0,
            handed: self.handed,
            is_retired: self.flags & RETIRED != 0,
            is_hardened: self.is_hardened(),
            resident: None,
            holes: None,
        }
    }

    fn owner_of(&self, single: bool) -> Owner {
        match self.owner & !FLAGS {
            _ if single => Owner::Single,
            thread if !self.is_unowned() => Owner::Thread(thread),
            0 => Owner::Abandoned,
            SAMPLES => Owner::Samples,
            thread => Owner::GivenUp(thread),
        }
    }
}

/// Where the fields of the table that lead to pages are.
pub const MAIN_SUBPROC: usize = offset_of!(Descriptor, main_subproc);
