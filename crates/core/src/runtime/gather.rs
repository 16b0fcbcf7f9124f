//! Statistics, gathered when somebody asks.
//!
//! Pages, arenas and threads are counted when they come and go. `malloc` and `free` count nothing: how many blocks a page has
//! lent, and lends now, is worked out from the page's lists (`page::peek`), for live pages here, for a page that goes in
//! `heap::count`. So presents and totals are exact for pages of this thread and of nobody, and close for others'. Nobody
//! is there to see when there were most blocks: their peak is given as the room that their pages had at most.

use crate::arena::Arena;
use crate::heap::{Heap, Subproc, adopt_orphans_first, stats_bin, walk_of};
use crate::page::Page;
use crate::stats::{ChunkBin, HUGE_BIN, RawCount, RawStats, Stats, page_bytes_of, stats_bin_size};
use crate::sync::Lock;
use crate::theap::Theap;

use super::thread::Thread;

/// Held while what was counted is moved or starts over, so that two don't both take what they find.
static MOVING: Lock<()> = Lock::new(());

/// In the child of a fork: whoever held the lock may be gone.
///
/// # Safety
/// There is no other thread.
pub(super) unsafe fn after_fork() {
    // SAFETY: the precondition; statistics that were being moved may be off.
    unsafe { MOVING.reinit() };
}

/// What a heap counts for itself.
pub fn heap_stats(heap: &Heap) -> RawStats {
    adopt_orphans_first();
    let counted = heap.stats().snapshot();
    with_peaks(&counted.with(&with_singles(&walked(heap), &counted)))
}

/// What one of this thread's theaps counts for itself, and what is in the pages that it has now.
pub fn theap_stats(theap: &Theap) -> RawStats {
    let mut found = RawStats::new();
    theap.add_counts_to(&mut found);
    theap.for_each_page(|page| {
        let page = page.page();
        add_page(&mut found, page);
        add_came(&mut found.pages, 1, 1);
        add_came(&mut found.page_bins[stats_bin(page)], 1, 1);
    });
    found.pages.peak = found.pages.current;
    found.page_bins.iter_mut().for_each(|bin| bin.peak = bin.current);
    found.theaps = RawCount { total: 1, peak: 1, current: 1 };
    with_peaks(&found)
}

/// What a sub-process counts besides its heaps: arenas, threads, and what ended heaps left.
pub fn subproc_stats_exclusive(subproc: &Subproc) -> RawStats {
    let mut stats = subproc.arenas().stats().snapshot();
    stats.malloc_normal_count.total = blocks_in_shared_pages(&stats);
    stats.chunk_bins[ChunkBin::None as usize] = unused_chunks(subproc, &stats);
    stats.with_sums()
}

/// A sub-process with all its heaps.
pub fn subproc_stats(subproc: &Subproc) -> RawStats {
    adopt_orphans_first();
    let mut all = subproc_stats_exclusive(subproc);
    subproc.for_each_heap(|heap| all.merge(&heap_stats(heap)));
    all
}

/// Lets a sub-process and its heaps count from here.
pub fn reset_stats(subproc: &Subproc) {
    adopt_orphans_first();
    subproc.arenas().stats().reset();
    subproc.for_each_heap(reset_heap_stats);
}

fn reset_heap_stats(heap: &Heap) {
    let _alone = MOVING.lock();
    heap.stats().reset();
    heap.stats().rebase(&walked(heap));
}

/// Moves what a heap has counted into `into`, but for what is found in its pages now.
pub fn merge_heap_stats(heap: &Heap, into: &Stats) {
    let _alone = MOVING.lock();
    let counted = heap.stats().take();
    let walked = walked(heap);
    let found = with_singles(&walked, &counted);
    let all = with_peaks(&counted.with(&found));
    into.merge_raw(&all.without_present(&found));
    heap.stats().rebase(&walked);
}

/// Has this thread's theaps hand over what they count for themselves.
pub fn hand_over_counts() {
    if let Some(thread) = Thread::current() {
        thread.hand_over_counts();
    }
}

