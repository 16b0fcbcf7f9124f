//! Pages by themselves: their entries in the page map, their lists and counts, and a look at them from outside. (The
//! remote word has tests of its own.)

use core::ptr;
use std::vec::Vec;

use super::*;
use crate::arena::tests::{ground, new_set};
use crate::arena::{Extent, Kind, Want};
use crate::base::*;
use crate::sync::Relaxed;

mod hardened;
mod holes;

const ME: usize = 16;

fn place(slices: usize, bin: Bin, block_bytes: usize, extent: Extent) -> Placement {
    let want = Want { extent, ..Want::new(slices, Kind::of_slices(slices)) };
    let claim = new_set().claim(&want).unwrap();
    Placement {
        origin: Origin::Arena(claim.arena),
        memory: claim.memory(),
        slices,
        offset_bytes: 0,
        bin,
        block_bytes,
        reserved: (slices * SLICE_BYTES / block_bytes) as u16,
        zero: claim.zero,
    }
}

fn create(placement: &Placement) -> &'static Owned {
    // SAFETY: just claimed. Nobody asks these pages for a theap or a heap.
    unsafe { OwnedPage::create(placement, ME, ptr::null(), (ptr::null(), Lifetime::Stays)) }.hold()
}

/// A place for pages for blocks of at least `bytes`.
fn place_of(bytes: usize) -> Placement {
    let bin = Bin::of(bytes);
    place(bin.page_slices(), bin, bin.block_bytes(), Extent::Whole)
}

/// A page for blocks of at least `bytes`.
fn page(bytes: usize) -> &'static Owned {
    create(&place_of(bytes))
}

fn singleton(slices: usize, offset_bytes: usize) -> &'static Owned {
    let bytes = slices * SLICE_BYTES - offset_bytes;
    create(&Placement { offset_bytes, reserved: 1, ..place(slices, Bin::SINGLETON, bytes, Extent::Whole) })
}

/// Takes `count` blocks, refilling where that is needed.
fn take(page: &'static Owned, count: usize) -> Vec<*mut u8> {
    let one = |_| {
        assert!(page.refill());
        page.pop()
    };
    (0..count).map(one).collect()
}

fn put(page: &'static Owned, block: *mut u8) -> Freed {
    // SAFETY: the test's own block, used no more.
    unsafe { page.push_local(block) }
}

/// Frees a block as another thread does.
fn put_remote(page: &'static Owned, block: *mut u8) {
    // SAFETY: the test's own block, used no more.
    assert!(unsafe { page.page().push(block, block, 1) }.is_none());
}

fn found(p: *const u8) -> Option<&'static Owned> {
    Page::lookup(p).map(|page| page.look())
}

#[test]
fn owner_words_tell_thread_hint_and_flags() {
    let _ground = ground();
    let page = page(32);
    assert_eq!(page.owner(), Owner::thread(ME));
    page.set_interior();
    assert!(page.owner() != Owner::thread(ME) && page.owner().tid() == ME && page.owner().has_interior());
    page.ownership.let_go(ME, 1, 9).unwrap();
    assert!(page.owner().is_unowned() && page.owner().tid() == ME && page.owner().has_interior());
    page.ownership.let_go(0, 1, 9).unwrap();
    assert!(page.owner().is_unowned() && page.owner().tid() == 0);
    page.keep(2 * ME);
    assert!(!page.owner().is_unowned() && page.owner().tid() == 2 * ME && page.owner().has_interior());
    assert!(Owner::NONE.tid() == 0 && Owner::STUB.tid() == 0 && !Owner::STUB.is_unowned());
}

#[test]
fn every_address_of_a_page_leads_to_it_until_it_is_erased() {
    let _ground = ground();
    let page = page(100_000);
    let (memory, end) = (page.memory(), page.slices() * SLICE_BYTES);
    for at in (0..end).step_by(SLICE_BYTES / 2) {
        assert!(found(memory.wrapping_add(at)) == Some(page), "{at}");
    }
    assert_eq!(Page::entry(memory.wrapping_add(SLICE_BYTES)).owner(), Owner::STUB);
    assert!(found(memory.wrapping_add(end)).is_none());
    // SAFETY: the test's own page.
    unsafe { page.take_out() }.erase();
    assert!((0..end).step_by(SLICE_BYTES).all(|at| found(memory.wrapping_add(at)).is_none()));
}

