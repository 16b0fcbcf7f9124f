//! Resizing: in place where that is possible, with the contents everywhere.

use super::*;
#[cfg(feature = "sim")]
use crate::arena::tests::user_arena;
use crate::arena::{Commit, LargePages, Sharing};
use crate::heap::Heap;
#[cfg(feature = "sim")]
use crate::options::OptionId;
use crate::runtime::{heap_destroy, heap_new_in_arena};
use crate::theap::Theap;
use ferrimalloc_prim::mem;

fn filled(size: usize, seed: usize) -> *mut u8 {
    let p = malloc(size);
    fill(p, seed);
    p
}

#[test]
fn a_block_stays_while_it_is_large_enough_and_not_much_too_large() {
    let _ground = ground();
    for size in [64, 1000, 5000, 100_000] {
        let p = malloc(size);
        let usable = usable_size(p);
        assert!([usable, usable - 1, usable / 2].into_iter().all(|size| resize(p, size) == p), "{size}");
        let smaller = resize(p, usable / 2 - 1);
        assert!(smaller != p && usable_size(smaller) < usable, "{size}");
        release(smaller);
    }
}

#[test]
fn contents_survive_every_change_of_size() {
    let _ground = ground();
    let sizes = [1, 16, 500, 1025, 9000, 70_000, LARGE_BLOCK_MAX, LARGE_BLOCK_MAX + 1, 3 * MIB, 12 * MIB];
    for from in sizes {
        for to in sizes {
            let p = filled(from, from ^ to);
            let resized = resize(p, to);
            assert!(!resized.is_null() && usable_size(resized) >= to);
            assert!(holds(resized, from.min(to), from ^ to), "{from} to {to}");
            fill(resized, 1);
            release(resized);
        }
    }
}

#[test]
fn null_is_allocated_and_nothing_is_a_small_block() {
    let _ground = ground();
    let p = resize(ptr::null_mut(), 100);
    assert!(usable_size(p) >= 100);
    let small = resize(p, 0);
    assert!(!small.is_null() && usable_size(small) == 8);
    release(small);
}

#[test]
fn a_block_that_cannot_grow_is_as_it_was() {
    let _ground = ground();
    for size in [100, 100_000, 2 * MIB] {
        let p = filled(size, 5);
        assert!(is_refused(|| resize(p, MAX_REQUEST)) && is_refused(|| resize(p, usize::MAX)), "{size}");
        assert!(holds(p, size, 5));
        release(p);
    }
}

#[test]
fn what_is_no_block_is_not_resized() {
    let _ground = ground();
    live_theap().unwrap();
    let mut here = [3u64; 2];
    assert!(is_refused(|| resize(here.as_mut_ptr().cast(), 100)));
    assert_eq!(here, [3; 2]);
}

#[test]
fn growing_in_small_steps_moves_rarely() {
    let _ground = ground();
    let (mut p, mut moves) = (malloc(16), 0);
    for size in (16..20_000).step_by(16) {
        let grown = resize(p, size);
        moves += usize::from(grown != p);
        p = grown;
    }
    release(p);
    assert!(moves < 45, "{moves} moves: a quarter of room each time makes it about 35");
}

/// A vector that grows by half each time, to 400 KiB: how often it moves beyond `from`.
fn moves_beyond(from: usize) -> usize {
    let (mut p, mut size, mut moves) = (malloc(32), 32, 0);
    while size < 400_000 {
        fill(p, 3);
        size += size / 2;
        let grown = resize(p, size);
        moves += usize::from(grown != p && size > from);
        p = grown;
    }
    release(p);
    moves
}

#[test]
fn a_vector_gets_a_page_of_its_own_and_hardly_moves_any_more() {
    let _ground = ground();
    if !mem::config().overcommits {
        return;
    }
    let moves = moves_beyond(64 << 10);
    let is_free = mem::config().address_limit_bytes == usize::MAX;
    assert!(moves <= if is_free { 2 } else { 5 }, "{moves} moves, of 5 sizes");
}

