//! What goes of pages of large blocks as soon as few of them are in use.

use super::*;
use crate::options;
use crate::os::os_page_bytes;
use crate::page::Walk;

/// Pages of 127 or 128 blocks.
const BYTES: usize = 32 << 10;
const PAGE_BYTES: usize = LARGE_PAGE_SLICES * SLICE_BYTES;

/// Where nobody has chosen a delay.
fn bed() -> Bed {
    let bed = Bed::new();
    options::unset(OptionId::PurgeDelay, OptionId::PurgeDelay.spec().default);
    bed
}

/// A full page of the theap, whose blocks hold 0xAA: of the usual size, which the first of a class has not.
fn full(theap: &'static Theap) -> (&'static Owned, Vec<*mut u8>) {
    let blocks = take_pages(theap, BYTES, 2).remove(1);
    assert_eq!(page_of(blocks[0]).slices(), LARGE_PAGE_SLICES);
    // SAFETY: the test's own blocks.
    blocks.iter().for_each(|block| unsafe { block.write_bytes(0xAA, BYTES) });
    (page_of(blocks[0]), blocks)
}

/// What a block holds in its middle.
fn inside(block: *mut u8) -> u8 {
    // SAFETY: memory of a page of the test's.
    unsafe { block.wrapping_add(BYTES / 2).read_volatile() }
}

#[test]
fn what_its_thread_has_freed_goes_at_once() {
    let bed = bed();
    let (page, blocks) = full(bed.theap);
    put_all(bed.theap, &blocks[page.reserved() / 2..]);
    assert_eq!(page.hole_bytes(), 0, "half of it is in use");
    put_all(bed.theap, &blocks[5..page.reserved() / 2]);
    assert!(page.hole_bytes() >= PAGE_BYTES * 5 / 8, "{}", page.hole_bytes());
    assert!(blocks[..5].iter().all(|block| inside(*block) == 0xAA));
    let again = take_many(bed.theap, BYTES, page.reserved() - 5);
    assert!(again.iter().all(|block| page_of(*block) == page));
    assert_eq!((page.hole_bytes(), page.used()), (0, page.reserved()));
}

#[test]
fn a_few_blocks_are_not_worth_it() {
    let bed = bed();
    let blocks = take_many(bed.theap, BYTES, 31);
    put_all(bed.theap, &blocks[1..]);
    assert_eq!(page_of(blocks[0]).hole_bytes(), 0, "less than a MiB is free");
}

/// The page, of which all blocks are in use, after it has been allocated from as it was freed to.
fn full_and_lifo(bed: &Bed) -> (&'static Owned, Vec<*mut u8>) {
    let (page, mut blocks) = full(bed.theap);
    bed.theap.tick();
    put(bed.theap, blocks.pop().unwrap());
    blocks.push(bed.theap.pop_last_freed(page.bin()));
    assert!(page.is(Flag::Lifo));
    (page, blocks)
}

#[test]
fn also_of_a_page_that_is_allocated_from_as_it_is_freed_to() {
    let bed = bed();
    let (page, blocks) = full_and_lifo(&bed);
    put_all(bed.theap, &blocks[5..]);
    assert!(page.hole_bytes() >= PAGE_BYTES * 5 / 8, "{}", page.hole_bytes());
    assert_eq!(page.in_use(Walk::Allowed), 5);
}

#[test]
fn such_a_page_is_seen_to_be_empty() {
    let mut bed = bed();
    // Nothing is punched.
    bed.set(OptionId::PurgeDelay, 1000);
    let (page, blocks) = full_and_lifo(&bed);
    // The looks come with the last block.
    let between = (page.reserved() / 8).next_power_of_two();
    let more = (256 - blocks.len()) % between;
    for _ in 0..more {
        put(bed.theap, blocks[0]);
        assert_eq!(bed.theap.queue(page.bin()).pop(), blocks[0]);
    }
    put_all(bed.theap, &blocks);
    assert!(!page.is(Flag::Lifo) && page.is(Flag::Retired), "kept for a moment");
}

#[test]
fn a_page_that_is_kept_because_it_was_empty_is_punched_when_it_falls_again() {
    let bed = bed();
    let (page, blocks) = full_and_lifo(&bed);
    // All at once, so that none of them looks.
    bed.theap.collect(Force::Routine);
    for block in blocks {
        // SAFETY: the test's own block.
        if unsafe { page.push_local(block) } == Freed::Empty {
            bed.theap.page_emptied(page);
        }
    }
    let blocks = take_many(bed.theap, BYTES, page.reserved());
    assert!(page_of(blocks[0]) == page && page.is(Flag::Retired));
    put_all(bed.theap, &blocks[5..]);
    assert!(page.hole_bytes() > 0 && !page.is(Flag::Retired));
}

