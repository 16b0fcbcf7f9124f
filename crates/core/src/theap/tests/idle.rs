//! What a thread gives back that is about to wait.

use super::*;
use crate::os::os_page_bytes;
use crate::os::tests::slices_are_divided;

/// Pages of 128 blocks, each of one slice.
const BYTES: usize = 512;
const PER_PAGE: usize = SLICE_BYTES / BYTES;

#[test]
fn empty_pages_go_and_what_was_freed_for_others_is_handed_over() {
    let bed = Bed::new();
    let others = take_many(bed.other, BYTES, PER_PAGE);
    put_all(bed.theap, &others[..40]);
    let blocks = take_many(bed.theap, BYTES, PER_PAGE);
    put_all(bed.theap, &blocks);
    let pages = bed.pages();
    let remote = page_of(others[0]).page().remote_count();
    assert_eq!(bed.theap.idle(), Idled::GaveBack);
    assert_eq!(bed.pages(), pages - 1, "it was kept for a while");
    assert!(page_of(others[0]).page().remote_count() > remote, "they were gathered");
}

#[test]
fn sparse_pages_keep_what_is_in_use() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, BYTES, PER_PAGE);
    // SAFETY: the test's own block.
    unsafe { blocks[0].write_bytes(7, BYTES) };
    put_all(bed.theap, &blocks[1..]);
    assert_eq!(bed.theap.idle(), Idled::GaveBack);
    assert_eq!(page_of(blocks[0]).hole_bytes(), SLICE_BYTES - os_page_bytes());
    // SAFETY: as above.
    assert!(unsafe { core::slice::from_raw_parts(blocks[0], BYTES) } == [7; BYTES]);
    // A page that is mostly in use is left alone.
    let dense = take_many(bed.theap, SIXTEENTH, 16);
    put(bed.theap, dense[3]);
    bed.theap.idle();
    assert_eq!(page_of(dense[0]).hole_bytes(), 0);
}

#[test]
fn what_lies_behind_the_linked_blocks_goes_too() {
    if !slices_are_divided() {
        return;
    }
    let bed = Bed::new();
    let blocks = take_many(bed.theap, BYTES, PER_PAGE);
    let page = page_of(blocks[0]);
    let first = page.start();
    // SAFETY: the test's own blocks.
    blocks.iter().for_each(|block| unsafe { block.write_bytes(0xAA, BYTES) });
    put_all(bed.theap, &blocks);
    bed.theap.idle();
    // Another page of that slice, with a few blocks linked.
    let block = take(bed.theap, BYTES);
    assert_eq!(page_of(block).start(), first, "the same slice");
    assert!(!page_of(block).is(Flag::FreshIsZero));
    let last = first.wrapping_add(SLICE_BYTES - 1);
    // SAFETY: memory of the page, which nobody uses.
    let read = || unsafe { last.read_volatile() };
    assert_eq!(read(), 0xAA, "as the slice was left");
    assert_eq!(bed.theap.idle(), Idled::GaveBack);
    assert_eq!(read(), 0, "dropped");
    assert_eq!(take_many(bed.theap, BYTES, PER_PAGE - 1).len(), PER_PAGE - 1);
}

#[test]
fn who_idles_again_and_again_ticks() {
    let mut bed = Bed::new();
    bed.set(OptionId::PurgeDelay, 1_000_000);
    let times = (0..100).filter(|_| bed.theap.idle() == Idled::GaveBack).count();
    assert_eq!(times, 16);
    bed.set(OptionId::PurgeDelay, -1);
    assert_eq!(bed.other.idle(), Idled::Ticked, "where nothing is to go");
}