#[test]
fn a_singleton_is_known_up_to_its_blocks_start() {
    let _ground = ground();
    let page = singleton(40, 3 * SLICE_BYTES + 64);
    let at = |slice: usize| page.memory().wrapping_add(slice * SLICE_BYTES);
    assert!((0..=3).all(|slice| found(at(slice)) == Some(page)));
    assert!((4..40).all(|slice| found(at(slice)).is_none()), "that keeps huge blocks' metadata untouched");
    assert_eq!(page.area_bytes(), 40 * SLICE_BYTES - 3 * SLICE_BYTES - 64);
    // SAFETY: the test's own page.
    unsafe { page.take_out() }.erase();
    assert!((0..40).all(|slice| found(at(slice)).is_none()));
}

#[test]
fn addresses_outside_of_the_map_have_no_page() {
    let _ground = ground();
    assert!(found(ptr::null()).is_none() && found(usize::MAX as *const u8).is_none());
    let here = 0u8;
    assert!(found(&here).is_none(), "the stack is not ours");
}

#[test]
fn a_page_lends_each_of_its_blocks_once() {
    let _ground = ground();
    let page = page(48);
    let mut blocks = take(page, page.reserved());
    assert!(!page.refill() && !page.has_available() && page.pop().is_null(), "it is full");
    blocks.sort();
    let starts = (0..page.reserved()).map(|index| page.start().wrapping_add(index * 48));
    assert!(blocks.into_iter().eq(starts));
    assert_eq!((page.outstanding(), page.used(), page.capacity()), (1365, 1365, 1365));
}

#[test]
fn blocks_are_linked_a_few_at_a_time_and_only_where_memory_is_touched() {
    let _ground = ground();
    let page = page(64);
    assert!(page.refill());
    assert_eq!((page.capacity(), page.used()), (EXTEND_BYTES / 64, 0));
    let large = self::page(500_000);
    assert!(large.refill());
    assert_eq!(large.capacity(), 1);
}

#[test]
fn the_last_block_back_is_the_event() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 4);
    assert_eq!(page.capacity(), 4, "`free` is exhausted");
    assert!(blocks[1..].iter().all(|block| put(page, *block) == Freed::InUse));
    assert_eq!(put(page, blocks[0]), Freed::Empty);
    assert_eq!((page.outstanding(), page.used()), (0, 0));
}

#[test]
fn blocks_still_on_free_count_as_lent() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 2);
    assert!(blocks.iter().all(|block| put(page, *block) == Freed::InUse), "no event: two blocks were never asked for");
    assert_eq!((page.outstanding(), page.used()), (2, 0));
    assert!(page.collect_is_empty());
}

#[test]
fn freed_blocks_come_back_last_first_when_free_is_exhausted() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 4);
    put(page, blocks[3]);
    put(page, blocks[1]);
    assert!(!page.has_free() && page.has_available());
    assert_eq!(take(page, 2), [blocks[1], blocks[3]]);
    assert_eq!(page.outstanding(), 4);
}

#[test]
fn blocks_freed_by_others_are_used_before_fresh_ones() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 4);
    put_remote(page, blocks[0]);
    put_remote(page, blocks[2]);
    assert_eq!((page.outstanding(), page.used()), (4, 4), "they count as in use until they are taken");
    assert_eq!(take(page, 2), [blocks[2], blocks[0]]);
    assert_eq!((page.capacity(), page.outstanding()), (4, 4));
}

#[test]
fn adopting_joins_the_lists() {
    let _ground = ground();
    let page = page(512);
    let blocks = take(page, 6);
    put_remote(page, blocks[0]);
    put_remote(page, blocks[1]);
    put(page, blocks[2]);
    assert!(page.has_free());
    page.adopt(page.take_remote());
    assert_eq!((page.capacity(), page.used()), (8, 3));
    let rest = take(page, 5);
    assert!(blocks[..3].iter().all(|block| rest.contains(block)));
    assert_eq!(page.capacity(), 8, "nothing fresh was needed");
}

