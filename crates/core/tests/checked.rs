//! What hardened pages and guarded blocks find, and what they do about it.
//!
//! Levels are those of the process, so each test chooses its own and works in a thread of its own, one at a time.

#![cfg(not(loom))]

#[cfg(not(feature = "sim"))]
#[path = "support/maps.rs"]
mod maps;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{Force, Zero};
use ferrimalloc_core::diag;
use ferrimalloc_core::heap::Depth;
use ferrimalloc_core::options::{self, Hardening, OptionId};
use ferrimalloc_core::runtime;
use ferrimalloc_core::theap::Theap;
#[cfg(not(feature = "sim"))]
use maps::is_inaccessible;
use std::collections::HashSet;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

const DOUBLE_FREE: i32 = libc::EAGAIN;
const CORRUPT: i32 = libc::EFAULT;
const INVALID: i32 = libc::EINVAL;

static TURN: Mutex<()> = Mutex::new(());
static REPORTS: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicI32 = AtomicI32::new(0);

extern "C" fn note(code: i32, _: *mut c_void) {
    REPORTS.fetch_add(1, Ordering::Relaxed);
    LAST.store(code, Ordering::Relaxed);
}

/// Runs `test` in a fresh thread at these levels.
fn at(secure: u8, debug: u8, test: impl FnOnce() + Send) {
    let _alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    diag::register_error(Some(note), ptr::null_mut());
    options::set(OptionId::ShowErrors, 0);
    options::set_hardening(Hardening { secure, debug });
    options::set(OptionId::GuardedSampleRate, 0);
    thread::scope(|scope| scope.spawn(test).join().expect("no panic"));
    options::set_hardening(Hardening::NONE);
    options::set(OptionId::GuardedSampleRate, 0);
    options::set(OptionId::GuardedRest, 256);
}

/// The code of the one error that `misuse` causes; 0 if there is none.
fn reported(misuse: impl FnOnce()) -> i32 {
    let before = REPORTS.load(Ordering::Relaxed);
    misuse();
    match REPORTS.load(Ordering::Relaxed) - before {
        0 => 0,
        1 => LAST.load(Ordering::Relaxed),
        more => panic!("{more} reports"),
    }
}

fn free(p: *mut u8) {
    // SAFETY: the tests mean it, also where it is wrong: hardened pages bear that.
    unsafe { alloc::free(p) }
}

fn free_elsewhere(p: *mut u8) {
    let address = p as usize;
    thread::spawn(move || free(address as *mut u8)).join().expect("no panic");
}

/// Changes a byte at a distance from a block.
fn damage(p: *mut u8, distance: usize) {
    // SAFETY: still inside of the page.
    unsafe { *p.add(distance) ^= 0x21 };
}

#[test]
fn blocks_end_where_they_were_asked_to_and_free_ones_have_nothing() {
    for secure in 2..=5 {
        at(secure, 0, || {
            for size in SIZES.into_iter().chain([700_000, 5 << 20]) {
                let p = alloc::malloc(size);
                let usable = alloc::usable_size(p);
                assert!(secure == 2 || usable == size);
                for inside in [0, size / 3, size.saturating_sub(1)] {
                    assert_eq!(
                        alloc::remaining(p.wrapping_add(inside)),
                        usable - inside,
                        "{inside} in {size} at {secure}"
                    );
                }
                if secure > 2 && size > 0 {
                    assert_eq!(alloc::remaining(p.wrapping_add(size)), 0, "behind {size} at {secure}");
                }
                free(p);
                if size < 500_000 {
                    assert_eq!(alloc::remaining(p), 0, "{size} at {secure}, freed");
                }
            }
        });
    }
}

#[test]
fn a_copy_that_leaves_its_block_or_meets_a_free_one_is_told_as_what_it_is() {
    let told = |p: *mut u8, access| {
        // SAFETY: a string that stays.
        reported(|| _ = unsafe { alloc::allowed(c"copy".as_ptr(), p, 101, access) })
    };
    at(3, 0, || {
        let p = alloc::malloc(100);
        for access in [alloc::Access::Read, alloc::Access::Write] {
            assert_eq!((told(p, access), told(p.wrapping_add(50), access)), (CORRUPT, CORRUPT));
        }
        free(p);
        assert_eq!(told(p, alloc::Access::Write), CORRUPT);
    });
}

const SIZES: [usize; 12] = [0, 1, 7, 8, 9, 24, 100, 1000, 1024, 5000, 70_000, 300_000];

