//! Holes: what is given back, what stays on the lists, and how it comes back.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::arena::tests::user_arena;
use crate::os::os_page_bytes;
use crate::os::tests::slices_are_divided;
use crate::sync::steps::stop_at;

/// Smaller than an OS page, and larger.
const SIZES: [usize; 6] = [16, 512, 1024, 7000, 40_000, 500_000];

fn fill(block: *mut u8, bytes: usize, seed: usize) {
    // SAFETY: the test's own block.
    unsafe { block.write_bytes(seed as u8 | 1, bytes) };
}

fn holds(block: *mut u8, bytes: usize, seed: usize) -> bool {
    is_all(block, 0..bytes, seed as u8 | 1)
}

fn is_zero(memory: *mut u8, bytes: core::ops::Range<usize>) -> bool {
    is_all(memory, bytes, 0)
}

fn is_all(memory: *mut u8, bytes: core::ops::Range<usize>, value: u8) -> bool {
    // SAFETY: memory of the test's own pages.
    let memory = unsafe { core::slice::from_raw_parts(memory.wrapping_add(bytes.start), bytes.len()) };
    memory == std::vec![value; bytes.len()]
}

/// A full page of which every block is filled, and what is in use.
fn full(bytes: usize) -> (&'static Owned, Vec<*mut u8>) {
    let page = page(bytes);
    let blocks = take(page, page.reserved());
    blocks.iter().enumerate().for_each(|(index, block)| fill(*block, page.block_bytes(), index));
    (page, blocks)
}

/// The same of which only each `every`th block from the `every / 2`th on is in use any more; those, with their numbers.
fn sparse(bytes: usize, every: usize) -> (&'static Owned, Vec<(usize, *mut u8)>) {
    let (page, blocks) = full(bytes);
    let (kept, rest): (Vec<_>, Vec<_>) =
        blocks.into_iter().enumerate().partition(|(index, _)| index % every == every / 2);
    rest.into_iter().for_each(|(_, block)| _ = put(page, block));
    (page, kept)
}

/// How much farther apart blocks in use are for there to be holes in a page of one slice, if it has several OS pages.
fn scale() -> usize {
    (os_page_bytes() / 4096).min(4)
}

/// The OS pages of the page's blocks in which no block of `kept` has a part.
fn empty_os_pages(page: &Page, kept: &[(usize, *mut u8)]) -> usize {
    let os_page = |p: *mut u8| (p as usize - page.memory() as usize) / os_page_bytes();
    let end = |p: *mut u8| p.wrapping_add(page.block_bytes() - 1);
    let used: HashSet<_> = kept.iter().flat_map(|(_, p)| os_page(*p)..=os_page(end(*p))).collect();
    let last = os_page(page.start().wrapping_add(page.reserved() * page.block_bytes() - 1));
    (os_page(page.start())..=last).filter(|number| !used.contains(number)).count()
}

fn all_hold(page: &Page, kept: &[(usize, *mut u8)]) -> bool {
    kept.iter().all(|(index, block)| holds(*block, page.block_bytes(), *index))
}

fn filled_slices(page: &Page) -> usize {
    let Origin::Arena(arena) = page.origin() else { panic!("pages of many blocks are in arenas") };
    arena.usage().filled.get()
}

fn committed(page: &Page) -> i64 {
    let Origin::Arena(arena) = page.origin() else { panic!("pages of many blocks are in arenas") };
    arena.usage().stats().committed.current()
}

#[test]
fn every_os_page_without_a_block_in_use_is_given_back_once() {
    let _ground = ground();
    for bytes in SIZES {
        for every in [3, 20, 200] {
            let (page, kept) = sparse(bytes, every);
            let (before, empty) = (committed(page), empty_os_pages(page, &kept) * os_page_bytes());
            assert_eq!(page.punch(Force::All), empty, "{bytes} {every}");
            assert_eq!(page.hole_bytes(), empty);
            assert_eq!(committed(page), before - empty as i64);
            assert!(all_hold(page, &kept), "{bytes} {every}");
            assert_eq!((page.used(), page.in_use(Walk::Allowed)), (kept.len(), kept.len()));
            assert_eq!(page.punch(Force::All), 0, "nothing is left");
        }
    }
}

