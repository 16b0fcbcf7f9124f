//! Where our metadata lie: one table, for a reader in another process (the tool `ferrimalloc`, a debugger) or of a core file.
//!
//! The reader finds the table by its symbol, or by its first words wherever a program's symbols are stripped. What it says
//! are addresses of statics and offsets of fields, from the types themselves, so that it can't be out of date. A reader
//! goes by these, and by [`VERSION`] for what the fields mean. Nobody in this process reads the table: it costs its bytes.
//!
//! It says nothing before the first allocation: `main_subproc` is null.

use core::mem::offset_of;
use core::ptr;

use crate::arena::{ArenaOffsets, page_map};
use crate::base::*;
use crate::heap::{HeapOffsets, Subproc, SubprocOffsets};
use crate::page::PageOffsets;
use crate::profile::{self, SamplesOffsets};
use crate::stats::{RawStats, STAT_VERSION};
use crate::sync::{AtomicPtr, Ordering};
use crate::theap::TheapOffsets;

/// Of the table's own layout and of what the fields that it names mean: whoever changes either makes it one more, and tells
/// `crates/cli/src/heap/decode.rs`.
pub const VERSION: u32 = 2;
/// What the table begins with.
pub const MAGIC: [u8; 16] = *b"ferrimalloc\0map\0";

/// The table. Words and 32-bit numbers in the machine's order of bytes.
#[repr(C)]
pub struct Descriptor {
    /// What readers look for: [`MAGIC`].
    pub magic: [u8; 16],
    /// What the rest means: [`VERSION`].
    pub version: u32,
    /// The table's size.
    pub bytes: u32,
    /// The table's own address: what only looks like a table is none.
    pub own: AtomicPtr<()>,
    /// The library's version, zeros behind it.
    pub library: [u8; 16],

    /// The main sub-process. Written last.
    pub main_subproc: AtomicPtr<()>,
    /// A word with the address of the newest of the others; null while there has been none.
    pub newest_subproc: AtomicPtr<()>,
    /// A range of the page map: that of most addresses.
    pub home_range: AtomicPtr<()>,
    /// An array of others.
    pub far_ranges: AtomicPtr<()>,
    /// A word: how many of those have begun.
    pub far_count: AtomicPtr<()>,
    /// A word: bytes per sample of the profiler; 0 while it is off. A reader may store a rate, and then another
    /// version.
    pub profile_rate: AtomicPtr<()>,
    /// A word: a number that changes with the rate, and with what heaps are looked at.
    pub profile_version: AtomicPtr<()>,
    /// What it has found, behind a lock.
    pub samples: AtomicPtr<()>,

    /// The size of a slice, in bytes.
    pub slice_bytes: u32,
    /// The size of a page's description in a range's table, in bytes: one per slice.
    pub entry_bytes: u32,
    /// In a range: the address behind it, the end of its table, the complement of its bytes.
    pub range_words: [u32; 3],
    /// From one to the next in the array of ranges, in bytes.
    pub range_bytes: u32,
    /// How many classes share pages; a page of a single block has this number as its class.
    pub bins: u32,
    /// How far from the truth the address of a page's first block is kept (under valgrind), as a power of two; 0: it is true.
    pub start_disguise_shift: u32,
    /// The version of a table of statistics (`mi_stats_t`).
    pub stats_version: u32,
    /// The size of such a table, in bytes.
    pub stats_bytes: u32,

    /// Offsets in a sub-process, in bytes; likewise those below.
    pub subproc: SubprocOffsets,
    /// Offsets in a heap.
    pub heap: HeapOffsets,
    /// Offsets in a theap.
    pub theap: TheapOffsets,
    /// Offsets in an arena.
    pub arena: ArenaOffsets,
    /// Offsets in an entry of the page map.
    pub page: PageOffsets,
    /// Offsets in what the profiler has found.
    pub samples_at: SamplesOffsets,
}

/// Found by readers. Its symbol has the version: a program may have libraries with different ones.
#[unsafe(export_name = concat!(
    "ferrimalloc_descriptor_",
    env!("CARGO_PKG_VERSION_MAJOR"),
    "_",
    env!("CARGO_PKG_VERSION_MINOR"),
    "_",
    env!("CARGO_PKG_VERSION_PATCH")
))]
static DESCRIPTOR: Descriptor = Descriptor::here();

const fn nowhere() -> AtomicPtr<()> {
    AtomicPtr::new(ptr::null_mut())
}