#[test]
fn a_page_is_empty_once_everybodys_frees_are_in() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 6);
    blocks[..5].iter().for_each(|block| put_remote(page, *block));
    assert!(!page.collect_is_empty());
    put_remote(page, blocks[5]);
    assert!(page.collect_is_empty());
}

#[test]
fn a_page_taken_back_begins_with_the_block_just_freed() {
    let _ground = ground();
    let page = page(4096);
    let blocks = take(page, page.reserved());
    put_remote(page, blocks[5]);
    let chain = page.take_remote();
    // SAFETY: the test's own block, used no more.
    unsafe { page.reopen(blocks[2], chain) };
    assert_eq!(page.used(), 14);
    assert_eq!(take(page, 2), [blocks[2], blocks[5]]);
}

#[test]
fn mending_leaves_a_page_in_order_as_it_is() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 6);
    put(page, blocks[0]);
    put(page, blocks[1]);
    put_remote(page, blocks[2]);
    let free = page.free.get();
    assert_eq!(page.mend(), 3);
    assert_eq!((page.free.get(), page.remote_count()), (free, 0), "links stay as they are");
    let rest = take(page, page.reserved() - 3);
    assert!(!page.has_available() && [0, 1, 2].iter().all(|&index| rest.contains(&blocks[index])));
}

/// What a thread does to a page, and which of `blocks` it is done with before that.
struct Work {
    name: &'static str,
    gives: &'static [usize],
    run: fn(&'static Owned, &[*mut u8]),
}

const WORKS: [Work; 8] = [
    Work { name: "pop", gives: &[], run: |page, _| _ = take(page, 1) },
    Work { name: "extend to the end", gives: &[], run: |page, _| _ = take(page, page.reserved() - 8) },
    Work { name: "push", gives: &[1], run: |page, blocks| _ = put(page, blocks[1]) },
    Work {
        name: "recycle and pop",
        gives: &[1, 3, 5],
        run: |page, blocks| {
            let _ = [1, 3, 5].map(|index| put(page, blocks[index]));
            take(page, page.reserved() - 8 + 2);
        },
    },
    Work {
        name: "take over remote frees",
        gives: &[2, 4],
        run: |page, blocks| {
            let _ = [2, 4].map(|index| put_remote(page, blocks[index]));
            page.collect();
        },
    },
    Work {
        name: "join remote frees with local ones",
        gives: &[1, 2, 4, 6],
        run: |page, blocks| {
            let _ = [1, 6].map(|index| put(page, blocks[index]));
            let _ = [2, 4].map(|index| put_remote(page, blocks[index]));
            page.collect();
            take(page, page.reserved() - 8 + 1);
        },
    },
    Work {
        name: "reopen a full page",
        gives: &[0, 7],
        run: |page, blocks| {
            take(page, page.reserved() - 8);
            put_remote(page, blocks[0]);
            // SAFETY: the test's own block, used no more; the lists are empty.
            _ = unsafe { page.reopen(blocks[7], page.take_remote()) };
            take(page, 1);
        },
    },
    Work {
        name: "start over",
        gives: &[0, 1, 2, 3, 4, 5, 6, 7],
        run: |page, blocks| {
            let _ = [0, 2, 4, 6, 7, 5, 3, 1].map(|index| put(page, blocks[index]));
            page.relink();
            take(page, 9);
        },
    },
];

/// A page of which 8 blocks are in use; each looks like a link to another one.
fn in_use(place: &Placement) -> (&'static Owned, Vec<*mut u8>) {
    let page = create(place);
    let blocks = take(page, 8);
    for (index, block) in blocks.iter().enumerate() {
        // SAFETY: the test's own blocks, of a word at least.
        unsafe { block.cast::<*mut u8>().write(blocks[(index + 3) % 8]) };
    }
    (page, blocks)
}

#[test]
fn a_page_is_mended_wherever_its_owner_stopped() {
    use crate::sync::steps::stop_at;
    let _ground = ground();
    for work in &WORKS {
        for bytes in [16, 1024, 7000] {
            // One page after the other lies there.
            let place = Placement { zero: Zero::Any, ..place_of(bytes) };
            let mut pin = 1;
            loop {
                let (page, blocks) = in_use(&place);
                if stop_at(pin, || (work.run)(page, &blocks)).is_none() {
                    break;
                }
                check_mended(page, work, &blocks, pin);
                // SAFETY: the test's own page.
                unsafe { page.take_out() }.erase();
                // Long works do the same again and again.
                pin += 1 + pin / 200 * 16;
            }
            assert!(pin > 1, "{}: no pin at all", work.name);
        }
    }
}

#[test]
fn a_singletons_only_block_is_in_use_unless_it_has_come_back() {
    use crate::sync::steps::stop_at;
    let _ground = ground();
    let lent = |pin| {
        let page = singleton(2, 0);
        _ = stop_at(pin, || page.mark_single_handed_out());
        page
    };
    // Not lent yet: nobody has the block.
    assert_eq!([lent(0).mend(), singleton(2, 0).mend()], [1, 0]);
    assert_eq!([lent(1).mend(), lent(2).mend()], [0, 1]);
    let freed = lent(0);
    assert!(freed.page().push_unlinked(freed.start()).is_none());
    // What the block holds is no link.
    // SAFETY: the test's own block.
    unsafe { freed.start().cast::<*mut u8>().write(ptr::without_provenance_mut(1)) };
    assert_eq!(freed.mend(), 0);
}

/// Mends the page, takes every block that it has to give, and frees all.
fn check_mended(page: &'static Owned, work: &Work, blocks: &[*mut u8], pin: usize) {
    let used = page.mend();
    let kept: Vec<_> = (0..8).filter(|index| !work.gives.contains(index)).map(|index| blocks[index]).collect();
    let mut taken = Vec::new();
    while page.refill() {
        while let Some(block) = ptr::NonNull::new(page.pop()) {
            assert!(!kept.contains(&block.as_ptr()), "{} at {pin}: a block in use is handed out", work.name);
            taken.push(block.as_ptr());
        }
    }
    let count = taken.len();
    assert_eq!(used + count, page.reserved(), "{} at {pin}: blocks got lost or were found twice", work.name);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), count, "{} at {pin}: a block is handed out twice", work.name);
    for block in taken.iter().chain(&kept) {
        put(page, *block);
    }
}