#[test]
fn a_second_free_is_refused_at_every_level() {
    for (secure, debug) in [(2, 0), (3, 0), (4, 0), (5, 0), (0, 1), (0, 3)] {
        at(secure, debug, || {
            for size in SIZES {
                let (p, _stays) = (alloc::malloc(size), alloc::malloc(size));
                assert_eq!(reported(|| free(p)), 0);
                assert_eq!(reported(|| free(p)), DOUBLE_FREE, "{size}");
                assert_eq!(reported(|| free_elsewhere(p)), DOUBLE_FREE, "{size}");
                let q = alloc::malloc(size);
                assert_eq!(reported(|| free_elsewhere(q)), 0);
                assert_eq!(reported(|| free_elsewhere(q)), DOUBLE_FREE, "{size}");
                assert_eq!(reported(|| free(q)), DOUBLE_FREE, "{size}");
            }
        });
    }
}

#[test]
fn after_a_second_free_no_block_is_handed_out_twice() {
    at(4, 0, || {
        let p = alloc::malloc(40);
        free(p);
        assert_eq!(reported(|| free(p)), DOUBLE_FREE);
        let blocks: HashSet<usize> = (0..5000).map(|_| alloc::malloc(40) as usize).collect();
        assert_eq!(blocks.len(), 5000);
        blocks.into_iter().for_each(|p| free(p as *mut u8));
    });
}

#[test]
fn one_byte_behind_a_block_is_found_when_it_is_freed() {
    for (secure, debug) in [(3, 0), (4, 0), (5, 0), (0, 1)] {
        at(secure, debug, || {
            for size in SIZES.into_iter().filter(|&size| size > 0) {
                let (p, q) = (alloc::malloc(size), alloc::malloc(size));
                assert_eq!(alloc::usable_size(p), size);
                damage(p, size);
                damage(q, size);
                assert_eq!(reported(|| free(p)), CORRUPT, "{size}");
                assert_eq!(reported(|| free_elsewhere(q)), CORRUPT, "{size}");
            }
        });
    }
}

#[test]
fn large_blocks_are_checked_too() {
    at(4, 0, || {
        for size in [600_000, 700_001, 3 << 20] {
            let p = alloc::malloc(size);
            assert_eq!(alloc::usable_size(p), size);
            damage(p, size);
            assert_eq!(reported(|| free(p)), CORRUPT, "{size}");
            assert_eq!(reported(|| free(p)), INVALID, "its page has gone");
        }
    });
}

#[test]
fn overflows_are_found_after_resizing_too() {
    at(4, 0, || {
        for (from, to) in [(100, 104), (104, 101), (100, 5000), (5000, 4000), (900_000, 910_000), (600_000, 8 << 20)] {
            let p = alloc::malloc(from);
            // SAFETY: our own block.
            let p = unsafe { alloc::realloc(p, to) };
            assert_eq!(alloc::usable_size(p), to);
            damage(p, to);
            assert_eq!(reported(|| free(p)), CORRUPT, "{from} {to}");
        }
    });
}

#[test]
fn addresses_inside_blocks_and_wild_ones_are_refused() {
    at(2, 0, || {
        let p = alloc::malloc(100);
        for distance in [1, 8, 16, 64] {
            assert_eq!(reported(|| free(p.wrapping_add(distance))), INVALID);
            assert_eq!(reported(|| free_elsewhere(p.wrapping_add(distance))), INVALID);
            assert_eq!(reported(|| assert_eq!(alloc::usable_size(p.wrapping_add(distance)), 0)), INVALID);
        }
        let large = alloc::malloc(3 << 20);
        assert_eq!(reported(|| free(large.wrapping_add(4096))), INVALID);
        assert_eq!(reported(|| free(0x1234_5678 as *mut u8)), INVALID);
        // SAFETY: refused without being followed.
        assert_eq!(reported(|| assert!(unsafe { alloc::realloc(p.wrapping_add(16), 10) }.is_null())), INVALID);
        assert_eq!(reported(|| [p, large].into_iter().for_each(free)), 0);
    });
}

#[test]
fn writing_to_freed_memory_is_found() {
    at(0, 2, || {
        let blocks: Vec<_> = (0..100).map(|_| alloc::malloc(200)).collect();
        blocks.iter().for_each(|&p| free(p));
        damage(blocks[50], 60);
        let again = || (0..300).map(|_| alloc::malloc(200)).collect::<Vec<_>>();
        let mut blocks = Vec::new();
        assert_eq!(reported(|| blocks = again()), CORRUPT);
        blocks.into_iter().for_each(free);
    });
    at(0, 3, || {
        let (p, _stays) = (alloc::malloc(200), alloc::malloc(200));
        free(p);
        assert_eq!(reported(|| alloc::collect(Force::Routine)), 0);
        damage(p, 60);
        assert_eq!(reported(|| alloc::collect(Force::Routine)), CORRUPT);
    });
}

