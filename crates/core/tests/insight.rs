//! Looking into the allocator: visits, statistics, ownership questions; arenas that are asked for; sub-processes.
//!
//! The allocator is one per process, so the tests of this file run one at a time.

#![cfg(not(loom))]

mod support;

use std::collections::HashSet;
use std::sync::{Barrier, Mutex, MutexGuard};
use std::thread;

use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::arena::{Arena, Commit, LargePages, Refusal, Sharing, UserMemory};
use ferrimalloc_core::base::{Force, SLICE_BYTES, Zero};
use ferrimalloc_core::heap::{Depth, Heap};
use ferrimalloc_core::runtime::{self, Undestroyed};
use ferrimalloc_core::stats::{ChunkBin, HUGE_BIN, RawStats, stats_bin_of};

static ONE_BY_ONE: Mutex<()> = Mutex::new(());

/// A test's turn, which ends after its thread's theaps: what these hand over must not come while another test counts.
struct Alone {
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Alone {
    fn drop(&mut self) {
        runtime::thread_done();
    }
}

fn alone() -> Alone {
    Alone { _turn: ONE_BY_ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) }
}

fn in_heap(heap: &'static Heap, size: usize) -> *mut u8 {
    alloc::alloc_in(runtime::theap_for(heap).unwrap(), size, Zero::Any)
}

fn destroy(heap: &'static Heap) {
    // SAFETY: the tests use no block of a heap after this.
    assert!(unsafe { runtime::heap_destroy(heap) });
}

fn free(p: *mut u8) {
    // SAFETY: the tests pass blocks that they use no more.
    unsafe { alloc::free(p) };
}

/// The blocks that a visit shows, and how many its areas say are in use.
fn visited(heap: &Heap) -> (HashSet<usize>, usize) {
    let (mut blocks, mut used) = (HashSet::new(), 0);
    let whole = heap.visit(Depth::Blocks, |_| true, &mut |area, block| {
        match block {
            None => used += area.used,
            Some(block) => assert!(blocks.insert(block as usize), "shown twice"),
        }
        true
    });
    assert!(whole);
    (blocks, used)
}

#[test]
fn a_visit_shows_what_is_in_use_and_nothing_else() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let sizes = [1, 8, 100, 1000, 9000, 70_000, 600_000, 5 << 20];
    let blocks: Vec<_> = (0..400).map(|index| in_heap(heap, sizes[index % sizes.len()])).collect();
    let (gone, kept): (Vec<_>, Vec<_>) = blocks.iter().enumerate().partition(|(index, _)| index % 3 == 0);
    gone.iter().for_each(|(_, p)| free(**p));
    let kept: HashSet<usize> = kept.iter().map(|(_, p)| **p as usize).collect();
    let (seen, used) = visited(heap);
    assert_eq!(seen, kept);
    assert_eq!(used, kept.len());
    destroy(heap);
}

#[test]
fn frees_of_other_threads_are_seen_and_visitors_may_free() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let blocks: Vec<usize> = (0..200).map(|_| in_heap(heap, 500) as usize).collect();
    let freed = blocks[..150].to_vec();
    thread::spawn(move || freed.into_iter().for_each(|p| free(p as *mut u8))).join().unwrap();
    assert_eq!(visited(heap).0, blocks[150..].iter().copied().collect());
    heap.visit(Depth::Blocks, |_| true, &mut |_, block| {
        block.into_iter().for_each(free);
        true
    });
    assert_eq!(visited(heap).1, 0);
    destroy(heap);
}

#[test]
fn a_visitor_ends_the_visit() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    (0..100).for_each(|_| _ = in_heap(heap, 64));
    let mut calls = 0;
    let whole = heap.visit(Depth::Blocks, |_| true, &mut |_, _| {
        calls += 1;
        calls < 5
    });
    assert!(!whole && calls == 5);
    destroy(heap);
}

fn is_sane(stats: &RawStats) -> bool {
    let counts = [&stats.pages, &stats.malloc_normal, &stats.malloc_huge, &stats.committed, &stats.threads];
    counts.iter().all(|count| 0 <= count.current && count.current <= count.peak && count.peak <= count.total)
}

