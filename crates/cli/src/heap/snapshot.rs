//! What was seen of a heap, as values; and its file.

use crate::failure::{Exit, Failure, Result, file_failure};
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

/// What a snapshot's file begins with; the version of its form is in it.
const HEADER: &[u8] = b"ferrimalloc snapshot 1\n";
const HEADER_OF_ANY: &[u8] = b"ferrimalloc snapshot ";
/// No snapshot takes more memory than this when it is unpacked.
const MOST_BYTES: u64 = 4 << 30;

/// A heap at some moment.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Snapshot {
    pub source: Source,
    pub slice_bytes: u64,
    pub os_page_bytes: u64,
    pub arenas: Vec<Arena>,
    /// By ascending address; those in arenas and those with a mapping of their own.
    pub pages: Vec<Page>,
    pub heaps: Vec<Heap>,
    pub threads: Vec<Thread>,
    pub counters: Counters,
    pub trouble: Trouble,
    /// Of some pages, which blocks are in use: page index and a bit per block.
    pub blocks: Vec<(u32, Vec<u64>)>,
}

/// Where it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Source {
    pub pid: u32,
    pub command: String,
    /// Seconds since 1970.
    pub seconds: u64,
    pub library: String,
    pub library_version: String,
    /// The process's resident set in bytes.
    pub resident_bytes: Option<u64>,
    pub is_live: bool,
}

/// A stretch of slices.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Arena {
    pub address: u64,
    pub slices: u32,
    /// Those of its own structures, at its beginning.
    pub info_slices: u32,
    pub subproc: u32,
    /// A bit per slice.
    pub free: Vec<u64>,
    pub committed: Vec<u64>,
    pub dirty: Vec<u64>,
    pub purge: Vec<u64>,
    /// Slices that were taken, given back or became another page's while the heap was read, or whose descriptions could not
    /// be read: what they are is not known.
    pub changing: Vec<u64>,
    /// Resident bytes per slice, in OS pages; empty if not known.
    pub resident: Vec<u8>,
}

/// Whose a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Owner {
    /// A thread's, by its number in the allocator.
    Thread(u64),
    /// It was full, and given up; that thread had it.
    GivenUp(u64),
    /// Its thread has ended.
    #[default]
    Abandoned,
    /// Of a single block, which any thread may free.
    Single,
    /// Nobody's: the profiler's samples share it.
    Samples,
}

/// How sure a page's number of blocks is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Certainty {
    /// It was so at one moment.
    #[default]
    Exact,
    /// At most so many: what lies ready to be allocated was not counted.
    AtMost,
    /// The page changed each time that it was read: it holds something between nothing and all that it has handed out.
    Moving,
}

/// A page: slices with blocks of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    pub address: u64,
    /// Its arena's number; `None`: it has a mapping of its own.
    pub arena: Option<u16>,
    pub slices: u32,
    pub block_bytes: u64,
    /// From the page's address to its first block.
    pub start: u32,
    /// How many blocks fit, and how many have been used at some time.
    pub reserved: u16,
    pub capacity: u16,
    /// How many are in use.
    pub used: u16,
    pub certainty: Certainty,
    pub owner: Owner,
    pub heap: u16,
    /// Blocks allocated since it was made, those that lie ready among them.
    pub handed: u64,
    /// Empty, and kept for a while.
    pub is_retired: bool,
    /// With checks, by options of the process.
    pub is_hardened: bool,
    /// Resident bytes; `None` if not known.
    pub resident: Option<u64>,
    /// Bytes of OS pages that blocks have used and none uses now; `None` if its lists were not followed.
    pub holes: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heap {
    pub address: u64,
    pub id: u64,
    pub subproc: u32,
}

/// A thread that allocates.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Thread {
    /// Its number in the allocator.
    pub number: u64,
    /// The kernel's, if it was found, and the name.
    pub tid: Option<u32>,
    pub name: String,
}

/// What the library has counted, over all sub-processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    pub reserved_bytes: i64,
    pub reserved_peak_bytes: i64,
    pub committed_bytes: i64,
    pub committed_peak_bytes: i64,
    pub purged_bytes: i64,
    pub purge_calls: i64,
    pub reset_bytes: i64,
    pub mmap_calls: i64,
    pub commit_calls: i64,
    pub pages: i64,
    pub pages_peak: i64,
    pub pages_total: i64,
    pub threads: i64,
    pub threads_peak: i64,
    pub threads_total: i64,
    pub heaps: i64,
    pub huge_blocks_total: i64,
    pub guarded_blocks_total: i64,
    pub arenas: i64,
}

/// What could not be seen clearly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Trouble {
    /// Pages that changed each time.
    pub moving: u32,
    /// Descriptions that made no sense however often they were read; they are not among the pages.
    pub unreadable: u32,
    /// How often something was read again.
    pub again: u32,
}

pub fn bit(words: &[u64], index: usize) -> bool {
    words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
}

impl Arena {
    pub fn bytes(&self, slice_bytes: u64) -> u64 {
        u64::from(self.slices) * slice_bytes
    }

