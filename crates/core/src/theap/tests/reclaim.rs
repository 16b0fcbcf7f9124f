//! What the options say about taking pages back, and giving pages up on request.

use super::*;

/// Full pages that were given up, and one block of each.
fn given_up(bed: &mut Bed, pages: usize) -> Vec<*mut u8> {
    bed.set(OptionId::PageFullRetain, 0);
    let blocks = take_pages(bed.theap, SIXTEENTH, pages + 2);
    blocks.into_iter().map(|blocks| blocks[0]).filter(|block| page_of(*block).owner().is_unowned()).collect()
}

#[test]
fn pages_are_never_taken_back_where_the_option_forbids() {
    let mut bed = Bed::new();
    bed.set(OptionId::PageReclaimOnFree, -1);
    let blocks = given_up(&mut bed, 2);
    put(bed.theap, blocks[0]);
    assert!(page_of(blocks[0]).owner().is_unowned() && page_of(blocks[0]).remote_count() == 1);
}

/// A theap whose levels were not known when it started may have become one of hardened pages: it takes no ordinary page back.
#[test]
fn a_theap_of_hardened_pages_takes_no_ordinary_page_back() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, 2);
    bed.theap.instrumentation.instrument_at(crate::options::Hardening::MAX, bed.theap.heap());
    put(bed.theap, blocks[0]);
    assert!(page_of(blocks[0]).owner().is_unowned() && page_of(blocks[0]).remote_count() == 1);
}

#[test]
fn no_more_pages_are_taken_back_than_the_option_allows() {
    let mut bed = Bed::new();
    bed.set(OptionId::PageMaxReclaim, 3);
    let blocks = given_up(&mut bed, 6);
    put_all(bed.theap, &blocks);
    assert_eq!(queued(bed.theap, SIXTEENTH).len(), 3);
}

#[test]
fn others_take_abandoned_pages_only_where_the_option_lets_them() {
    for (reclaim, is_taken) in [(0, false), (1, true)] {
        let mut bed = Bed::new();
        bed.set(OptionId::PageReclaimOnFree, reclaim);
        let blocks = take_many(bed.other, 64, 10);
        bed.other.abandon_all();
        put(bed.theap, blocks[0]);
        let page = page_of(blocks[1]);
        assert_eq!(is_queued(bed.theap, page), is_taken, "{reclaim}");
        if is_taken {
            assert!(!page.is_listed() && page.used() == 9);
            put_all(bed.theap, &blocks[1..]);
            bed.theap.collect(Force::All);
            assert_eq!(bed.pages(), 0);
        }
    }
}

#[test]
fn others_take_no_more_than_their_option_allows() {
    let mut bed = Bed::new();
    bed.set(OptionId::PageReclaimOnFree, 1);
    bed.set(OptionId::PageCrossThreadMaxReclaim, 2);
    let pages = take_pages(bed.other, SIXTEENTH, 5);
    bed.other.abandon_all();
    pages.iter().for_each(|blocks| put(bed.theap, blocks[0]));
    assert_eq!(queued(bed.theap, SIXTEENTH).len(), 2);
}

#[test]
fn a_page_that_somebody_owns_is_not_taken() {
    let mut bed = Bed::new();
    bed.set(OptionId::PageReclaimOnFree, 1);
    let blocks = take_many(bed.other, 64, 2);
    // SAFETY: the test's own block; nothing happens to it.
    assert!(!unsafe { bed.theap.free_abandoned(page_of(blocks[0]).page(), blocks[0]) });
    assert_eq!(page_of(blocks[0]).owner(), Owner::thread(STRANGER));
}

#[test]
fn reducing_gives_pages_up_until_few_enough_are_left() {
    let bed = Bed::keeping_full_pages();
    take_pages(bed.theap, SIXTEENTH, 10);
    assert_eq!(bed.theap.reduce(4 * SLICE_BYTES), 4 * SLICE_BYTES);
    check(bed.theap);
    assert_eq!((bed.theap.page_count(), bed.pages()), (4, 10));
    assert_eq!(bed.theap.reduce(0), 0);
    assert_eq!((bed.theap.page_count(), bed.pages()), (0, 10), "their blocks live on");
}