#[test]
fn what_was_given_back_reads_as_zero() {
    let _ground = ground();
    if !slices_are_divided() {
        return;
    }
    let (page, _) = sparse(512, 128);
    assert!(page.punch(Force::All) > 0);
    let middle = page.memory().wrapping_add(SLICE_BYTES / 4);
    assert!(is_zero(middle, 0..os_page_bytes()));
}

#[test]
fn withdrawn_blocks_come_back_each_once_and_before_fresh_pages_are_needed() {
    let _ground = ground();
    for bytes in SIZES {
        for every in [3, 20, 200] {
            let (page, kept) = sparse(bytes, every);
            let before = committed(page);
            page.punch(Force::All);
            assert!(page.has_available());
            let taken = take(page, page.reserved() - kept.len());
            assert!(!page.has_available() && !page.refill(), "{bytes} {every}");
            assert!(taken.iter().all(|block| page.is_block_start(*block)));
            let all: HashSet<_> = taken.iter().copied().chain(kept.iter().map(|kept| kept.1)).collect();
            assert_eq!(all.len(), page.reserved(), "{bytes} {every}: a block was handed out twice");
            assert!(all_hold(page, &kept));
            assert!(!page.has_holes() && page.hole_bytes() == 0 && page.capacity() == page.reserved());
            assert_eq!(committed(page), before);
            taken.into_iter().chain(kept.into_iter().map(|kept| kept.1)).for_each(|block| _ = put(page, block));
            assert_eq!((page.outstanding(), page.used()), (0, 0));
        }
    }
}

#[test]
fn holes_are_opened_as_a_page_is_extended_a_few_blocks_at_a_time() {
    let _ground = ground();
    if !slices_are_divided() {
        return;
    }
    let (page, kept) = sparse(512, 128);
    let holes = page.punch(Force::All);
    let listed = page.capacity() - kept.len();
    take(page, listed + 1);
    assert_eq!(page.hole_bytes(), holes - os_page_bytes(), "one is open");
    assert_eq!(page.capacity(), listed + kept.len() + EXTEND_BYTES.max(os_page_bytes()) / 512);
}

#[test]
fn blocks_of_an_opened_hole_are_not_known_to_be_zero() {
    let _ground = ground();
    if !slices_are_divided() {
        return;
    }
    // The frontier is inside of the page: what is fresh is zero.
    let page = page(3000);
    let blocks = take(page, 18);
    assert!(page.is(Flag::FreeIsZero));
    blocks.iter().for_each(|block| fill(*block, 3000, 1));
    blocks[1..17].iter().for_each(|block| _ = put(page, *block));
    assert!(page.punch(Force::All) > 0);
    while page.has_holes() {
        take(page, 1);
        assert!(!page.is(Flag::FreeIsZero));
    }
    // A block at the end of a hole holds what it held.
    while !page.is(Flag::FreeIsZero) {
        take(page, 1);
    }
    assert!(page.frontier() > 18, "fresh again");
}

#[test]
fn a_page_with_holes_that_becomes_empty_starts_over() {
    let _ground = ground();
    let (page, kept) = sparse(1024, 20);
    let before = committed(page);
    page.punch(Force::All);
    for (index, (_, block)) in kept.iter().enumerate() {
        let is_last = index + 1 == kept.len();
        assert_eq!(put(page, *block), if is_last { Freed::Empty } else { Freed::InUse }, "the event");
    }
    page.relink();
    assert!(!page.has_holes() && page.is(Flag::Touched) && page.used() == 0);
    assert_eq!(committed(page), before);
    page.note_retired();
    assert!(page.seems_unused_since_retired());
    let mut all = take(page, page.reserved());
    all.sort();
    all.dedup();
    assert_eq!(all.len(), page.reserved());
}

#[test]
fn others_free_into_a_page_with_holes_as_into_any() {
    let _ground = ground();
    for bytes in SIZES {
        let (page, kept) = sparse(bytes, 4);
        page.punch(Force::All);
        let (remote, rest) = kept.split_at(kept.len() / 2);
        remote.iter().for_each(|(_, block)| put_remote(page, *block));
        assert_eq!(page.collect(), rest.len());
        page.punch(Force::All);
        assert_eq!(page.hole_bytes(), empty_os_pages(page, rest) * os_page_bytes(), "{bytes}");
        let taken: HashSet<_> = take(page, page.reserved() - rest.len()).into_iter().collect();
        assert!(all_hold(page, rest) && rest.iter().all(|(_, block)| !taken.contains(block)));
        assert_eq!(taken.len() + rest.len(), page.reserved());
    }
}

