//! Empty pages that are kept.

use super::*;

/// A page whose only blocks in use have been freed.
fn emptied(theap: &'static Theap, bytes: usize) -> &'static Owned {
    let pages = take_pages(theap, bytes, 1);
    put_all(theap, &pages[0]);
    page_of(pages[0][0])
}

#[test]
fn an_empty_page_is_kept_and_serves_the_next_request() {
    let bed = Bed::new();
    let page = emptied(bed.theap, SIXTEENTH);
    assert!(page.is(Flag::Retired) && is_queued(bed.theap, page) && page.has_free(), "ready for the fast path");
    assert!(page_of(take(bed.theap, SIXTEENTH)) == page);
}

#[test]
fn an_unused_page_goes_after_a_few_ticks() {
    let bed = Bed::new();
    emptied(bed.theap, SIXTEENTH);
    bed.theap.upkeep();
    assert_eq!(bed.pages(), 1, "one tick is no time");
    (0..3).for_each(|_| bed.theap.upkeep());
    check(bed.theap);
    assert_eq!((bed.pages(), bed.theap.page_count()), (0, 0));
}

#[test]
fn a_page_in_use_again_stays() {
    let bed = Bed::new();
    let page = emptied(bed.theap, SIXTEENTH);
    let block = take(bed.theap, SIXTEENTH);
    (0..9).for_each(|_| bed.theap.upkeep());
    assert!(is_queued(bed.theap, page) && !page.is(Flag::Retired));
    put(bed.theap, block);
    bed.theap.collect(Force::All);
    assert_eq!(bed.pages(), 0);
}

#[test]
fn use_makes_a_page_young_again() {
    let bed = Bed::new();
    emptied(bed.theap, SIXTEENTH);
    for _ in 0..9 {
        bed.theap.upkeep();
        let blocks = take_pages(bed.theap, SIXTEENTH, 1);
        put_all(bed.theap, &blocks[0]);
    }
    assert_eq!(bed.pages(), 1);
}

#[test]
fn few_small_and_very_few_large_pages_are_kept() {
    for (bytes, pages, most_mib) in [(SIXTEENTH, 90, 4), (50_000, 20, 4), (LARGE_BLOCK_MAX, 5, 4)] {
        let bed = Bed::keeping_full_pages();
        let blocks = take_pages(bed.theap, bytes, pages);
        blocks.iter().for_each(|page| put_all(bed.theap, page));
        let kept = bed.pages() * Bin::of(bytes).page_slices() * SLICE_BYTES;
        assert!(kept > 0 && kept <= most_mib << 20, "{kept} bytes kept for blocks of {bytes}");
    }
}

#[test]
fn room_is_made_when_a_kept_page_leaves() {
    let bed = Bed::keeping_full_pages();
    for _ in 0..3 {
        let blocks = take_pages(bed.theap, LARGE_BLOCK_MAX, 2);
        blocks.iter().for_each(|page| put_all(bed.theap, page));
        assert_eq!(bed.pages(), 1, "one of 4 MiB is kept");
        bed.theap.collect(Force::All);
        assert_eq!(bed.pages(), 0);
    }
}

#[test]
fn a_page_that_only_looks_unused_is_not_released() {
    let bed = Bed::new();
    let page = emptied(bed.theap, SIXTEENTH);
    let blocks = take_many(bed.theap, SIXTEENTH, 16);
    // The block that was first comes back alone, by way of another thread: the lists look as they did.
    put(bed.other, blocks[0]);
    bed.other.flush_remote();
    assert!(page.refill() && page.seems_unused_since_retired());
    (0..9).for_each(|_| bed.theap.upkeep());
    assert!(is_queued(bed.theap, page) && page.used() == 15);
}

#[test]
fn a_kept_page_that_is_abandoned_is_released() {
    let bed = Bed::new();
    emptied(bed.theap, SIXTEENTH);
    bed.theap.abandon_all();
    check(bed.theap);
    assert_eq!(bed.pages(), 0);
}
