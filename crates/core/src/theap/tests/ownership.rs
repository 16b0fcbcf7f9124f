//! Giving pages up, taking them back, abandoning.

use super::*;
use crate::heap::release_or_list;

/// Full pages that the theap has given up; a last one is still its own.
fn given_up(bed: &mut Bed, bytes: usize, pages: usize) -> Vec<Vec<*mut u8>> {
    bed.set(OptionId::PageFullRetain, 0);
    let mut blocks = take_pages(bed.theap, bytes, pages + 2);
    let is_given_up = |blocks: &Vec<*mut u8>| page_of(blocks[0]).owner().is_unowned();
    blocks.retain(is_given_up);
    assert!(blocks.len() >= pages);
    blocks
}

#[test]
fn a_full_page_is_nobodys_but_knows_its_last_owner() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, SIXTEENTH, 1);
    let page = page_of(blocks[0][0]);
    assert!(page.is_let_go() && page.owner().tid() == ME && page.used_when_let_go() == 16);
    assert!(!page.is(Flag::Queued) && !page.is_listed());
}

#[test]
fn the_last_owner_takes_a_page_back_when_a_share_of_it_is_free() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, 256, 1);
    let page = page_of(blocks[0][0]);
    let share = page.reserved() / 16;
    put_all(bed.theap, &blocks[0][1..share]);
    assert!(page.owner().is_unowned(), "one block less than a sixteenth");
    put(bed.theap, blocks[0][0]);
    assert!(is_queued(bed.theap, page) && page.used() == page.reserved() - share);
    let again = take_many(bed.theap, 256, share);
    assert!(blocks[0][..share].iter().all(|block| again.contains(block)), "all that was freed is there");
}

#[test]
fn others_frees_count_when_the_owner_takes_a_page_back() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, 256, 1);
    let page = page_of(blocks[0][0]);
    put_all(bed.other, &blocks[0][..15]);
    bed.other.flush_remote();
    assert!(page.owner().is_unowned() && page.remote_count() == 15);
    put(bed.theap, blocks[0][15]);
    assert!(is_queued(bed.theap, page));
    assert_eq!((page.remote_count(), page.used()), (0, page.reserved() - 16));
}

#[test]
fn enough_frees_by_others_list_a_page_for_anybody() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, 256, 1);
    let page = page_of(blocks[0][0]);
    let quarter = page.reserved() / 4;
    put_all(bed.other, &blocks[0][..quarter - 1]);
    bed.other.flush_remote();
    assert!(!page.is_listed());
    put(bed.other, blocks[0][quarter - 1]);
    bed.other.flush_remote();
    assert!(page.is_listed() && page.owner().is_unowned());
    assert!(page_of(take(bed.other, 256)) == page, "the next in need takes it");
    assert!(page.owner() == Owner::thread(STRANGER) && page.used() == page.reserved() - quarter + 1);
}

#[test]
fn the_last_owner_takes_a_listed_page_back_too() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, 256, 1);
    let page = page_of(blocks[0][0]);
    put_all(bed.other, &blocks[0][..64]);
    bed.other.flush_remote();
    assert!(page.is_listed());
    put(bed.theap, blocks[0][64]);
    assert!(is_queued(bed.theap, page) && !page.is_listed());
    assert!(page_of(take(bed.other, 256)) != page, "it is on no list any more");
}

#[test]
fn a_page_of_which_all_blocks_are_freed_by_others_is_released() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, SIXTEENTH, 1);
    let pages = bed.pages();
    put_all(bed.other, &blocks[0]);
    bed.other.flush_remote();
    assert_eq!(bed.pages(), pages - 1);
}

#[test]
fn a_page_of_which_all_blocks_are_freed_by_its_last_owner_goes_with_a_collection() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, SIXTEENTH, 1);
    let pages = bed.pages();
    put_all(bed.theap, &blocks[0]);
    assert!(bed.pages() >= pages - 1);
    bed.theap.collect(Force::All);
    check(bed.theap);
    assert_eq!(bed.pages(), pages - 1);
}

#[test]
fn frees_that_come_while_a_page_is_being_given_up_keep_it() {
    let bed = Bed::keeping_full_pages();
    let blocks = take_pages(bed.theap, SIXTEENTH, 1);
    let page = page_of(blocks[0][0]);
    put_all(bed.other, &blocks[0][..4]);
    bed.other.flush_remote();
    bed.theap.give_up(page);
    check(bed.theap);
    assert!(is_queued(bed.theap, page) && page.owner() == Owner::thread(ME));
}

#[test]
fn at_a_threads_end_empty_pages_go_and_the_others_are_listed() {
    let bed = Bed::new();
    let kept = take(bed.theap, 64);
    let freed = take(bed.theap, 5000);
    put(bed.theap, freed);
    bed.theap.abandon_all();
    check(bed.theap);
    assert_eq!((bed.pages(), bed.theap.page_count()), (1, 0));
    let page = page_of(kept);
    assert!(page.is_listed() && page.owner().is_unowned() && page.owner().tid() == 0);
    put(bed.other, kept);
    bed.other.flush_remote();
    assert_eq!(bed.pages(), 0, "the last free releases it");
}

#[test]
fn what_a_thread_has_gathered_for_others_is_handed_over_at_its_end() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 3);
    put_all(bed.other, &blocks);
    bed.other.abandon_all();
    assert_eq!(page_of(blocks[0]).remote_count(), 3);
}

#[test]
fn an_orphans_page_is_recounted_and_left_to_all() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 10);
    put(bed.theap, blocks[0]);
    let page = page_of(blocks[0]);
    bed.theap.forget_pages();
    // SAFETY: the theap has forgotten it.
    Theap::abandon_orphan(unsafe { page.page().take_over() });
    assert!(page.is_listed() && page.owner().is_unowned() && !page.is(Flag::Queued));
    assert_eq!(page.used_when_let_go(), 9);
    put_all(bed.other, &blocks[1..]);
    bed.other.flush_remote();
    assert_eq!(bed.pages(), 0);
}

#[test]
fn settling_a_claimed_page_twice_lists_it_once() {
    let mut bed = Bed::new();
    let blocks = given_up(&mut bed, SIXTEENTH, 1);
    let page = page_of(blocks[0][0]);
    for _ in 0..2 {
        let (claimed, _) = page.page().claim_in_place().unwrap();
        release_or_list(claimed);
    }
    let subproc = bed.heap.subproc();
    let mut taken = 0;
    while let Some((page, _)) = bed.heap.registry().take_listed(subproc.arenas(), page.bin(), |_| true, release_or_list)
    {
        page.hold();
        taken += 1;
    }
    assert_eq!(taken, 1);
}