#[test]
fn statistics_count_blocks_pages_and_large_blocks() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let blocks: Vec<_> = (0..1000).map(|_| in_heap(heap, 1000)).collect();
    let large = in_heap(heap, 30 << 20);
    let stats = runtime::heap_stats(heap);
    let bin = stats_bin_of(1024);
    assert!(is_sane(&stats));
    assert_eq!(stats.malloc_bins[bin].current, 1000);
    assert_eq!(stats.malloc_normal.current, 1000 * 1024);
    assert_eq!((stats.malloc_huge.current, stats.malloc_huge_count.total), (30 << 20, 1));
    assert_eq!(stats.page_bins.iter().map(|bin| bin.current).sum::<i64>(), stats.pages.current);
    assert_eq!(stats.page_bins[HUGE_BIN].current, 1);
    blocks[..400].iter().for_each(|p| free(*p));
    free(large);
    let stats = runtime::heap_stats(heap);
    assert!(is_sane(&stats));
    assert_eq!(stats.malloc_bins[bin].current, 600);
    assert_eq!((stats.malloc_huge.current, stats.malloc_huge.peak), (0, 30 << 20));
    destroy(heap);
}

/// Allocates `count` blocks of mixed sizes, frees most of them in an odd order, and does so again; answers what is left.
fn churn(heap: &'static Heap, count: usize, rounds: usize) -> Vec<usize> {
    let mut live: Vec<usize> = Vec::new();
    for round in 0..rounds {
        live.extend((0..count).map(|index| in_heap(heap, 16 << ((index + round) % 12)) as usize));
        let keep = |index: usize| index % 7 == round % 7;
        let (kept, gone): (Vec<_>, Vec<_>) = live.iter().copied().enumerate().partition(|(index, _)| keep(*index));
        gone.into_iter().for_each(|(_, p)| free(p as *mut u8));
        live = kept.into_iter().map(|(_, p)| p).collect();
    }
    live
}

#[test]
fn totals_of_blocks_are_exact_whatever_became_of_their_pages() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let mut live = churn(heap, 500, 6);
    // A thread that ends, and whose blocks this one frees; and frees of ours by another.
    let theirs = thread::spawn(|| churn(heap, 300, 5)).join().unwrap();
    live.extend(theirs);
    let handed_over: Vec<usize> = live.drain(..live.len() / 2).collect();
    thread::spawn(move || handed_over.into_iter().for_each(|p| free(p as *mut u8))).join().unwrap();
    live.extend(churn(heap, 100, 3));
    let stats = runtime::heap_stats(heap);
    let allocated = 500 * 6 + 300 * 5 + 100 * 3;
    assert!(is_sane(&stats));
    assert_eq!(stats.malloc_normal_count.total, allocated);
    assert_eq!(stats.malloc_bins.iter().map(|bin| bin.current).sum::<i64>(), live.len() as i64);
    let bytes: usize = live.iter().map(|p| alloc::usable_size(*p as *mut u8)).sum();
    assert_eq!(stats.malloc_normal.current, bytes as i64);
    assert!(stats.malloc_bins.iter().all(|bin| bin.current <= bin.peak && bin.peak <= bin.total));
    live.into_iter().for_each(|p| free(p as *mut u8));
    assert_eq!(runtime::heap_stats(heap).malloc_normal_count.total, allocated);
    assert_eq!(runtime::heap_stats(heap).malloc_normal.current, 0);
    destroy(heap);
}

#[test]
fn totals_follow_a_heap_that_ends() {
    let _alone = alone();
    let count = || runtime::subproc_stats(runtime::main_subproc()).malloc_normal_count.total;
    let before = count();
    let heap = runtime::heap_new().unwrap();
    let live = churn(heap, 200, 4);
    assert_eq!(count() - before, 800);
    // SAFETY: nobody allocates in the heap any more.
    assert!(unsafe { runtime::heap_delete(heap) });
    assert_eq!(count() - before, 800);
    live.into_iter().for_each(|p| free(p as *mut u8));
    let heap = runtime::heap_new().unwrap();
    churn(heap, 200, 4);
    destroy(heap);
    assert_eq!(count() - before, 1600);
}