#[test]
fn a_look_from_outside_takes_withdrawn_blocks_for_free_ones() {
    let _ground = ground();
    for bytes in SIZES {
        let (page, kept) = sparse(bytes, 8);
        page.punch(Force::All);
        let mut marks = Marks::new();
        assert_eq!(page.mark_free(&mut marks), kept.len());
        let mut seen = Vec::new();
        page.for_each_unmarked(&marks, |block| {
            seen.push(block);
            true
        });
        assert_eq!(seen, kept.iter().map(|kept| kept.1).collect::<Vec<_>>());
        assert!(page.is_block_start(page.start().wrapping_add((page.reserved() - 1) * page.block_bytes())));
        assert_eq!(page.touched_bytes(), page.reserved() * page.block_bytes());
    }
}

/// The same as `sparse`, with what is free on `free`, which is cut behind some of the blocks.
fn cut(bytes: usize, every: usize, ahead: usize) -> (&'static Owned, Vec<(usize, *mut u8)>) {
    let (page, kept) = sparse(bytes, every);
    assert!(page.refill());
    page.cut(ahead, page.reserved() - kept.len());
    (page, kept)
}

#[test]
fn a_page_that_is_cut_gets_holes_and_one_with_holes_is_cut() {
    let _ground = ground();
    let mut tried = 0;
    let scale = scale();
    for (bytes, every, ahead) in
        [(16, 600 * scale, 0), (512, 16 * scale, 3), (3000, 16, 0), (7000, 5, 1), (7000, 40, 1)]
    {
        let (page, kept) = cut(bytes, every, ahead);
        if empty_os_pages(page, &kept) == 0 {
            continue;
        }
        tried += 1;
        let (used, free) = (kept.len(), page.reserved() - kept.len());
        let allocated = page.allocated(Walk::Allowed);
        assert!(!page.is_quiet() && page.rest_count() == free - ahead, "a look leaves the rest as it is");
        assert_eq!(page.punch(Force::All), empty_os_pages(page, &kept) * os_page_bytes(), "{bytes}");
        assert!(!page.is_cut() && page.used() == used && page.mark_free(&mut Marks::new()) == used);
        assert_eq!(page.allocated(Walk::Allowed), allocated);
        // What is opened is cut in turn, again and again.
        let mut taken: HashSet<_> = kept.iter().map(|kept| kept.1).collect();
        while page.refill() {
            // SAFETY: the owner reads its own list.
            let count = unsafe { Block::count(page.free.get(), page.reserved()) };
            let holes = (page.hole_bytes(), page.frontier());
            let ahead = count.min(ahead).saturating_sub(1);
            page.cut(ahead, count);
            assert_eq!((page.hole_bytes(), page.frontier(), page.rest_count()), (holes.0, holes.1, count - ahead));
            assert_eq!(page.used(), taken.len());
            assert_eq!(page.mark_free(&mut Marks::new()), taken.len());
            assert!(take(page, count).into_iter().all(|block| taken.insert(block)));
            assert_eq!((page.hole_bytes(), page.is_cut()), (holes.0, false));
        }
        assert!(taken.len() == page.reserved() && !page.has_holes() && all_hold(page, &kept), "{bytes}");
    }
    assert_eq!(tried, if slices_are_divided() { 5 } else { 1 });
}

#[test]
fn a_cut_page_is_mended_wherever_its_owner_stopped_at_its_holes() {
    let _ground = ground();
    let divided = [(512, 16 * scale(), 0), (512, 16 * scale(), 9), (3000, 16, 2)];
    let cases = if slices_are_divided() { &divided[..] } else { &[(7000, 40, 2)] };
    for &(bytes, every, ahead) in cases {
        stop_everywhere(|| cut(bytes, every, ahead), |page| _ = page.punch(Force::All));
        let punched = || {
            let (page, kept) = cut(bytes, every, ahead);
            page.punch(Force::All);
            assert!(page.has_holes());
            (page, kept)
        };
        stop_everywhere(punched, |page| {
            while page.refill() {
                // SAFETY: the owner reads its own list.
                let count = unsafe { Block::count(page.free.get(), page.reserved()) };
                page.cut(count / 2, count);
                take(page, count);
            }
        });
    }
}

