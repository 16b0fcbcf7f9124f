//! Ticks, collections, and what is counted on the way.

use super::*;

#[test]
fn a_tick_in_64_is_due_and_some_of_those_collect() {
    let mut bed = Bed::new();
    bed.set(OptionId::GenericCollect, 4 * 64);
    let ticks: Vec<Tick> = (0..64 * 8).map(|_| bed.theap.tick()).collect();
    let count = |wanted| ticks.iter().filter(|tick| **tick == wanted).count();
    assert_eq!((count(Tick::Due), count(Tick::Collect)), (6, 2));
    let due: Vec<usize> = (0..ticks.len()).filter(|index| ticks[*index] != Tick::NotYet).collect();
    assert!(due.windows(2).all(|pair| pair[1] - pair[0] == 64));
}

#[test]
fn an_absurd_interval_still_ticks() {
    for interval in [i64::MIN, 0, i64::MAX] {
        let mut bed = Bed::new();
        bed.set(OptionId::GenericCollect, interval);
        assert!((0..200).any(|_| bed.theap.tick() != Tick::NotYet));
    }
}

#[test]
fn a_collection_finds_pages_emptied_by_others() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 30);
    put_all(bed.other, &blocks);
    bed.other.flush_remote();
    bed.theap.collect(Force::Routine);
    check(bed.theap);
    assert_eq!(bed.pages(), 0);
}

#[test]
fn a_collection_finds_an_empty_page_whose_list_is_not_exhausted() {
    let bed = Bed::new();
    let block = take(bed.theap, 64);
    put(bed.theap, block);
    assert_eq!(bed.pages(), 1, "no event: other blocks were never asked for");
    bed.theap.collect(Force::Routine);
    assert_eq!(bed.pages(), 0);
}

#[test]
fn routine_collections_leave_what_is_kept_and_thorough_ones_do_not() {
    let bed = Bed::new();
    let blocks = take_pages(bed.theap, SIXTEENTH, 1);
    put_all(bed.theap, &blocks[0]);
    bed.theap.collect(Force::Routine);
    assert_eq!(bed.pages(), 1);
    bed.theap.collect(Force::All);
    check(bed.theap);
    assert_eq!(bed.pages(), 0);
}

#[test]
fn counts_go_to_the_heap_once() {
    let mut bed = Bed::new();
    bed.set(OptionId::PageFullRetain, 0);
    let pages = take_pages(bed.theap, SIXTEENTH, 4);
    pages.iter().for_each(|blocks| put_all(bed.theap, blocks));
    let stats = bed.heap.stats();
    assert_eq!(stats.pages_retire.snapshot().total, 0, "not yet");
    bed.theap.hand_over_counts();
    let counted = || {
        (
            stats.pages_retire.snapshot().total,
            stats.pages_reclaim_on_free.snapshot().total,
            stats.page_searches_count.snapshot().total,
        )
    };
    let (retired, reclaimed, searches) = counted();
    assert!(retired >= 2 && reclaimed >= 2 && searches >= 3, "{:?}", counted());
    bed.theap.hand_over_counts();
    assert_eq!(counted(), (retired, reclaimed, searches));
}
