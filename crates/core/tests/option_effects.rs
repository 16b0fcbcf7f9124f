//! Effects of options that no program sees from outside. The others are tested by `tests/c/effects.c`.
//!
//! Options and the allocator are one per process, so the tests of this file run one at a time.

#![cfg(not(loom))]

use std::sync::{Mutex, MutexGuard};
use std::thread;

use ferrimalloc_core::alloc;
use ferrimalloc_core::arena::{Arena, Commit, LargePages, Sharing, page_map};
use ferrimalloc_core::base::{Bin, ENTRY_BYTES, Zero};
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::options::{self, OptionId};
use ferrimalloc_core::runtime;
use ferrimalloc_core::theap::Theap;
use ferrimalloc_prim::mem;

static ONE_BY_ONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_BY_ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Runs `work` with an option set, in a heap of its own on a thread of its own.
fn with<R: Send>(option: OptionId, value: i64, work: impl Fn(&'static Theap, &'static Heap) -> R + Sync) -> R {
    let before = options::get(option);
    options::set(option, value);
    let result = thread::scope(|scope| scope.spawn(|| in_fresh_heap(&work)).join().unwrap());
    options::set(option, before);
    result
}

fn in_fresh_heap<R>(work: &impl Fn(&'static Theap, &'static Heap) -> R) -> R {
    let heap = runtime::heap_new().unwrap();
    let result = work(runtime::theap_for(heap).unwrap(), heap);
    // SAFETY: no block of the heap is used any more.
    assert!(unsafe { runtime::heap_destroy(heap) });
    result
}

const SIZE: usize = 1024;

fn fill(theap: &'static Theap, blocks: usize) -> Vec<*mut u8> {
    (0..blocks).map(|_| alloc::alloc_in(theap, SIZE, Zero::Any)).collect()
}

fn queued_pages(theap: &Theap) -> usize {
    theap.queue(Bin::of(SIZE)).pages().count()
}

#[test]
fn page_full_retain_keeps_full_pages() {
    let _alone = alone();
    let kept = |value| {
        with(OptionId::PageFullRetain, value, |theap, _| {
            fill(theap, 3000);
            queued_pages(theap)
        })
    };
    let (none, few, many) = (kept(0), kept(2), kept(20));
    assert!(none <= few && few < many, "{none} {few} {many}");
}

/// Pages looked at per search, where every page has one free block.
fn looked_at(theap: &'static Theap, heap: &'static Heap) -> f64 {
    let blocks = fill(theap, 4000);
    // SAFETY: used no more.
    blocks.iter().step_by(16).for_each(|p| unsafe { alloc::free(*p) });
    fill(theap, 200);
    theap.hand_over_counts();
    let stats = runtime::heap_stats(heap);
    stats.page_searches.total as f64 / stats.page_searches_count.total as f64
}

#[test]
fn page_max_candidates_bounds_searches() {
    let _alone = alone();
    let one = with(OptionId::PageMaxCandidates, 1, looked_at);
    let many = with(OptionId::PageMaxCandidates, 50, looked_at);
    assert!(one < many, "{one} {many}");
}

/// How much of a fresh arena's part of the page map has memory.
fn resident_entries(arena: &Arena) -> usize {
    let bytes = arena.slices() * ENTRY_BYTES;
    // SAFETY: the entries of an arena are part of the page map.
    unsafe { mem::resident_bytes(page_map::entry(arena.start()).cast(), bytes) * 100 / bytes }
}

#[test]
#[cfg_attr(feature = "sim", ignore = "the in-memory system has large pages behind it")]
fn pagemap_commit_gives_entries_memory() {
    let _alone = alone();
    runtime::ensure_process();
    let percent = |_: &'static Theap, _: &'static Heap| {
        let arenas = runtime::main_subproc().arenas();
        let arena = arenas.reserve_arena(512 << 20, Commit::Now, LargePages::Never, Sharing::Exclusive);
        resident_entries(arena.unwrap())
    };
    assert!(with(OptionId::PagemapCommit, 0, percent) < 50);
    assert!(with(OptionId::PagemapCommit, 1, percent) >= 90);
}

#[test]
fn use_numa_nodes_is_believed() {
    let _alone = alone();
    let nodes = with(OptionId::UseNumaNodes, 3, |_, _| {
        let current = ferrimalloc_core::os::current_numa_node();
        assert!(current < 3);
        ferrimalloc_core::os::numa_nodes()
    });
    assert_eq!(nodes, 3);
}