#[test]
fn a_full_page_with_holes_is_not_a_filled_one() {
    let _ground = ground();
    if !slices_are_divided() {
        return;
    }
    let (page, kept) = sparse(1024, 20);
    assert_eq!(filled_slices(page), 1);
    page.punch(Force::All);
    assert_eq!(filled_slices(page), 0);
    take(page, page.reserved() - kept.len());
    assert_eq!(filled_slices(page), 1);
}

#[test]
fn unasked_only_pages_that_are_mostly_empty_get_holes() {
    let _ground = ground();
    if !slices_are_divided() {
        return;
    }
    let (page, _) = sparse(512, 11 * os_page_bytes() / 4096);
    assert!(page.punch(Force::Routine) > 0);
    // The last two OS pages are free.
    let (page, blocks) = full(if os_page_bytes() > 4096 { 7000 } else { 512 });
    let last_two = page.memory().addr() + page.slices() * SLICE_BYTES - 2 * os_page_bytes();
    let is_there = |block: &&*mut u8| block.addr() + page.block_bytes() > last_two;
    blocks.iter().filter(is_there).for_each(|block| _ = put(page, *block));
    assert_eq!(page.punch(Force::Routine), 0);
    assert_eq!(page.punch(Force::All), 2 * os_page_bytes());
}

#[test]
fn pages_of_other_kinds_have_no_holes() {
    let _ground = ground();
    let retired = page(1024);
    let blocks = take(retired, retired.reserved());
    blocks.iter().for_each(|block| _ = put(retired, *block));
    retired.raise(Flag::Retired);
    assert_eq!(retired.punch(Force::All), 0, "an empty page is kept for a moment");
    let single = singleton(4, 0);
    single.mark_single_handed_out();
    assert_eq!(single.punch(Force::All), 0);
    let (hardened, _) = sparse(1024, 8);
    hardened.set_hardened();
    assert_eq!(hardened.punch(Force::All), 0);
}

#[test]
fn memory_of_the_programs_gets_no_holes() {
    let _ground = ground();
    let set = new_set();
    let arena = user_arena(set, 64 << 20);
    let claim = set.claim(&Want { arena: Some(arena), ..Want::new(1, Kind::Small) }).unwrap();
    let memory = Placement {
        origin: Origin::Arena(arena),
        memory: claim.memory(),
        ..place(1, Bin::of(1024), 1024, Extent::Whole)
    };
    let page = create(&memory);
    let blocks = take(page, page.reserved());
    blocks[1..].iter().for_each(|block| _ = put(page, *block));
    assert_eq!(page.punch(Force::All), 0);
    assert!(!page.has_holes() && take(page, page.reserved() - 1).len() == page.reserved() - 1);
}

#[test]
fn a_damaged_list_is_left_alone() {
    let _ground = ground();
    let (page, _) = sparse(1024, 20);
    let damaged = page.local_free.get();
    for link in [ptr::null_mut(), damaged.cast(), page.start().wrapping_add(8)] {
        // SAFETY: a freed block of the test's, to which the program still writes.
        unsafe { damaged.cast::<*mut u8>().write(link) };
        assert_eq!(page.punch(Force::All), 0);
        assert!(!page.has_holes());
    }
}

/// Stops at each pin of `work` on what `prepare` makes, mends, and looks whether blocks in use are safe.
fn stop_everywhere(prepare: impl Fn() -> (&'static Owned, Vec<(usize, *mut u8)>), work: impl Fn(&'static Owned)) {
    for pin in 1.. {
        let (page, kept) = prepare();
        if stop_at(pin, || work(page)).is_none() {
            assert!(pin > 1, "no pin at all");
            return;
        }
        let used = page.mend();
        let mut taken = HashSet::new();
        let mut count = 0;
        while page.refill() {
            while let Some(block) = ptr::NonNull::new(page.pop()) {
                taken.insert(block.as_ptr());
                count += 1;
            }
        }
        assert!(kept.iter().all(|(_, block)| !taken.contains(block)), "{pin}: a block in use is handed out");
        assert!(all_hold(page, &kept), "{pin}");
        assert_eq!(taken.len(), count, "{pin}: a block is handed out twice");
        assert_eq!(used + count, page.reserved(), "{pin}: blocks got lost or were found twice");
        assert!(!page.has_holes() && page.capacity() == page.reserved(), "{pin}");
    }
}