#[test]
fn debug_levels_fill_memory() {
    at(0, 1, || {
        let (p, _stays) = (alloc::malloc(100), alloc::malloc(100));
        // SAFETY: our own block; after its free the page is still there.
        let byte = |at: usize| unsafe { p.add(at).read_volatile() };
        assert_eq!([byte(0), byte(99), byte(100)], [0xD0, 0xD0, 0xDE]);
        free(p);
        assert_eq!([byte(0), byte(99)], [0xDF, 0xDF]);
        let zeroed = alloc::zalloc(100);
        // SAFETY: our own block.
        assert!((0..100).all(|at| unsafe { *zeroed.add(at) } == 0));
    });
}

#[test]
fn the_order_of_blocks_is_not_that_of_addresses() {
    at(2, 0, || {
        let orders: HashSet<Vec<usize>> = (0..4)
            .map(|_| {
                let heap = runtime::heap_new().expect("memory");
                let theap = runtime::theap_for(heap).expect("memory");
                let blocks: Vec<usize> = (0..64).map(|_| alloc::alloc_in(theap, 64, Zero::Any) as usize).collect();
                let first = blocks.iter().min().expect("64 blocks");
                blocks.iter().map(|p| p - first).collect()
            })
            .collect();
        assert_eq!(orders.len(), 4);
        assert!(orders.iter().all(|order| !order.is_sorted()));
    });
}

#[cfg(not(feature = "sim"))]
#[test]
fn guarded_blocks_end_at_a_guard() {
    at_rate_one(0, 0, || {
        // Exactly, each of them; then there is no room at the end of an OS page.
        options::set(OptionId::UnsafeGuardedPrecise, 1);
        for size in [1, 100, 4096, 5000, 600_000] {
            let p = alloc::malloc(size);
            let end = p as usize + alloc::usable_size(p);
            assert_eq!(end, p as usize + size);
            assert!(is_inaccessible(end) && !is_inaccessible(end - 1), "{size}");
            assert!(is_inaccessible((p as usize & !(os_page_bytes() - 1)) - 1), "{size}: in front");
            free(p);
        }
        options::set(OptionId::UnsafeGuardedPrecise, 0);
    });
}

#[cfg(not(feature = "sim"))]
#[test]
fn guarded_blocks_end_at_a_guard_or_begin_behind_one() {
    at_rate_one(0, 0, || {
        for size in [1, 100, 5000] {
            let blocks: Vec<usize> = (0..400).map(|_| alloc::malloc(size) as usize).collect();
            let end = |p: usize| p + alloc::usable_size(p as *mut u8);
            let at_end = blocks.iter().filter(|&&p| is_inaccessible(end(p))).count();
            let at_start = blocks.iter().filter(|&&p| is_inaccessible(p - 1)).count();
            assert_eq!(at_start + at_end, 400, "{size}: {at_start} begin behind a guard");
            // One in four, give or take five deviations.
            assert!((57..143).contains(&at_start), "{size}: {at_start} begin behind a guard");
            for &p in &blocks {
                assert!(end(p) - (p + size) < 16 && p % 16 == 0);
                assert!(!is_inaccessible(p) && !is_inaccessible(end(p) - 1), "{size}");
                free(p as *mut u8);
            }
        }
    });
}

/// The same in a thread that guards all of its blocks.
fn at_rate_one(secure: u8, debug: u8, test: impl FnOnce() + Send) {
    at(secure, debug, || {
        // The thread's theap is made by its first allocation, with the options of that moment.
        options::set(OptionId::GuardedSampleRate, 1);
        options::set(OptionId::GuardedRest, REST);
        alloc::collect(Force::All);
        test();
        alloc::collect(Force::All);
    });
}

/// So many blocks rest here.
const REST: i64 = 8;

#[cfg(not(feature = "sim"))]
fn os_page_bytes() -> usize {
    ferrimalloc_prim::mem::config().os_page_bytes
}

#[cfg(not(feature = "sim"))]
#[test]
fn a_freed_guarded_block_is_inaccessible_until_others_have_taken_turns() {
    for (secure, debug) in [(0, 0), (2, 0), (4, 0), (5, 0), (0, 2)] {
        at_rate_one(secure, debug, || {
            for size in [1, 100, 5000, 100_000, 700_000] {
                let p = alloc::malloc(size);
                free(p);
                let is_closed = || (0..size).step_by(1000).all(|at| is_inaccessible(p as usize + at));
                for turn in 0..REST {
                    assert!(is_closed(), "{size} at {secure}, {debug}: {turn}");
                    let other = alloc::malloc(size);
                    assert_ne!(other, p, "{size} at {secure}, {debug}: {turn}");
                    free_elsewhere(other);
                }
                assert_eq!(reported(|| free(p)), INVALID, "{size} at {secure}, {debug}: its page has gone");
            }
        });
    }
}