const fn library() -> [u8; 16] {
    let (text, mut name) = (env!("CARGO_PKG_VERSION").as_bytes(), [0; 16]);
    let mut index = 0;
    while index < text.len() && index < 15 {
        name[index] = text[index];
        index += 1;
    }
    name
}

impl Descriptor {
    const fn here() -> Descriptor {
        let [top, end, outside] = page_map::RANGE_WORDS_AT;
        Descriptor {
            magic: MAGIC,
            version: VERSION,
            bytes: size_of::<Descriptor>() as u32,
            own: nowhere(),
            library: library(),
            main_subproc: nowhere(),
            newest_subproc: nowhere(),
            home_range: nowhere(),
            far_ranges: nowhere(),
            far_count: nowhere(),
            profile_rate: nowhere(),
            profile_version: nowhere(),
            samples: nowhere(),
            slice_bytes: SLICE_BYTES as u32,
            entry_bytes: ENTRY_BYTES as u32,
            range_words: [top as u32, end as u32, outside as u32],
            range_bytes: page_map::RANGE_BYTES as u32,
            bins: Bin::COUNT as u32,
            start_disguise_shift: if BUILD.start_disguise == 0 { 0 } else { BUILD.start_disguise.ilog2() },
            stats_version: STAT_VERSION as u32,
            stats_bytes: size_of::<RawStats>() as u32,
            subproc: SubprocOffsets::HERE,
            heap: HeapOffsets::HERE,
            theap: TheapOffsets::HERE,
            arena: ArenaOffsets::HERE,
            page: PageOffsets::HERE,
            samples_at: SamplesOffsets::HERE,
        }
    }
}

const _: () = assert!(offset_of!(Descriptor, version) == 16 && offset_of!(Descriptor, own) == 24);

/// Says where the statics are; once, by the process's setup.
pub(super) fn describe(main: &'static Subproc) {
    let table = &DESCRIPTOR;
    let [home, far, far_count] = page_map::places();
    let put = |word: &AtomicPtr<()>, place: *const ()| word.store(place.cast_mut(), Ordering::Relaxed);
    put(&table.own, ptr::from_ref(table).cast());
    put(&table.home_range, home);
    put(&table.far_ranges, far);
    put(&table.far_count, far_count);
    let [rate, version, samples] = profile::places();
    put(&table.profile_rate, rate);
    put(&table.profile_version, version);
    put(&table.samples, samples);
    // ORDERING: release, so that a reader that sees the sub-process sees the words above.
    table.main_subproc.store(ptr::from_ref(main).cast_mut().cast(), Ordering::Release);
}

/// Says where the address of the newest sub-process but the main one is, when there is one.
pub(super) fn describe_newest(place: *const ()) {
    DESCRIPTOR.newest_subproc.store(place.cast_mut(), Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words that a reader would find by the table are those that our own methods read.
    #[test]
    fn the_table_leads_to_the_main_sub_process_and_its_arenas() {
        let _ground = crate::arena::tests::ground();
        assert!(crate::runtime::ensure_process());
        let table = &DESCRIPTOR;
        let main = super::super::main_subproc();
        assert!(ptr::eq(table.main_subproc.load(Ordering::Relaxed), ptr::from_ref(main).cast()));
        assert!(ptr::eq(table.own.load(Ordering::Relaxed), ptr::from_ref(table).cast()));
        // SAFETY: aligned words of live structures.
        let word = |at: *const (), offset: u32| unsafe { at.wrapping_byte_add(offset as usize).cast::<usize>().read() };
        let subproc = ptr::from_ref(main).cast::<()>();
        let arenas: std::vec::Vec<_> = main.arenas().arenas().collect();
        assert_eq!(word(subproc, table.subproc.arena_count), arenas.len());
        let first = word(subproc, table.subproc.arenas) as *const ();
        assert!(ptr::eq(first, ptr::from_ref(arenas[0]).cast()));
        assert_eq!(word(first, table.arena.start), arenas[0].start() as usize);
        assert_eq!(word(first, table.arena.slices), arenas[0].slices());
        let committed = word(first, table.arena.bitmaps[1]) as *const ();
        assert_eq!(word(committed, 0) & 1, usize::from(arenas[0].is_committed(0)));
        let heap = word(subproc, table.subproc.main_heap) as *const ();
        assert_eq!(word(heap, table.heap.id), main.main_heap().unwrap().id());
        assert_eq!(word(heap, table.heap.subproc), subproc as usize);
    }
}
