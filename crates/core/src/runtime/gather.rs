//! Statistics, gathered when somebody asks.
//!
//! Pages, arenas and threads are counted when they come and go. Blocks in shared pages, and pages by size, are not: `malloc` and `free`
//! count nothing. They are found by walking the pages, and what was found is kept as a *sample* in the heap's table:
//! a growth since the sample before adds to total and peak. So these totals and peaks are those of the moments at
//! which somebody asked; the present is exact for pages of this thread and of nobody, and close for others'
//! (`page::peek`).

use crate::arena::{Arena, Kind};
use crate::bitmap::CHUNK_BITS;
use crate::heap::{Heap, Subproc, stats_bin, walk_of};
use crate::page::Page;
use crate::stats::{CHUNK_BINS, ChunkBin, HUGE_BIN, RawStats, STATS_BINS, StatCount, Stats};
use crate::sync::Lock;

use super::thread::{Thread, current_theap};

/// Held while a sample is taken, so that two don't both add what they find new. Who finds it taken does without.
static SAMPLING: Lock<()> = Lock::new(());

/// In the child of a fork: the sampler may be gone.
///
/// # Safety
/// There is no other thread.
pub(super) unsafe fn after_fork() {
    // SAFETY: the precondition; a sample that was cut short is made good by the next.
    unsafe { SAMPLING.reinit() };
}

/// What a heap counts for itself.
pub fn heap_stats(heap: &Heap) -> RawStats {
    settle_thread();
    sample_heap(heap);
    heap.stats().snapshot()
}

/// What a sub-process counts besides its heaps: arenas, threads, and what ended heaps left.
pub fn subproc_stats_exclusive(subproc: &Subproc) -> RawStats {
    sample_chunks(subproc);
    subproc.arenas().stats().snapshot()
}

/// A sub-process with all its heaps.
pub fn subproc_stats(subproc: &Subproc) -> RawStats {
    let mut all = subproc_stats_exclusive(subproc);
    subproc.for_each_heap(|heap| {
        all.merge(&heap_stats(heap));
        true
    });
    all
}

/// Lets a sub-process and its heaps count from here.
pub fn reset_stats(subproc: &Subproc) {
    settle_thread();
    subproc.arenas().stats().reset();
    subproc.for_each_heap(|heap| {
        heap.stats().reset();
        true
    });
}

/// Moves what a heap has counted into `into`, but for what is sampled, which the heap's pages still have.
pub fn merge_heap_stats(heap: &Heap, into: &Stats) {
    settle_thread();
    let _alone = SAMPLING.lock();
    Sample::new().keep_in(heap.stats());
    into.absorb(heap.stats());
}

/// Has this thread's theaps hand over what they count for themselves.
pub fn settle_thread() {
    let theap = current_theap();
    if !theap.is_empty_theap() {
        Thread::of(theap).hand_over_counts();
    }
}

/// What a walk over a heap's pages finds.
struct Sample {
    blocks: [usize; STATS_BINS],
    pages: [usize; STATS_BINS],
    bytes: usize,
    abandoned: usize,
}

impl Sample {
    const fn new() -> Self {
        Self { blocks: [0; STATS_BINS], pages: [0; STATS_BINS], bytes: 0, abandoned: 0 }
    }

    fn add(&mut self, page: &Page) {
        let used = page.in_use(walk_of(page));
        self.blocks[stats_bin(page)] += used;
        self.pages[stats_bin(page)] += 1;
        if !page.is_singleton() {
            self.bytes += used * page.block_bytes();
            self.abandoned += usize::from(page.owner().is_unowned());
        }
    }

    fn keep_in(&self, stats: &Stats) {
        for (bin, (count, &blocks)) in stats.malloc_bins.iter().zip(&self.blocks).enumerate() {
            if bin != HUGE_BIN {
                let more = blocks.saturating_sub(count.current().max(0) as usize);
                stats.malloc_normal_count.add(more);
            }
            become_now(count, blocks);
        }
        stats.page_bins.iter().zip(&self.pages).for_each(|(count, &pages)| become_now(count, pages));
        become_now(&stats.malloc_normal, self.bytes);
        become_now(&stats.pages_abandoned, self.abandoned);
    }
}

fn become_now(count: &StatCount, now: usize) {
    let change = now as i64 - count.current();
    if change >= 0 {
        count.increase(change as usize);
    } else {
        count.decrease(change.unsigned_abs() as usize);
    }
}

fn sample_heap(heap: &Heap) {
    let Some(_alone) = SAMPLING.try_lock() else { return };
    let mut sample = Sample::new();
    heap.for_each_own_page(|page| {
        sample.add(page);
        true
    });
    sample.keep_in(heap.stats());
}

fn sample_chunks(subproc: &Subproc) {
    let Some(_alone) = SAMPLING.try_lock() else { return };
    let mut found = [0; CHUNK_BINS];
    for arena in subproc.arenas().arenas() {
        for chunk in 0..arena.slices().div_ceil(CHUNK_BITS) {
            found[bin_of(arena, chunk) as usize] += 1;
        }
    }
    subproc.arenas().stats().chunk_bins.iter().zip(found).for_each(|(count, now)| become_now(count, now));
}

fn bin_of(arena: &Arena, chunk: usize) -> ChunkBin {
    match arena.kind_of_chunk(chunk) {
        Some(Kind::Small) => ChunkBin::Small,
        Some(Kind::Medium) => ChunkBin::Medium,
        Some(Kind::Large) => ChunkBin::Large,
        Some(Kind::Other) => ChunkBin::Other,
        None => ChunkBin::None,
    }
}