#[test]
fn totals_include_pages_that_go_with_their_theap() {
    let _alone = alone();
    let count = || runtime::subproc_stats(runtime::main_subproc()).malloc_normal_count.total;
    let before = count();
    let heap = runtime::heap_new().unwrap();
    let blocks: Vec<_> = (0..1000).map(|_| in_heap(heap, 100)).collect();
    // The pages that are empty then are kept for a while.
    blocks.into_iter().for_each(free);
    // SAFETY: nobody allocates in the heap any more.
    assert!(unsafe { runtime::heap_delete(heap) });
    assert_eq!(count() - before, 1000);
}

#[test]
fn totals_start_over_with_what_there_is() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let live = churn(heap, 200, 3);
    let large = in_heap(heap, 3 << 20);
    runtime::merge_heap_stats(heap, runtime::main_subproc().arenas().stats());
    let stats = runtime::heap_stats(heap);
    assert_eq!(stats.malloc_normal_count.total, live.len() as i64);
    assert_eq!(stats.malloc_bins[HUGE_BIN].total, 1);
    in_heap(heap, 100);
    free(large);
    let stats = runtime::heap_stats(heap);
    assert_eq!(stats.malloc_normal_count.total, live.len() as i64 + 1);
    runtime::reset_stats(runtime::main_subproc());
    let stats = runtime::heap_stats(heap);
    assert_eq!(
        (stats.malloc_normal.total, stats.malloc_normal.peak),
        (stats.malloc_normal.current, stats.malloc_normal.current)
    );
    assert_eq!(stats.malloc_bins[HUGE_BIN].total, 0);
    destroy(heap);
}

#[test]
fn peaks_are_those_of_the_pages_at_most() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let blocks: Vec<_> = (0..1000).map(|_| in_heap(heap, 1000)).collect();
    blocks.into_iter().for_each(free);
    let again: Vec<_> = (0..100).map(|_| in_heap(heap, 1000)).collect();
    let stats = runtime::heap_stats(heap);
    let room = (1000 * 1024_usize).next_multiple_of(SLICE_BYTES) as i64;
    let (bytes, bin) = (stats.malloc_normal, stats.malloc_bins[stats_bin_of(1024)]);
    assert_eq!((bytes.total, bytes.current), (1100 * 1024, 100 * 1024));
    assert!(bytes.peak >= 1000 * 1024 && bytes.peak <= room, "{bytes:?}");
    assert!(bin.peak >= 1000 && bin.peak <= 1100);
    again.into_iter().for_each(free);
    destroy(heap);
}

#[test]
fn pages_are_counted_as_they_grow_and_are_given_up() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    // Sixteen blocks to a page of 64 KiB, linked one at a time.
    let blocks: Vec<_> = (0..20 * 16).map(|_| in_heap(heap, 4000)).collect();
    let stats = runtime::heap_stats(heap);
    assert_eq!(stats.pages_extended.total, 320);
    assert_eq!(stats.page_committed.current, 320 * 4096);
    assert!(stats.pages_abandoned.current > 10, "full pages are given up");
    assert!(stats.pages_abandoned.total >= stats.pages_abandoned.current);
    let given: Vec<usize> = blocks.into_iter().map(|p| p as usize).collect();
    thread::spawn(move || given[..280].iter().for_each(|p| free(*p as *mut u8))).join().unwrap();
    let stats = runtime::heap_stats(heap);
    assert!(stats.pages_reabandon_full.total > 5, "and listed again when others free into them");
    assert_eq!(stats.pages_extended.total, 320);
    assert_eq!(stats.page_committed.total, 320 * 4096);
    assert!(stats.page_committed.current < 320 * 4096);
    destroy(heap);
}

#[test]
fn chunks_are_counted_by_what_they_serve() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    // Of several one at most is guarded, and has a page of its own for that.
    (0..3).for_each(|_| _ = in_heap(heap, 300_000));
    let stats = runtime::subproc_stats_exclusive(runtime::main_subproc());
    let all: usize = runtime::main_subproc().arenas().arenas().map(Arena::chunks).sum();
    assert_eq!(stats.chunk_bins.iter().map(|bin| bin.current).sum::<i64>(), all as i64);
    assert!(stats.chunk_bins.iter().all(|bin| 0 <= bin.current && bin.current <= bin.peak && bin.peak <= bin.total));
    assert!(stats.chunk_bins[ChunkBin::Large as usize].current >= 1);
    destroy(heap);
}

