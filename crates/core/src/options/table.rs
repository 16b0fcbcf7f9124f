//! The table of options: number, name, default, kind.
//!
//! Numbers and names are those of mimalloc's C interface (3.6.2). From 3.4.3 to 3.6.2 no number has changed its meaning:
//! three options have a new name, eight came after the last. mimalloc 2 has other meanings for 26 to 37, and a number
//! does not tell whose it is: those of 3 hold. Options of our own have numbers that C's enumeration does not reach.

use crate::base::BUILD;
use OptionId::*;

/// How the text of an option is read, and its value meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// 0 or 1, some with further levels.
    Switch,
    /// The same, or `auto`, which is 2.
    Auto,
    /// A number.
    Number,
    /// A size, kept in KiB.
    KiB,
    /// A size, kept in bytes.
    Bytes,
    /// A switch of memory tagging: `sync`, `async`, `preferred` are 2, 3, 4.
    Tagging,
}

/// What an option does here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Obeyed.
    Obeyed,
    /// Accepted and ignored: it belonged to earlier versions of mimalloc.
    Deprecated,
    /// Accepted and ignored on this platform or by this design; why.
    NotHere(&'static str),
}

/// What is fixed about an option.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// In lower case, as in `MIMALLOC_<NAME>`.
    pub name: &'static str,
    /// What it is unless somebody chooses; in KiB for [`Kind::KiB`].
    pub default: i64,
    /// How its text is read, and its value meant.
    pub kind: Kind,
    /// A name it had before and that the environment may still use.
    pub former_name: Option<&'static str>,
    /// Whether it is obeyed.
    pub standing: Standing,
}

impl Spec {
    const fn new(name: &'static str, default: i64, kind: Kind) -> Spec {
        Spec { name, default, kind, former_name: None, standing: Standing::Obeyed }
    }

    const fn deprecated(name: &'static str, default: i64) -> Spec {
        Spec { standing: Standing::Deprecated, ..Spec::new(name, default, Kind::Number) }
    }

    const fn formerly(self, name: &'static str) -> Spec {
        Spec { former_name: Some(name), ..self }
    }

    const fn not_here(self, why: &'static str) -> Spec {
        Spec { standing: Standing::NotHere(why), ..self }
    }
}

const MIB: i64 = 1 << 10;
const GIB: i64 = 1 << 20;
/// The number of the first option of our own; those of mimalloc are far below.
const OURS: u16 = 1000;

