//! Blocks of many cache lines, taken from where they are freed to.

use super::*;
use crate::profile;

/// A theap whose only page is allocated from as it is freed to; the blocks in use.
fn begun(bed: &Bed) -> (&'static Owned, Vec<*mut u8>) {
    let mut blocks = take_many(bed.theap, SIXTEENTH, 10);
    let page = page_of(blocks[0]);
    while page.has_free() {
        blocks.push(take(bed.theap, SIXTEENTH));
    }
    // A thread's first slow path has work.
    bed.theap.tick();
    put(bed.theap, blocks.pop().unwrap());
    put(bed.theap, blocks.pop().unwrap());
    blocks.push(bed.theap.pop_last_freed(page.bin()));
    assert!(page.is(Flag::Lifo) && page_of(*blocks.last().unwrap()) == page);
    check(bed.theap);
    (page, blocks)
}

#[test]
fn the_block_freed_last_is_the_next() {
    let bed = Bed::new();
    let (page, mut blocks) = begun(&bed);
    let queue = bed.theap.queue(page.bin());
    for _ in 0..300 {
        let block = blocks.pop().unwrap();
        put(bed.theap, block);
        let next = queue.pop();
        assert!(next == block || !page.is(Flag::Lifo));
        blocks.push(if next.is_null() { take(bed.theap, SIXTEENTH) } else { next });
        check(bed.theap);
    }
    assert!(!page.is(Flag::Lifo), "slow paths come in between");
}

#[test]
fn other_work_is_done_first() {
    let bed = Bed::new();
    let (page, mut blocks) = begun(&bed);
    bed.theap.collect(Force::Routine);
    let others = take_many(bed.other, 64, 1);
    put_all(bed.theap, &others);
    while page.has_free() {
        blocks.push(take(bed.theap, SIXTEENTH));
    }
    put(bed.theap, blocks.pop().unwrap());
    assert!(bed.theap.pop_last_freed(page.bin()).is_null(), "frees wait for another thread");
    bed.theap.flush_remote();
    assert!(!bed.theap.pop_last_freed(page.bin()).is_null());
}

#[test]
fn everything_else_that_is_done_with_the_page_ends_it() {
    type Work = fn(&Bed, &'static Owned);
    let works: [Work; 5] = [
        |bed, _| bed.theap.collect(Force::Routine),
        |bed, page| assert!(bed.theap.find_page(page.bin()) == Some(page)),
        |bed, _| _ = bed.theap.reduce(usize::MAX),
        |bed, _| bed.theap.abandon_all(),
        |bed, page| bed.theap.page_emptied(page),
    ];
    for work in works {
        let bed = Bed::new();
        let (page, blocks) = begun(&bed);
        work(&bed, page);
        check(bed.theap);
        assert!(!page.is(Flag::Lifo) && page.in_use(crate::page::Walk::Allowed) == blocks.len());
        put_all(bed.theap, &blocks);
        bed.theap.collect(Force::All);
        assert_eq!(bed.pages(), 0, "all blocks are free");
    }
}

#[test]
fn an_empty_page_is_found_by_a_collection() {
    let bed = Bed::new();
    let (page, blocks) = begun(&bed);
    put_all(bed.theap, &blocks);
    assert!(page.is(Flag::Lifo) && bed.pages() == 1);
    bed.theap.collect(Force::All);
    assert_eq!(bed.pages(), 0);
}

/// Such pages would not come to the slow path, where samples are taken.
#[test]
fn the_profiler_ends_it_and_lets_none_begin() {
    let bed = Bed::new();
    let (page, mut blocks) = begun(&bed);
    let before = profile::set_rate(1 << (usize::BITS - 2));
    bed.theap.follow_profiler();
    assert!(bed.theap.is_profiled() && !page.is(Flag::Lifo));
    check(bed.theap);
    let offers = |blocks: &mut Vec<*mut u8>| {
        for _ in 0..100 {
            while page.has_free() {
                blocks.push(take(bed.theap, SIXTEENTH));
            }
            bed.theap.tick();
            put(bed.theap, blocks.pop().unwrap());
            let block = bed.theap.pop_last_freed(page.bin());
            if !block.is_null() {
                blocks.push(block);
                return true;
            }
        }
        false
    };
    assert!(!offers(&mut blocks) && !page.is(Flag::Lifo));
    profile::set_rate(before);
    bed.theap.follow_profiler();
    assert!(offers(&mut blocks) && page.is(Flag::Lifo));
    check(bed.theap);
}