#[test]
fn fresh_blocks_of_zeroed_memory_are_known_to_be_zero_until_one_is_used_again() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 1);
    assert!(page.is(Flag::FreeIsZero));
    take(page, 3);
    put(page, blocks[0]);
    take(page, 1);
    assert!(!page.is(Flag::FreeIsZero));
    take(page, 1);
    assert!(page.is(Flag::FreeIsZero), "the next ones are fresh again");
    let dirty = create(&Placement { zero: Zero::Any, ..place(1, Bin::of(1024), 1024, Extent::Whole) });
    take(dirty, 1);
    assert!(!dirty.is(Flag::FreeIsZero));
}

#[test]
fn a_filled_page_is_counted_once() {
    let _ground = ground();
    let page = page(4096);
    let Origin::Arena(arena) = page.origin() else { panic!("pages of many blocks are in arenas") };
    take(page, 15);
    assert_eq!(arena.usage().filled.get(), 0);
    let last = take(page, 1);
    put(page, last[0]);
    take(page, 1);
    assert_eq!(arena.usage().filled.get(), 1);
}

#[test]
fn a_page_committed_as_it_fills_commits_what_it_lends() {
    let _ground = ground();
    let bin = Bin::of(64 << 10);
    let page = create(&place(MEDIUM_PAGE_SLICES, bin, bin.block_bytes(), Extent::First(1)));
    page.note_committed(1);
    for block in take(page, page.reserved()) {
        // SAFETY: the test's own block.
        unsafe { block.write_bytes(1, bin.block_bytes()) };
    }
    let Origin::Arena(arena) = page.origin() else { panic!("in an arena") };
    let first = arena.slice_of(page.memory());
    assert!((first..first + MEDIUM_PAGE_SLICES).all(|slice| arena.is_committed(slice)));
}

