//! A table of statistics as text.

use super::amount::{Amount, line, put_line, title};
use ferrimalloc_core::diag::{Message, Output};
use ferrimalloc_core::stats::{CHUNK_BINS, HUGE_BIN, RawCount, RawStats, stats_bin_size};

/// The columns of a count.
const COLUMNS: [&str; 3] = ["peak", "total", "current"];
/// In the order of [`ChunkBin`](ferrimalloc_core::stats::ChunkBin).
const CHUNK_NAMES: [&str; CHUNK_BINS] = ["small", "other", "medium", "large", "huge", "free"];

/// What the numbers of a count are.
type Unit = fn(i64) -> Amount;

/// Writes `stats` under the heading `name`: memory, pages, blocks, and those bins that counted anything.
#[doc(alias = "mi_stats_print_out")]
#[cold]
#[inline(never)]
pub fn print_stats(out: &mut dyn Output, name: &str, stats: &RawStats) {
    put_line(out, |line| _ = line.text(name));
    print_blocks(out, stats);
    print_pages(out, stats);
    print_memory(out, stats);
    print_calls(out, stats);
    print_insight(out, stats);
}

fn print_blocks(out: &mut dyn Output, stats: &RawStats) {
    title(out, "blocks", &COLUMNS);
    count(out, "requested", &stats.malloc_requested, Amount::Bytes);
    count(out, "in shared pages", &stats.malloc_normal, Amount::Bytes);
    count(out, "in own pages", &stats.malloc_huge, Amount::Bytes);
    count(out, "together", &stats.malloc_normal.merged(&stats.malloc_huge), Amount::Bytes);
    line(out, "number in shared pages", Amount::Count(stats.malloc_normal_count.total));
    line(out, "number in own pages", Amount::Count(stats.malloc_huge_count.total));
    line(out, "guarded", Amount::Count(stats.malloc_guarded_count.total));
    bins(out, "blocks by size", &stats.malloc_bins);
}

fn print_pages(out: &mut dyn Output, stats: &RawStats) {
    title(out, "pages", &COLUMNS);
    count(out, "pages", &stats.pages, Amount::Count);
    count(out, "abandoned", &stats.pages_abandoned, Amount::Count);
    count(out, "committed", &stats.page_committed, Amount::Bytes);
    line(out, "reclaimed by malloc", Amount::Count(stats.pages_reclaim_on_alloc.total));
    line(out, "reclaimed by free", Amount::Count(stats.pages_reclaim_on_free.total));
    line(out, "abandoned again", Amount::Count(stats.pages_reabandon_full.total));
    line(out, "waits for an owner", Amount::Count(stats.pages_unabandon_busy_wait.total));
    line(out, "extended", Amount::Count(stats.pages_extended.total));
    line(out, "retired", Amount::Count(stats.pages_retire.total));
    bins(out, "pages by block size", &stats.page_bins);
}

fn print_memory(out: &mut dyn Output, stats: &RawStats) {
    title(out, "memory", &COLUMNS);
    count(out, "reserved", &stats.reserved, Amount::Bytes);
    count(out, "committed", &stats.committed, Amount::Bytes);
    line(out, "reset", Amount::Bytes(stats.reset.total));
    line(out, "purged", Amount::Bytes(stats.purged.total));
    chunks(out, &stats.chunk_bins);
}

fn print_calls(out: &mut dyn Output, stats: &RawStats) {
    title(out, "system calls and arenas", &[]);
    line(out, "arenas", Amount::Count(stats.arena_count.total));
    line(out, "arena purges", Amount::Count(stats.arena_purges.total));
    line(out, "arena rollbacks", Amount::Count(stats.arena_rollback_count.total));
    line(out, "mmaps", Amount::Count(stats.mmap_calls.total));
    line(out, "commits", Amount::Count(stats.commit_calls.total));
    line(out, "resets", Amount::Count(stats.reset_calls.total));
    line(out, "purges", Amount::Count(stats.purge_calls.total));
}