#[test]
fn a_freed_guarded_block_is_no_block_until_others_have_taken_turns() {
    for (secure, debug) in [(0, 0), (2, 0), (3, 0), (5, 0), (0, 1), (0, 3)] {
        at_rate_one(secure, debug, || {
            for size in [1, 100, 5000, 700_000] {
                let p = alloc::malloc(size);
                assert_eq!(alloc::remaining(p), alloc::usable_size(p));
                free(p);
                let others: Vec<_> = (1..REST).map(|_| alloc::malloc(size)).collect();
                others.into_iter().for_each(free);
                assert_eq!(reported(|| free(p)), DOUBLE_FREE, "{size} at {secure}, {debug}");
                assert_eq!(reported(|| free_elsewhere(p)), DOUBLE_FREE, "{size} at {secure}, {debug}");
                assert_eq!(reported(|| free_as(p, size)), DOUBLE_FREE, "{size} at {secure}, {debug}");
                assert_eq!(reported(|| assert_eq!(alloc::usable_size(p), 0)), INVALID);
                // SAFETY: refused without being followed.
                assert_eq!(reported(|| assert!(unsafe { alloc::realloc(p, 2 * size) }.is_null())), INVALID);
                // SAFETY: as above.
                assert_eq!(reported(|| assert!(unsafe { alloc::expand(p, 2 * size) }.is_null())), 0);
                assert_eq!(alloc::remaining(p), 0);
                alloc::collect(Force::All);
                assert_eq!(reported(|| free(p)), INVALID, "its page has gone");
            }
        });
    }
}

fn free_as(p: *mut u8, size: usize) {
    // SAFETY: as for `free`.
    unsafe { alloc::free_as(p, alloc::Stated::bytes(size), 1) }
}

#[test]
fn a_guarded_block_that_moves_leaves_an_inaccessible_one_behind() {
    at_rate_one(0, 0, || {
        let p = alloc::zalloc(100);
        // SAFETY: our own block.
        let q = unsafe {
            assert!((0..100).all(|at| *p.add(at) == 0));
            p.write_bytes(7, 100);
            alloc::realloc(p, 9000)
        };
        // SAFETY: as above.
        assert!((0..100).all(|at| unsafe { *q.add(at) } == 7));
        assert_eq!(reported(|| free(p)), DOUBLE_FREE);
        free(q);
    });
}

/// The blocks of a heap that ends rest no longer, and those of one that is deleted rest on.
#[test]
fn heaps_with_blocks_at_rest_end() {
    at_rate_one(0, 0, || {
        for ends_blocks in [false, true] {
            let heap = runtime::heap_new().expect("memory");
            let theap = runtime::theap_for(heap).expect("memory");
            let blocks: Vec<_> = (0..4).map(|_| alloc::alloc_in(theap, 100, Zero::Any)).collect();
            blocks[..2].iter().for_each(|&p| free(p));
            let live = blocks[3];
            if ends_blocks {
                // SAFETY: nobody uses it.
                assert!(unsafe { runtime::heap_destroy(heap) });
                assert_eq!(reported(|| free(blocks[0])), INVALID);
            } else {
                // SAFETY: nobody allocates in it.
                assert!(unsafe { runtime::heap_delete(heap) });
                assert_eq!(reported(|| free(blocks[0])), DOUBLE_FREE);
                assert_eq!(reported(|| free(live)), 0);
                assert_eq!(reported(|| free(live)), DOUBLE_FREE);
                free(blocks[2]);
            }
            // (Others that took turns could have the same address.)
            alloc::collect(Force::All);
            assert_eq!(reported(|| free(blocks[0])), INVALID);
        }
    });
}

#[test]
fn a_block_at_rest_is_not_visited_and_not_counted() {
    at_rate_one(0, 0, || {
        let heap = runtime::heap_new().expect("memory");
        let theap = runtime::theap_for(heap).expect("memory");
        let (p, stays) = (alloc::alloc_in(theap, 100, Zero::Any), alloc::alloc_in(theap, 100, Zero::Any));
        let bytes = || heap.stats().malloc_huge.current();
        let both = bytes();
        free(p);
        assert_eq!(bytes() * 2, both);
        let mut seen = Vec::new();
        heap.visit(Depth::Blocks, |_| true, &mut |_, block| {
            seen.extend(block);
            true
        });
        assert_eq!(seen, [stays]);
        alloc::collect(Force::All);
        assert_eq!(bytes() * 2, both, "counted once");
        // SAFETY: nobody uses it.
        assert!(unsafe { runtime::heap_destroy(heap) });
    });
}

#[test]
fn without_rest_a_freed_guarded_block_is_given_back() {
    at_rate_one(0, 0, || {
        options::set(OptionId::GuardedRest, 0);
        let p = alloc::malloc(100);
        free(p);
        assert_eq!(reported(|| free(p)), INVALID);
    });
}

/// Whichever of two frees at the same time comes first, the other is told, at the latest when the block has rested.
#[test]
fn two_frees_of_a_guarded_block_at_the_same_time_are_one() {
    at_rate_one(0, 0, || {
        for _ in 0..200 {
            let p = alloc::malloc(100) as usize;
            let code = reported(|| {
                thread::scope(|scope| (0..2).for_each(|_| _ = scope.spawn(move || free(p as *mut u8))));
                alloc::collect(Force::All);
            });
            assert_eq!(code, DOUBLE_FREE);
        }
    });
}

