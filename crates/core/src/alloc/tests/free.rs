//! Freeing: every way a block can come back, and what is no block.

use super::*;
use crate::diag;
use std::thread;

/// Addresses as numbers, which may go to other threads.
fn addresses(blocks: impl IntoIterator<Item = *mut u8>) -> Vec<usize> {
    blocks.into_iter().map(|p| p.expose_provenance()).collect()
}

fn release_addresses(addresses: Vec<usize>) {
    addresses.into_iter().for_each(|address| release(ptr::with_exposed_provenance_mut(address)));
}

fn pages_of_all_heaps() -> usize {
    collect(Force::All);
    let mut pages = 0;
    heap_main().unwrap().for_each_own_page(|_| {
        pages += 1;
    });
    pages
}

#[test]
fn freed_blocks_are_used_again() {
    let _ground = ground();
    for size in [16, 500, 5000, 100_000] {
        let heap = heap_new().unwrap();
        let theap = theap_for(heap).unwrap();
        let fill = || (0..2000.min(MIB / size)).map(|_| malloc_in(theap, size)).collect::<Vec<_>>();
        let all_pages = || {
            let mut pages = 0;
            heap.for_each_own_page(|_| {
                pages += 1;
            });
            pages
        };
        let blocks = fill();
        let pages = all_pages();
        for block in blocks.into_iter().rev() {
            release(block);
        }
        fill();
        assert!(all_pages() <= pages, "blocks of {size}");
        // SAFETY: nobody uses its blocks any more.
        assert!(unsafe { crate::runtime::heap_destroy(heap) });
    }
}

#[test]
fn everything_freed_leaves_no_page_whoever_frees() {
    let _ground = ground();
    let before = pages_of_all_heaps();
    let sizes: Vec<usize> = edges().step_by(2).collect();
    let mine = addresses(sizes.iter().map(|size| malloc(*size)));
    thread::scope(|scope| {
        let theirs = scope.spawn(|| addresses(sizes.iter().map(|size| malloc(*size)))).join().unwrap();
        scope.spawn(move || release_addresses(mine));
        release_addresses(theirs);
    });
    assert_eq!(pages_of_all_heaps(), before);
}

#[test]
fn errno_stays_as_it_was() {
    let _ground = ground();
    let blocks: Vec<_> = [10, 5000, 300_000, 5 * MIB].map(malloc).into();
    errno::set(Errno(77));
    blocks.into_iter().for_each(release);
    release(ptr::null_mut());
    assert!(errno::get() == Errno(77));
}

#[test]
fn what_is_no_block_is_counted_and_left_alone() {
    let _ground = ground();
    live_theap().unwrap();
    let mut here = [7u64; 4];
    let foreign = here.as_mut_ptr().cast::<u8>();
    let wild = [0x10, (usize::MAX >> 17) - 0x4fff, usize::MAX - 15, 1 << (usize::BITS - 1)];
    let wild = wild.map(ptr::with_exposed_provenance_mut::<u8>);
    let before = diag::error_count();
    release(foreign);
    wild.into_iter().for_each(release);
    assert_eq!(diag::error_count() - before, 5);
    assert_eq!(here, [7; 4]);
}

#[test]
fn an_odd_address_in_anothers_page_is_no_block() {
    let _ground = ground();
    let p = malloc(100);
    fill(p, 3);
    let before = diag::error_count();
    let odd = addresses([p.wrapping_add(1)]);
    thread::spawn(move || release_addresses(odd)).join().unwrap();
    assert_eq!(diag::error_count() - before, 1);
    assert!(holds(p, 100, 3));
    release(p);
}

#[test]
fn an_inner_address_of_a_large_block_is_no_block() {
    let _ground = ground();
    let p = malloc(9 * MIB);
    let before = diag::error_count();
    release(p.wrapping_add(16));
    assert_eq!(diag::error_count() - before, 1);
    fill(p, 9);
    release(p);
    assert!(!is_ours(p));
}

#[test]
fn null_is_no_error() {
    let _ground = ground();
    let before = diag::error_count();
    release(ptr::null_mut());
    assert_eq!(diag::error_count(), before);
}

#[test]
fn a_thread_that_frees_a_few_blocks_gets_no_theap() {
    let _ground = ground();
    let mine = addresses([100, 8000, 200_000, 3 * MIB].map(malloc));
    let before = pages_of_all_heaps();
    thread::spawn(move || {
        assert!(current_theap().is_empty_theap());
        release_addresses(mine);
        assert!(current_theap().is_empty_theap(), "freeing needs no theap");
    })
    .join()
    .unwrap();
    assert_eq!(pages_of_all_heaps(), before - 4);
}

/// How many of these blocks' frees have reached their pages.
fn arrived(blocks: &[usize]) -> usize {
    let mut pages: Vec<_> = blocks.iter().map(|&p| page_of(ptr::with_exposed_provenance(p))).collect();
    pages.sort_unstable_by_key(|page| ptr::from_ref(*page).addr());
    pages.dedup_by_key(|page| ptr::from_ref(*page).addr());
    pages.iter().map(|page| page.remote_count()).sum()
}

#[test]
fn a_thread_that_only_frees_gathers_and_hands_over_at_its_end() {
    let _ground = ground();
    let heap_pages = pages_of_all_heaps();
    let theaps = crate::runtime::main_subproc().arenas().stats().theaps.current();
    let mine = addresses((0..50).map(|_| malloc(96)));
    let seen = mine.clone();
    let waiting = thread::spawn(move || {
        release_addresses(mine[..45].to_vec());
        assert!(!current_theap().is_empty_theap() && current_theap().page_count() == 0);
        let waiting = 45 - arrived(&mine[..1]);
        release_addresses(mine[45..].to_vec());
        waiting
    })
    .join()
    .unwrap();
    assert!(waiting > 0, "some wait to go together");
    assert_eq!(arrived(&seen[..1]), 50, "none waits when the thread has ended");
    assert_eq!(crate::runtime::main_subproc().arenas().stats().theaps.current(), theaps);
    assert!(pages_of_all_heaps() <= heap_pages);
}

#[test]
fn a_thread_that_has_ended_gathers_like_any_other() {
    let _ground = ground();
    let mine = addresses((0..200).map(|_| malloc(96)));
    let first = mine[..1].to_vec();
    thread::spawn(move || {
        live_theap().unwrap();
        crate::runtime::thread_done();
        release_addresses(mine);
        assert!(!current_theap().is_empty_theap(), "late, and looked after");
        crate::runtime::thread_done();
    })
    .join()
    .unwrap();
    assert!(arrived(&first) > 0);
    collect(Force::All);
}