#[test]
fn inner_addresses_lead_to_their_block() {
    let _ground = ground();
    let page = page(48);
    let block = page.start().wrapping_add(5 * 48);
    assert!([0, 1, 47].iter().all(|at| page.block_of(block.wrapping_add(*at)) == block));
    assert_eq!(page.block_of(block.wrapping_add(48)), block.wrapping_add(48));
    take(page, 6);
    assert!(page.is_block_start(block) && !page.is_block_start(block.wrapping_add(8)));
    assert!(!page.is_block_start(page.start().wrapping_sub(48)));
    assert!(!page.is_block_start(page.start().wrapping_add(page.capacity() * 48)), "never linked");
    assert_eq!(page.block_at(page.offset_of(block)), block);
}

#[test]
fn a_look_from_outside_counts_and_marks_what_is_in_use() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 6);
    put(page, blocks[0]);
    put_remote(page, blocks[3]);
    assert_eq!(page.in_use(Walk::Allowed), 4);
    assert_eq!(page.in_use(Walk::Never), 6, "the two on `free` seem to be in use");
    let mut marks = Marks::new();
    assert_eq!(page.mark_free(&mut marks), 4);
    let mut seen = Vec::new();
    page.for_each_unmarked(&marks, |block| {
        seen.push(block);
        true
    });
    seen.sort();
    assert_eq!(seen, [1, 2, 4, 5].map(|index| blocks[index]));
    page.ownership.let_go(0, 5, 9).unwrap();
    assert_eq!(page.in_use(Walk::Allowed), 4, "one of five has been freed by others");
}

/// Takes and frees blocks of a page that is allocated from as it is freed to.
fn lifo_page(blocks: usize) -> (&'static Owned, Vec<*mut u8>) {
    let page = page(2000);
    let mut all = take(page, page.capacity().max(1));
    while page.has_free() || all.len() < blocks {
        all.extend(take(page, 1));
    }
    put(page, all.pop().unwrap());
    assert!(!page.may_begin_lifo(|| false) && page.may_begin_lifo(|| true) && !page.may_begin_lifo(|| true));
    (page, all)
}

fn pop(page: &'static Owned) -> *mut u8 {
    // SAFETY: the test's page.
    unsafe { page.source().pop() }
}

#[test]
fn the_block_freed_last_is_taken_first() {
    let _ground = ground();
    let (page, mut all) = lifo_page(8);
    all.push(pop(page));
    assert!(!all.last().unwrap().is_null() && pop(page).is_null());
    for _ in 0..100 {
        let (one, other) = (all.pop().unwrap(), all.pop().unwrap());
        assert!(put(page, one) == Freed::InUse && put(page, other) == Freed::InUse);
        all.extend([pop(page), pop(page)]);
        assert!(all.ends_with(&[other, one]));
    }
}

#[test]
fn taking_the_last_freed_ends_after_some_frees() {
    let _ground = ground();
    let (page, mut all) = lifo_page(8);
    all.push(pop(page));
    let mut frees = 0;
    loop {
        frees += 1;
        if put(page, all.pop().unwrap()) == Freed::Empty {
            break;
        }
        all.push(pop(page));
    }
    assert_eq!(frees, 256);
    page.end_lifo();
    assert!(!page.is(Flag::Lifo) && page.outstanding() == page.capacity() && page.used() == all.len());
    assert!(page.local_free.get().is_null() && page.has_free());
    page.end_lifo();
    assert_eq!(page.used(), all.len(), "it ends once");
}