#[cfg(not(feature = "sim"))]
#[test]
fn level_five_guards_the_end_of_pages() {
    at(5, 0, || {
        // A heap of its own: in the main one a page of another level may be left.
        let heap = runtime::heap_new().expect("memory");
        let p = alloc::alloc_in(runtime::theap_for(heap).expect("memory"), 100, Zero::Any) as usize;
        assert!(is_inaccessible((p | 0xFFFF) - 4));
    });
}

#[test]
fn a_free_with_a_size_of_another_class_is_refused_from_level_two_on() {
    for (secure, debug) in [(2, 0), (3, 0), (4, 0), (5, 0), (0, 1)] {
        at(secure, debug, || {
            for (size, wrong) in [(100, 40), (100, 200), (48, 8), (1000, 100), (70_000, 300_000), (300_000, 70_000)] {
                let p = alloc::malloc(size);
                assert_eq!(reported(|| free_as(p, wrong)), INVALID, "{wrong} of {size} at {secure}, {debug}");
                assert_eq!(reported(|| free_as(p, size)), 0, "{size} at {secure}, {debug}");
                assert_eq!(reported(|| free_as(p, size)), DOUBLE_FREE, "{size} at {secure}, {debug}");
            }
            // As small as a block can become where it is, and larger than was asked for.
            for (from, to) in [(112, 60), (112, 56), (100, 105), (1000, 1100), (4000, 4001), (5000, 2600)] {
                // SAFETY: our own block.
                let p = unsafe { alloc::realloc(alloc::malloc(from), to) };
                assert_eq!(reported(|| free_as(p, to)), 0, "{from} to {to} at {secure}, {debug}");
            }
        });
    }
}

#[test]
fn threads_without_levels_and_with_them_free_each_others_blocks() {
    let plain: Vec<usize> = {
        // Not while another test has it that they are guarded.
        let _alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        (0..100).map(|_| alloc::malloc(100) as usize).collect()
    };
    at(4, 0, || {
        let checked: Vec<usize> = (0..100).map(|_| alloc::malloc(100) as usize).collect();
        assert_eq!(reported(|| plain.into_iter().for_each(|p| free(p as *mut u8))), 0);
        options::set_hardening(Hardening::NONE);
        let ordinary = thread::spawn(move || checked.into_iter().for_each(|p| free(p as *mut u8)));
        assert_eq!(reported(|| ordinary.join().expect("no panic")), 0);
    });
}

/// The code of the first error that `misuse` causes; 0 if there is none.
fn first_reported(misuse: impl FnOnce()) -> i32 {
    let before = REPORTS.load(Ordering::Relaxed);
    misuse();
    if REPORTS.load(Ordering::Relaxed) > before { LAST.load(Ordering::Relaxed) } else { 0 }
}

/// Allocates until what was freed before is used again; no block may come twice.
fn blocks_until_reuse(size: usize) -> Vec<*mut u8> {
    let blocks: Vec<_> = (0..4000).map(|_| alloc::malloc(size)).collect();
    assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), blocks.len(), "a block was handed out twice");
    blocks
}

#[test]
fn ordinary_pages_find_double_frees_at_once_and_interleaved_when_the_list_is_used() {
    for shape in [&[0, 0][..], &[0, 1, 0], &[1, 0, 0], &[2, 1, 0, 1]] {
        at(0, 0, || {
            let blocks: Vec<_> = (0..3).map(|_| alloc::malloc(96)).collect();
            shape.iter().for_each(|&index| free(blocks[index]));
            assert_eq!(first_reported(|| drop(blocks_until_reuse(96))), DOUBLE_FREE, "{shape:?}");
        });
    }
}

#[test]
fn ordinary_pages_find_double_frees_of_blocks_in_inner_slices_at_once() {
    at(0, 0, || {
        // Blocks of three slices and more: most start in an inner slice of their page.
        let blocks: Vec<_> = (0..8).map(|_| alloc::malloc(200_000)).collect();
        let inner = blocks[5];
        assert_eq!(reported(|| free(inner)), 0);
        assert_eq!(reported(|| free(inner)), DOUBLE_FREE);
        let mut again = Vec::new();
        assert_eq!(reported(|| again.extend((0..20).map(|_| alloc::malloc(200_000)))), 0);
        assert_eq!(again.iter().collect::<HashSet<_>>().len(), again.len());
        again.into_iter().chain(blocks.into_iter().filter(|&p| p != inner)).for_each(free);
    });
}

