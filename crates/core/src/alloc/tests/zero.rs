//! Zeros, on memory that is fresh, used, purged.

use super::*;
use crate::options::OptionId;

/// A block that must be zero as far as it was asked for, and is in fact.
pub fn zeroed(size: usize) -> *mut u8 {
    let p = zalloc(size);
    assert!(!p.is_null() && usable_size(p) >= size && holds(p, size, 0), "{size}");
    p
}

#[test]
fn fresh_memory_is_zero_and_used_memory_is_cleared() {
    let _ground = ground();
    for size in edges() {
        let fresh: Vec<_> = (0..3).map(|_| zeroed(size)).collect();
        fresh.iter().for_each(|p| fill(*p, 0xD1));
        fresh.into_iter().for_each(release);
        let again: Vec<_> = (0..5).map(|_| zeroed(size)).collect();
        again.into_iter().for_each(release);
    }
}

#[test]
fn the_whole_block_is_zero_not_just_what_was_asked_for() {
    let _ground = ground();
    for size in [1, 9, 17, 300, 1025, 9000] {
        soil(size);
        let p = zalloc(size);
        assert!(holds(p, usable_size(p), 0), "{size}");
        release(p);
    }
}

#[test]
fn a_page_mixed_of_fresh_and_used_blocks_gives_zeros_only() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let mut blocks = Vec::new();
    for round in 0..2000 {
        let p = alloc_in(theap, 96, Zero::Zeroed);
        assert!(holds(p, 96, 0), "block {round}");
        fill(p, 0xEE);
        blocks.push(p);
        if round % 3 == 0 {
            release(blocks.swap_remove(round % blocks.len()));
        }
    }
    // SAFETY: nobody uses its blocks any more.
    assert!(unsafe { crate::runtime::heap_destroy(heap) });
}

#[test]
fn purged_memory_is_zero_again() {
    let mut ground = ground();
    ground.set(OptionId::PageReclaimOnFree, 0);
    for size in [1000, 100_000, 3 * MIB, 30 * MIB] {
        soil(size);
        collect(Force::All);
        release(zeroed(size));
    }
}

#[test]
fn a_large_request_for_zeros_does_not_touch_them() {
    let _ground = ground();
    const BYTES: usize = 512 * MIB;
    let before = ferrimalloc_prim::process::info().current_rss;
    for _ in 0..3 {
        let p = zalloc(BYTES);
        let middle = p.wrapping_add(BYTES / 2);
        // SAFETY: in the block.
        unsafe {
            assert!(p.read() == 0 && middle.read() == 0);
            p.write(1);
            middle.write(1);
        }
        release(p);
    }
    let grown = ferrimalloc_prim::process::info().current_rss.saturating_sub(before);
    assert!(grown < BYTES / 4, "{grown}");
}