/// Declares the enumeration, all its values in order, and the table, so that they cannot disagree.
macro_rules! options {
    ($($(#[$doc:meta])* $id:ident = $number:literal: $spec:expr;)*) => {
        /// An option, by its number in the C interface.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum OptionId { $($(#[$doc])* $id = $number,)* }

        impl OptionId {
            /// Every option, in the order of their numbers.
            pub const ALL: &'static [OptionId] = &[$($id),*];
        }

        const SPECS: &[Spec] = &[$($spec),*];
    };
}

options! {
    /// Print errors and warnings.
    ShowErrors = 0: Spec::new("show_errors", 0, Kind::Switch);
    /// Print statistics at exit.
    ShowStats = 1: Spec::new("show_stats", 0, Kind::Switch);
    /// Say what is going on; levels above 1 say more.
    Verbose = 2: Spec::new("verbose", 0, Kind::Switch);
    /// Ignored. Earlier: commit segments as a whole.
    DeprecatedEagerCommit = 3: Spec::deprecated("deprecated_eager_commit", 1);
    /// Commit whole arenas at once; 2: only where the OS overcommits.
    ArenaEagerCommit = 4: Spec::new("arena_eager_commit", 2, Kind::Switch).formerly("eager_region_commit");
    /// Purge by giving memory back at once rather than when the OS needs it.
    PurgeDecommits = 5: Spec::new("purge_decommits", 1, Kind::Switch).formerly("reset_decommits");
    /// Use large OS pages for arenas.
    AllowLargeOsPages = 6: Spec::new("allow_large_os_pages", 0, Kind::Switch).formerly("large_os_pages");
    /// Reserve so many huge (1 GiB) OS pages at start.
    ReserveHugeOsPages = 7: Spec::new("reserve_huge_os_pages", 0, Kind::Number);
    /// … at this NUMA node; -1: any.
    ReserveHugeOsPagesAt = 8: Spec::new("reserve_huge_os_pages_at", -1, Kind::Number);
    /// Reserve an arena of this size at start.
    ReserveOsMemory = 9: Spec::new("reserve_os_memory", 0, Kind::KiB);
    /// Ignored. Earlier: how many segments each thread keeps.
    DeprecatedSegmentCache = 10: Spec::deprecated("deprecated_segment_cache", 0);
    /// Ignored. Earlier: reset the memory of pages that become empty.
    DeprecatedPageReset = 11: Spec::deprecated("deprecated_page_reset", 0);
    /// Ignored. Earlier: purge the pages of threads that end.
    DeprecatedAbandonedPagePurge = 12: Spec::deprecated("deprecated_abandoned_page_purge", 0);
    /// Ignored. Earlier: reset the memory of segments that are kept.
    DeprecatedSegmentReset = 13: Spec::deprecated("deprecated_segment_reset", 0);
    /// Ignored. Earlier: so many segments of a thread are committed piece by piece, later ones at once.
    DeprecatedEagerCommitDelay = 14: Spec::deprecated("deprecated_eager_commit_delay", 1);
    /// Milliseconds before unused memory is purged; 0: at once, -1: never.
    PurgeDelay = 15: Spec::new("purge_delay", 1000, Kind::Number).formerly("reset_delay");
    /// Use at most so many NUMA nodes; 0: all there are.
    UseNumaNodes = 16: Spec::new("use_numa_nodes", 0, Kind::Number);
    /// Use reserved arenas only, never fresh OS memory.
    DisallowOsAlloc = 17: Spec::new("disallow_os_alloc", 0, Kind::Switch).formerly("limit_os_alloc");
    /// How the system labels our memory. Ignored: for macOS only.
    OsTag = 18: Spec::new("os_tag", 100, Kind::Number).not_here("macOS only");
    /// Print at most so many errors; -1: all.
    MaxErrors = 19: Spec::new("max_errors", 32, Kind::Number);
    /// Print at most so many warnings; -1: all.
    MaxWarnings = 20: Spec::new("max_warnings", 32, Kind::Number);
    /// Ignored. Earlier: the share of abandoned segments that a thread takes back at a time.
    DeprecatedMaxSegmentReclaim = 21: Spec::deprecated("deprecated_max_segment_reclaim", 10);
    /// Release all memory at exit.
    DestroyOnExit = 22: Spec::new("destroy_on_exit", 0, Kind::Switch);
    /// Addresses reserved at a time, once a process is no longer small; twice as much every few arenas.
    ArenaReserve = 23: Spec::new("arena_reserve", if usize::BITS < 64 { GIB / 8 } else { GIB }, Kind::KiB);
    /// Arenas wait so many times `purge_delay`.
    ArenaPurgeMult = 24: Spec::new("arena_purge_mult", 1, Kind::Number);
    /// Ignored. Earlier: how much each further piece of memory to purge defers purging.
    DeprecatedPurgeExtendDelay = 25:
        Spec::deprecated("deprecated_purge_extend_delay", 1).formerly("decommit_extend_delay");
    /// Use arenas only where one is asked for by id.
    DisallowArenaAlloc = 26: Spec::new("disallow_arena_alloc", 0, Kind::Switch);
    /// Milliseconds for which a failed allocation is tried again. Ignored: for Windows only.
    RetryOnOom = 27: Spec::new("retry_on_oom", 400, Kind::Number).not_here("Windows only");
    /// Ignored: abandoned blocks can always be visited.
    DeprecatedVisitAbandoned = 28: Spec::deprecated("deprecated_visit_abandoned", 1).formerly("visit_abandoned");
    /// Smallest block, in bytes, that may get a guard page.
    GuardedMin = 29: Spec::new("guarded_min", 0, Kind::Number);
    /// Largest block, in bytes, that may get a guard page.
    GuardedMax = 30: Spec::new("guarded_max", GIB * MIB, Kind::Number);
    /// Put guarded blocks exactly before their guard page, whatever that does to alignment.
    UnsafeGuardedPrecise = 31: Spec::new("unsafe_guarded_precise", 0, Kind::Switch).formerly("guarded_precise");
    /// Guard one of so many eligible allocations per thread; 0: none.
    GuardedSampleRate = 32: Spec::new("guarded_sample_rate", 0, Kind::Number);
    /// Start of the sampling; 0: random.
    GuardedSampleSeed = 33: Spec::new("guarded_sample_seed", 0, Kind::Number);
    /// Collect every so many slow allocations.
    GenericCollect = 34: Spec::new("generic_collect", 10_000, Kind::Number);
    /// Take abandoned pages back on `free`: -1 never, 0 by the theap they came from, 1 by any.
    PageReclaimOnFree = 35: Spec::new("page_reclaim_on_free", 0, Kind::Number).formerly("abandoned_reclaim_on_free");
    /// Full small pages kept per size class before they are abandoned.
    PageFullRetain = 36: Spec::new("page_full_retain", 2, Kind::Number);
    /// Pages searched for the best candidate.
    PageMaxCandidates = 37: Spec::new("page_max_candidates", 4, Kind::Number);
    /// Bits of the address space to cover; 0: detect.
    MaxVabits = 38: Spec::new("max_vabits", 0, Kind::Number);
    /// Commit the page map at start.
    PagemapCommit = 39: Spec::new("pagemap_commit", 0, Kind::Switch);
    /// Commit pages as they fill; 2: only without overcommit.
    PageCommitOnDemand = 40: Spec::new("page_commit_on_demand", 0, Kind::Switch);
    /// Own pages per size class beyond which none is taken back; -1: no limit.
    PageMaxReclaim = 41: Spec::new("page_max_reclaim", -1, Kind::Number);
    /// The same for pages of other threads.
    PageCrossThreadMaxReclaim = 42: Spec::new("page_cross_thread_max_reclaim", 32, Kind::Number);
    /// Transparent huge pages: 0 off for the process, 1 allowed, 2 purging respects them.
    AllowThp = 43: Spec::new("allow_thp", BUILD.allow_thp, Kind::Switch);
    /// Smallest purge; 0: as `allow_thp` has it.
    ArenaPurgeMinSize = 44: Spec::new("arena_purge_min_size", 0, Kind::KiB).formerly("minimal_purge_size");
    /// Larger objects go straight to the OS.
    ArenaMaxObjectSize = 45: Spec::new("arena_max_object_size", 2 * GIB, Kind::KiB);
    /// Tie an arena to the NUMA node of the thread that caused it.
    ArenaIsNumaLocal = 46: Spec::new("arena_is_numa_local", 0, Kind::Switch);
    /// A collection hands the thread's statistics over to its heap.
    StatsMergeOnCollect = 47: Spec::new("stats_merge_on_collect", 1, Kind::Switch);
    /// Bytes allocated between snapshots of the profiler; 0: none.
    ProfileAllocInterval = 48: Spec::new("profile_alloc_interval", 1 << 30, Kind::Bytes);
    /// Bytes by which what is in use grows between snapshots; 0: none.
    ProfileInuseInterval = 49: Spec::new("profile_inuse_interval", 0, Kind::Bytes);
    /// Seconds between snapshots; 0: none.
    ProfileTimeInterval = 50: Spec::new("profile_time_interval", 0, Kind::Number);
    /// The profiler samples one of so many allocated bytes.
    ProfileSampleRate = 51: Spec::new("profile_sample_rate", 512 << 10, Kind::Bytes);
    /// Hand statistics over to the heap after so many bytes were allocated or freed; 0: never.
    StatsMergeThreshold = 52: Spec::new("stats_merge_threshold", 4 << 20, Kind::Bytes);
    /// Larger free ranges are purged at once.
    ArenaPurgeImmediateSize = 53: Spec::new("arena_purge_immediate_size", 32 * MIB, Kind::KiB);
    /// Memory tagging.
    Mte = 54: Spec::new("mte", 1, Kind::Tagging).not_here("no memory tagging");
    /// A thread that purges: 0 never, 1 once there is something to purge, 2 (`auto`) the same if there are other threads.
    /// Our own.
    Scavenge = 1000: Spec::new("scavenge", 0, Kind::Auto);
    /// End the process when it misuses memory: 0 never, 1 always, 2 (`auto`) as the levels of checking have it.
    Abort = 1001: Spec::new("abort", 2, Kind::Auto);
    /// Clear what is freed, in hardened pages: 0 never, 1 at every level that has such, 2 (`auto`) from level 4 on.
    ZeroOnFree = 1002: Spec::new("zero_on_free", 2, Kind::Auto);
    /// Bytes of memory that the process may have committed; 0: any number.
    Limit = 1003: Spec::new("limit", 0, Kind::Bytes);
    /// Have the system list the allocator's memory by name.
    NameMaps = 1004: Spec::new("name_maps", 0, Kind::Switch);
    /// So many guarded blocks stay inaccessible after they have been freed; 0: none.
    GuardedRest = 1005: Spec::new("guarded_rest", 256, Kind::Number);
}

impl OptionId {
    /// How many options there are, ours included.
    pub const COUNT: usize = Self::ALL.len();
    /// Those of mimalloc, whose numbers are consecutive from 0.
    pub const INTERFACE_COUNT: usize = 55;

    /// The option with this number in the C interface.
    pub fn from_raw(number: i32) -> Option<OptionId> {
        let number = u16::try_from(number).ok()?;
        let option = *Self::ALL.get(Self::index_of(number))?;
        (option as u16 == number).then_some(option)
    }

    /// The place in [`OptionId::ALL`].
    #[inline]
    pub const fn index(self) -> usize {
        Self::index_of(self as u16)
    }

    const fn index_of(number: u16) -> usize {
        match number.checked_sub(OURS) {
            Some(ours) => Self::INTERFACE_COUNT + ours as usize,
            None => number as usize,
        }
    }

    /// What is fixed about the option.
    pub const fn spec(self) -> &'static Spec {
        &SPECS[self.index()]
    }
}

const _: () = {
    let mut index = 0;
    while index < OptionId::COUNT {
        assert!(OptionId::ALL[index].index() == index, "numbers are consecutive, mimalloc's and ours");
        index += 1;
    }
    assert!(SPECS.len() == OptionId::COUNT);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_defaults_are_the_interface() {
        assert_eq!(OptionId::INTERFACE_COUNT, 55);
        let expected = [
            (0, "show_errors", 0),
            (4, "arena_eager_commit", 2),
            (8, "reserve_huge_os_pages_at", -1),
            (15, "purge_delay", 1000),
            (23, "arena_reserve", if usize::BITS < 64 { 131_072 } else { 1_048_576 }),
            (30, "guarded_max", 1_073_741_824),
            (34, "generic_collect", 10_000),
            (42, "page_cross_thread_max_reclaim", 32),
            (45, "arena_max_object_size", 2_097_152),
            (46, "arena_is_numa_local", 0),
            (47, "stats_merge_on_collect", 1),
            (48, "profile_alloc_interval", 1 << 30),
            (51, "profile_sample_rate", 512 << 10),
            (52, "stats_merge_threshold", 4 << 20),
            (53, "arena_purge_immediate_size", 32 << 10),
            (54, "mte", 1),
            (1000, "scavenge", 0),
        ];
        for (number, name, default) in expected {
            let spec = OptionId::from_raw(number).unwrap().spec();
            assert_eq!((spec.name, spec.default), (name, default));
        }
    }

    #[test]
    fn numbers_outside_the_table_are_no_option() {
        for number in [-1, 55, 56, 999, 1006, 65_536, 66_536, i32::MIN, i32::MAX] {
            assert_eq!(OptionId::from_raw(number), None);
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: std::vec::Vec<_> = SPECS.iter().map(|spec| spec.name).collect();
        names.extend(SPECS.iter().filter_map(|spec| spec.former_name));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn sizes_are_those_of_the_interface() {
        let of = |kind| OptionId::ALL.iter().filter(move |id| id.spec().kind == kind);
        let in_kib = [ReserveOsMemory, ArenaReserve, ArenaPurgeMinSize, ArenaMaxObjectSize, ArenaPurgeImmediateSize];
        assert!(of(Kind::KiB).eq(&in_kib));
        let in_bytes = [ProfileAllocInterval, ProfileInuseInterval, ProfileSampleRate, StatsMergeThreshold, Limit];
        assert!(of(Kind::Bytes).eq(&in_bytes));
    }
}
