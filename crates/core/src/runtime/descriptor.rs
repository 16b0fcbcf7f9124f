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

/// Makes the table's type, and its first contents.
macro_rules! descriptor {
    ($(#[$meta:meta])* { $($(#[$doc:meta])* $field:ident: $type:ty = $value:expr,)* }) => {
        $(#[$meta])*
        #[repr(C)]
        pub struct Descriptor {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl Descriptor {
            const fn here() -> Descriptor {
                Descriptor { $($field: $value,)* }
            }
        }
    };
}

descriptor! {
    /// The table. Words and 32-bit numbers in the machine's order of bytes.
    {
        /// What readers look for: [`MAGIC`].
        magic: [u8; 16] = MAGIC,
        /// What the rest means: [`VERSION`].
        version: u32 = VERSION,
        /// The table's size.
        bytes: u32 = size_of::<Descriptor>() as u32,
        /// The table's own address: what only looks like a table is none.
        own: AtomicPtr<()> = nowhere(),
        /// The library's version, zeros behind it.
        library: [u8; 16] = library(),

        /// The main sub-process. Written last.
        main_subproc: AtomicPtr<()> = nowhere(),
        /// A word with the address of the newest of the others; null while there has been none.
        newest_subproc: AtomicPtr<()> = nowhere(),
        /// A range of the page map: that of most addresses.
        home_range: AtomicPtr<()> = nowhere(),
        /// An array of others.
        far_ranges: AtomicPtr<()> = nowhere(),
        /// A word: how many of those have begun.
        far_count: AtomicPtr<()> = nowhere(),
        /// A word: bytes per sample of the profiler; 0 while it is off. A reader may store a rate, and then another
        /// version.
        profile_rate: AtomicPtr<()> = nowhere(),
        /// A word: a number that changes with the rate, and with what heaps are looked at.
        profile_version: AtomicPtr<()> = nowhere(),
        /// What it has found, behind a lock.
        samples: AtomicPtr<()> = nowhere(),

        /// The size of a slice, in bytes.
        slice_bytes: u32 = SLICE_BYTES as u32,
        /// The size of a page's description in a range's table, in bytes: one per slice.
        entry_bytes: u32 = ENTRY_BYTES as u32,
        /// In a range: the address behind it, the end of its table, the complement of its bytes.
        range_words: [u32; 3] = page_map::RANGE_WORDS_AT,
        /// From one to the next in the array of ranges, in bytes.
        range_bytes: u32 = page_map::RANGE_BYTES as u32,
        /// How many classes share pages; a page of a single block has this number as its class.
        bins: u32 = Bin::COUNT as u32,
        /// How far from the truth the address of a page's first block is kept (under valgrind), as a power of two; 0: it is true.
        start_disguise_shift: u32 = if BUILD.start_disguise == 0 { 0 } else { BUILD.start_disguise.ilog2() },
        /// The version of a table of statistics (`mi_stats_t`).
        stats_version: u32 = STAT_VERSION as u32,
        /// The size of such a table, in bytes.
        stats_bytes: u32 = size_of::<RawStats>() as u32,

        /// Offsets in a sub-process, in bytes; likewise those below.
        subproc: SubprocOffsets = SubprocOffsets::HERE,
        /// Offsets in a heap.
        heap: HeapOffsets = HeapOffsets::HERE,
        /// Offsets in a theap.
        theap: TheapOffsets = TheapOffsets::HERE,
        /// Offsets in an arena.
        arena: ArenaOffsets = ArenaOffsets::HERE,
        /// Offsets in an entry of the page map.
        page: PageOffsets = PageOffsets::HERE,
        /// Offsets in what the profiler has found.
        samples_at: SamplesOffsets = SamplesOffsets::HERE,
    }
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