#[test]
fn statistics_of_a_heap_go_to_the_sub_process() {
    let _alone = alone();
    let main = runtime::main_subproc();
    let heap = runtime::heap_new().unwrap();
    (0..1000).for_each(|_| _ = in_heap(heap, 1000));
    let (own, before) = (runtime::heap_stats(heap).pages, runtime::subproc_stats_exclusive(main).pages);
    runtime::merge_heap_stats(heap, main.arenas().stats());
    assert_eq!(runtime::heap_stats(heap).pages.current, 0);
    assert_eq!(runtime::subproc_stats_exclusive(main).pages.current, before.current + own.current);
    destroy(heap);
    let after = runtime::subproc_stats_exclusive(main);
    assert_eq!(after.pages.current, before.current);
    assert!(after.pages.total >= before.total + own.total);
}

#[test]
fn what_is_committed_goes_down_again() {
    let _alone = alone();
    let committed = || runtime::main_subproc().arenas().stats().committed.current();
    free(alloc::malloc(1));
    alloc::collect(Force::All);
    let before = committed();
    let p = alloc::malloc(40 << 20);
    assert!(committed() >= before + (40 << 20));
    free(p);
    alloc::collect(Force::All);
    assert!(committed() <= before + (1 << 20), "{} {before}", committed());
}

#[test]
fn questions_reach_deep_into_large_blocks() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let p = in_heap(heap, 20 << 20);
    for offset in [0, 1, 5 << 20, (20 << 20) - 1] {
        assert!(alloc::heap_of(p.wrapping_add(offset)).is_some_and(|of| of == heap), "{offset}");
    }
    let behind = p.wrapping_add((20 << 20) + (64 << 20));
    assert!(alloc::heap_of(behind).is_none());
    destroy(heap);
    assert!(!alloc::is_ours(p.wrapping_add(5 << 20)));
}

#[test]
fn resizing_into_a_heap_moves_blocks_there() {
    let _alone = alone();
    let heap = runtime::heap_new().unwrap();
    let theap = runtime::theap_for(heap).unwrap();
    for size in [100, 5000, 3 << 20] {
        let p = alloc::malloc(size);
        // SAFETY: a block of that size, used no more after it was moved.
        unsafe {
            p.write_bytes(7, size);
            let moved = alloc::realloc_into(theap, p, size, Alignment::NATURAL, Zero::Any);
            assert!(alloc::heap_of(moved).is_some_and(|of| of == heap));
            assert!((0..size).all(|index| moved.add(index).read() == 7));
        }
    }
    destroy(heap);
}

#[test]
fn reducing_gives_pages_up_and_keeps_blocks() {
    let _alone = alone();
    thread::spawn(|| {
        let blocks: Vec<_> = (0..500).map(|index| alloc::malloc(index * 10)).collect();
        alloc::collect_reduce(2 * SLICE_BYTES);
        let theap = runtime::current_theap();
        let mut owned = 0;
        theap.for_each_page(|page| owned += page.slices() * SLICE_BYTES);
        assert!(owned <= 2 * SLICE_BYTES);
        blocks.into_iter().for_each(free);
    })
    .join()
    .unwrap();
}

// -- arenas --

#[test]
fn exclusive_arenas_serve_their_heap_alone() {
    let _alone = alone();
    runtime::ensure_process();
    let arenas = runtime::main_subproc().arenas();
    let reserve = |bytes| arenas.reserve_arena(bytes, Commit::Later, LargePages::Try, Sharing::Exclusive);
    let arena = reserve(32 << 20).unwrap();
    assert_eq!(arena.bytes(), 32 << 20);
    let heap = runtime::heap_new_in_arena(arena).unwrap();
    assert!(arena.contains(in_heap(heap, 100)) && arena.contains(in_heap(heap, 3 << 20)));
    assert!(in_heap(heap, 64 << 20).is_null());
    let p = alloc::malloc(3 << 20);
    assert!(!arena.contains(p));
    free(p);
    destroy(heap);
    assert!(reserve(0).is_none() && reserve(Arena::MIN_BYTES - SLICE_BYTES).is_none() && reserve(usize::MAX).is_none());
}

fn user_memory(start: *mut u8, bytes: usize) -> UserMemory {
    UserMemory {
        start,
        bytes,
        commit_state: Commit::Now,
        pinned: true,
        zero: Zero::Any,
        numa: None,
        sharing: Sharing::Exclusive,
        commit: None,
    }
}