#[test]
fn what_others_have_freed_brings_the_looks_forward() {
    let bed = bed();
    let (page, blocks) = full(bed.theap);
    let part = page.reserved() / 8;
    // A look, which finds that the next five can be left out.
    put_all(bed.theap, &blocks[..2 * part]);
    put_all(bed.other, &blocks[2 * part..5 * part]);
    bed.other.flush_remote();
    bed.theap.collect(Force::Routine);
    put_all(bed.theap, &blocks[5 * part..blocks.len() - 5]);
    assert!(page.hole_bytes() >= PAGE_BYTES * 5 / 8, "{}", page.hole_bytes());
}

#[test]
fn a_page_that_has_kept_its_memory_often_is_looked_at_now_and_then() {
    let mut bed = bed();
    let (page, mut blocks) = full(bed.theap);
    bed.set(OptionId::PurgeDelay, 1000);
    let mut fall = |bed: &Bed| {
        put_all(bed.theap, &blocks[5..]);
        let hole_bytes = page.hole_bytes();
        blocks.truncate(5);
        blocks.extend(take_many(bed.theap, BYTES, page.reserved() - 5));
        hole_bytes
    };
    (0..8).for_each(|_| assert_eq!(fall(&bed), 0));
    options::unset(OptionId::PurgeDelay, OptionId::PurgeDelay.spec().default);
    let falls = (0..4).position(|_| fall(&bed) > 0);
    assert!(falls.is_some_and(|falls| falls > 0), "{falls:?}");
    let falls = (0..4).position(|_| fall(&bed) > 0);
    assert_eq!(falls, Some(0), "once some has gone, each fall is seen");
}

/// Whoever frees, nothing goes.
fn keeps_all(bed: &Bed) {
    let (page, blocks) = full(bed.theap);
    put_all(bed.theap, &blocks[5..]);
    assert_eq!(page.hole_bytes(), 0);
    let (_, blocks) = full(bed.other);
    put_all(bed.theap, &blocks[5..]);
    bed.theap.flush_remote();
    assert!(blocks.iter().all(|block| inside(*block) == 0xAA));
}

#[test]
fn nothing_goes_before_a_delay_that_somebody_has_chosen() {
    for delay in [-1, 1000] {
        let mut bed = bed();
        bed.set(OptionId::PurgeDelay, delay);
        keeps_all(&bed);
    }
}

#[test]
fn what_another_thread_frees_goes_once_much_waits_for_the_owner() {
    // Else there is no OS page inside of a block.
    if BYTES < 2 * os_page_bytes() {
        return;
    }
    let bed = bed();
    let (page, blocks) = full(bed.theap);
    put_all(bed.other, &blocks[5..]);
    bed.other.flush_remote();
    let gone = blocks.iter().filter(|block| inside(**block) == 0).count();
    assert!((page.reserved() / 2..page.reserved() * 3 / 4 + 1).contains(&gone), "{gone}");
    assert!(blocks[..5].iter().all(|block| inside(*block) == 0xAA));
    assert_eq!(page.remote_count(), page.reserved() - 5, "each of them waits");
    let again = take_many(bed.theap, BYTES, page.reserved() - 5);
    assert!(again.iter().all(|block| page_of(*block) == page && blocks[5..].contains(block)));
}

/// On the simulated system, which counts and whose clock is set.
#[cfg(feature = "sim")]
mod on_sim {
    use super::*;
    use ferrimalloc_prim::sim::{self, Clock, Fault, Kind};

    /// Takes a page's worth of blocks and frees them; answers whether memory went before the last few.
    fn rise_and_fall(theap: &'static Theap) -> bool {
        let (page, blocks) = full(theap);
        put_all(theap, &blocks[5..]);
        let is_punched = page.hole_bytes() > 0;
        assert!(blocks[..5].iter().all(|block| inside(*block) == 0xAA));
        put_all(theap, &blocks[..5]);
        is_punched
    }

    #[test]
    fn who_goes_up_and_down_pays_for_it_rarely() {
        let bed = bed();
        sim::set_clock(Clock::Steps(0));
        let punched = |rounds| (0..rounds).filter(|_| rise_and_fall(bed.theap)).count();
        assert!(punched(1) == 1 && punched(40) < 8, "no time has passed");
    }

    #[test]
    fn who_wants_it_again_pays_much_more() {
        let bed = bed();
        sim::set_clock(Clock::Steps(0));
        let (page, mut blocks) = full(bed.theap);
        let mut punched = 0;
        for _ in 0..40 {
            put_all(bed.theap, &blocks.split_off(5));
            punched += usize::from(page.hole_bytes() > 0);
            blocks.extend(take_many(bed.theap, BYTES, page.reserved() - 5));
        }
        assert!((1..5).contains(&punched), "{punched}");
    }

    #[test]
    fn what_is_refused_stays() {
        let bed = bed();
        sim::refuse(Kind::Discard, Fault::From(1));
        keeps_all(&bed);
    }
}
