//! Sizes, at every boundary.

use super::*;

#[test]
fn every_size_gets_a_block_that_holds_it_at_an_aligned_address() {
    let _ground = ground();
    let blocks: Vec<_> = edges().map(|size| (size, malloc(size))).collect();
    for (index, (size, p)) in blocks.iter().enumerate() {
        assert!(!p.is_null() && (*p as usize).is_multiple_of(if *size <= 8 { 8 } else { 16 }), "{size}");
        assert!(usable_size(*p) >= *size && usable_size(*p) == good_size(*size), "{size}");
        fill(*p, index);
    }
    for (index, (size, p)) in blocks.into_iter().enumerate() {
        assert!(holds(p, usable_size(p), index), "somebody else's bytes in a block of {size}");
        release(p);
    }
}

#[test]
fn a_good_size_is_its_own_and_never_smaller() {
    let _ground = ground();
    for size in edges() {
        let good = good_size(size);
        assert!(good >= size && good_size(good) == good, "{size}");
        assert!(size <= 8 || good.is_multiple_of(16), "{size}");
    }
    assert_eq!(good_size(MAX_REQUEST + 1), MAX_REQUEST + 1);
}

#[test]
fn nothing_is_a_block_too() {
    let _ground = ground();
    let (a, b) = (malloc(0), malloc(0));
    assert!(!a.is_null() && !b.is_null() && a != b && usable_size(a) == 8);
    release(a);
    release(b);
}

#[test]
fn absurd_sizes_are_refused_with_errno() {
    let _ground = ground();
    for size in [MAX_REQUEST, MAX_REQUEST + 1, usize::MAX - 7, usize::MAX] {
        assert!(is_refused(|| malloc(size)) && is_refused(|| zalloc(size)), "{size}");
        assert!(is_refused(|| malloc_aligned(size, 4096, Zero::Any)), "{size}");
        assert!(is_refused(|| malloc_aligned_at(size, 64, 24, Zero::Any)), "{size}");
    }
}

#[test]
fn blocks_through_a_theap_at_hand_are_its_heaps() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    for size in [0, 1, 1024, 1025, LARGE_BLOCK_MAX, LARGE_BLOCK_MAX + 1] {
        let p = malloc_in(theap, size);
        assert!(usable_size(p) >= size && heap_of(p) == Some(heap), "{size}");
        release(p);
    }
    // SAFETY: nothing of it is in use.
    assert!(unsafe { crate::runtime::heap_destroy(heap) });
}

#[test]
fn what_is_no_block_has_no_size_and_no_heap() {
    let _ground = ground();
    live_theap().unwrap();
    let here = 1u64;
    for p in [ptr::null(), ptr::from_ref(&here).cast(), usize::MAX as *const u8] {
        assert!(usable_size(p) == 0 && !is_ours(p) && heap_of(p).is_none());
    }
}

#[test]
fn deep_addresses_of_blocks_are_known_as_ours() {
    let _ground = ground();
    for size in [100, 5000, 300_000, 20 * MIB] {
        let p = malloc(size);
        assert!(is_ours(p.wrapping_add(size - 1)) && heap_of(p.wrapping_add(size / 2)) == heap_main(), "{size}");
        release(p);
    }
    let p = malloc(20 * MIB);
    let behind = p.wrapping_add(page_of(p).area_bytes());
    assert!(!is_ours(behind) || page_of(behind) != page_of(p));
    release(p);
}

#[test]
fn a_sparse_page_is_told_from_a_full_one() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let first = malloc_in(theap, 4096);
    let blocks: Vec<_> = (1..page_of(first).reserved()).map(|_| malloc_in(theap, 4096)).collect();
    assert!(!is_under_utilized(heap, first, 100));
    release(blocks[0]);
    assert!(is_under_utilized(heap, first, 100) && !is_under_utilized(heap, first, 80));
    blocks[1..].iter().for_each(|block| release(*block));
    assert!(is_under_utilized(heap, first, 80));
    assert!(!is_under_utilized(heap_main().unwrap(), first, 80), "another heap's");
    // SAFETY: nobody uses its blocks any more.
    assert!(unsafe { crate::runtime::heap_destroy(heap) });
}
