//! Reading a heap: arenas, slices, pages, fields, while the process runs.
//!
//! Nothing is locked and nobody is stopped. What was read once may be a mixture of two moments; so every description is
//! read again, and counts as seen only when two looks agree and its words make sense together. One that goes on changing,
//! as a thread allocates and frees there, is kept as *moving*: its place and kind are facts, its count is said to be none.

use super::blocks::{self, Links};
use super::decode::{Entry, Layout, MAIN_SUBPROC, Words};
use super::find::{self, Library, Table};
use super::owners;
use super::snapshot::{Arena, Certainty, Counters, Heap, Owner, Page, Snapshot, Source, Trouble};
use crate::at;
use crate::failure::{Exit, Failure, Result};
use crate::process::live::os_page_bytes;
use crate::process::{Memory, Piece};
use ferrimalloc_core::runtime::Descriptor;
use ferrimalloc_core::stats::{RawStats, STAT_VERSION};
use std::collections::{HashMap, HashSet};
use std::mem::{offset_of, size_of};
use std::time::{SystemTime, UNIX_EPOCH};

/// More are in no process: what says so is no list.
const MOST_ARENAS: u64 = 160;
const MOST_SLICES: u64 = 1 << 22;
const MOST_HEAPS: usize = 1 << 16;
const MOST_THEAPS: usize = 1 << 18;
const MOST_SUBPROCS: usize = 1 << 12;
const MOST_OS_PAGES: usize = 1 << 20;
/// Descriptions that are read at a time.
const ENTRIES_PER_READ: u64 = 1024;
/// How often something that changes is read again.
const TRIES: usize = 16;
/// How often the lists of a page are followed again.
const WALKS: usize = 4;
/// What pages' lists are read in: bytes at a time.
const WALK_BYTES: u64 = 16 << 20;

/// How much is read of the process to count blocks exactly.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Descriptions only: what lies ready to be allocated counts as in use.
    Descriptions,
    /// The lists of pages too.
    Lists,
}

/// A page that was found.
struct Seen {
    address: u64,
    /// Where its description lies.
    entry: u64,
    arena: Option<u16>,
    /// The description's bytes, as they were read last.
    bytes: Vec<u8>,
    words: Words,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Two looks agreed; what its lists say, if they were followed.
    Settled(Option<Lists>),
    Moving,
    /// Not there any more, or it never made sense.
    Gone,
}

/// What a page's lists say.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Lists {
    in_use: u64,
    hole_bytes: u64,
}

/// A range of the page map.
struct Range {
    top: u64,
    end: u64,
    bytes: u64,
}

struct Reader<'a> {
    memory: &'a dyn Memory,
    table: &'a Table,
    layout: Layout,
    ranges: Vec<Range>,
    trouble: Trouble,
    /// Slices of pages that were there at the first look only: arena and slice.
    gone: Vec<(u16, u64)>,
}

/// Looks at the heap of a process.
pub fn read(memory: &dyn Memory, depth: Depth) -> Result<Snapshot> {
    let library = find::library(memory)?;
    let mut reader = Reader::new(memory, &library.table);
    reader.ranges = reader.ranges();
    reader.snapshot(&library, depth)
}

fn changing() -> Failure {
    Failure::new(
        Exit::Unreadable,
        "the allocator's own lists could not be read: they kept changing, or the process ended",
        "Try again; if it goes on, `gcore PID` and read the core file.",
    )
}