#[cfg(feature = "sim")]
#[test]
fn where_addresses_are_scarce_it_shares_pages() {
    use ferrimalloc_prim::sim;
    let _ground = ground();
    let config = mem::MemConfig { address_limit_bytes: 1 << 40, ..*mem::config() };
    sim::set_config(Some(std::boxed::Box::leak(std::boxed::Box::new(config))));
    let moves = moves_beyond(64 << 10);
    sim::set_config(None);
    assert!(moves >= 4, "{moves} moves, of 5 sizes");
}

/// An arena to itself, so that blocks lie side by side.
struct Room {
    heap: &'static Heap,
    theap: &'static Theap,
}

impl Room {
    fn new() -> Room {
        let arenas = live_theap().unwrap().heap().subproc().arenas();
        let arena = arenas.reserve_arena(64 * MIB, Commit::Now, LargePages::Never, Sharing::Exclusive);
        let heap = heap_new_in_arena(arena.unwrap()).unwrap();
        Room { heap, theap: theap_for(heap).unwrap() }
    }

    fn malloc(&self, size: usize) -> *mut u8 {
        let p = malloc_in(self.theap, size);
        fill(p, 0xC4);
        p
    }

    fn resize(&self, p: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: a block of the test's, which goes on with the answer.
        unsafe { realloc_in(self.theap, p, size, Zero::Any) }
    }

    /// A large block with another one right behind. Threads search an arena from different places, so that two blocks may
    /// lie in different chunks.
    fn hemmed_in(&self) -> *mut u8 {
        let mut p = self.malloc(4 * MIB);
        loop {
            let next = self.malloc(4 * MIB);
            if next == p.wrapping_add(page_of(p).area_bytes()) {
                return p;
            }
            p = next;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // SAFETY: the test is over; nobody uses its blocks any more.
        assert!(unsafe { heap_destroy(self.heap) });
    }
}

#[test]
fn a_large_block_grows_into_free_memory_behind_it() {
    let _ground = ground();
    let room = Room::new();
    let p = room.malloc(4 * MIB);
    assert!(room.resize(p, 9 * MIB) == p && usable_size(p) == 9 * MIB && holds(p, 4 * MIB, 0xC4));
    let other = room.malloc(4 * MIB);
    assert!(other >= p.wrapping_add(9 * MIB) || other.wrapping_add(4 * MIB) <= p, "what it has taken is nobody else's");
}

#[test]
fn a_large_block_that_has_moved_has_room_to_grow() {
    let _ground = ground();
    let room = Room::new();
    let p = room.hemmed_in();
    let first = room.resize(p, 8 * MIB);
    assert!(first != p && holds(first, 4 * MIB, 0xC4));
    let behind = first.wrapping_add(page_of(first).area_bytes());
    // What is charged for is not kept in reserve.
    if mem::config().overcommits {
        assert!(behind >= first.wrapping_add(12 * MIB), "half of its size in reserve");
        assert!(room.resize(first, 12 * MIB) == first && holds(first, 4 * MIB, 0xC4));
    }
}

#[test]
fn a_large_block_shrinks_where_it_is() {
    let _ground = ground();
    let p = filled(8 * MIB, 4);
    let smaller = resize(p, MIB);
    assert!(smaller == p && usable_size(p) == MIB && holds(p, MIB, 4));
    release(smaller);
}

#[test]
fn expanding_never_moves() {
    let _ground = ground();
    // SAFETY: null, or blocks of the test's.
    let expand = |p, size| unsafe { super::super::expand(p, size) };
    let p = malloc(1000);
    assert!(expand(p, usable_size(p)) == p && expand(p, usable_size(p) + 1).is_null());
    release(p);
    let room = Room::new();
    let large = room.malloc(2 * MIB);
    assert!(expand(large, 9 * MIB / 4) == large && usable_size(large) == 9 * MIB / 4);
    assert!(expand(large, MAX_REQUEST).is_null() && usable_size(large) == 9 * MIB / 4);
    assert!(expand(ptr::null_mut(), 10).is_null());
}

#[test]
fn what_zeroed_resizing_adds_is_zero() {
    let _ground = ground();
    let theap = live_theap().unwrap();
    let sizes = [10, 100, 1000, 5000, 70_000, MIB, 2 * MIB, 9 * MIB];
    for pair in sizes.windows(2) {
        soil(pair[1]);
        let p = filled(pair[0], 8);
        let usable = usable_size(p);
        // SAFETY: a block of the test's, which goes on with the answer.
        let grown = unsafe { realloc_in(theap, p, pair[1], Zero::Zeroed) };
        assert!(holds(grown, usable, 8), "{pair:?}");
        assert!(holds(grown.wrapping_add(usable), pair[1] - usable, 0), "{pair:?}");
        release(grown);
    }
}

#[test]
fn an_alignment_is_kept_over_resizing() {
    let _ground = ground();
    let theap = live_theap().unwrap();
    for (align, offset) in [(64, 0), (4096, 0), (4096, 8), (MIB, 0)] {
        let mut p: *mut u8 = ptr::null_mut();
        let mut held = 0;
        for size in [100, 90, 3000, 40, 200_000, 5 * MIB, 700] {
            // SAFETY: null or a block of the test's, which goes on with the answer.
            p = unsafe { realloc_aligned_at_in(theap, p, size, align, offset, Zero::Any) };
            assert!((p as usize + offset).is_multiple_of(align) && usable_size(p) >= size);
            assert!(held == 0 || holds(p, size.min(held), 0x5A), "{size} at {align} + {offset}");
            fill(p, 0x5A);
            held = size;
        }
        release(p);
    }
}

#[test]
fn a_block_moves_into_the_heap_that_is_asked_for() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let into = |p, size, align| {
        // SAFETY: null or a block of the test's, which goes on with the answer; the theap is this thread's.
        unsafe { realloc_into(theap, p, size, Alignment { align, offset: 0 }, Zero::Any) }
    };
    for size in [100, 5000, 2 * MIB] {
        let moved = into(filled(size, 2), size, 1);
        assert!(heap_of(moved) == Some(heap) && holds(moved, size, 2), "though it would have fit where it was");
        assert!(into(moved, size, 1) == moved, "it is there");
        let aligned = into(moved, size + 100, 4096);
        assert!((aligned as usize).is_multiple_of(4096) && holds(aligned, size, 2) && heap_of(aligned) == Some(heap));
        assert!(into(aligned, MAX_REQUEST, 1).is_null() && holds(aligned, size, 2));
        release(aligned);
    }
    // SAFETY: nothing of it is in use.
    assert!(unsafe { crate::runtime::heap_destroy(heap) });
}