#[test]
fn the_program_s_memory_becomes_an_arena() {
    let _alone = alone();
    runtime::ensure_process();
    let arenas = runtime::main_subproc().arenas();
    let memory = Box::leak(vec![0xAB_u8; 8 << 20].into_boxed_slice());
    // SAFETY: the memory is leaked and used by nobody else.
    let manage = |start, bytes| unsafe { arenas.manage(&user_memory(start, bytes)) };
    assert_eq!(manage(memory.as_mut_ptr(), 1 << 20).err(), Some(Refusal::TooSmall));
    assert_eq!(manage(std::ptr::null_mut(), 8 << 20).err(), Some(Refusal::TooSmall));
    let arena = manage(memory.as_mut_ptr(), memory.len()).unwrap();
    let heap = runtime::heap_new_in_arena(arena).unwrap();
    let p = alloc::alloc_in(runtime::theap_for(heap).unwrap(), 3000, Zero::Zeroed);
    assert!(memory.as_ptr_range().contains(&p.cast_const()));
    // SAFETY: a block of that size.
    assert!(unsafe { std::slice::from_raw_parts(p, 3000) }.iter().all(|byte| *byte == 0));
    destroy(heap);
}

// -- sub-processes --

#[test]
fn a_sub_process_has_its_own_memory_and_its_own_end() {
    let _alone = alone();
    let subproc = runtime::subproc_new().unwrap();
    let (p, heap) = thread::spawn(move || {
        assert!(runtime::join_subproc(subproc));
        assert!(std::ptr::eq(runtime::current_subproc(), subproc));
        let heap = runtime::heap_new().unwrap();
        in_heap(heap, 2 << 20);
        (alloc::malloc(100) as usize, std::ptr::from_ref(heap) as usize)
    })
    .join()
    .unwrap();
    let p = p as *mut u8;
    assert!(std::ptr::eq(alloc::heap_of(p).unwrap().subproc(), subproc));
    assert!(subproc.arenas().find(p).is_some() && runtime::main_subproc().arenas().find(p).is_none());
    assert_eq!(runtime::subproc_stats(subproc).threads.current, 0);
    // SAFETY: no block of the sub-process is used after this.
    unsafe { assert_eq!(runtime::subproc_destroy(subproc), Ok(())) };
    assert!(!alloc::is_ours(p));
    assert!(runtime::find_heap(heap as *const Heap).is_none() && runtime::find_subproc(subproc).is_none());
}

#[test]
fn sub_processes_in_use_are_not_destroyed() {
    let _alone = alone();
    let subproc = runtime::subproc_new().unwrap();
    // SAFETY: refused, or nobody uses a block of it.
    let destroy = |subproc| unsafe { runtime::subproc_destroy(subproc) };
    assert_eq!(destroy(runtime::main_subproc()), Err(Undestroyed::InUse));
    let (joined, go_on) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            runtime::join_subproc(subproc);
            assert_eq!(destroy(subproc), Err(Undestroyed::InUse));
            joined.wait();
            go_on.wait();
            runtime::thread_done();
        });
        joined.wait();
        assert_eq!(destroy(subproc), Err(Undestroyed::HasThreads));
        go_on.wait();
    });
    assert_eq!(destroy(subproc), Ok(()));
}

#[test]
fn visitors_of_heaps_may_end_them() {
    let _alone = alone();
    let subproc = runtime::main_subproc();
    (0..50).for_each(|_| _ = runtime::heap_new().unwrap());
    let mut ended = 0;
    assert!(runtime::visit_heaps(subproc, |heap| {
        if !heap.is_main() {
            destroy(heap);
            ended += 1;
        }
        true
    }));
    assert!(ended >= 50);
    let mut left = 0;
    subproc.for_each_heap(|_| {
        left += 1;
    });
    assert_eq!(left, 1);
}

/// All but the tests that count bytes: hardened blocks are larger, guarded ones have pages of their own.
#[test]
fn all_of_it_holds_at_every_level() {
    let _alone = alone();
    support::at_every_level(
        &["all_of_it_holds_at_every_level", "statistics_count_blocks_pages_and_large_blocks", "totals_of_blocks"],
        &["totals_", "peaks_", "pages_are_counted"],
    );
}