#[test]
fn a_page_is_mended_wherever_its_owner_stopped_at_its_holes() {
    let _ground = ground();
    for (bytes, every) in [(512, 16 * scale()), (3000, 16), (7000, 40)] {
        if bytes < 7000 && !slices_are_divided() {
            continue;
        }
        let punched = || {
            let (page, kept) = sparse(bytes, every);
            page.punch(Force::All);
            (page, kept)
        };
        stop_everywhere(|| sparse(bytes, every), |page| _ = page.punch(Force::All));
        let nearly_open = || {
            let (page, kept) = punched();
            while page.hole_bytes() > 3 * os_page_bytes() {
                take(page, 1);
            }
            (page, kept)
        };
        stop_everywhere(nearly_open, |page| {
            while page.has_holes() {
                take(page, 1);
            }
        });
        let emptied = || {
            let (page, kept) = punched();
            kept.into_iter().for_each(|(_, block)| _ = put(page, block));
            (page, Vec::new())
        };
        stop_everywhere(emptied, |page| page.relink());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Take(usize),
    Put(usize),
    PutRemote(usize),
    Collect,
    Punch,
    Relink,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..60usize).prop_map(Step::Take),
        any::<usize>().prop_map(Step::Put),
        any::<usize>().prop_map(Step::PutRemote),
        Just(Step::Collect),
        Just(Step::Punch),
        Just(Step::Relink),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Against a plain list of what is in use: nothing is handed out twice or lost, contents stay, and what is said to be zero
    /// is.
    #[test]
    fn a_page_with_holes_behaves_like_a_page(
        bytes in prop_oneof![Just(48usize), Just(512), Just(1536), Just(5000), Just(70_000)],
        steps in prop::collection::vec(any_step(), 1..80),
    ) {
        let _ground = ground();
        let page = page(bytes);
        let bytes = page.block_bytes();
        let mut used: Vec<(*mut u8, usize)> = Vec::new();
        let mut seed = 0;
        for step in steps {
            match step {
                Step::Take(count) => for _ in 0..count {
                    if !page.refill() {
                        break;
                    }
                    let block = page.pop();
                    prop_assert!(used.iter().all(|(other, _)| *other != block), "handed out twice");
                    if page.is(Flag::FreeIsZero) {
                        prop_assert!(is_zero(block, 8..bytes));
                    }
                    seed += 1;
                    fill(block, bytes, seed);
                    used.push((block, seed));
                },
                // Runs of neighbours, so that OS pages become free.
                Step::Put(at) | Step::PutRemote(at) if !used.is_empty() => {
                    used.sort_by_key(|used| used.0 as usize);
                    let from = at % used.len();
                    for (block, seed) in used.drain(from..(from + at % 40 + 1).min(used.len())).collect::<Vec<_>>() {
                        prop_assert!(holds(block, bytes, seed));
                        if matches!(step, Step::Put(_)) { _ = put(page, block) } else { put_remote(page, block) }
                    }
                }
                Step::Put(_) | Step::PutRemote(_) => {}
                Step::Collect => prop_assert_eq!(page.collect(), used.len()),
                Step::Punch => {
                    page.collect();
                    page.punch(Force::All);
                }
                Step::Relink => if page.collect() == 0 { page.relink() },
            }
            prop_assert_eq!(page.used() - page.remote_count(), used.len());
            prop_assert!(page.capacity() <= page.frontier() && page.frontier() <= page.reserved());
        }
        page.collect();
        let taken = take(page, page.reserved() - used.len());
        prop_assert!(!page.refill() && !page.has_holes());
        let all: HashSet<_> = taken.into_iter().chain(used.iter().map(|used| used.0)).collect();
        prop_assert_eq!(all.len(), page.reserved());
        prop_assert!(used.iter().all(|(block, seed)| holds(*block, bytes, *seed)));
    }
}