impl<'a> Reader<'a> {
    fn new(memory: &'a dyn Memory, table: &'a Table) -> Reader<'a> {
        Reader {
            memory,
            table,
            layout: Layout::of(table),
            ranges: Vec::new(),
            trouble: Trouble::default(),
            gone: Vec::new(),
        }
    }

    fn snapshot(&mut self, library: &Library, depth: Depth) -> Result<Snapshot> {
        let subprocs = self.subprocs()?;
        let heaps = self.heaps(&subprocs);
        let mut arenas = self.arenas(&subprocs)?;
        let mut seen = self.pages_of_arenas(&arenas);
        seen.extend(self.os_pages(&heaps));
        self.settle(&mut seen, &arenas);
        if depth == Depth::Lists {
            self.count_ready(&mut seen, &arenas);
        }
        self.refresh_bitmaps(&mut arenas);
        let mut snapshot = Snapshot {
            source: self.source(library),
            slice_bytes: self.layout.slice_bytes,
            os_page_bytes: os_page_bytes() as u64,
            counters: self.counters(&subprocs, &heaps),
            pages: self.finish(&seen, &heaps),
            arenas: arenas.into_iter().map(|(_, arena)| arena).collect(),
            heaps,
            ..Snapshot::default()
        };
        self.residency(&mut snapshot);
        snapshot.threads = self.threads(&snapshot);
        snapshot.trouble = self.trouble;
        if !self.is_still_there() {
            return Err(changing());
        }
        Ok(snapshot)
    }

    /// A process that has ended meanwhile leaves zeros.
    fn is_still_there(&self) -> bool {
        let own = self.table.word(offset_of!(Descriptor, own));
        self.word(own + MAIN_SUBPROC as u64) == Some(self.table.word(MAIN_SUBPROC))
    }

    fn word(&self, address: u64) -> Option<u64> {
        self.memory.word(address)
    }

    fn source(&self, library: &Library) -> Source {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Source {
            pid: self.memory.pid(),
            command: self.memory.command(),
            seconds: now.map_or(0, |now| now.as_secs()),
            library: library.path.display().to_string(),
            library_version: self.table.library_version(),
            resident_bytes: self.memory.resident_bytes(),
            is_live: self.memory.is_live(),
        }
    }

    fn ranges(&self) -> Vec<Range> {
        let [top, end, outside] =
            [0, 1, 2].map(|index| u64::from(self.table.number(offset_of!(Descriptor, range_words) + index * 4)));
        let range = |address: u64| {
            let [top, end, outside] = [top, end, outside].map(|at| self.word(address + at));
            Some(Range { top: top?, end: end?, bytes: !outside? })
        };
        let far = self.table.word(offset_of!(Descriptor, far_ranges));
        let count = self.word(self.table.word(offset_of!(Descriptor, far_count))).unwrap_or(0).min(63);
        let step = at!(self.table, range_bytes);
        let home = self.table.word(offset_of!(Descriptor, home_range));
        let all = std::iter::once(home).chain((0..count).map(|index| far + index * step));
        all.filter_map(range).filter(|range| range.bytes > 0).collect()
    }

    /// Where a slice's description lies.
    fn entry_of(&self, address: u64) -> Option<u64> {
        let range = self.ranges.iter().find(|range| {
            let below = range.top.wrapping_sub(address);
            below > 0 && below <= range.bytes
        })?;
        let slices = (range.top - address) / self.layout.slice_bytes;
        Some(range.end.wrapping_sub(slices * self.layout.entry_bytes as u64))
    }

    /// The slice that an entry describes.
    fn slice_of(&self, entry: u64) -> Option<u64> {
        let entry_bytes = self.layout.entry_bytes as u64;
        let entries = |range: &Range| range.end.wrapping_sub(entry) / entry_bytes;
        let range = self.ranges.iter().find(|range| {
            let behind = range.end.wrapping_sub(entry);
            behind > 0 && entries(range) <= range.bytes / self.layout.slice_bytes
        })?;
        Some(range.top - entries(range) * self.layout.slice_bytes)
    }

    /// Follows a list: from each element to the next, until null, or one that was met before: memory that is used for
    /// something else by now may seem to be a circle.
    fn list(&self, first: u64, next_at: u64, most: usize) -> Vec<u64> {
        let (mut found, mut met) = (Vec::new(), HashSet::new());
        let mut element = first;
        while element != 0 && found.len() < most && element.is_multiple_of(8) && met.insert(element) {
            found.push(element);
            element = self.word(element.wrapping_add(next_at)).unwrap_or(0);
        }
        found
    }

    /// The same list twice, or what two looks have in common after some tries.
    fn settled_list(&mut self, head: u64, next_at: u64, most: usize) -> Vec<u64> {
        let look = |reader: &Self| reader.list(reader.word(head).unwrap_or(0), next_at, most);
        let mut before = look(self);
        for _ in 0..TRIES {
            let now = look(self);
            if now == before {
                return now;
            }
            self.trouble.again += 1;
            before = now;
        }
        let last = look(self);
        before.retain(|element| last.contains(element));
        before
    }

    fn subprocs(&mut self) -> Result<Vec<u64>> {
        let main = self.table.word(MAIN_SUBPROC);
        let own = self.table.word(offset_of!(Descriptor, own));
        let newest = self.word(own + offset_of!(Descriptor, newest_subproc) as u64).ok_or_else(changing)?;
        let mut all = vec![main];
        if newest != 0 {
            all.extend(self.settled_list(newest, at!(self.table, subproc.next), MOST_SUBPROCS));
        }
        Ok(all)
    }

    /// Heaps that belong to their sub-process by their own word, too.
    fn heaps(&mut self, subprocs: &[u64]) -> Vec<Heap> {
        let mut heaps = Vec::new();
        for (number, subproc) in subprocs.iter().enumerate() {
            let first = subproc + at!(self.table, subproc.first_heap);
            for address in self.settled_list(first, at!(self.table, heap.next), MOST_HEAPS) {
                let id = self.word(address + at!(self.table, heap.id));
                let is_theirs = self.word(address + at!(self.table, heap.subproc)) == Some(*subproc);
                if let (Some(id), true) = (id, is_theirs) {
                    heaps.push(Heap { address, id, subproc: number as u32 });
                }
            }
        }
        heaps.sort_by_key(|heap| heap.id);
        heaps
    }

    /// With the address of each one's description.
    fn arenas(&mut self, subprocs: &[u64]) -> Result<Vec<(u64, Arena)>> {
        let mut arenas = Vec::new();
        for (number, subproc) in subprocs.iter().enumerate() {
            let count = self.word(subproc + at!(self.table, subproc.arena_count)).ok_or_else(changing)?;
            let places = subproc + at!(self.table, subproc.arenas);
            for place in 0..count.min(MOST_ARENAS) {
                // Null while it is being added.
                let description = self.word(places + place * 8).unwrap_or(0);
                arenas.extend(self.arena(description, number as u32).map(|arena| (description, arena)));
            }
        }
        Ok(arenas)
    }

    fn arena(&self, description: u64, subproc: u32) -> Option<Arena> {
        if description == 0 {
            return None;
        }
        let word = |at: u64| self.word(description + at);
        let (address, slices) = (word(at!(self.table, arena.start))?, word(at!(self.table, arena.slices))?);
        let info_slices = word(at!(self.table, arena.info_slices))?;
        // What is constant is read once, and must make sense: an arena that has slices for its structures begins with them.
        let is_one = (description == address || info_slices == 0)
            && address.is_multiple_of(self.layout.slice_bytes)
            && (1..=MOST_SLICES).contains(&slices)
            && info_slices < slices;
        is_one.then_some(())?;
        let mut arena =
            Arena { address, slices: slices as u32, info_slices: info_slices as u32, subproc, ..Arena::default() };
        self.bitmaps(description, &mut arena).then_some(arena)
    }

    /// Reads the bitmaps of an arena in one call.
    fn bitmaps(&self, description: u64, arena: &mut Arena) -> bool {
        let words = (arena.slices as usize).div_ceil(64);
        let place = offset_of!(Descriptor, arena.bitmaps);
        let fields = |index: usize| self.word(description + u64::from(self.table.number(place + index * 4)));
        let addresses: Option<Vec<u64>> = (0..4).map(fields).collect();
        let Some(addresses) = addresses else { return false };
        let pieces: Vec<Piece> = addresses.iter().map(|address| Piece::new(*address, words * 8)).collect();
        let mut bytes = Vec::new();
        if self.memory.read_pieces(&pieces, &mut bytes).contains(&false) {
            return false;
        }
        let mut maps = bytes.chunks_exact(words * 8).map(words_of);
        for map in [&mut arena.free, &mut arena.committed, &mut arena.dirty, &mut arena.purge] {
            *map = maps.next().unwrap_or_default();
        }
        true
    }

    /// After the pages: a slice that was taken or given back meanwhile is what it is now.
    fn refresh_bitmaps(&self, arenas: &mut [(u64, Arena)]) {
        for (description, arena) in arenas.iter_mut() {
            let before = arena.free.clone();
            self.bitmaps(*description, arena);
            let changed = before.iter().zip(&arena.free).map(|(before, now)| before ^ now);
            arena.changing = changed.collect();
        }
        for (number, slice) in &self.gone {
            if let Some(word) = arenas[usize::from(*number)].1.changing.get_mut(*slice as usize / 64) {
                *word |= 1 << (slice % 64);
            }
        }
    }

    fn pages_of_arenas(&mut self, arenas: &[(u64, Arena)]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (number, described) in arenas.iter().enumerate() {
            let mut slice = u64::from(described.1.info_slices);
            while let Some(run) = next_taken(&described.1, slice) {
                slice = self.pages_of_run(number as u16, described, run, &mut seen);
            }
        }
        seen
    }

    /// Reads descriptions of some slices that are taken; answers where to go on: behind the last page.
    fn pages_of_run(
        &mut self,
        number: u16,
        (description, arena): &(u64, Arena),
        run: std::ops::Range<u64>,
        seen: &mut Vec<Seen>,
    ) -> u64 {
        let end = run.end.min(run.start + ENTRIES_PER_READ);
        let slice_bytes = self.layout.slice_bytes;
        let Some(first) = self.entry_of(arena.address + run.start * slice_bytes) else { return run.end };
        let entry_bytes = self.layout.entry_bytes;
        let count = (end - run.start) as usize;
        let Some(bytes) = self.memory.read(first, count * entry_bytes) else {
            // A core file may be without them: what the slices are is not known.
            self.gone.extend((run.start..end).map(|slice| (number, slice)));
            self.trouble.unreadable += count as u32;
            return end;
        };
        let mut slice = run.start;
        while slice < end {
            let index = (slice - run.start) as usize;
            let bytes = &bytes[index * entry_bytes..(index + 1) * entry_bytes];
            let address = arena.address + slice * slice_bytes;
            let entry = first + (index * entry_bytes) as u64;
            let found = self.layout.entry(bytes, address, *description, u64::from(arena.slices) - slice);
            let mut note = |words, state| {
                seen.push(Seen { address, entry, arena: Some(number), bytes: bytes.to_vec(), words, state });
            };
            match found {
                Entry::Page(words) => {
                    note(words, State::Settled(None));
                    slice += words.slices;
                    continue;
                }
                // To be read again.
                Entry::Nonsense => note(NO_WORDS, State::Moving),
                Entry::None => {}
            }
            slice += 1;
        }
        slice
    }

    /// Pages with a mapping of their own, on a list of each heap.
    fn os_pages(&mut self, heaps: &[Heap]) -> Vec<Seen> {
        let mut seen = Vec::new();
        for heap in heaps {
            let first = heap.address + at!(self.table, heap.first_os_page);
            for entry in self.settled_list(first, at!(self.table, page.next), MOST_OS_PAGES) {
                let (Some(address), Some(bytes)) =
                    (self.slice_of(entry), self.memory.read(entry, self.layout.entry_bytes))
                else {
                    continue;
                };
                if let Entry::Page(words) = self.layout.entry(&bytes, address, 0, MOST_SLICES) {
                    seen.push(Seen { address, entry, arena: None, bytes, words, state: State::Settled(None) });
                }
            }
        }
        seen
    }

    /// Reads every description again: it is a fact if it is the same, else it is read until two looks agree.
    fn settle(&mut self, seen: &mut Vec<Seen>, arenas: &[(u64, Arena)]) {
        let pieces: Vec<Piece> = seen.iter().map(|page| Piece::new(page.entry, self.layout.entry_bytes)).collect();
        let mut now = Vec::new();
        let read = self.memory.read_pieces(&pieces, &mut now);
        for (index, page) in seen.iter_mut().enumerate() {
            let bytes = &now[index * self.layout.entry_bytes..(index + 1) * self.layout.entry_bytes];
            if page.state == State::Moving || !read[index] || page.bytes != bytes {
                self.settle_one(page, arenas);
            }
        }
        for page in seen.iter().filter(|page| page.state == State::Gone) {
            let Some(number) = page.arena else { continue };
            let first = (page.address - arenas[usize::from(number)].1.address) / self.layout.slice_bytes;
            self.gone.extend((first..first + page.words.slices.max(1)).map(|slice| (number, slice)));
        }
        seen.retain(|page| page.state != State::Gone);
    }

    /// Two looks in one call of the system, so that little can happen between them.
    fn settle_one(&mut self, page: &mut Seen, arenas: &[(u64, Arena)]) {
        let piece = Piece::new(page.entry, self.layout.entry_bytes);
        let slice_of = |arena: &Arena| (page.address - arena.address) / self.layout.slice_bytes;
        let (description, room) = page.arena.map_or((0, MOST_SLICES), |number| {
            let (description, arena) = &arenas[usize::from(number)];
            (*description, u64::from(arena.slices) - slice_of(arena))
        });
        let mut last = Entry::Nonsense;
        let mut bytes = Vec::new();
        for _ in 0..TRIES {
            self.trouble.again += 1;
            if self.memory.read_pieces(&[piece, piece], &mut bytes).contains(&false) {
                page.state = State::Gone;
                return;
            }
            let (one, two) = bytes.split_at(self.layout.entry_bytes);
            last = self.layout.entry(two, page.address, description, room);
            match last {
                Entry::None => {
                    page.state = State::Gone;
                    return;
                }
                Entry::Page(words) if one == two => {
                    (page.words, page.bytes, page.state) = (words, two.to_vec(), State::Settled(None));
                    return;
                }
                Entry::Page(words) => (page.words, page.bytes) = (words, two.to_vec()),
                Entry::Nonsense => {}
            }
        }
        page.state = if let Entry::Page(_) = last { State::Moving } else { State::Gone };
        self.trouble.unreadable += u32::from(page.state == State::Gone);
    }

    /// Counts the blocks that lie ready in pages that threads own.
    fn count_ready(&mut self, seen: &mut [Seen], arenas: &[(u64, Arena)]) {
        let mut waiting: Vec<usize> = (0..seen.len()).filter(|index| self.is_to_be_walked(&seen[*index])).collect();
        for _ in 0..WALKS {
            let mut again = Vec::new();
            let mut rest = waiting.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(walk_batch(seen, rest));
                again.extend(self.walk_batch(seen, now));
                rest = later;
            }
            for index in &again {
                self.settle_one(&mut seen[*index], arenas);
            }
            again.retain(|index| self.is_to_be_walked(&seen[*index]));
            waiting = again;
        }
        waiting.into_iter().for_each(|index| seen[index].state = State::Moving);
    }

    fn is_to_be_walked(&self, page: &Seen) -> bool {
        page.state == State::Settled(None) && page.words.has_lists(&self.layout)
    }

    /// Follows the lists of some pages in copies, and looks whether the pages changed meanwhile; answers those.
    fn walk_batch(&self, seen: &mut [Seen], pages: &[usize]) -> Vec<usize> {
        let pieces: Vec<Vec<Piece>> =
            pages.iter().map(|index| blocks::pieces(&seen[*index].words, &self.layout, seen[*index].entry)).collect();
        let (mut bytes, mut now) = (Vec::new(), Vec::new());
        self.memory.read_pieces(&pieces.concat(), &mut bytes);
        let entries: Vec<Piece> =
            pages.iter().map(|index| Piece::new(seen[*index].entry, self.layout.entry_bytes)).collect();
        self.memory.read_pieces(&entries, &mut now);
        let mut again = Vec::new();
        let mut start = 0;
        for (place, index) in pages.iter().enumerate() {
            let end = start + pieces[place].iter().map(|piece| piece.bytes).sum::<usize>();
            let page = &mut seen[*index];
            let entry = &now[place * self.layout.entry_bytes..(place + 1) * self.layout.entry_bytes];
            let links = Links::new(&page.words, &bytes[start..end]);
            match links.in_use(os_page_bytes() as u64) {
                Some(bits) if page.bytes == entry => {
                    let hole_bytes = links.holes(&bits, os_page_bytes() as u64);
                    page.state = State::Settled(Some(Lists { in_use: blocks::count(&bits), hole_bytes }));
                }
                _ => again.push(*index),
            }
            start = end;
        }
        again
    }

    fn finish(&mut self, seen: &[Seen], heaps: &[Heap]) -> Vec<Page> {
        let heap_of: HashMap<u64, u16> =
            heaps.iter().enumerate().map(|(number, heap)| (heap.address, number as u16)).collect();
        let page = |seen: &Seen| {
            let (lists, moves) = match seen.state {
                State::Settled(lists) => (lists, false),
                _ => (None, true),
            };
            let page = seen.words.page(&self.layout, seen.address, lists.map(|lists| lists.in_use));
            let moves = moves && !page.is_single();
            Page {
                arena: seen.arena,
                heap: heap_of.get(&seen.words.heap).copied().unwrap_or(u16::MAX),
                certainty: if moves { Certainty::Moving } else { page.certainty },
                holes: lists.map(|lists| lists.hole_bytes as u32),
                ..page
            }
        };
        let mut pages: Vec<Page> = seen.iter().map(page).collect();
        pages.sort_by_key(|page| page.address);
        let before = pages.len();
        drop_overlaps(&mut pages, self.layout.slice_bytes);
        self.trouble.unreadable += (before - pages.len()) as u32;
        self.trouble.moving = pages.iter().filter(|page| page.certainty == Certainty::Moving).count() as u32;
        pages
    }

    /// What is resident of slices that are taken, or wait to be purged.
    fn residency(&self, snapshot: &mut Snapshot) {
        let slice_bytes = snapshot.slice_bytes;
        let os_page = snapshot.os_page_bytes;
        for arena in &mut snapshot.arenas {
            let mut resident = vec![0_u8; arena.slices as usize];
            let mut slice = 0;
            let matters = |slice: usize| !arena.is_free(slice) || arena.is_purgeable(slice);
            while slice < resident.len() {
                let end = (slice..resident.len()).find(|slice| !matters(*slice)).unwrap_or(resident.len());
                if end > slice {
                    let from = arena.address + slice as u64 * slice_bytes;
                    let Some(bytes) = self.memory.resident(from, end - slice, slice_bytes as usize) else { return };
                    let in_os_pages = bytes.iter().map(|bytes| (u64::from(*bytes) / os_page).min(255) as u8);
                    resident.splice(slice..end, in_os_pages);
                }
                slice = (end..resident.len()).find(|slice| matters(*slice)).unwrap_or(resident.len());
            }
            arena.resident = resident;
        }
        let mut pages = std::mem::take(&mut snapshot.pages);
        for page in &mut pages {
            page.resident = match snapshot.slice_of(page) {
                Some((arena, slice)) => {
                    let parts = snapshot.arenas[arena].resident.get(slice..slice + page.slices as usize);
                    parts.map(|parts| parts.iter().map(|part| u64::from(*part) * os_page).sum())
                }
                None => {
                    let bytes = self.memory.resident(page.address, page.slices as usize, slice_bytes as usize);
                    bytes.map(|bytes| bytes.iter().map(|bytes| u64::from(*bytes)).sum())
                }
            };
        }
        snapshot.pages = pages;
    }

    /// Threads that have a theap, and those that own pages.
    fn threads(&mut self, snapshot: &Snapshot) -> Vec<super::Thread> {
        let mut numbers = Vec::new();
        for heap in &snapshot.heaps {
            let first = heap.address + at!(self.table, heap.first_theap);
            for links in self.settled_list(first, at!(self.table, theap.next), MOST_THEAPS) {
                let theap = links.wrapping_sub(at!(self.table, theap.links));
                numbers.extend(self.word(theap + at!(self.table, theap.tid)).filter(|number| *number != 0));
            }
        }
        numbers.extend(snapshot.pages.iter().filter_map(|page| match page.owner {
            Owner::Thread(number) => Some(number),
            _ => None,
        }));
        numbers.sort_unstable();
        numbers.dedup();
        owners::threads(self.memory, &numbers)
    }

    fn counters(&self, subprocs: &[u64], heaps: &[Heap]) -> Counters {
        let mut sum = RawStats::new();
        let of_subprocs = subprocs.iter().map(|subproc| subproc + at!(self.table, subproc.stats));
        let of_heaps = heaps.iter().map(|heap| heap.address + at!(self.table, heap.stats));
        of_subprocs.chain(of_heaps).filter_map(|address| self.stats(address)).for_each(|stats| sum.merge(&stats));
        Counters {
            reserved_bytes: sum.reserved.current,
            reserved_peak_bytes: sum.reserved.peak,
            committed_bytes: sum.committed.current,
            committed_peak_bytes: sum.committed.peak,
            purged_bytes: sum.purged.total,
            purge_calls: sum.purge_calls.total,
            reset_bytes: sum.reset.total,
            mmap_calls: sum.mmap_calls.total,
            commit_calls: sum.commit_calls.total,
            pages: sum.pages.current,
            pages_peak: sum.pages.peak,
            pages_total: sum.pages.total,
            threads: sum.threads.current,
            threads_peak: sum.threads.peak,
            threads_total: sum.threads.total,
            heaps: sum.heaps.current,
            huge_blocks_total: sum.malloc_huge_count.total,
            guarded_blocks_total: sum.malloc_guarded_count.total,
            arenas: sum.arena_count.total,
        }
    }

    /// A table of statistics, if it is of the version that this tool knows.
    fn stats(&self, address: u64) -> Option<RawStats> {
        let is_known = at!(self.table, stats_version) == STAT_VERSION as u64
            && at!(self.table, stats_bytes) == size_of::<RawStats>() as u64;
        let mut bytes = is_known.then(|| self.memory.read(address, size_of::<RawStats>())).flatten()?;
        // The library writes the header when it copies a table for somebody.
        bytes[..8].copy_from_slice(&(size_of::<RawStats>() as u64).to_ne_bytes());
        bytes[8..16].copy_from_slice(&(STAT_VERSION as u64).to_ne_bytes());
        // SAFETY: as long as the type, whose fields are integers; copied, so that alignment doesn't matter.
        Some(unsafe { bytes.as_ptr().cast::<RawStats>().read_unaligned() })
    }
}