#[test]
fn ordinary_pages_find_double_frees_that_would_make_them_empty() {
    for size in [300_000, 400_000] {
        at(0, 0, || {
            // Of so large blocks one is linked at a time: the page is empty when the only block in use is freed.
            let p = alloc::malloc(size);
            assert_eq!(reported(|| free(p)), 0);
            assert_eq!(first_reported(|| free(p)), DOUBLE_FREE, "{size}");
            let blocks: Vec<_> = (0..30).map(|_| alloc::malloc(size)).collect();
            assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), blocks.len());
            blocks.into_iter().for_each(free);
        });
    }
}

#[test]
fn ordinary_pages_find_double_frees_by_another_thread_at_once() {
    at(0, 0, || {
        let (p, _stays) = (alloc::malloc(96) as usize, alloc::malloc(96));
        thread::spawn(move || {
            // A thread that has allocated gathers what it frees for others.
            free(alloc::malloc(10));
            assert_eq!(reported(|| free(p as *mut u8)), 0);
            assert_eq!(reported(|| free(p as *mut u8)), DOUBLE_FREE);
        })
        .join()
        .expect("no panic");
    });
}

#[test]
fn big_blocks_are_freed_once_at_every_level() {
    for (secure, debug) in [(0, 0), (2, 0), (4, 0), (0, 3)] {
        at(secure, debug, || {
            let p = alloc::malloc(3 << 20);
            assert_eq!(reported(|| free(p)), 0);
            assert_eq!(reported(|| free(p)), INVALID, "its page has gone");
        });
    }
}

/// Two blocks of a page of which the second follows the first.
fn neighbours(size: usize) -> (*mut u8, *mut u8) {
    let mut blocks: Vec<_> = (0..64).map(|_| alloc::malloc(size) as usize).collect();
    blocks.sort_unstable();
    let near = blocks.windows(2).map(|pair| pair[1] - pair[0]).min().expect("64 blocks");
    let pair = blocks.windows(2).find(|pair| pair[1] - pair[0] == near).expect("two neighbours");
    (pair[0] as *mut u8, pair[1] as *mut u8)
}

#[test]
fn one_byte_before_a_block_is_found_when_it_is_freed() {
    for (secure, debug) in [(3, 0), (4, 0), (5, 0), (0, 1)] {
        at(secure, debug, || {
            for size in [1, 8, 24, 100, 1000, 5000] {
                let (_, p) = neighbours(size);
                damage(p.wrapping_sub(1), 0);
                assert_eq!(reported(|| free(p)), CORRUPT, "{size}");
                // As it was: other tests use the page.
                damage(p.wrapping_sub(1), 0);
                let (before, p) = neighbours(size);
                free(before);
                damage(p.wrapping_sub(1), 0);
                assert_eq!(reported(|| free_elsewhere(p)), CORRUPT, "{size}, a free block before it");
                damage(p.wrapping_sub(1), 0);
            }
        });
    }
}

#[test]
fn freed_memory_is_zero_from_level_four_on_and_a_write_to_it_is_found() {
    for level in [4, 5] {
        at(level, 0, || {
            for size in [1, 24, 100, 1000, 5000, 40_000] {
                let (p, _stays) = (alloc::malloc(size), alloc::malloc(size));
                let others: Vec<_> = (0..(300_000 / size).clamp(300, 3000)).map(|_| alloc::malloc(size)).collect();
                // SAFETY: our own block; its page stays readable.
                unsafe { p.write_bytes(0xAA, size) };
                assert_eq!(reported(|| free(p)), 0);
                // Blocks rest until there are many.
                others.into_iter().for_each(free);
                // SAFETY: as above.
                assert!((0..size).all(|at| unsafe { p.add(at).read_volatile() } == 0), "{size}");
                // Level 5 verifies all of a block.
                damage(p, if level == 5 { size - 1 } else { size.min(1000) / 2 });
                let count = (300_000 / size).clamp(1200, 9000);
                // SAFETY: our own block.
                let is_zero = |p: *mut u8| (0..size).all(|at| unsafe { p.add(at).read() } == 0);
                let take_all = || {
                    let blocks: Vec<_> = (0..count).map(|_| alloc::malloc(size)).collect();
                    assert!(blocks.iter().all(|&p| is_zero(p)), "fresh ones, too");
                    blocks
                };
                // A quarter of a page's blocks rests; which of them come out is drawn.
                let found = (0..20).map(|_| reported(|| take_all().into_iter().for_each(free))).find(|&code| code != 0);
                assert_eq!(found, Some(CORRUPT), "{size}");
                take_all().into_iter().for_each(free);
            }
        });
    }
}

#[cfg(not(feature = "sim"))]
#[test]
fn big_blocks_are_cleared_before_their_memory_is_used_again() {
    for size in [600_000, 3 << 20] {
        at(4, 0, || {
            let p = alloc::malloc(size);
            // SAFETY: our own block; its memory stays mapped, since nothing is purged at once.
            unsafe {
                p.write_bytes(0xAA, size);
                free(p);
                assert!((0..size).all(|at| p.add(at).read_volatile() == 0), "{size}");
            }
        });
    }
}

