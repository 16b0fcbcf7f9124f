//! Queues: order, links, and the direct table beside them (`check` looks after each step).

use super::*;
use crate::arena::Reserve;
use crate::heap::Demand;

/// Pages of one class in the order in which they were pushed, each to the front.
fn three(bed: &Bed) -> [&'static Owned; 3] {
    [(); 3].map(|()| {
        let page = bed.heap.fresh_page((Bin::of(64), Demand::Few), ME, bed.theap.handle(), 0, Reserve::IfFull).unwrap();
        let page = bed.theap.queues.push_front(page);
        check(bed.theap);
        page
    })
}

fn order(bed: &Bed) -> Vec<&'static Owned> {
    queued(bed.theap, 64)
}

#[test]
fn the_direct_table_begins_with_empty_pages() {
    let bed = Bed::new();
    check(bed.theap);
    assert!((0..=SMALL_SIZE_MAX / WORD_BYTES).all(|words| bed.theap.direct_page(words) == &*EMPTY_PAGE));
    assert!((0..=SMALL_SIZE_MAX / WORD_BYTES).all(|words| EMPTY_THEAP.direct_page(words) == &*EMPTY_PAGE));
}

#[test]
fn every_small_size_finds_the_first_page_of_its_class() {
    let bed = Bed::new();
    for bytes in 1..=SMALL_SIZE_MAX {
        take(bed.theap, bytes);
        let page = bed.theap.direct_page(bytes.div_ceil(WORD_BYTES));
        assert!(page.block_bytes() >= bytes && page.bin() == Bin::of(bytes), "{bytes}");
    }
}

#[test]
fn the_front_is_first_and_the_back_last() {
    let bed = Bed::new();
    let [a, b, c] = three(&bed);
    assert!(order(&bed) == [c, b, a]);
    let last = bed.heap.fresh_page((Bin::of(64), Demand::Few), ME, bed.theap.handle(), 0, Reserve::IfFull).unwrap();
    let last = bed.theap.queues.push_back(last);
    check(bed.theap);
    assert!(order(&bed) == [c, b, a, last]);
}

#[test]
fn a_page_at_the_back_of_an_empty_queue_is_its_first() {
    let bed = Bed::new();
    let page = bed.heap.fresh_page((Bin::of(64), Demand::Few), ME, bed.theap.handle(), 0, Reserve::IfFull).unwrap();
    let page = bed.theap.queues.push_back(page);
    check(bed.theap);
    assert!(bed.theap.direct_page(8) == page);
}

#[test]
fn pages_leave_from_anywhere() {
    for leaver in 0..3 {
        let bed = Bed::new();
        let pages = three(&bed);
        bed.theap.remove(pages[leaver]).unwrap().hold();
        check(bed.theap);
        assert!(!pages[leaver].is(Flag::Queued));
        let rest: Vec<_> = [2, 1, 0].into_iter().filter(|index| *index != leaver).map(|index| pages[index]).collect();
        assert!(order(&bed) == rest);
    }
}

#[test]
fn the_chosen_page_moves_to_the_front() {
    let bed = Bed::new();
    let [a, b, c] = three(&bed);
    bed.theap.queues.move_to_front(a);
    check(bed.theap);
    assert!(order(&bed) == [a, c, b]);
    bed.theap.queues.move_to_front(a);
    check(bed.theap);
    assert!(order(&bed) == [a, c, b]);
}

#[test]
fn a_passed_page_goes_to_the_end_until_it_is_chosen() {
    let bed = Bed::new();
    let [a, b, c] = three(&bed);
    bed.theap.queues.keep_full(c);
    check(bed.theap);
    assert!(order(&bed) == [b, a, c]);
    bed.theap.queues.keep_full(a);
    check(bed.theap);
    assert!(order(&bed) == [b, c, a] && bed.theap.queue(Bin::of(64)).kept_full() == 2);
    bed.theap.queues.move_to_front(c);
    check(bed.theap);
    assert!(order(&bed) == [c, b, a] && bed.theap.queue(Bin::of(64)).kept_full() == 1);
    bed.theap.remove(a).unwrap().hold();
    check(bed.theap);
    assert_eq!(bed.theap.queue(Bin::of(64)).kept_full(), 0);
}

#[test]
fn forgotten_pages_are_in_no_queue() {
    let bed = Bed::new();
    three(&bed);
    take(bed.theap, 5000);
    bed.theap.forget_pages();
    check(bed.theap);
    assert_eq!(bed.theap.page_count(), 0);
}

#[test]
fn a_visitor_may_take_the_page_it_is_shown_out_of_its_queue() {
    let bed = Bed::new();
    three(&bed);
    take(bed.theap, 5000);
    bed.theap.for_each_page(|page| _ = bed.theap.remove(page).unwrap().hold());
    check(bed.theap);
    assert_eq!(bed.theap.page_count(), 0);
}