/// What a walk over a heap's theaps and live pages finds: totals and presents, no peaks.
fn walked(heap: &Heap) -> RawStats {
    let mut found = RawStats::new();
    Theap::for_each_of(heap, |theap| theap.add_counts_to(&mut found));
    heap.for_each_own_page(|page| add_page(&mut found, page));
    found
}

/// With what follows from the number of blocks that have had a page of their own.
fn with_singles(found: &RawStats, counted: &RawStats) -> RawStats {
    let (mut all, singles) = (*found, counted.malloc_huge_count.total);
    all.malloc_bins[HUGE_BIN].total += singles;
    all.page_bins[HUGE_BIN].total += singles;
    all.pages_extended.total += singles;
    all
}

fn add_page(found: &mut RawStats, page: &Page) {
    let bin = stats_bin(page);
    let used = page.in_use(walk_of(page)) as i64;
    found.malloc_bins[bin].current += used;
    if page.is_singleton() {
        found.page_bins[bin].current += 1;
    } else {
        add_shared(found, page, bin, used);
    }
}

fn add_shared(found: &mut RawStats, page: &Page, bin: usize, used: i64) {
    let (block_bytes, allocated) = (page.block_bytes() as i64, page.allocated(walk_of(page)) as i64);
    // Its owner may have allocated between the two looks.
    let allocated = allocated.max(used);
    found.malloc_bins[bin].total += allocated;
    found.pages_abandoned.current += i64::from(page.owner().is_unowned() && !page.is_sampled());
    add_came(&mut found.malloc_normal, allocated * block_bytes, used * block_bytes);
    let committed = page.touched_bytes() as i64;
    add_came(&mut found.page_committed, committed, committed);
    found.pages_extended.total += page.extensions() as i64;
}

fn add_came(count: &mut RawCount, total: i64, current: i64) {
    count.total += total;
    count.current += current;
}

/// Fills in what follows from the rest: sums, and peaks as far as they are known.
fn with_peaks(stats: &RawStats) -> RawStats {
    let (mut all, room_bytes) = (*stats, room_of_shared_pages(stats));
    all.malloc_normal = all.malloc_normal.with_peak_below(room_bytes);
    // Those with a page of their own are committed as a whole.
    all.page_committed = all.page_committed.with_peak_below(room_bytes).merged(&all.malloc_huge);
    all.pages_abandoned = all.pages_abandoned.with_peak_below(all.pages.peak);
    all.malloc_normal_count.total = blocks_in_shared_pages(&all);
    all.page_bins[HUGE_BIN] = all.page_bins[HUGE_BIN].with_peak_below(all.pages.peak);
    for bin in 0..all.malloc_bins.len() {
        let most = all.page_bins[bin].peak * blocks_per_page(bin);
        all.malloc_bins[bin] = all.malloc_bins[bin].with_peak_below(most);
    }
    all.with_sums()
}

/// How many bytes pages that blocks share have had at most, if those of each size were there at the same time.
fn room_of_shared_pages(stats: &RawStats) -> i64 {
    let room = |(bin, count): (usize, &RawCount)| count.peak * page_bytes_of(stats_bin_size(bin)) as i64;
    stats.page_bins[..HUGE_BIN].iter().enumerate().map(room).sum()
}

fn blocks_in_shared_pages(stats: &RawStats) -> i64 {
    stats.malloc_bins[..HUGE_BIN].iter().map(|bin| bin.total).sum()
}

/// How many blocks of a bin a page has room for at most.
fn blocks_per_page(bin: usize) -> i64 {
    if bin == HUGE_BIN {
        return 1;
    }
    let smallest = if bin <= 1 { stats_bin_size(bin) } else { stats_bin_size(bin - 1) + 1 };
    (page_bytes_of(stats_bin_size(bin)) / smallest) as i64
}

fn unused_chunks(subproc: &Subproc, stats: &RawStats) -> RawCount {
    let all = subproc.arenas().arenas().map(Arena::chunks).sum::<usize>() as i64;
    let used: i64 = stats.chunk_bins[..ChunkBin::None as usize].iter().map(|bin| bin.current).sum();
    RawCount { total: all, peak: all, current: all - used }
}
