//! Holes in a theap's pages, and in those that nobody owns.

use super::*;
use crate::heap::release_page;
use crate::os::tests::slices_are_divided;
use crate::page::{Marks, PageRef};

/// Pages of 128 blocks.
const BYTES: usize = 512;
const PER_PAGE: usize = SLICE_BYTES / BYTES;

/// A full page of the theap, with the number of each block in all its bytes.
fn full(theap: &'static Theap) -> Vec<*mut u8> {
    let blocks = take_many(theap, BYTES, PER_PAGE);
    assert!(blocks.iter().all(|block| page_of(*block) == page_of(blocks[0])));
    // SAFETY: the test's own blocks.
    blocks.iter().enumerate().for_each(|(index, block)| unsafe { block.write_bytes(index as u8, BYTES) });
    blocks
}

fn holds(block: *mut u8, index: usize) -> bool {
    // SAFETY: the test's own block.
    unsafe { core::slice::from_raw_parts(block, BYTES) == [index as u8; BYTES] }
}

/// A full page that is given up, of which thread `other` has freed all but the first block, still in the remote list.
fn given_up_and_freed(bed: &mut Bed) -> (PageRef, Vec<*mut u8>) {
    bed.set(OptionId::PageFullRetain, 0);
    let blocks = full(bed.theap);
    take_many(bed.theap, BYTES, 2 * PER_PAGE);
    let page = page_of(blocks[0]);
    assert!(page.is_let_go());
    put_all(bed.other, &blocks[1..]);
    bed.other.flush_remote();
    (page.page(), blocks)
}

fn used_in(page: PageRef) -> usize {
    page.mark_free(&mut Marks::new())
}

#[test]
fn a_forced_collection_gives_back_what_is_empty_and_a_routine_one_does_not() {
    let bed = Bed::new();
    let blocks = full(bed.theap);
    let page = page_of(blocks[0]);
    put_all(bed.theap, &blocks[1..]);
    bed.theap.collect(Force::Routine);
    assert_eq!(page.hole_bytes(), 0);
    bed.theap.collect(Force::All);
    assert_eq!(page.hole_bytes(), SLICE_BYTES - crate::os::os_page_bytes());
    assert!(holds(blocks[0], 0) && is_queued(bed.theap, page));
    let again = take_many(bed.theap, BYTES, PER_PAGE - 1);
    assert!(again.iter().all(|block| page_of(*block) == page), "before another page is needed");
    assert_eq!((page.hole_bytes(), page.used()), (0, PER_PAGE));
}

#[test]
fn a_page_that_nobody_owns_gets_holes_and_stays_nobodys() {
    if !slices_are_divided() {
        return;
    }
    let mut bed = Bed::new();
    let (page, blocks) = given_up_and_freed(&mut bed);
    assert!(punch_unowned(bed.heap, page, Force::All));
    assert_eq!(page.hole_bytes(), SLICE_BYTES - crate::os::os_page_bytes());
    assert!(page.is_let_go() && page.owner().tid() == ME, "its last owner is still known");
    assert!(page.look().is_listed() && (page.look().used_when_let_go(), page.remote_count()) == (1, 0));
    assert!(!punch_unowned(bed.heap, page, Force::All), "once");
    // Anybody may take it now, with all its blocks.
    let taken = take_many(bed.other, BYTES, PER_PAGE - 1);
    assert!(taken.iter().all(|block| ptr::eq(page_of(*block).page(), page)));
    assert!(!taken.contains(&blocks[0]) && holds(blocks[0], 0));
    assert_eq!((page.hole_bytes(), used_in(page)), (0, PER_PAGE));
}

#[test]
fn the_last_block_of_a_page_with_holes_releases_it() {
    let mut bed = Bed::new();
    let (page, blocks) = given_up_and_freed(&mut bed);
    punch_unowned(bed.heap, page, Force::All);
    let pages = bed.pages();
    let committed = bed.heap.subproc().arenas().stats().committed.current();
    put(bed.other, blocks[0]);
    bed.other.flush_remote();
    assert_eq!(bed.pages(), pages - 1);
    assert_eq!(page.hole_bytes(), 0);
    // What waits to be purged counts as a whole again.
    let now = bed.heap.subproc().arenas().stats().committed.current();
    assert_eq!(now - committed, (SLICE_BYTES - crate::os::os_page_bytes()) as i64);
    bed.heap.subproc().arenas().purge_all();
    assert_eq!(bed.heap.subproc().arenas().stats().committed.current(), now - SLICE_BYTES as i64);
}

#[test]
fn owners_pages_are_left_alone() {
    let bed = Bed::new();
    let blocks = full(bed.theap);
    put_all(bed.theap, &blocks[1..]);
    let page = page_of(blocks[0]);
    assert!(!punch_unowned(bed.heap, page.page(), Force::All) && page.hole_bytes() == 0);
}

#[test]
fn a_page_that_has_become_another_heaps_is_put_back() {
    let mut bed = Bed::new();
    let (page, _) = given_up_and_freed(&mut bed);
    let other = Heap::create(bed.heap.subproc(), None, Lifetime::MayEnd).unwrap();
    assert!(!punch_unowned(other, page, Force::All));
    assert!(page.is_let_go() && page.hole_bytes() == 0 && page.remote_count() == PER_PAGE - 1);
}

