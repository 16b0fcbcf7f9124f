//! The table of all statistics, byte for byte as `mi_stats_t` has it.
//!
//! The fields are written down once, in `with_fields!`; the struct, its merging and its listing come from there. Callers that
//! were compiled for mimalloc 3.4 know another order of them, which `layouts` has.

use super::bins::STATS_BINS;
use super::count::{RawCount, RawCounter, StatCount, StatCounter};
use core::array;
use core::mem::{offset_of, size_of};

/// The version of the layout.
pub const STAT_VERSION: usize = 6;

/// How chunks of an arena are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChunkBin {
    /// Chunks of single slices.
    Small,
    /// Chunks of spans that fit no other bin.
    Other,
    /// Chunks of medium pages.
    Medium,
    /// Chunks of large pages.
    Large,
    /// Chunks that are part of a larger span.
    Huge,
    /// Chunks that are all free.
    None,
}

/// How many chunk bins there are.
pub const CHUNK_BINS: usize = 6;

/// How many slots are kept for future statistics, of either kind.
pub(super) const SPARE: usize = 4;

/// Hands the list of fields, in the order of the interface, to the macro `$then`: `C` is a count, `N` a counter.
macro_rules! with_fields {
    ($then:ident) => {
        $then! {
            /// Pages in use.
            pages: C,
            /// Bytes of address space reserved.
            reserved: C,
            /// Bytes committed.
            committed: C,
            /// Bytes reset (left to the OS until it needs them).
            reset: N,
            /// Bytes purged.
            purged: N,
            /// Bytes committed inside pages.
            page_committed: C,
            /// Pages that no thread owns.
            pages_abandoned: C,
            /// Threads.
            threads: C,
            /// Bytes of blocks.
            allocated: C,
            /// Blocks allocated.
            malloc_count: N,
            /// Blocks freed.
            free_count: N,
            /// Bytes of blocks freed.
            freed: N,
            /// Bytes as requested, before rounding.
            malloc_requested: N,
            /// Calls of the OS to map memory.
            mmap_calls: N,
            /// Calls of the OS to commit memory.
            commit_calls: N,
            /// Calls of the OS to reset memory.
            reset_calls: N,
            /// Calls of the OS to purge memory.
            purge_calls: N,
            /// Arenas made.
            arena_count: N,
            /// Blocks followed by a guard page.
            malloc_guarded_count: N,
            /// Arena claims given back half-way.
            arena_rollback_count: N,
            /// Visits to arenas to purge them.
            arena_purges: N,
            /// Extensions of pages by fresh blocks.
            pages_extended: N,
            /// Pages retired empty.
            pages_retire: N,
            /// Pages looked at in searches.
            page_searches: N,
            /// Searches for a page.
            page_searches_count: N,
            /// Always zero.
            segments: C,
            /// Always zero.
            segments_abandoned: C,
            /// Always zero.
            segments_cache: C,
            /// Always zero.
            _segments_reserved: C,
            /// Heaps.
            heaps: C,
            /// Theaps.
            theaps: C,
            /// Pages outside of arenas that no thread owns, of those that blocks share: none.
            pages_os_abandoned: C,
            /// Pages outside of arenas.
            pages_os_allocated: C,
            /// Abandoned pages taken over by an allocation.
            pages_reclaim_on_alloc: N,
            /// Abandoned pages taken back by a free.
            pages_reclaim_on_free: N,
            /// Full pages abandoned again.
            pages_reabandon_full: N,
            /// Waits for somebody to let go of an abandoned page.
            pages_unabandon_busy_wait: N,
            /// Attempts to give a page up that met a free.
            pages_unown_cas_retry: N,
            /// Waits in the deletion of heaps.
            heaps_delete_wait: N,
            /// Always zero: nothing is counted page by page.
            pages_stat_updates: N,
            /// Always zero.
            pages_stat_update_count: N,
            /// Allocations that the profiler sampled.
            profile_samples: N,
            /// Bytes of blocks that share a page.
            malloc_normal: C,
            /// Bytes of blocks that have a page of their own.
            malloc_huge: C,
            /// Blocks that share a page.
            malloc_normal_count: N,
            /// Blocks that have a page of their own.
            malloc_huge_count: N,
        }
    };
}