/// How many of 1000 blocks come again within so many allocations of their size.
fn reused_within(allocations: usize) -> usize {
    let mut blocks: Vec<_> = (0..4000).map(|_| alloc::malloc(40)).collect();
    let is_reused = |round: usize| {
        let p = blocks.swap_remove(round * 7 % 3000);
        free(p);
        let next: Vec<_> = (0..allocations).map(|_| alloc::malloc(40)).collect();
        let is_reused = next.contains(&p);
        blocks.push(next[0]);
        next[1..].iter().for_each(|&p| free(p));
        is_reused
    };
    let reused = (0..1000).map(is_reused).filter(|&is_reused| is_reused).count();
    blocks.into_iter().for_each(free);
    reused
}

#[test]
fn what_was_freed_is_seldom_used_again_soon() {
    at(4, 0, || assert_eq!(reused_within(1), 0));
    at(4, 0, || assert!(reused_within(10) <= 60));
    at(5, 0, || assert!(reused_within(40) <= 60));
}

#[test]
fn a_block_that_grows_moves_rarely_and_is_checked_as_before() {
    for secure in 2..=4 {
        at(secure, 0, || {
            let mut p = alloc::malloc(16);
            let mut addresses = HashSet::new();
            for size in (1..=400).map(|step| step * 1024) {
                // SAFETY: a block of the test's own.
                p = unsafe { alloc::realloc(p, size) };
                assert!(secure == 2 || alloc::usable_size(p) == size);
                // SAFETY: its last byte.
                unsafe { p.add(size - 1).write(1) };
                addresses.insert(p);
            }
            assert!(addresses.len() < 16, "{} at {secure}", addresses.len());
            let overflows = reported(|| {
                // SAFETY: padding, where there is some.
                (secure > 2).then(|| unsafe { p.add(400 * 1024).write(1) });
                free(p);
            });
            assert_eq!(overflows, if secure == 2 { 0 } else { CORRUPT });
            assert_eq!(reported(|| free(p)), INVALID);
        });
    }
}

/// Addresses of so many blocks that are freed at once, each before the next is allocated.
fn addresses_of_pairs(size: usize, count: usize) -> usize {
    let one = |_| {
        let p = alloc::malloc(size);
        free(p);
        p
    };
    (0..count).map(one).collect::<HashSet<_>>().len()
}

#[test]
fn a_few_blocks_are_spread_over_no_more_memory_than_their_rest_takes() {
    // (Blocks, 256 KiB of them, or a sixteenth of a page rest; opened are 64, 32 KiB, or four at a time.)
    for (size, most) in [(16, 400), (500, 200), (4000, 128), (30_000, 24), (200_000, 8)] {
        at(2, 0, || {
            let addresses = addresses_of_pairs(size, 2000);
            assert!((2..=most).contains(&addresses), "{addresses} of {size}");
        });
    }
}

#[test]
fn what_a_block_loses_is_cleared_too() {
    at(4, 0, || {
        let grown = |size| {
            let p = alloc::malloc(1000);
            // SAFETY: a block of the test's own.
            unsafe { alloc::realloc(p, size) }
        };
        for (large, small) in [(300_000, 160_000), (3 << 20, 1 << 20), (40 << 20, 2_000_000)] {
            let p = grown(large);
            // SAFETY: the block is that large.
            let p = unsafe {
                p.write_bytes(0x5e, large);
                alloc::realloc(p, small)
            };
            let others: Vec<_> = (0..8).map(|_| alloc::malloc(large)).collect();
            for &other in &others {
                // SAFETY: as above.
                let bytes = unsafe { std::slice::from_raw_parts(other, large) };
                assert!(bytes.iter().all(|&byte| byte == 0), "{large} to {small}");
            }
            others.into_iter().for_each(free);
            free(p);
        }
    });
}

#[cfg(not(feature = "sim"))]
#[test]
fn requests_for_nothing_get_addresses_without_memory() {
    for (secure, debug) in [(3, 0), (4, 0), (5, 0), (0, 1), (0, 3)] {
        at(secure, debug, || {
            let blocks: Vec<_> = (0..9000).map(|_| alloc::malloc(0)).collect();
            assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), blocks.len());
            for p in [blocks[0], blocks[8999], alloc::zalloc(0)] {
                assert!(is_inaccessible(p as usize));
                assert_eq!(reported(|| assert_eq!(alloc::usable_size(p), 0)), 0);
                // SAFETY: our own block.
                let p = unsafe { alloc::realloc(p, 100) };
                damage(p, 99);
                assert_eq!(reported(|| free(p)), 0);
            }
            let p = blocks[77];
            assert_eq!(reported(|| free(p)), 0);
            assert_eq!(reported(|| free(p)), DOUBLE_FREE);
            assert_eq!(reported(|| free_elsewhere(blocks[78])), 0);
            assert_eq!(reported(|| free_elsewhere(blocks[78])), DOUBLE_FREE);
            // The page's memory is of use again.
            blocks[1..8999].iter().filter(|&&p| p != blocks[77] && p != blocks[78]).for_each(|&p| free(p));
            alloc::collect(Force::All);
            (0..200).map(|_| alloc::malloc(60_000)).for_each(|p| {
                damage(p, 59_999);
                free(p);
            });
        });
    }
}

