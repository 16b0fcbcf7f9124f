//! Statistics when somebody asks.

use super::*;
use crate::stats::stats_bin_of;

#[test]
fn a_heaps_present_is_what_its_pages_hold() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let mut blocks: Vec<_> = (0..50).map(|_| take(theap, 64)).chain((0..5).map(|_| take(theap, 5000))).collect();
    let stats = heap_stats(heap);
    assert_eq!(stats.malloc_normal.current, 50 * 64 + 5 * 5120);
    assert_eq!((stats.pages.current, stats.malloc_bins[stats_bin_of(64)].current), (2, 50));
    assert_eq!(stats.page_bins[stats_bin_of(5120)].current, 1);
    blocks.drain(..20).for_each(put);
    let stats = heap_stats(heap);
    assert_eq!((stats.malloc_normal.current, stats.malloc_bins[stats_bin_of(64)].current), (30 * 64 + 5 * 5120, 30));
    assert!(stats.malloc_normal.peak >= 50 * 64 + 5 * 5120);
    destroy(heap);
}

#[test]
fn another_threads_blocks_are_counted_too() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    on_a_thread(move || (0..7).for_each(|_| _ = take(theap_for(heap).unwrap(), 64)));
    let stats = heap_stats(heap);
    assert_eq!((stats.malloc_normal.current, stats.pages_abandoned.current), (7 * 64, 1));
    destroy(heap);
}

#[test]
fn a_sub_process_adds_its_heaps_up() {
    let _ground = ground();
    live_theap().unwrap();
    let before = subproc_stats(main_subproc());
    let heap = heap_new().unwrap();
    (0..3).for_each(|_| _ = take(theap_for(heap).unwrap(), 1024));
    let after = subproc_stats(main_subproc());
    assert_eq!(after.malloc_normal.current - before.malloc_normal.current, 3 * 1024);
    assert_eq!(after.heaps.current - before.heaps.current, 1);
    destroy(heap);
    let end = subproc_stats(main_subproc());
    assert_eq!(end.malloc_normal.current, before.malloc_normal.current);
}

#[test]
fn what_an_ended_heap_has_counted_is_kept() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    (0..2).for_each(|_| _ = take(theap, LARGE_BLOCK_MAX));
    let before = subproc_stats(main_subproc()).pages.total;
    destroy(heap);
    assert_eq!(subproc_stats(main_subproc()).pages.total, before);
}