/// Of a description that made no sense yet.
const NO_WORDS: Words = Words::NONE;

/// The next run of slices that somebody has, from `slice` on.
fn next_taken(arena: &Arena, slice: u64) -> Option<std::ops::Range<u64>> {
    let slices = u64::from(arena.slices);
    let is_free = |slice: &u64| arena.is_free(*slice as usize);
    let start = (slice..slices).find(|slice| !is_free(slice))?;
    let end = (start..slices).find(is_free).unwrap_or(slices);
    Some(start..end)
}

/// How many pages are read together, at least one.
fn walk_batch(seen: &[Seen], pages: &[usize]) -> usize {
    let mut bytes = 0;
    let fits = |index: &&usize| {
        bytes += seen[**index].words.linked() * seen[**index].words.block_bytes.min(64 << 10);
        bytes <= WALK_BYTES
    };
    pages.iter().take_while(fits).count().max(1)
}

/// Pages that were read at different moments may seem to lie in each other: the first is kept.
fn drop_overlaps(pages: &mut Vec<Page>, slice_bytes: u64) {
    let mut end = 0;
    pages.retain(|page| {
        let is_behind = page.address >= end;
        if is_behind {
            end = page.address + u64::from(page.slices) * slice_bytes;
        }
        is_behind
    });
}

