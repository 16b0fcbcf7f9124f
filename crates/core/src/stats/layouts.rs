//! The table as callers know it: they say in its first two words which layout they were compiled for.
//!
//! The present one (mimalloc 3.6) is that of [`RawStats`]; version 5 (mimalloc 3.4) is declared here, byte for byte.

use super::bins::STATS_BINS;
use super::count::{RawCount, RawCounter};
use super::table::{CHUNK_BINS, RawStats, SPARE, STAT_VERSION};
use core::mem::size_of;

/// What a field becomes, as version 5 has it (`to`), and as the present table has it (`from`).
macro_rules! converted {
    (to RawCount as counter, $counter:expr) => {
        RawCount { total: $counter.total, peak: $counter.total, current: 0 }
    };
    (to $kind:ident, $field:expr) => {
        $field
    };
    (from RawCount as counter, $count:expr) => {
        RawCounter { total: $count.total }
    };
    (from $kind:ident, $field:expr) => {
        $field
    };
}

/// Declares the table: fields in order, each as there is one in the present table; `as counter` where that has a counter.
macro_rules! layout {
    ($($field:ident: $kind:ident $(as $counter:ident)?,)*) => {
        #[repr(C, align(8))]
        #[derive(Clone, Copy)]
        struct Stats5 {
            size: usize,
            version: usize,
            $($field: $kind,)*
            spare_counts: [RawCount; SPARE],
            spare_counters: [RawCounter; SPARE],
            malloc_bins: [RawCount; STATS_BINS],
            page_bins: [RawCount; STATS_BINS],
            chunk_bins: [RawCount; CHUNK_BINS],
        }

        impl From<&RawStats> for Stats5 {
            fn from(stats: &RawStats) -> Self {
                // SAFETY: zeroed memory is a valid table: integers only.
                let spare: Stats5 = unsafe { core::mem::zeroed() };
                Stats5 {
                    size: size_of::<Stats5>(),
                    version: Stats5::VERSION,
                    $($field: converted!(to $kind $(as $counter)?, stats.$field),)*
                    malloc_bins: stats.malloc_bins,
                    page_bins: stats.page_bins,
                    chunk_bins: stats.chunk_bins,
                    ..spare
                }
            }
        }

        impl From<&Stats5> for RawStats {
            fn from(stats: &Stats5) -> Self {
                RawStats {
                    $($field: converted!(from $kind $(as $counter)?, stats.$field),)*
                    malloc_bins: stats.malloc_bins,
                    page_bins: stats.page_bins,
                    chunk_bins: stats.chunk_bins,
                    ..RawStats::new()
                }
                .with_sums()
            }
        }

        /// The offsets of all fields, in order, for the test of the layout.
        #[cfg(test)]
        const OFFSETS: &[(&str, usize)] = &[$((stringify!($field), core::mem::offset_of!(Stats5, $field))),*];
    };
}

layout! {
    pages: RawCount,
    reserved: RawCount,
    committed: RawCount,
    reset: RawCounter,
    purged: RawCounter,
    page_committed: RawCount,
    pages_abandoned: RawCount,
    threads: RawCount,
    malloc_normal: RawCount,
    malloc_huge: RawCount,
    malloc_requested: RawCount as counter,
    mmap_calls: RawCounter,
    commit_calls: RawCounter,
    reset_calls: RawCounter,
    purge_calls: RawCounter,
    arena_count: RawCounter,
    malloc_normal_count: RawCounter,
    malloc_huge_count: RawCounter,
    malloc_guarded_count: RawCounter,
    arena_rollback_count: RawCounter,
    arena_purges: RawCounter,
    pages_extended: RawCounter,
    pages_retire: RawCounter,
    page_searches: RawCounter,
    page_searches_count: RawCounter,
    segments: RawCount,
    segments_abandoned: RawCount,
    segments_cache: RawCount,
    _segments_reserved: RawCount,
    heaps: RawCount,
    theaps: RawCount,
    pages_reclaim_on_alloc: RawCounter,
    pages_reclaim_on_free: RawCounter,
    pages_reabandon_full: RawCounter,
    pages_unabandon_busy_wait: RawCounter,
    heaps_delete_wait: RawCounter,
}

impl Stats5 {
    const VERSION: usize = 5;
}

impl RawStats {
    /// Writes this table to a caller's, in the layout that its header names; false, and nothing is written, if that is null
    /// or its header says that the caller has a layout in mind that there has never been.
    ///
    /// # Safety
    /// `to` is null, or the first two words of a table may be read there, and if they fit, all of it written.
    pub unsafe fn write_to(&self, to: *mut RawStats) -> bool {
        // SAFETY: the caller's promise covers the header.
        let layout = unsafe { layout_of(to) };
        // SAFETY: the header fits, so that the caller's promise covers the table.
        unsafe {
            match layout {
                Some(Layout::Present) => to.write(*self),
                Some(Layout::Five) => to.cast::<Stats5>().write(Stats5::from(self)),
                None => return false,
            }
        }
        true
    }

