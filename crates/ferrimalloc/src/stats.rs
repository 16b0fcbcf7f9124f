//! What the allocator holds and does, in numbers.
//!
//! Counting costs the fast paths nothing: the numbers come from events of pages and of memory, which are rare, and from
//! walking the pages when somebody asks.

use ferrimalloc_core::runtime;
use ferrimalloc_core::stats::{RawCount, RawStats};
use ferrimalloc_prim::process;
use ferrimalloc_report as report;

/// Something that comes and goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// How much there is now.
    pub current: u64,
    /// The most there has been at a time.
    pub peak: u64,
    /// How much has come, in all.
    pub total: u64,
}

impl From<&RawCount> for Count {
    fn from(raw: &RawCount) -> Count {
        Count { current: unsigned(raw.current), peak: unsigned(raw.peak), total: unsigned(raw.total) }
    }
}

/// Counts of threads that run meanwhile may be a moment apart, and a difference below zero.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A snapshot of the statistics. Numbers that change meanwhile may be of slightly different moments.
///
/// ```
/// use ferrimalloc::{MiMalloc, Stats};
///
/// #[global_allocator]
/// static GLOBAL: MiMalloc = MiMalloc;
///
/// let block = vec![1u8; 100_000];
/// let stats = Stats::now();
/// assert!(stats.own_page_bytes.current + stats.shared_page_bytes.current >= block.len() as u64);
/// assert!(stats.reserved_bytes.current >= block.len() as u64);
/// ```
#[doc(alias = "mi_stats_t")]
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Address space held, in bytes. Costs nothing by itself.
    pub reserved_bytes: Count,
    /// Address space that may be touched, in bytes.
    pub committed_bytes: Count,
    /// Bytes of physical memory given back while the addresses were kept.
    pub purged_bytes: u64,
    /// Calls of the OS for that.
    pub purge_calls: u64,
    /// Arenas: large stretches of address space, from which pages come.
    pub arenas: u64,
    /// Pages: runs of memory with blocks of one size.
    pub pages: Count,
    /// Blocks that share a page, in bytes, rounding included. Worked out from the pages when somebody asks; the peak is what
    /// it was at most (`docs/STATS.md`).
    pub shared_page_bytes: Count,
    /// How many such blocks have been allocated, in all.
    pub shared_page_blocks: u64,
    /// Blocks that have a page of their own, in bytes.
    pub own_page_bytes: Count,
    /// How many such blocks have been allocated, in all.
    pub own_page_blocks: u64,
    /// Pages that nobody owns: their thread has ended, or gave them up when they were full.
    pub unowned_pages: Count,
    /// Pages that an allocation took over from a thread that had given them up or ended.
    pub pages_taken_over: u64,
    /// Heaps.
    pub heaps: Count,
    /// Threads' parts of heaps.
    pub theaps: Count,
    /// Threads that have allocated.
    pub threads: Count,
    raw: RawStats,
}

impl Stats {
    /// The numbers of now, over all heaps of this thread's sub-process. Looks at every page.
    #[doc(alias = "mi_stats_get")]
    pub fn now() -> Stats {
        Stats::from(&runtime::subproc_stats(runtime::current_subproc()))
    }

    /// Memory of pages that has held blocks, in bytes, now.
    pub(crate) fn page_bytes(&self) -> u64 {
        unsigned(self.raw.page_committed.current)
    }

    /// Writes them as JSON, with mimalloc's keys, to `sink`, piece by piece.
    ///
    /// ```
    /// let mut json = Vec::new();
    /// ferrimalloc::Stats::now().write_json(&mut |piece| json.extend_from_slice(piece));
    /// assert!(json.starts_with(b"{"));
    /// ```
    #[doc(alias = "mi_stats_get_json")]
    pub fn write_json(&self, sink: &mut dyn FnMut(&[u8])) {
        report::stats_json(&self.raw, &process::info(), sink);
    }
}

impl From<&RawStats> for Stats {
    fn from(raw: &RawStats) -> Stats {
        Stats {
            reserved_bytes: Count::from(&raw.reserved),
            committed_bytes: Count::from(&raw.committed),
            purged_bytes: unsigned(raw.purged.total),
            purge_calls: unsigned(raw.purge_calls.total),
            arenas: unsigned(raw.arena_count.total),
            pages: Count::from(&raw.pages),
            shared_page_bytes: Count::from(&raw.malloc_normal),
            shared_page_blocks: unsigned(raw.malloc_normal_count.total),
            own_page_bytes: Count::from(&raw.malloc_huge),
            own_page_blocks: unsigned(raw.malloc_huge_count.total),
            unowned_pages: Count::from(&raw.pages_abandoned),
            pages_taken_over: unsigned(raw.pages_reclaim_on_alloc.total),
            heaps: Count::from(&raw.heaps),
            theaps: Count::from(&raw.theaps),
            threads: Count::from(&raw.threads),
            raw: *raw,
        }
    }
}