/// With the simulated system, which tells what was asked of it.
#[cfg(feature = "sim")]
mod on_sim {
    use super::*;
    use crate::arena::Arena;
    use ferrimalloc_prim::sim::{self, Fault, Kind};

    /// What is done to memory of our own alone.
    fn private_calls() -> usize {
        [Kind::Discard, Kind::Reset, Kind::Protect, Kind::Thp, Kind::MovePages].map(sim::calls).iter().sum()
    }

    /// Blocks of all sizes come, grow, shrink and go, in an arena that is not private memory.
    fn use_all_of(arena: &'static Arena) {
        let heap = heap_new_in_arena(arena).unwrap();
        let room = Room { heap, theap: theap_for(heap).unwrap() };
        // What is free elsewhere has gone before.
        collect(Force::All);
        let before = private_calls();
        let p = room.hemmed_in();
        let grown = room.resize(p, 9 * MIB);
        assert!(grown != p && holds(grown, 4 * MIB, 0xC4));
        let again = alloc_in(room.theap, 4 * MIB, Zero::Zeroed);
        assert!(again == p && holds(again, 4 * MIB, 0), "zeros are made");
        fill(again, 7);
        assert!(room.resize(grown, 2 * MIB) == grown && holds(grown, 2 * MIB, 0xC4));
        for size in [100, 5000, 100_000, 6 * MIB] {
            release(room.malloc(size));
        }
        collect(Force::All);
        assert_eq!(private_calls(), before);
    }

    #[test]
    fn the_programs_memory_is_neither_moved_nor_dropped() {
        let _ground = ground();
        use_all_of(user_arena(live_theap().unwrap().heap().subproc().arenas(), 64 * MIB));
    }

