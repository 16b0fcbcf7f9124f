//! Finding a page: which of its own, which of others', and when a fresh one.

use super::*;
use crate::arena::{Commit, LargePages, Sharing};
use crate::random::Fast;

#[test]
fn the_first_page_serves_while_it_has_blocks() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 1000);
    assert!(blocks.iter().all(|block| page_of(*block) == page_of(blocks[0])));
    assert_eq!(bed.pages(), 1);
}

#[test]
fn among_the_candidates_the_fullest_is_chosen() {
    for (candidates, chosen) in [(1, 0), (2, 1), (3, 1), (50, 1)] {
        let mut bed = Bed::keeping_full_pages();
        bed.set(OptionId::PageMaxCandidates, candidates);
        let pages = take_pages(bed.theap, SIXTEENTH, 4);
        // The last one is first in the queue, and stays full; the others follow in their order.
        put_all(bed.theap, &pages[0][..4]);
        put_all(bed.theap, &pages[1][..1]);
        put_all(bed.theap, &pages[2][..2]);
        let block = take(bed.theap, SIXTEENTH);
        assert!(page_of(block) == page_of(pages[chosen][0]), "{candidates} candidates");
    }
}

#[test]
fn pages_that_a_class_no_longer_needs_become_empty() {
    let bed = Bed::keeping_full_pages();
    let mut live = take_pages(bed.theap, 256, 64).concat();
    let mut random = Fast::new(1);
    let mut pull = |live: &mut Vec<_>| live.swap_remove(random.below(live.len() as u64) as usize);
    let most = live.len();
    while live.len() > most / 2 {
        put_unchecked(bed.theap, pull(&mut live));
    }
    // More is freed than allocated.
    while live.len() > most / 8 {
        (0..4).for_each(|_| put_unchecked(bed.theap, pull(&mut live)));
        (0..3).for_each(|_| live.push(take(bed.theap, 256)));
    }
    bed.theap.collect(Force::All);
    assert!(bed.pages() <= 48, "{} pages", bed.pages());
}

#[test]
fn a_few_full_pages_stay_and_the_others_are_given_up() {
    for retained in [0, 2, 5] {
        let mut bed = Bed::new();
        bed.set(OptionId::PageFullRetain, retained);
        let pages = take_pages(bed.theap, SIXTEENTH, 12);
        let left = queued(bed.theap, SIXTEENTH).len() as i64;
        assert!((retained..=retained + 2).contains(&left), "{left} of {retained}");
        let given_up = pages.iter().map(|blocks| page_of(blocks[0])).filter(|page| page.owner().is_unowned());
        assert_eq!(given_up.count() as i64, 12 - left);
    }
}

#[test]
fn a_given_up_page_comes_back_with_the_owners_free() {
    let mut bed = Bed::new();
    bed.set(OptionId::PageFullRetain, 0);
    let pages = take_pages(bed.theap, SIXTEENTH, 6);
    let page = page_of(pages[0][0]);
    assert!(page.owner().is_unowned() && page.owner().tid() == ME && !is_queued(bed.theap, page));
    put(bed.theap, pages[0][3]);
    assert!(!page.owner().is_unowned() && is_queued(bed.theap, page), "a sixteenth of it is worth the trip");
}

#[test]
fn pages_left_by_another_thread_are_taken_before_fresh_ones() {
    let bed = Bed::new();
    let blocks = take_many(bed.other, 64, 100);
    put(bed.other, blocks[0]);
    bed.other.abandon_all();
    let page = page_of(blocks[1]);
    assert!(page.owner().is_unowned() && page.is_listed());
    let mine = take(bed.theap, 64);
    assert!(page_of(mine) == page && page.owner() == Owner::thread(ME) && !page.is_listed());
    assert_eq!((bed.pages(), bed.heap.stats().pages_reclaim_on_alloc.snapshot().total), (1, 1));
}

#[test]
fn pages_of_other_classes_and_heaps_are_left_alone() {
    let bed = Bed::new();
    let left = take_many(bed.other, 64, 10);
    bed.other.abandon_all();
    assert!(page_of(take(bed.theap, 80)) != page_of(left[0]));
    let heap = Heap::create(bed.heap.subproc(), None, Lifetime::MayEnd).unwrap();
    let elsewhere = Theap::create(heap, ME, ptr::null()).unwrap();
    assert!(page_of(take(elsewhere, 64)) != page_of(left[0]));
    assert!(page_of(left[0]).is_listed());
}

#[test]
fn without_memory_there_is_no_page_and_with_it_there_is_again() {
    let bed = Bed::new();
    let subproc = bed.heap.subproc();
    let arena = subproc.arenas().reserve_arena(64 << 20, Commit::Now, LargePages::Never, Sharing::Exclusive);
    let theap = Theap::create(Heap::create(subproc, arena, Lifetime::MayEnd).unwrap(), ME, ptr::null()).unwrap();
    let mut blocks = Vec::new();
    let mut pages = Vec::new();
    for bin in [Bin::of(LARGE_BLOCK_MAX), Bin::of(200_000)] {
        while let Some(page) = theap.find_page(bin) {
            blocks.push(page.pop());
            pages.push(page);
            check(theap);
        }
    }
    assert!(blocks.len() >= 14 * 8, "{}", blocks.len());
    assert!(pages.iter().any(|page| page.slices() < LARGE_PAGE_SLICES), "the last pages are as small as may be");
    assert!(theap.find_page(Bin::of(8)).is_some(), "a slice is left");
    put_all(theap, &blocks);
    theap.collect(Force::All);
    assert!(theap.find_page(Bin::of(200_000)).is_some());
}

/// On the simulated system, which counts what it is told.
#[cfg(feature = "sim")]
#[test]
fn a_large_page_is_advised_to_be_huge_once_another_of_full_size_has_filled() {
    use std::boxed::Box;

    use ferrimalloc_prim::mem::{MemConfig, ThpMode, config};
    use ferrimalloc_prim::sim::{Kind, calls, set_config};
    let bed = Bed::new();
    let madvised = MemConfig { thp: ThpMode::Madvise, ..*config() };
    set_config(Some(Box::leak(Box::new(madvised))));
    bed.heap.subproc().arenas().usage().filled.add((64 << 20) / SLICE_BYTES);
    let slices = take_pages(bed.theap, 32 << 10, 2).into_iter().map(|blocks| page_of(blocks[0]).slices());
    assert!(slices.eq([MEDIUM_PAGE_SLICES, LARGE_PAGE_SLICES]));
    assert_eq!(calls(Kind::Thp), 0, "they may stay sparse");
    take(bed.theap, 32 << 10);
    assert!(calls(Kind::Thp) > 0);
    let advised = calls(Kind::Thp);
    take(bed.theap, 40 << 10);
    assert_eq!(calls(Kind::Thp), advised, "of another class nothing is known");
}