    pub fn is_free(&self, slice: usize) -> bool {
        bit(&self.free, slice)
    }

    pub fn is_purgeable(&self, slice: usize) -> bool {
        bit(&self.purge, slice) && bit(&self.free, slice)
    }

    pub fn is_changing(&self, slice: usize) -> bool {
        bit(&self.changing, slice)
    }

    pub fn is_committed(&self, slice: usize) -> bool {
        bit(&self.committed, slice)
    }
}

impl Page {
    /// Bytes of blocks in use.
    pub fn used_bytes(&self) -> u64 {
        u64::from(self.used) * self.block_bytes
    }

    /// Bytes that blocks have been made of so far.
    pub fn touched_bytes(&self) -> u64 {
        u64::from(self.capacity) * self.block_bytes
    }

    /// What it holds of memory: what is resident, or where that isn't known, what was touched.
    pub fn held_bytes(&self) -> u64 {
        self.resident.unwrap_or(self.touched_bytes())
    }

    /// Memory that it holds for nobody.
    pub fn idle_bytes(&self) -> u64 {
        self.held_bytes().saturating_sub(self.used_bytes())
    }

    pub fn is_single(&self) -> bool {
        self.owner == Owner::Single
    }

    /// From 0 to 1: how much of what fits is in use.
    pub fn occupancy(&self) -> f64 {
        f64::from(self.used) / f64::from(self.reserved.max(1))
    }
}

impl Snapshot {
    /// The place of a page's first slice in its arena.
    pub fn slice_of(&self, page: &Page) -> Option<(usize, usize)> {
        let arena = usize::from(page.arena?);
        let start = self.arenas.get(arena)?.address;
        Some((arena, (page.address.checked_sub(start)? / self.slice_bytes) as usize))
    }

    /// The numbers of an arena's pages.
    pub fn pages_of(&self, arena: usize) -> std::ops::Range<usize> {
        let Some(arena) = self.arenas.get(arena) else { return 0..0 };
        let end = arena.address + arena.bytes(self.slice_bytes);
        let behind = |address: u64| self.pages.partition_point(|page| page.address < address);
        behind(arena.address)..behind(end)
    }

    pub fn thread(&self, number: u64) -> Option<(usize, &Thread)> {
        self.threads.iter().enumerate().find(|(_, thread)| thread.number == number)
    }

    pub fn encode(&self) -> Result<Vec<u8>> {
        let failed = |what: String| Failure::new(Exit::System, what, "This is a bug of the tool: please report it.");
        let mut packer = ZlibEncoder::new(HEADER.to_vec(), Compression::fast());
        let bytes = postcard::to_stdvec(self).map_err(|error| failed(error.to_string()))?;
        packer.write_all(&bytes).map_err(|error| failed(error.to_string()))?;
        packer.finish().map_err(|error| failed(error.to_string()))
    }

    pub fn decode(bytes: &[u8], name: &Path) -> Result<Snapshot> {
        let unreadable = |what: &str| {
            Failure::new(
                Exit::Unreadable,
                format!("{}: {what}", name.display()),
                "Take a new one: `ferrimalloc snapshot PID -o FILE`.",
            )
        };
        let Some(packed) = bytes.strip_prefix(HEADER) else {
            return Err(unreadable("a snapshot of another version of the tool"));
        };
        let mut unpacked = Vec::new();
        let unpacking = ZlibDecoder::new(packed).take(MOST_BYTES).read_to_end(&mut unpacked);
        unpacking.map_err(|_| unreadable("a snapshot that is damaged or not whole"))?;
        postcard::from_bytes(&unpacked).map_err(|_| unreadable("a snapshot that is damaged or not whole"))
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, self.encode()?).map_err(|error| file_failure(path, &error))
    }
}

/// Whether a file's beginning says that it is a snapshot, of whatever version.
pub fn is_snapshot(beginning: &[u8]) -> bool {
    beginning.starts_with(HEADER_OF_ANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Snapshot {
        let page = Page { address: 65536, arena: Some(0), slices: 1, block_bytes: 64, used: 3, ..Page::default() };
        let arena = Arena { slices: 4, free: vec![12], ..Arena::default() };
        Snapshot { slice_bytes: 65536, arenas: vec![arena], pages: vec![page; 3], ..Snapshot::default() }
    }

    #[test]
    fn a_file_holds_what_was_written() {
        let (snapshot, name) = (sample(), Path::new("x"));
        let bytes = snapshot.encode().unwrap();
        assert!(is_snapshot(&bytes));
        assert_eq!(Snapshot::decode(&bytes, name).unwrap(), snapshot);
    }

    #[test]
    fn damage_and_other_versions_are_told() {
        let (mut bytes, name) = (sample().encode().unwrap(), Path::new("x"));
        assert!(Snapshot::decode(&bytes[..bytes.len() - 5], name).unwrap_err().what.contains("damaged"));
        let at = HEADER.len() - 2;
        bytes[at] = b'7';
        assert!(Snapshot::decode(&bytes, name).unwrap_err().what.contains("another version"));
        assert!(is_snapshot(&bytes));
    }
}