fn words_of(bytes: &[u8]) -> Vec<u64> {
    bytes.chunks_exact(8).map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default())).collect()
}

/// Looks at the blocks of some pages of a snapshot, by number; those that move meanwhile are left out.
pub fn add_blocks(memory: &dyn Memory, snapshot: &mut Snapshot, pages: &[usize]) -> Result<()> {
    let library = find::library(memory)?;
    let mut reader = Reader::new(memory, &library.table);
    reader.ranges = reader.ranges();
    let subprocs = reader.subprocs()?;
    let arenas = reader.arenas(&subprocs)?;
    for index in pages {
        let page = snapshot.pages[*index];
        let Some(start) = page.arena.map(|number| snapshot.arenas[usize::from(number)].address) else { continue };
        let Some((description, arena)) = arenas.iter().find(|(_, arena)| arena.address == start) else { continue };
        if page.is_hardened || page.is_single() {
            continue;
        }
        let Some(entry) = reader.entry_of(page.address) else { continue };
        let look = |reader: &Reader| memory.read(entry, reader.layout.entry_bytes);
        let Some(before) = look(&reader) else { continue };
        let room = u64::from(arena.slices);
        let Entry::Page(words) = reader.layout.entry(&before, page.address, *description, room) else { continue };
        let mut bytes = Vec::new();
        memory.read_pieces(&blocks::pieces(&words, &reader.layout, entry), &mut bytes);
        let bits = Links::new(&words, &bytes).in_use(snapshot.os_page_bytes);
        let is_same = u64::from(page.slices) == words.slices && page.block_bytes == words.block_bytes;
        if let (Some(bits), true) = (bits, is_same && look(&reader).as_ref() == Some(&before)) {
            let now = words.page(&reader.layout, page.address, Some(blocks::count(&bits)));
            let page = &mut snapshot.pages[*index];
            (page.used, page.capacity, page.certainty) = (now.used, now.capacity, now.certainty);
            snapshot.blocks.push((*index as u32, bits));
        }
    }
    Ok(())
}