#[test]
fn what_is_in_use_and_was_allocated_is_known_while_the_last_freed_is_taken() {
    let _ground = ground();
    let (page, mut all) = lifo_page(8);
    let mut allocated = all.len() as u64 + 1;
    for round in 0..50 {
        let puts = 1 + round % 5;
        for _ in 0..puts {
            put(page, all.pop().unwrap());
        }
        for _ in 0..puts {
            all.push(pop(page));
            allocated += 1;
        }
        let mut marks = Marks::new();
        assert_eq!(page.mark_free(&mut marks), all.len());
        assert_eq!(page.in_use(Walk::Allowed), all.len());
        assert_eq!(page.allocated(Walk::Allowed), allocated);
    }
    page.end_lifo();
    assert_eq!((page.in_use(Walk::Allowed), page.allocated(Walk::Allowed)), (all.len(), allocated));
    all.into_iter().for_each(|block| _ = put(page, block));
    assert!(page.collect_is_empty());
    assert_eq!(page.allocated_before(), allocated);
}

#[test]
fn a_vanished_owner_may_have_taken_the_last_freed() {
    let _ground = ground();
    let (page, all) = lifo_page(8);
    assert!(page.mend() == all.len() && !page.is(Flag::Lifo) && page.collect() == all.len());
}

#[test]
fn a_look_at_a_damaged_list_ends() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, 4);
    put(page, blocks[0]);
    for link in [blocks[0], page.start().wrapping_add(8), ptr::without_provenance_mut(8)] {
        // SAFETY: a freed block of the test's, to which the program still writes.
        unsafe { blocks[0].cast::<*mut u8>().write(link) };
        assert!(page.in_use(Walk::Allowed) <= 4);
        assert!(page.mark_free(&mut Marks::new()) <= 4);
    }
}

#[test]
fn a_lent_singleton_is_full() {
    let _ground = ground();
    let page = singleton(20, 0);
    page.mark_single_handed_out();
    assert!(!page.has_available() && page.used() == 1 && page.is_singleton());
    let Origin::Arena(arena) = page.origin() else { panic!("in an arena") };
    assert_eq!(arena.usage().single.get(), 20);
}

#[test]
fn a_retired_page_ages_and_seems_unused_until_its_lists_change() {
    let _ground = ground();
    let page = page(1024);
    page.refill();
    page.note_retired();
    assert!(page.is(Flag::Retired) && page.seems_unused_since_retired());
    assert_eq!([page.grow_older(), page.grow_older(), page.grow_older()], [0, 1, 2]);
    let block = page.pop();
    assert!(!page.seems_unused_since_retired());
    put(page, block);
    assert!(!page.seems_unused_since_retired(), "a block on `local_free`");
    page.note_retired();
    assert_eq!(page.grow_older(), 0, "young again");
}

#[test]
fn the_empty_page_offers_nothing() {
    assert!(EMPTY_PAGE.pop().is_null() && !EMPTY_PAGE.has_free() && EMPTY_PAGE.owner() == Owner::NONE);
}

#[test]
fn a_page_reaches_from_its_first_block_to_its_last_slice() {
    let page = singleton(40, 3 * SLICE_BYTES);
    let at = |distance: isize| page.start().wrapping_offset(distance);
    assert!(page.reaches(at(0)) && page.reaches(at(36 * SLICE_BYTES as isize)));
    assert!(!page.reaches(at(-8)), "before the first block");
    // Addresses outside of a small window have the same entries as those inside.
    assert!(!page.reaches(at(1 << 28)) && !page.reaches(at(-(1 << 28))));
}

#[test]
fn pages_of_one_block_are_never_cut() {
    let _ground = ground();
    let page = singleton(2, 0);
    page.mark_single_handed_out();
    // SAFETY: the test has the block.
    let mut single = unsafe { SinglePage::held(page.start(), page.page()) }.unwrap();
    single.set_padding(100, true);
    assert!(page.clears_single() && page.padding_bytes() == 100);
    assert!(!page.is_cut() && page.in_use(Walk::Allowed) == 1);
}

#[test]
fn a_list_that_is_shorter_than_it_should_be_is_not_cut() {
    let _ground = ground();
    let page = page(1024);
    let blocks = take(page, page.reserved());
    blocks[..2].iter().for_each(|block| _ = put(page, *block));
    assert!(page.refill());
    page.cut(2, 9);
    page.cut(5, 9);
    assert!(!page.is_cut() && take(page, 2).len() == 2 && !page.has_available());
}