fn print_insight(out: &mut dyn Output, stats: &RawStats) {
    title(out, "threads and heaps", &COLUMNS);
    count(out, "threads", &stats.threads, Amount::Count);
    count(out, "heaps", &stats.heaps, Amount::Count);
    count(out, "theaps", &stats.theaps, Amount::Count);
    line(out, "waits to delete a heap", Amount::Count(stats.heaps_delete_wait.total));
    let searches = stats.page_searches_count.total;
    line(out, "pages per search", Amount::Mean { sum: stats.page_searches.total, count: searches });
    let calls = stats.purge_calls.total;
    line(out, "KiB per purge", Amount::Mean { sum: stats.purged.total / 1024, count: calls });
}

#[inline(never)]
fn count(out: &mut dyn Output, name: &str, count: &RawCount, unit: Unit) {
    put_line(out, |line| {
        line.text("  ").text(name);
        write_count(line, count, unit);
    });
}

fn write_count(line: &mut Message, count: &RawCount, unit: Unit) {
    for (index, number) in [count.peak, count.total, count.current].into_iter().enumerate() {
        unit(number).write_in_column(line, index);
    }
}

/// Writes the bins that counted anything, if there are such.
#[inline(never)]
fn bins(out: &mut dyn Output, name: &str, bins: &[RawCount]) {
    if bins.iter().all(RawCount::is_empty) {
        return;
    }
    title(out, name, &COLUMNS);
    for (bin, count) in bins.iter().enumerate().filter(|(_, count)| !count.is_empty()) {
        put_line(out, |line| {
            write_bin(line, bin);
            write_count(line, count, Amount::Count);
        });
    }
}

fn write_bin(line: &mut Message, bin: usize) {
    line.text(if bin == HUGE_BIN { "  from " } else { "  up to " });
    line.size(stats_bin_size(bin)).text(" B");
}

fn chunks(out: &mut dyn Output, bins: &[RawCount; CHUNK_BINS]) {
    for (name, bin) in CHUNK_NAMES.iter().zip(bins).filter(|(_, bin)| !bin.is_empty()) {
        put_line(out, |line| {
            line.text("  chunks, ").text(name);
            write_count(line, bin, Amount::Count);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;
    use ferrimalloc_core::stats::Stats;

    fn printed(stats: &Stats) -> std::string::String {
        let mut lines = Lines::default();
        print_stats(&mut lines, "main", &stats.snapshot());
        assert!(lines.0.iter().all(|line| line.ends_with('\n') && line.matches('\n').count() == 1));
        lines.0.concat()
    }

    /// The columns of the line named `name`.
    fn columns<'a>(text: &'a str, name: &str) -> std::vec::Vec<&'a str> {
        let line = text.lines().find_map(|line| line.trim_start().strip_prefix(name)).unwrap();
        line.split_whitespace().collect()
    }

    #[test]
    fn counts_have_three_columns() {
        let stats = Stats::new();
        stats.committed.increase(3 << 20);
        stats.committed.decrease(1 << 20);
        stats.pages.increase(12);
        let text = printed(&stats);
        assert!(text.starts_with("main\n"));
        assert_eq!(columns(&text, "committed  ").len(), 6);
        assert!(text.contains(" 3.0 MiB      3.0 MiB      2.0 MiB\n"));
        assert_eq!(columns(&text, "pages  "), ["peak", "total", "current"]);
        assert!(text.contains("12           12           12\n"));
    }

    #[test]
    fn only_bins_that_counted_are_listed() {
        let stats = Stats::new();
        assert!(!printed(&stats).contains("by size"));
        stats.malloc_bins[9].increase(7);
        stats.malloc_bins[HUGE_BIN].increase(1);
        stats.chunk_bins[2].increase(1);
        let text = printed(&stats);
        assert_eq!(columns(&text, "up to 80 B"), ["7", "7", "7"]);
        assert_eq!(columns(&text, "from 524296 B"), ["1", "1", "1"]);
        assert_eq!(columns(&text, "chunks, medium"), ["1", "1", "1"]);
        assert!(!text.contains("pages by block size") && !text.contains("chunks, small"));
    }

    #[test]
    fn means_are_derived() {
        let stats = Stats::new();
        stats.page_searches.add(7);
        stats.page_searches_count.add(2);
        assert_eq!(columns(&printed(&stats), "pages per search"), ["3.5"]);
    }
}
