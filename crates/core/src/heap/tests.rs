//! Heaps by themselves: their list, their pages and those of them that anybody may take, supply, visits.

use core::ptr;
use ferrimalloc_prim::mem;
use std::boxed::Box;
use std::vec::Vec;

use super::*;
use crate::arena::tests::ground;
use crate::arena::{Kind, Reserve};
use crate::base::*;
use crate::diag;
use crate::options::OptionId;
use crate::page::{Lifetime, Origin, Owned, OwnedPage, Owner, Page, PageRef, SinglePage, Threshold};

const ME: usize = 16;
const MIB: usize = 1 << 20;

/// A sub-process of its own for a test, which stays.
pub(crate) fn new_subproc() -> &'static Subproc {
    let subproc = Box::leak(Box::new(Subproc::new()));
    assert!(subproc.open());
    subproc
}

fn new_heap() -> &'static Heap {
    new_subproc().main_heap().unwrap()
}

fn fresh(heap: &'static Heap, bytes: usize) -> &'static Owned {
    heap.fresh_page((Bin::of(bytes), Demand::Many), ME, ptr::null(), 0, Reserve::IfFull).unwrap().hold()
}

fn release(page: &'static Owned) {
    // SAFETY: the test's own page.
    release_page(unsafe { page.take_out() });
}

fn single(bytes: usize) -> SingleRequest {
    SingleRequest { bytes, align: 1, offset: 0, front_bytes: 0, spare_bytes: 0, zero: Zero::Any }
}

fn fresh_single(heap: &'static Heap, request: &SingleRequest) -> &'static Owned {
    let page = heap.fresh_single(request, ME, ptr::null(), 0).unwrap();
    page.mark_single_handed_out();
    page.hold()
}

/// Takes `count` blocks and lets go of the page, as a thread does at its end, but without listing it.
fn lend_and_abandon(page: &'static Owned, count: usize) -> Vec<*mut u8> {
    let one = |_| {
        assert!(page.refill());
        page.pop()
    };
    let blocks = (0..count).map(one).collect();
    // SAFETY: the test's own page.
    assert!(unsafe { page.take_out() }.let_go(0, count, count).is_ok());
    blocks
}

/// Frees a block as any thread does; the claimer sees to the page.
fn free_remote(page: &'static Owned, block: *mut u8) {
    // SAFETY: the test's own block, used no more.
    if let Some(page) = unsafe { page.page().push(block, block, 1) } {
        release_or_list(page);
    }
}

fn claim_in_place(page: &'static Owned) -> OwnedPage {
    page.page().claim_in_place().unwrap().0
}

fn pages_of(heap: &'static Heap) -> Vec<*const Page> {
    let mut pages = Vec::new();
    heap.for_each_own_page(|page| {
        pages.push(ptr::from_ref(page));
    });
    pages
}

/// The number of the page taken, if one was.
fn take_listed(heap: &'static Heap, bytes: usize) -> Option<&'static Owned> {
    let is_ours = |page: &Page| ptr::eq(Heap::of_page(page), heap);
    heap.registry()
        .take_listed(heap.subproc().arenas(), Bin::of(bytes), is_ours, release_or_list)
        .map(|(page, _)| page.hold())
}

#[test]
fn pieces_of_metadata_come_back_last_first() {
    let mut pieces = [[0usize; 2]; 3];
    let starts = pieces.each_mut().map(|piece| piece.as_mut_ptr().cast::<u8>());
    let mut cached = FreeStack::new();
    // SAFETY: words of the test's own.
    starts.iter().for_each(|start| unsafe { cached.push(*start) });
    assert_eq!([cached.pop(), cached.pop(), cached.pop()], [2, 1, 0].map(|index| Some(starts[index])));
    assert_eq!(cached.pop(), None);
}

#[test]
fn a_sub_process_knows_its_heaps() {
    let _ground = ground();
    let subproc = new_subproc();
    let main = subproc.main_heap().unwrap();
    let heaps = [0; 3].map(|_| Heap::create(subproc, None, Lifetime::MayEnd).unwrap());
    assert!(main.is_main() && !heaps[0].is_main());
    let mut seen = Vec::new();
    subproc.for_each_heap(|heap| {
        seen.push(heap.id());
    });
    assert!(seen.is_sorted_by(|newer, older| newer > older) && seen.len() == 4, "newest first: {seen:?}");
    assert!(subproc.remove_heap(heaps[1]));
    assert!(!subproc.remove_heap(heaps[1]), "not twice");
    let is_in =
        |subproc: &Subproc, heap: *const Heap| subproc.find_heap(|other| ptr::eq(other, heap).then_some(())).is_some();
    assert!(!is_in(subproc, heaps[1]) && is_in(subproc, heaps[0]) && is_in(subproc, heaps[2]));
    assert!(subproc.remove_heap(heaps[2]) && subproc.remove_heap(heaps[0]));
    assert!(is_in(subproc, main) && !is_in(subproc, ptr::null()));
    assert_eq!(subproc.arenas().stats().heaps.current(), 1);
    assert!(!is_in(new_subproc(), main), "another's");
}

#[test]
fn a_freed_heap_gives_its_metadata_back() {
    let _ground = ground();
    let subproc = new_subproc();
    let make_and_free = || {
        let heap = Heap::create(subproc, None, Lifetime::MayEnd).unwrap();
        let (id, page) = (heap.id(), fresh(heap, 64));
        heap.registry().list(page);
        release(page);
        assert!(subproc.remove_heap(heap));
        // SAFETY: without pages, off the list, used no more.
        unsafe { heap.end() };
        id
    };
    let first = make_and_free();
    let in_use = subproc.arenas().in_use_slices();
    let ids: Vec<usize> = (0..50).map(|_| make_and_free()).collect();
    assert_eq!(subproc.arenas().in_use_slices(), in_use);
    assert!(ids.is_sorted_by(|a, b| a < b) && ids[0] > first, "ids are never used again");
}

#[test]
fn a_closed_sub_process_opens_anew() {
    let _ground = ground();
    let subproc = new_subproc();
    let before = subproc.main_heap().unwrap().id();
    subproc.close();
    assert!(subproc.main_heap().is_none());
    assert!(subproc.open() && subproc.main_heap().unwrap().id() > before);
}

#[test]
fn a_fresh_page_is_its_classs_and_its_heaps() {
    let _ground = ground();
    let heap = new_heap();
    for bytes in [8, 48, 1024, 9000, 100_000, LARGE_BLOCK_MAX] {
        let page = fresh(heap, bytes);
        let bin = Bin::of(bytes);
        assert!(page.bin() == bin && page.block_bytes() == bin.block_bytes() && page.slices() == bin.page_slices());
        assert!(page.owner() == Owner::thread(ME) && Heap::of_page(page) == heap && !page.has_free());
        let end = page.start().wrapping_add(page.reserved() * page.block_bytes());
        assert!(end <= page.memory().wrapping_add(page.slices() * SLICE_BYTES));
        assert!(page.reserved() >= MIN_BLOCKS_PER_PAGE);
        release(page);
    }
}

#[test]
fn releasing_a_page_gives_back_its_slices_and_its_entries() {
    let _ground = ground();
    let heap = new_heap();
    let warm = fresh(heap, 100);
    let in_use = heap.subproc().arenas().in_use_slices();
    let page = fresh(heap, 100_000);
    let memory = page.memory();
    assert_eq!(heap.subproc().arenas().in_use_slices(), in_use + LARGE_PAGE_SLICES);
    assert_eq!((heap.stats().pages.current(), pages_of(heap).len()), (2, 2));
    release(page);
    assert_eq!(heap.subproc().arenas().in_use_slices(), in_use);
    assert_eq!((heap.stats().pages.current(), pages_of(heap)), (1, std::vec![ptr::from_ref(warm.page())]));
    assert!(Page::lookup(memory).is_none());
}

#[test]
fn filled_pages_are_counted_until_they_are_released() {
    let _ground = ground();
    let heap = new_heap();
    let page = fresh(heap, 4096);
    while page.refill() {
        page.pop();
    }
    assert_eq!(heap.subproc().arenas().usage().filled.get(), 1);
    let unfilled = fresh(heap, 4096);
    release(unfilled);
    assert_eq!(heap.subproc().arenas().usage().filled.get(), 1);
    release(page);
    assert_eq!(heap.subproc().arenas().usage().filled.get(), 0);
}

#[test]
fn a_block_of_its_own_lies_where_alignment_and_offset_want_it() {
    let _ground = ground();
    let heap = new_heap();
    for (align, offset) in [(1, 0), (SLICE_BYTES, 0), (4 * MIB, 0), (MIB, 24), (64, 40), (64 * MIB, 8 * MIB)] {
        let page = fresh_single(heap, &SingleRequest { align, offset, ..single(3 * MIB) });
        assert_eq!((page.start() as usize + offset) % align, 0, "{align} {offset}");
        assert!(page.area_bytes() >= 3 * MIB && page.holds(page.start().wrapping_add(3 * MIB - 1)));
        release(page);
    }
}

#[test]
fn spare_room_lies_behind_the_block() {
    let _ground = ground();
    let page = fresh_single(new_heap(), &SingleRequest { spare_bytes: 5 * MIB, ..single(2 * MIB) });
    assert!(page.block_bytes() == 2 * MIB && page.area_bytes() >= 7 * MIB);
}

#[test]
fn absurd_singles_are_refused() {
    let _ground = ground();
    let heap = new_heap();
    let requests = [single(usize::MAX - 4095), SingleRequest { spare_bytes: usize::MAX / 2, ..single(MAX_REQUEST) }];
    assert!(requests.iter().all(|request| heap.fresh_single(request, ME, ptr::null(), 0).is_none()));
}

#[test]
fn what_is_too_large_for_arenas_is_mapped_for_itself() {
    let mut ground = ground();
    ground.set(OptionId::ArenaMaxObjectSize, (MIB / 1024) as i64);
    let heap = new_heap();
    let reserved = heap.subproc().arenas().stats().reserved.current();
    let pages = [3, 5, 7].map(|mib| fresh_single(heap, &single(mib * MIB)));
    assert!(pages.iter().all(|page| matches!(page.origin(), Origin::Os(_))));
    assert!(heap.subproc().arenas().find(pages[0].start()).is_none());
    assert_eq!(heap.subproc().arenas().stats().reserved.current() - reserved, 15 << 20);
    let deep = pages[1].start().wrapping_add(4 * MIB);
    assert!(heap.registry().os_page_around(deep) == Some(pages[1].page()));
    assert_eq!(pages_of(heap).len(), 3);
    release(pages[1]);
    assert!(heap.registry().os_page_around(deep).is_none());
    assert_eq!(
        pages_of(heap),
        [pages[2], pages[0]].map(|page| ptr::from_ref(page.page())),
        "the neighbours have closed ranks"
    );
    release(pages[2]);
    release(pages[0]);
    assert!(pages_of(heap).is_empty());
    assert_eq!(heap.subproc().arenas().stats().reserved.current(), reserved);
}

#[test]
fn own_mappings_and_arenas_can_be_forbidden() {
    let mut ground = ground();
    ground.set(OptionId::DisallowArenaAlloc, 1);
    let heap = new_heap();
    let page = fresh_single(heap, &single(MIB));
    assert!(matches!(page.origin(), Origin::Os(_)));
    release(page);
    ground.set(OptionId::DisallowOsAlloc, 1);
    assert!(heap.fresh_single(&single(MIB), ME, ptr::null(), 0).is_none());
}

#[test]
fn a_heap_of_an_arena_uses_no_other() {
    let _ground = ground();
    let subproc = new_subproc();
    let elsewhere = subproc.arenas().reserve_arena(
        64 * MIB,
        crate::arena::Commit::Now,
        crate::arena::LargePages::Never,
        crate::arena::Sharing::Exclusive,
    );
    let heap = Heap::create(subproc, elsewhere, Lifetime::MayEnd).unwrap();
    let arena = elsewhere.unwrap();
    let mut pages = Vec::new();
    while let Some(page) = heap.fresh_page((Bin::of(100_000), Demand::Many), ME, ptr::null(), 0, Reserve::IfFull) {
        assert!(page.origin() == Origin::Arena(arena));
        pages.push(page.hold());
    }
    assert!(pages.len() >= 14, "all of it but its own structures: {}", pages.len());
    assert!(heap.fresh_single(&single(8 * MIB), ME, ptr::null(), 0).is_none());
    pages.into_iter().for_each(release);
    assert!(heap.fresh_single(&single(8 * MIB), ME, ptr::null(), 0).is_some());
}

#[test]
fn pages_commit_as_they_fill_where_the_option_says_so() {
    let mut ground = ground();
    ground.set(OptionId::PageCommitOnDemand, 1);
    ground.set(OptionId::ArenaEagerCommit, 0);
    // An arena of several chunks: in a smaller one, pages of all kinds share the only one.
    ground.set(OptionId::ArenaReserve, 256 << 10);
    let page = fresh(new_heap(), 16 << 10);
    let Origin::Arena(arena) = page.origin() else { panic!("in an arena") };
    let first = arena.slice_of(page.memory());
    assert!(arena.is_committed(first) && !arena.is_committed(first + 2));
    while page.refill() {
        // SAFETY: a block that the test has.
        unsafe { page.pop().write_bytes(1, 16 << 10) };
    }
    assert!(arena.is_committed(first + page.slices() - 1));
    assert_eq!(arena.kind_of_chunk(first / crate::bitmap::CHUNK_BITS), Some(Kind::Medium));
}

#[test]
fn a_listed_page_is_taken_once_by_class_and_with_its_remote_blocks() {
    let _ground = ground();
    let heap = new_heap();
    let page = fresh(heap, 64);
    let blocks = lend_and_abandon(page, 10);
    free_remote(page, blocks[0]);
    assert!(take_listed(heap, 64).is_none(), "not listed");
    let claimed = claim_in_place(page);
    heap.registry().list(&claimed);
    assert!(claimed.put_back(Threshold(10)).is_ok());
    assert!(take_listed(heap, 80).is_none(), "another class");
    free_remote(page, blocks[1]);
    let is_ours = |_: &Page| true;
    let (taken, chain) =
        heap.registry().take_listed(heap.subproc().arenas(), Bin::of(64), is_ours, release_or_list).unwrap();
    let taken = taken.hold();
    assert!(taken == page && chain.count == 2 && !page.is_let_go() && !page.is_listed());
    assert!(take_listed(heap, 64).is_none(), "it has been taken");
}

#[test]
fn an_owned_page_is_not_taken_though_its_bit_is_set() {
    let _ground = ground();
    let heap = new_heap();
    let page = fresh(heap, 64);
    heap.registry().list(page);
    assert!(take_listed(heap, 64).is_none());
    heap.registry().unlist(page);
    assert!(!page.is_listed());
}

#[test]
fn singletons_are_never_listed() {
    let _ground = ground();
    let heap = new_heap();
    let page = fresh_single(heap, &single(MIB));
    heap.registry().list(page);
    assert!(!page.is_listed());
}

#[test]
fn a_page_that_nobody_owns_is_listed_when_due_and_released_by_its_last_free() {
    let _ground = ground();
    let heap = new_heap();
    let page = fresh(heap, 64);
    let blocks = lend_and_abandon(page, 8);
    release_or_list(claim_in_place(page));
    assert!(page.is_listed() && page.is_let_go(), "it has blocks in use: for anybody to take");
    blocks[..7].iter().for_each(|block| free_remote(page, *block));
    assert_eq!(pages_of(heap).len(), 1);
    free_remote(page, blocks[7]);
    assert!(pages_of(heap).is_empty());
    assert!(take_listed(heap, 64).is_none(), "it is struck off the list, too");
}

#[test]
fn blocks_of_their_own_are_counted_with_their_size() {
    let _ground = ground();
    let heap = new_heap();
    let page = fresh_single(heap, &SingleRequest { spare_bytes: 4 * MIB, ..single(2 * MIB) });
    assert_eq!(heap.stats().malloc_huge.current(), 2 << 20);
    for mib in [5, 1] {
        heap.count_resized(page, mib * MIB);
        // SAFETY: the test has the block.
        unsafe { SinglePage::held(page.start(), page.page()) }.unwrap().set_block_bytes(mib * MIB);
        assert_eq!(heap.stats().malloc_huge.current(), (mib * MIB) as i64);
    }
    release(page);
    assert_eq!((heap.stats().malloc_huge.current(), heap.stats().malloc_huge.snapshot().peak), (0, 5 << 20));
}

#[test]
fn a_visitor_sees_areas_then_their_blocks_until_it_has_seen_enough() {
    let _ground = ground();
    // Elsewhere nobody looks into pages that are another thread's, as this one seems to be.
    if !mem::config().overcommits {
        return;
    }
    let heap = new_heap();
    let page = fresh(heap, 1024);
    page.refill();
    let blocks = [0; 3].map(|_| page.pop());
    // SAFETY: the test's own block, used no more.
    unsafe { page.push_local(blocks[1]) };
    let visit = |depth, limit: usize| {
        let (mut areas, mut seen) = (0, Vec::new());
        let is_through = heap.visit(depth, |_| true, &mut |area, block| {
            areas += usize::from(block.is_none());
            seen.extend(block);
            assert!(area.used == 2 && area.block_bytes == 1024 && area.reserved_bytes == 64 * 1024);
            assert!(area.committed_bytes == 4096 && area.blocks == page.start());
            areas + seen.len() < limit
        });
        (is_through, areas, seen)
    };
    assert_eq!(visit(Depth::Areas, 99), (true, 1, Vec::new()));
    assert_eq!(visit(Depth::Blocks, 99), (true, 1, std::vec![blocks[0], blocks[2]]));
    assert_eq!(visit(Depth::Blocks, 2), (false, 1, std::vec![blocks[0]]));
    assert!(heap.visit(Depth::Areas, |_| false, &mut |_, _| panic!("not wanted")));
}

/// A guarded block.
fn guarded(heap: &'static Heap, bytes: usize) -> SinglePage {
    let os_page = mem::config().os_page_bytes;
    let request =
        SingleRequest { front_bytes: os_page, spare_bytes: os_page, align: os_page, offset: bytes, ..single(bytes) };
    let mut block = heap.fresh_single(&request, ME, ptr::null(), 0).unwrap().hand_out_single(ME);
    assert!(guard_single(&mut block));
    block
}

/// One that has been freed.
fn free_guarded(heap: &'static Heap, bytes: usize) -> PageRef {
    let block = guarded(heap, bytes);
    let page = block.page();
    release_page(block.free().unwrap());
    page
}

#[test]
fn one_free_of_a_guarded_block_is_one_though_its_page_was_claimed_meanwhile() {
    let mut ground = ground();
    ground.set(OptionId::GuardedRest, 3);
    let (heap, errors) = (new_heap(), diag::error_count());
    // The claimer puts the page back, or finds that it can't.
    let block = guarded(heap, MIB);
    let page = block.page();
    let (claimed, threshold) = page.claim_in_place().unwrap();
    assert!(block.free().is_none());
    release_or_list(claimed.put_back(threshold).expect_err("the block has been freed"));
    assert_eq!((page.is_resting(), page.remote_count(), diag::error_count()), (true, 0, errors));
    // A second free is one, though.
    let block = guarded(heap, MIB);
    let page = block.page();
    let (claimed, threshold) = page.claim_in_place().unwrap();
    // SAFETY: the page is looked at twice, as by two threads that free the block.
    let again = unsafe { SinglePage::held(page.start(), page) }.unwrap();
    assert!(block.free().is_none() && again.free().is_none());
    release_or_list(claimed.put_back(threshold).expect_err("the block has been freed"));
    assert_eq!(diag::error_count(), errors + 1);
    release_resting(heap.subproc());
}

#[test]
fn guarded_blocks_rest_in_turn() {
    let mut ground = ground();
    ground.set(OptionId::GuardedRest, 3);
    let heap = new_heap();
    let resting = heap.subproc().resting();
    let pages = [0; 3].map(|_| free_guarded(heap, MIB));
    assert!(pages.iter().all(|page| page.is_resting() && page.is_let_go()));
    let fourth = free_guarded(heap, MIB);
    assert_eq!((resting.count(), pages[0].owner(), pages[1].is_resting()), (3, Owner::NONE, true));
    // One that somebody has claimed stays, and the next goes in its place.
    let (claimed, threshold) = pages[1].claim_in_place().unwrap();
    let fifth = free_guarded(heap, MIB);
    assert_eq!((resting.count(), pages[2].owner()), (3, Owner::NONE));
    assert!(claimed.put_back(threshold).is_ok());
    // One that is released elsewhere is forgotten.
    release_page_of(heap, fourth.claim().unwrap().0);
    assert_eq!((resting.count(), fourth.owner()), (2, Owner::NONE));
    release_resting(heap.subproc());
    assert!([pages[1], fifth].iter().all(|page| page.owner() == Owner::NONE));
    assert_eq!((resting.count(), heap.stats().pages.current(), heap.stats().malloc_huge.current()), (0, 0, 0));
    assert!(resting.take().is_none());
}

#[test]
fn guarded_blocks_that_rest_have_bounded_addresses() {
    let mut ground = ground();
    ground.set(OptionId::GuardedRest, 1000);
    let heap = new_heap();
    let large = if usize::BITS == 64 { 15 * MIB } else { MIB / 2 };
    let first = free_guarded(heap, large);
    assert!(first.is_resting());
    (0..3).for_each(|_| _ = free_guarded(heap, large));
    assert!(first.is_resting());
    free_guarded(heap, large);
    assert_eq!((first.owner(), heap.subproc().resting().count()), (Owner::NONE, 4));
    let larger = free_guarded(heap, large + 2 * MIB);
    assert_eq!((larger.owner(), heap.subproc().resting().count()), (Owner::NONE, 4), "it does not rest");
    release_resting(heap.subproc());
}

#[test]
fn the_preferred_node_is_remembered() {
    let _ground = ground();
    let heap = new_heap();
    assert_eq!(heap.numa(), None);
    heap.set_numa(Some(0));
    assert_eq!(heap.numa(), Some(0));
    heap.set_numa(None);
    assert_eq!(heap.numa(), None);
}

/// With the simulated system, which can refuse.
#[cfg(feature = "sim")]
mod on_sim {
    use super::*;
    use ferrimalloc_prim::sim::{self, Fault};

    /// Where the system refuses to close or to open memory, blocks are as they would be without guards, and no memory is lost that can
    /// be had.
    #[test]
    fn guarded_blocks_where_the_system_refuses_are_ordinary_or_given_back_at_once() {
        let mut ground = ground();
        ground.set(OptionId::GuardedRest, 3);
        for refused in 1..8 {
            let heap = new_heap();
            let os_page = mem::config().os_page_bytes;
            let request = SingleRequest { front_bytes: os_page, spare_bytes: os_page, ..single(os_page) };
            let block = heap.fresh_single(&request, ME, ptr::null(), 0).unwrap();
            let before = heap.subproc().arenas().in_use_slices();
            let mut block = block.hand_out_single(ME);
            sim::refuse(sim::Kind::Protect, Fault::At(refused));
            let is_guarded = guard_single(&mut block);
            let page = block.page();
            assert!(is_guarded || !page.owner().is_guarded(), "what was closed is open again");
            release_page(block.free().unwrap());
            let rests = page.is_resting();
            assert_eq!(rests, is_guarded && refused != 3, "refused {refused}");
            assert_eq!(heap.subproc().arenas().in_use_slices() == before, rests);
            release_resting(heap.subproc());
            sim::refuse(sim::Kind::Protect, Fault::Never);
            assert!(heap.subproc().arenas().in_use_slices() < before);
            let again = heap.fresh_single(&request, ME, ptr::null(), 0).unwrap();
            // SAFETY: the test's own block.
            unsafe { again.start().write_bytes(1, os_page) };
            release_page(again);
        }
    }

    #[test]
    fn a_page_without_room_for_its_bit_is_given_back() {
        let _ground = ground();
        let subproc = new_subproc();
        let node = crate::arena::tests::user_arena(subproc.arenas(), 32 * MIB);
        let heap = Heap::create(subproc, Some(node), Lifetime::MayEnd).unwrap();
        let mut taken = Vec::new();
        // All metadata memory but that of the exclusive arena goes.
        sim::refuse(sim::Kind::Map, Fault::From(1));
        while let Some(meta) = subproc.arenas().meta_alloc(SLICE_BYTES) {
            taken.push(meta);
        }
        while subproc.arenas().meta_alloc(128).is_some() {}
        let free = (0..node.slices()).filter(|slice| node.is_free(*slice)).count();
        assert!(heap.fresh_page((Bin::of(64), Demand::Few), ME, ptr::null(), 0, Reserve::IfFull).is_none());
        assert_eq!((0..node.slices()).filter(|slice| node.is_free(*slice)).count(), free);
        // SAFETY: ours, used no more.
        taken.into_iter().for_each(|meta| unsafe { subproc.arenas().meta_free(meta) });
        assert!(heap.fresh_page((Bin::of(64), Demand::Few), ME, ptr::null(), 0, Reserve::IfFull).is_some());
    }
}
