//! Where addresses are few: classes borrow, and what is there is used before more is reserved.

use super::*;
use crate::arena::{ArenaSet, Commit, LargePages, Sharing};

/// An arena of more than this has been refused. Bytes.
const CEILING: usize = 1 << 20;

fn narrow_bed() -> Bed {
    let bed = Bed::new();
    bed.arenas().lower_ceiling(CEILING);
    bed
}

impl Bed {
    fn arenas(&self) -> &'static ArenaSet {
        self.heap.subproc().arenas()
    }
}

/// What `malloc` does when its fast path misses; the page may be another class'.
fn take_any(theap: &'static Theap, bytes: usize) -> *mut u8 {
    let bin = Bin::of(bytes);
    let page = match theap.queue(bin).first() {
        Some(page) if page.has_free() => page,
        _ => theap.find_page(bin).expect("there is memory"),
    };
    check(theap);
    let block = page.pop();
    assert!(page.block_bytes() >= bytes && !block.is_null());
    block
}

#[test]
fn only_a_refused_arena_or_a_limit_makes_addresses_few() {
    let bed = Bed::new();
    assert!(!bed.arenas().is_narrow(), "no limit is set for the tests");
    bed.arenas().lower_ceiling(64 << 20);
    assert!(!bed.arenas().is_narrow());
    bed.arenas().lower_ceiling(CEILING);
    assert!(bed.arenas().is_narrow());
}

#[test]
fn small_classes_share_a_page_and_are_as_aligned_as_ever() {
    let sizes = || (0..Bin::COUNT).filter_map(Bin::from_index).map(Bin::block_bytes).take_while(|&bytes| bytes <= 256);
    {
        let wide = Bed::new();
        sizes().for_each(|bytes| _ = take_any(wide.theap, bytes));
        assert_eq!(wide.pages(), sizes().count());
    }
    let bed = narrow_bed();
    for bytes in sizes() {
        let block = take_any(bed.theap, bytes);
        assert_eq!(block as usize % (1 << bytes.trailing_zeros()), 0, "{bytes}");
    }
    assert_eq!(bed.pages(), 1);
}

#[test]
fn blocks_that_are_borrowed_are_freed_like_others() {
    let bed = narrow_bed();
    let blocks: Vec<_> = (1..40).map(|step| take_any(bed.theap, step * 24)).collect();
    put_all(bed.theap, &blocks);
    bed.theap.collect(Force::All);
    assert_eq!(bed.pages(), 0);
}

#[test]
fn a_class_that_borrows_much_gets_a_page_of_its_own() {
    let bed = narrow_bed();
    let blocks: Vec<_> = (0..3000).map(|_| take_any(bed.theap, 48)).collect();
    assert_eq!(page_of(blocks[2999]).block_bytes(), 48);
    assert!(bed.pages() < 8, "{} pages", bed.pages());
}

/// A theap that has one arena for itself, of 4 MiB. Its pages have few slices, as there is no room for more.
fn theap_with_arena(bed: &Bed) -> &'static Theap {
    let arena = bed.arenas().reserve_arena(4 << 20, Commit::Now, LargePages::Never, Sharing::Exclusive);
    Theap::create(Heap::create(bed.heap.subproc(), arena, Lifetime::MayEnd).unwrap(), ME, ptr::null()).unwrap()
}

/// Takes blocks until there are none.
fn take_all(theap: &'static Theap, bytes: usize) -> Vec<*mut u8> {
    core::iter::from_fn(|| Some(theap.find_page(Bin::of(bytes))?.pop())).collect()
}

#[test]
fn pages_kept_empty_make_room_for_other_classes() {
    let bed = narrow_bed();
    let theap = theap_with_arena(&bed);
    let blocks = take_all(theap, 40_000);
    let last = page_of(*blocks.last().unwrap());
    let its_blocks: Vec<_> = blocks.iter().copied().filter(|block| page_of(*block) == last).collect();
    put_all(theap, &its_blocks);
    assert!(last.is(Flag::Retired) && is_queued(theap, last));
    assert_eq!(page_of(take_any(theap, 4096)).block_bytes(), 4096);
}

#[test]
fn the_last_block_there_is_serves_any_class() {
    let bed = narrow_bed();
    let theap = theap_with_arena(&bed);
    let blocks = take_all(theap, 20_000);
    let last = *blocks.last().unwrap();
    assert!(theap.find_page(Bin::of(8)).is_none());
    put(theap, last);
    assert_eq!(take_any(theap, 8), last);
    assert!(theap.find_page(Bin::of(8)).is_none());
}