    /// Reads a caller's table; `None` if it is null or has another layout.
    ///
    /// # Safety
    /// `from` is null, or the first two words of a table may be read there, and if they fit, all of it.
    pub unsafe fn read_from(from: *const RawStats) -> Option<RawStats> {
        // SAFETY: the caller's promise covers the header, and the table if the header fits.
        unsafe {
            match layout_of(from)? {
                Layout::Present => Some(from.read()),
                Layout::Five => Some(RawStats::from(&from.cast::<Stats5>().read())),
            }
        }
    }
}

/// Layouts that callers may have in mind.
enum Layout {
    Present,
    Five,
}

/// # Safety
/// `table` is null or its first two words may be read.
unsafe fn layout_of(table: *const RawStats) -> Option<Layout> {
    if table.is_null() || !table.is_aligned() {
        return None;
    }
    // SAFETY: aligned, and readable by the caller's promise.
    let header = unsafe { ((&raw const (*table).size).read(), (&raw const (*table).version).read()) };
    const PRESENT: (usize, usize) = (size_of::<RawStats>(), STAT_VERSION);
    const FIVE: (usize, usize) = (size_of::<Stats5>(), Stats5::VERSION);
    match header {
        PRESENT => Some(Layout::Present),
        FIVE => Some(Layout::Five),
        _ => None,
    }
}

/// Against the header of mimalloc 3.4.3, where a word has 64 bits.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Stats5>() == 4368);
    assert!(core::mem::offset_of!(Stats5, pages) == 16);
    assert!(core::mem::offset_of!(Stats5, spare_counts) == 544);
    assert!(core::mem::offset_of!(Stats5, spare_counters) == 640);
    assert!(core::mem::offset_of!(Stats5, malloc_bins) == 672);
    assert!(core::mem::offset_of!(Stats5, page_bins) == 2448);
    assert!(core::mem::offset_of!(Stats5, chunk_bins) == 4224);
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Stats;
    use core::ptr;

    #[test]
    fn offsets_are_those_of_the_header() {
        if usize::BITS < 64 {
            return;
        }
        let expected = "pages 16;reserved 40;committed 64;reset 88;purged 96;page_committed 104;\
            pages_abandoned 128;threads 152;malloc_normal 176;malloc_huge 200;malloc_requested 224;\
            mmap_calls 248;commit_calls 256;reset_calls 264;purge_calls 272;arena_count 280;\
            malloc_normal_count 288;malloc_huge_count 296;malloc_guarded_count 304;\
            arena_rollback_count 312;arena_purges 320;pages_extended 328;pages_retire 336;\
            page_searches 344;page_searches_count 352;segments 360;segments_abandoned 384;\
            segments_cache 408;_segments_reserved 432;heaps 456;theaps 480;\
            pages_reclaim_on_alloc 504;pages_reclaim_on_free 512;pages_reabandon_full 520;\
            pages_unabandon_busy_wait 528;heaps_delete_wait 536";
        let found: std::vec::Vec<_> = OFFSETS.iter().map(|(name, offset)| std::format!("{name} {offset}")).collect();
        assert_eq!(found.join(";"), expected);
    }

    #[test]
    fn there_and_back_is_the_same() {
        let mut stats = RawStats::new();
        stats.committed = RawCount { total: 5, peak: 4, current: 3 };
        stats.malloc_normal = RawCount { total: 900, peak: 600, current: 500 };
        stats.malloc_normal_count.total = 9;
        stats.malloc_requested.total = 800;
        stats.heaps_delete_wait.total = 7;
        stats.malloc_bins[3] = RawCount { total: 9, peak: 6, current: 5 };
        stats.chunk_bins[5].total = 2;
        let stats = stats.with_sums();
        assert_eq!(RawStats::from(&Stats5::from(&stats)), stats);
        assert_eq!((stats.allocated.total, stats.freed.total), (900, 400));
        assert_eq!((stats.malloc_count.total, stats.free_count.total), (9, 4));
    }

    #[test]
    fn callers_with_another_layout_get_nothing() {
        let stats = Stats::new();
        stats.pages.increase(1);
        let deliver = |size, version| {
            let mut table = RawStats { size, version, ..RawStats::new() };
            // SAFETY: a table of our own.
            let written = unsafe { stats.snapshot().write_to(&mut table) };
            assert_eq!(table.pages.total, i64::from(written));
            // SAFETY: a table of our own.
            assert_eq!(unsafe { RawStats::read_from(&table) }.is_some(), written);
            written
        };
        assert!(deliver(size_of::<RawStats>(), 6));
        assert!(deliver(size_of::<Stats5>(), 5));
        assert!(!deliver(size_of::<Stats5>(), 6));
        assert!(!deliver(size_of::<RawStats>(), 5));
        assert!(!deliver(size_of::<RawStats>(), 7));
        assert!(!deliver(size_of::<Stats5>(), 4));
        assert!(!deliver(size_of::<Stats5>() - 16, 5));
        assert!(!deliver(0, 0));
        // SAFETY: null is allowed.
        assert!(unsafe { !stats.snapshot().write_to(ptr::null_mut()) });
    }
}