/// What is meant for the kind of field: the first for a count, the second for a counter.
macro_rules! either {
    (C, $count:expr, $counter:expr) => {
        $count
    };
    (N, $count:expr, $counter:expr) => {
        $counter
    };
}

macro_rules! declare_table {
    ($($(#[$doc:meta])* $field:ident: $kind:ident,)*) => {
        /// All statistics: a `C` is a count (total, peak, current), an `N` a counter (total).
        #[doc(alias = "mi_stats_t")]
        #[repr(C, align(8))]
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub struct StatTable<C, N> {
            /// The bytes of this table, as whoever made it believes.
            pub size: usize,
            /// The version of its layout, as whoever made it believes.
            pub version: usize,
            $($(#[$doc])* pub $field: $kind,)*
            pub(super) spare_counts: [C; SPARE],
            pub(super) spare_counters: [N; SPARE],
            /// Blocks by [size bin](super::stats_bin_of).
            pub malloc_bins: [C; STATS_BINS],
            /// Pages by the size bin of their blocks.
            pub page_bins: [C; STATS_BINS],
            /// Chunks of arenas by [`ChunkBin`].
            pub chunk_bins: [C; CHUNK_BINS],
        }

        impl<C, N> StatTable<C, N> {
            /// Shows all fields but the bins to `visitor`, in order.
            pub fn visit(&self, visitor: &mut impl FieldVisitor<C, N>) {
                $(either!(
                    $kind,
                    visitor.count(stringify!($field), &self.$field),
                    visitor.counter(stringify!($field), &self.$field)
                );)*
            }

            /// The table of what `count` and `counter` make of every field here and its like in `other`.
            fn zip<D, M, E, L>(
                &self,
                other: &StatTable<D, M>,
                count: impl Fn(&C, &D) -> E,
                counter: impl Fn(&N, &M) -> L,
            ) -> StatTable<E, L> {
                StatTable {
                    size: size_of::<RawStats>(),
                    version: STAT_VERSION,
                    $($field: either!($kind, count(&self.$field, &other.$field), counter(&self.$field, &other.$field)),)*
                    spare_counts: zip_all(&self.spare_counts, &other.spare_counts, &count),
                    spare_counters: zip_all(&self.spare_counters, &other.spare_counters, &counter),
                    malloc_bins: zip_all(&self.malloc_bins, &other.malloc_bins, &count),
                    page_bins: zip_all(&self.page_bins, &other.page_bins, &count),
                    chunk_bins: zip_all(&self.chunk_bins, &other.chunk_bins, &count),
                }
            }
        }

        /// The offsets of all fields, in order, for the test of the layout.
        #[cfg(test)]
        const OFFSETS: &[(&str, usize)] = &[$((stringify!($field), offset_of!(RawStats, $field))),*];
    };
}

with_fields!(declare_table);

fn zip_all<C, D, E, const COUNT: usize>(
    here: &[C; COUNT],
    there: &[D; COUNT],
    make: impl Fn(&C, &D) -> E,
) -> [E; COUNT] {
    array::from_fn(|index| make(&here[index], &there[index]))
}

impl<C, N> StatTable<C, N> {
    /// The table of what `count` and `counter` make of every field.
    fn map<D, M>(&self, count: impl Fn(&C) -> D, counter: impl Fn(&N) -> M) -> StatTable<D, M> {
        self.zip(self, |field, _| count(field), |field, _| counter(field))
    }
}

/// Looks at fields one by one.
pub trait FieldVisitor<C, N> {
    /// A field of something that comes and goes; `name` is its name in `mi_stats_t`.
    fn count(&mut self, name: &'static str, count: &C);
    /// A field of something that only happens; likewise.
    fn counter(&mut self, name: &'static str, counter: &N);
}

/// Shared statistics: any thread may add to any field. Valid when zeroed.
pub type Stats = StatTable<StatCount, StatCounter>;

/// Statistics as plain numbers: `mi_stats_t`.
pub type RawStats = StatTable<RawCount, RawCounter>;

impl Stats {
    /// Nothing is counted.
    pub const fn new() -> Self {
        // SAFETY: zeroed memory is a valid table: words and 64-bit atomics only (Invariant 1 of the floor).
        unsafe { core::mem::zeroed() }
    }

    /// The numbers of now. Reads every field once; fields may be of slightly different moments.
    pub fn snapshot(&self) -> RawStats {
        self.map(StatCount::snapshot, StatCounter::snapshot)
    }

    /// Takes everything out, leaving zeros; what is counted meanwhile is in the result or stays.
    pub fn take(&self) -> RawStats {
        self.map(StatCount::take, StatCounter::take)
    }

    /// From now on, together with `found` (what is counted elsewhere), only what is present of it has ever been.
    pub fn rebase(&self, found: &RawStats) {
        self.zip(found, StatCount::rebase, StatCounter::rebase);
    }

    /// Adds numbers. Touches those fields only to which there is something to add.
    pub fn merge_raw(&self, other: &RawStats) {
        self.zip(other, StatCount::merge, StatCounter::merge);
    }

    /// Starts counting from here: totals and peaks become what there is now.
    pub fn reset(&self) {
        self.map(StatCount::restart, StatCounter::restart);
    }
}

impl RawStats {
    /// A table of zeros with a proper header.
    pub const fn new() -> Self {
        // SAFETY: zeroed memory is a valid table: integers only.
        let zeros: RawStats = unsafe { core::mem::zeroed() };
        RawStats { size: size_of::<RawStats>(), version: STAT_VERSION, ..zeros }
    }

    /// Adds `other`.
    pub fn merge(&mut self, other: &RawStats) {
        *self = self.zip(other, RawCount::merged, RawCounter::merged);
    }

    /// Together with what was found elsewhere of the same things: totals and presents. Peaks stay.
    pub fn with(&self, found: &RawStats) -> RawStats {
        self.zip(found, RawCount::with, RawCounter::merged)
    }

    /// Without what is present of `found`, as if that had never been.
    pub fn without_present(&self, found: &RawStats) -> RawStats {
        self.zip(found, RawCount::without_present, |counter, _| *counter)
    }

    /// With what the fields for blocks of either kind add up to.
    pub fn with_sums(&self) -> RawStats {
        let allocated = self.malloc_normal.merged(&self.malloc_huge);
        let blocks = self.malloc_normal_count.total + self.malloc_huge_count.total;
        let present: i64 = self.malloc_bins.iter().map(|bin| bin.current).sum();
        RawStats {
            allocated,
            malloc_count: RawCounter { total: blocks },
            free_count: RawCounter { total: blocks - present },
            freed: RawCounter { total: allocated.total - allocated.current },
            ..*self
        }
    }
}

const _: () = {
    assert!(size_of::<Stats>() == size_of::<RawStats>());
    assert!(offset_of!(Stats, malloc_bins) == offset_of!(RawStats, malloc_bins));
    assert!(offset_of!(Stats, malloc_huge_count) == offset_of!(RawStats, malloc_huge_count));
};

/// Against the header of mimalloc 3.6.2, where a word has 64 bits.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<RawStats>() == 4480);
    assert!(offset_of!(RawStats, pages) == 16);
    assert!(offset_of!(RawStats, malloc_requested) == 224);
    assert!(offset_of!(RawStats, malloc_huge_count) == 648);
    assert!(offset_of!(RawStats, spare_counts) == 656);
    assert!(offset_of!(RawStats, spare_counters) == 752);
    assert!(offset_of!(RawStats, malloc_bins) == 784);
    assert!(offset_of!(RawStats, page_bins) == 2560);
    assert!(offset_of!(RawStats, chunk_bins) == 4336);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_those_of_the_header() {
        if usize::BITS < 64 {
            return;
        }
        let expected = "pages 16;reserved 40;committed 64;reset 88;purged 96;page_committed 104;\
            pages_abandoned 128;threads 152;allocated 176;malloc_count 200;free_count 208;freed 216;\
            malloc_requested 224;mmap_calls 232;commit_calls 240;reset_calls 248;purge_calls 256;arena_count 264;\
            malloc_guarded_count 272;arena_rollback_count 280;arena_purges 288;pages_extended 296;pages_retire 304;\
            page_searches 312;page_searches_count 320;segments 328;segments_abandoned 352;segments_cache 376;\
            _segments_reserved 400;heaps 424;theaps 448;pages_os_abandoned 472;pages_os_allocated 496;\
            pages_reclaim_on_alloc 520;pages_reclaim_on_free 528;pages_reabandon_full 536;\
            pages_unabandon_busy_wait 544;pages_unown_cas_retry 552;heaps_delete_wait 560;pages_stat_updates 568;\
            pages_stat_update_count 576;profile_samples 584;malloc_normal 592;malloc_huge 616;\
            malloc_normal_count 640;malloc_huge_count 648";
        let found: std::vec::Vec<_> = OFFSETS.iter().map(|(name, offset)| std::format!("{name} {offset}")).collect();
        assert_eq!(found.join(";"), expected);
    }

    #[test]
    fn a_snapshot_has_a_header_and_the_numbers() {
        let stats = Stats::new();
        stats.pages.increase(3);
        stats.mmap_calls.increment();
        stats.malloc_bins[5].increase(40);
        stats.chunk_bins[ChunkBin::None as usize].increase(2);
        let raw = stats.snapshot();
        assert_eq!((raw.size, raw.version), (size_of::<RawStats>(), 6));
        assert_eq!((raw.pages.current, raw.mmap_calls.total), (3, 1));
        assert_eq!((raw.malloc_bins[5].peak, raw.chunk_bins[5].total), (40, 2));
        assert!(raw.page_bins.iter().all(RawCount::is_empty));
    }

    #[test]
    fn merging_adds_and_taking_moves() {
        let (total, part) = (Stats::new(), Stats::new());
        part.committed.increase(100);
        part.purged.add(7);
        total.merge_raw(&part.snapshot());
        total.merge_raw(&part.take());
        assert_eq!(part.snapshot(), RawStats::new());
        let mut raw = total.snapshot();
        assert_eq!((raw.committed.total, raw.committed.current, raw.purged.total), (200, 200, 14));
        raw.merge(&total.snapshot());
        assert_eq!((raw.committed.peak, raw.purged.total), (400, 28));
    }

    #[test]
    fn what_is_found_elsewhere_starts_over_with_a_reset() {
        let found_of = |total, current| {
            let mut found = RawStats::new();
            found.malloc_normal = RawCount { total, peak: 0, current };
            found.pages_extended.total = total;
            found
        };
        let stats = Stats::new();
        stats.malloc_normal.pass(5);
        let found = found_of(10, 4);
        let all = stats.snapshot().with(&found);
        assert_eq!((all.malloc_normal.total, all.malloc_normal.current), (15, 4));
        assert_eq!(all.without_present(&found).malloc_normal, RawCount { total: 11, peak: 0, current: 0 });
        stats.reset();
        stats.rebase(&found);
        let all = stats.snapshot().with(&found_of(13, 6));
        assert_eq!((all.malloc_normal.total, all.malloc_normal.current, all.pages_extended.total), (7, 6, 3));
    }

    #[test]
    fn a_reset_keeps_what_there_is() {
        let stats = Stats::new();
        stats.pages.increase(5);
        stats.pages.decrease(3);
        stats.arena_purges.add(9);
        stats.reset();
        assert_eq!(stats.snapshot().pages, RawCount { total: 2, peak: 2, current: 2 });
        assert_eq!(stats.snapshot().arena_purges.total, 0);
    }

    #[test]
    fn visiting_names_every_field_in_order() {
        #[derive(Default)]
        struct Names(std::vec::Vec<&'static str>);
        impl<C, N> FieldVisitor<C, N> for Names {
            fn count(&mut self, name: &'static str, _: &C) {
                self.0.push(name);
            }
            fn counter(&mut self, name: &'static str, _: &N) {
                self.0.push(name);
            }
        }
        let mut names = Names::default();
        RawStats::new().visit(&mut names);
        assert!(names.0.iter().eq(OFFSETS.iter().map(|(name, _)| name)));
    }
}