#[test]
fn clearing_is_an_option() {
    at(2, 0, || {
        options::set(OptionId::ZeroOnFree, 1);
        let heap = runtime::heap_new().expect("memory");
        thread::scope(|scope| {
            scope.spawn(|| {
                let theap = runtime::theap_for(heap).expect("memory");
                let (p, _stays) = (alloc::alloc_in(theap, 100, Zero::Any), alloc::alloc_in(theap, 100, Zero::Any));
                damage(p, 50);
                free(p);
                // SAFETY: the page stays readable.
                assert_eq!(unsafe { p.add(50).read_volatile() }, 0);
            });
        });
        options::set(OptionId::ZeroOnFree, 2);
    });
}

static BEATS: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn note_beat(_forced: bool, _heartbeat: u64, _: *mut c_void) {
    BEATS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn threads_tick_at_every_level() {
    runtime::register_deferred_free(Some(note_beat), ptr::null_mut());
    for (secure, debug) in [(0, 0), (2, 0), (3, 0), (4, 0), (5, 0), (0, 2)] {
        at(secure, debug, || {
            for size in [24, 100, 1000, 5000] {
                let mut live: Vec<usize> = (0..20).map(|_| alloc::malloc(size) as usize).collect();
                let before = BEATS.load(Ordering::Relaxed);
                for turn in 0..100_000 {
                    let place = &mut live[turn % 20];
                    free(*place as *mut u8);
                    *place = alloc::malloc(size) as usize;
                }
                // (Of the largest, an ordinary page has few lists.)
                assert!(BEATS.load(Ordering::Relaxed) > before + 4, "level {secure}, {debug}: {size}");
                live.into_iter().for_each(|p| free(p as *mut u8));
            }
        });
    }
    runtime::register_deferred_free(None, ptr::null_mut());
}

/// A theap of a heap that preserves so much, and a block size's worth of blocks that were full of 7s and are free.
fn with_preserved(secure: u8, size: usize, test: impl Fn(&'static Theap) + Send + Sync) {
    at(secure, 0, || {
        let heap = runtime::heap_new().expect("memory");
        heap.set_fill_preserve(16);
        thread::scope(|scope| {
            scope.spawn(|| {
                let theap = runtime::theap_for(heap).expect("memory");
                let blocks: Vec<_> = (0..64).map(|_| alloc::alloc_in(theap, size, Zero::Any)).collect();
                for p in blocks {
                    // SAFETY: a block of that size.
                    unsafe { ptr::write_bytes(p, 7, size) };
                    free(p);
                }
                test(theap);
            });
        });
    });
}

#[test]
fn zeroed_memory_is_zero_where_bytes_are_preserved() {
    for size in [20, 100, 500, 1000, 5000] {
        with_preserved(4, size, |theap| {
            for _ in 0..64 {
                let p = alloc::alloc_in(theap, size, Zero::Zeroed);
                // SAFETY: a block of that size.
                assert!(unsafe { std::slice::from_raw_parts(p, size) }.iter().all(|&byte| byte == 0), "{size}");
            }
        });
    }
}

#[test]
fn what_is_preserved_stays_until_the_program_writes() {
    for (secure, size) in [(3, 20), (4, 20), (3, 100), (4, 100), (3, 1000), (4, 1000)] {
        with_preserved(secure, size, |theap| {
            let kept = |p: *mut u8| {
                // SAFETY: a block of at least that size.
                let bytes = unsafe { std::slice::from_raw_parts(p, 16) };
                bytes.iter().filter(|&&byte| byte == 7).count()
            };
            // What was kept of blocks that were written and freed here before: another block may lie in memory that
            // another size had, and show anything.
            let mut written = HashSet::new();
            let mut counts = Vec::new();
            for _ in 0..10_000 {
                let p = alloc::alloc_in(theap, size, Zero::Any);
                if !written.insert(p as usize) {
                    counts.push(kept(p));
                }
                // SAFETY: a block of that size.
                unsafe { ptr::write_bytes(p, 7, size) };
                free(p);
            }
            // (Nothing, where the page was purged.)
            assert!(counts.iter().all(|&count| count == 0 || count == 16), "level {secure}: {size}");
            assert!(counts.contains(&16), "level {secure}: {size}");
        });
    }
}