    #[test]
    fn huge_os_pages_are_neither_moved_nor_dropped() {
        let _ground = ground();
        let arenas = live_theap().unwrap().heap().subproc().arenas();
        use_all_of(arenas.reserve_huge(1, None, 0, Sharing::Exclusive).unwrap());
    }

    #[test]
    fn memory_of_our_own_does_not_move_into_the_programs() {
        let _ground = ground();
        let room = Room::new();
        let arena = user_arena(room.heap.subproc().arenas(), 64 * MIB);
        let heap = heap_new_in_arena(arena).unwrap();
        let theap = theap_for(heap).unwrap();
        let p = room.hemmed_in();
        // SAFETY: a block of the test's, which goes on with the answer.
        let moved = unsafe { realloc_in(theap, p, 30 * MIB, Zero::Any) };
        assert!(arena.contains(moved) && holds(moved, 4 * MIB, 0xC4));
        assert_eq!(sim::calls(Kind::MovePages), 0);
        // SAFETY: nothing of it is in use.
        assert!(unsafe { heap_destroy(heap) });
    }

    #[test]
    fn a_tail_that_cannot_be_unmapped_loses_its_memory_at_least() {
        let mut ground = ground();
        ground.set(OptionId::ArenaMaxObjectSize, (4 * MIB / 1024) as i64);
        let p = filled(32 * MIB, 4);
        let mapped = sim::mapped_bytes();
        sim::refuse(Kind::Unmap, Fault::At(1));
        assert!(resize(p, 8 * MIB) == p && holds(p, 8 * MIB, 4) && usable_size(p) == 8 * MIB);
        assert_eq!((sim::calls(Kind::Discard), sim::mapped_bytes()), (1, mapped));
        release(p);
        crate::os::retry_unmaps();
        assert_eq!(sim::mapped_bytes(), mapped - 32 * MIB);
    }

    #[test]
    fn a_large_block_that_must_move_takes_its_os_pages_along() {
        let _ground = ground();
        let room = Room::new();
        let p = room.hemmed_in();
        let grown = room.resize(p, 9 * MIB);
        assert!(sim::calls(Kind::MovePages) == 1 && holds(grown, 4 * MIB, 0xC4));
        let again = alloc_in(room.theap, 4 * MIB, Zero::Zeroed);
        assert!(again == p && holds(again, 4 * MIB, 0), "where it was, zeros are left");
    }

    #[test]
    fn and_is_copied_where_the_system_refuses() {
        let _ground = ground();
        let room = Room::new();
        let p = room.hemmed_in();
        sim::refuse(Kind::MovePages, Fault::From(1));
        let grown = room.resize(p, 9 * MIB);
        assert!(sim::refusals(Kind::MovePages) == 1 && holds(grown, 4 * MIB, 0xC4));
    }
}

/// Not on the simulated system, which takes no advice.
#[cfg(not(feature = "sim"))]
mod advice {
    use super::*;
    use ferrimalloc_prim::mem::{ThpMode, config};

    /// How many bytes of a block the system may back with huge pages.
    fn advised(p: *mut u8, bytes: usize) -> usize {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let (mut here, mut advised) = (0, 0);
        for line in smaps.lines() {
            let first = line.split_whitespace().next().unwrap();
            if let Some((start, end)) = first.split_once('-') {
                let at = |address| usize::from_str_radix(address, 16).unwrap().clamp(p.addr(), p.addr() + bytes);
                here = at(end) - at(start);
            } else if first == "VmFlags:" && line.split_whitespace().any(|flag| flag == "hg") {
                advised += here;
            }
        }
        advised
    }

    /// What it holds fills it, so what it gains will be filled.
    #[test]
    fn a_block_that_grows_is_advised_whether_it_moves_or_not() {
        if config().thp == ThpMode::Never {
            return;
        }
        let _ground = ground();
        let mut p = malloc(8 * MIB);
        for size in (8..160).step_by(8).map(|mib| mib * MIB) {
            p = resize(p, size);
            fill(p, 7);
            if size > 32 * MIB {
                assert_eq!(advised(p, size), size, "of {} MiB", size / MIB);
            }
        }
        release(p);
    }
}