#[test]
fn an_ended_threads_pages_get_holes() {
    if !slices_are_divided() {
        return;
    }
    let bed = Bed::new();
    let blocks = full(bed.theap);
    put_all(bed.theap, &blocks[..PER_PAGE - 1]);
    let page = page_of(blocks[0]).page();
    bed.theap.abandon_all();
    assert!(punch_unowned(bed.heap, page, Force::All) && page.hole_bytes() > 0);
    assert!(page.is_let_go() && page.owner().tid() == 0 && used_in(page) == 1);
    assert!(holds(blocks[PER_PAGE - 1], PER_PAGE - 1));
}

/// A page with one block in use, whose list ends early for the profiler.
fn cut(theap: &'static Theap) -> (&'static Owned, *mut u8) {
    let blocks = full(theap);
    put_all(theap, &blocks[1..]);
    let page = page_of(blocks[0]);
    assert!(page.refill());
    page.cut(3, PER_PAGE - 1);
    (page, blocks[0])
}

#[test]
fn a_page_that_is_cut_gets_holes_whoever_owns_it() {
    if !slices_are_divided() {
        return;
    }
    for is_owned in [true, false] {
        let bed = Bed::new();
        let (page, block) = cut(bed.theap);
        bed.theap.collect(Force::Routine);
        assert!(page.is_cut() && page.hole_bytes() == 0);
        if is_owned {
            bed.theap.collect(Force::All);
        } else {
            bed.theap.abandon_all();
            assert!(page.is_cut() && used_in(page.page()) == 1);
            assert!(punch_unowned(bed.heap, page.page(), Force::All));
        }
        assert_eq!(page.hole_bytes(), SLICE_BYTES - crate::os::os_page_bytes());
        assert!(!page.is_cut() && used_in(page.page()) == 1);
        let theap = if is_owned { bed.theap } else { bed.other };
        let again = take_many(theap, BYTES, PER_PAGE - 1);
        assert!(again.iter().all(|p| page_of(*p) == page && *p != block) && holds(block, 0));
        assert_eq!((page.hole_bytes(), page.used()), (0, PER_PAGE));
    }
}

#[test]
fn a_heap_goes_with_its_holes() {
    if !slices_are_divided() {
        return;
    }
    let bed = Bed::new();
    let blocks = full(bed.theap);
    put_all(bed.theap, &blocks[1..]);
    let page = page_of(blocks[0]);
    let before = bed.heap.subproc().arenas().stats().committed.current();
    bed.theap.collect(Force::All);
    assert!(page.hole_bytes() > 0);
    bed.theap.forget_pages();
    // SAFETY: forgotten by its theap, and used no more.
    let page = unsafe { page.take_out() };
    page.drop_blocks();
    release_page(page);
    assert_eq!(bed.heap.subproc().arenas().stats().committed.current(), before);
}

/// On the simulated system, whose clock is set.
#[cfg(feature = "sim")]
mod on_sim {
    use super::*;
    use ferrimalloc_prim::sim::{self, Clock, Fault, Kind};

    #[test]
    fn quiet_pages_get_holes_by_the_tick_and_busy_ones_do_not() {
        if !slices_are_divided() {
            return;
        }
        let mut bed = Bed::new();
        bed.set(OptionId::PurgeDelay, 800);
        let (quiet, busy) = (full(bed.theap), full(bed.theap));
        put_all(bed.theap, &quiet[1..]);
        put_all(bed.theap, &busy[1..]);
        sim::set_clock(Clock::Steps(100));
        for round in 0..20 {
            let block = take(bed.theap, BYTES);
            assert!(page_of(block) == page_of(busy[0]) || page_of(block) == page_of(quiet[0]));
            put(bed.theap, block);
            bed.theap.upkeep();
            let holes = [&quiet, &busy].map(|blocks| page_of(blocks[0]).hole_bytes() > 0);
            assert!(round >= 7 || holes == [false, false], "{round}");
        }
        let holes = [&quiet, &busy].map(|blocks| page_of(blocks[0]).hole_bytes() > 0);
        assert!(holes == [true, false] || holes == [false, true], "the one that is used has none");
    }

    #[test]
    fn a_negative_delay_forbids_holes_that_nobody_asks_for() {
        if !slices_are_divided() {
            return;
        }
        let mut bed = Bed::new();
        bed.set(OptionId::PurgeDelay, -1);
        let blocks = full(bed.theap);
        put_all(bed.theap, &blocks[1..]);
        sim::set_clock(Clock::Steps(1000));
        (0..20).for_each(|_| bed.theap.upkeep());
        assert_eq!(page_of(blocks[0]).hole_bytes(), 0);
        bed.theap.collect(Force::All);
        assert!(page_of(blocks[0]).hole_bytes() > 0);
    }

    #[test]
    fn what_the_system_refuses_is_no_hole() {
        let bed = Bed::new();
        let blocks = full(bed.theap);
        put_all(bed.theap, &blocks[1..]);
        sim::refuse(Kind::Discard, Fault::From(1));
        bed.theap.collect(Force::All);
        let page = page_of(blocks[0]);
        assert_eq!(page.hole_bytes(), 0);
        assert_eq!(
            take_many(bed.theap, BYTES, PER_PAGE - 1).iter().filter(|block| page_of(**block) == page).count(),
            127
        );
    }
}
