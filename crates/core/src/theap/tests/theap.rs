//! Theaps come, go, are found in their heap's list, and leave memory that is used for theaps only.

use super::*;

fn theaps(heap: &Heap) -> Vec<*const Theap> {
    let mut theaps = Vec::new();
    Theap::for_each_of(heap, |theap| theaps.push(ptr::from_ref(theap)));
    theaps
}

#[test]
fn a_heap_lists_its_theaps() {
    let bed = Bed::new();
    assert_eq!(theaps(bed.heap), [bed.other, bed.theap].map(ptr::from_ref));
    let third = Theap::create(bed.heap, 48, ptr::null()).unwrap();
    bed.other.end();
    assert_eq!(theaps(bed.heap), [third, bed.theap].map(ptr::from_ref), "one in the middle has gone");
    third.end();
    bed.theap.end();
    assert!(theaps(bed.heap).is_empty());
    assert_eq!(bed.heap.subproc().arenas().stats().theaps.current(), 0);
}

#[test]
fn an_ended_theap_serves_nobody_and_its_memory_the_next_one() {
    let bed = Bed::new();
    take(bed.other, 64);
    bed.other.abandon_all();
    assert!(bed.other.serves(STRANGER, bed.heap.handle()));
    let seed = bed.other.seed();
    bed.other.end();
    assert!(!bed.other.serves(STRANGER, bed.heap.handle()));
    let next = Theap::create(bed.heap, 48, ptr::null()).unwrap();
    assert!(ptr::eq(next, bed.other) && next.seed() == seed && !next.is_empty_theap());
    assert!(next.serves(48, bed.heap.handle()) && !next.serves(STRANGER, bed.heap.handle()));
    check(next);
    assert_eq!(next.page_count(), 0);
}

#[test]
fn a_theap_moves_to_another_heap() {
    let bed = Bed::new();
    let heap = Heap::create(bed.heap.subproc(), None, Lifetime::MayEnd).unwrap();
    bed.theap.move_to(heap);
    assert_eq!(
        (theaps(bed.heap), theaps(heap)),
        (std::vec![ptr::from_ref(bed.other)], std::vec![ptr::from_ref(bed.theap)])
    );
    assert!(bed.theap.heap() == heap && !bed.theap.serves(ME, bed.heap.handle()));
}

#[test]
fn pages_know_their_theap() {
    let bed = Bed::new();
    let page = page_of(take(bed.theap, 64));
    assert!(ptr::eq(Theap::of_page(page), bed.theap));
    assert!(EMPTY_THEAP.is_empty_theap() && EMPTY_THEAP.tid() == 0);
}
