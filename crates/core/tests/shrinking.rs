//! A block that shrinks by more than a quarter and 64 KiB gives its tail back, and moves only where it has to.
//!
//! Levels and options are those of the process, so the tests run one at a time, each in a thread of its own.

#![cfg(not(any(loom, feature = "sim")))]

use std::slice;
use std::sync::{Mutex, PoisonError};
use std::thread;

use ferrimalloc_core::alloc::{self, realloc, usable_size};
use ferrimalloc_core::base::{Force, LARGE_BLOCK_MAX, SLICE_BYTES, Zero};
use ferrimalloc_core::options::{self, Hardening, OptionId};
use ferrimalloc_core::runtime;

const MIB: usize = 1 << 20;
const LARGE: usize = 256 * MIB;

static TURN: Mutex<()> = Mutex::new(());

/// Runs `test` in a fresh thread at these levels.
fn at(secure: u8, debug: u8, test: impl FnOnce() + Send) {
    let _alone = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    options::set_hardening(Hardening { secure, debug });
    options::set(OptionId::GuardedSampleRate, 0);
    thread::scope(|scope| scope.spawn(test).join().expect("no panic"));
    options::set_hardening(Hardening::NONE);
}

/// The process's resident set, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap() * 4096
}

fn written(size: usize, byte: u8) -> *mut u8 {
    let p = alloc::malloc(size);
    assert!(!p.is_null());
    // SAFETY: a block of that size.
    unsafe { p.write_bytes(byte, size) };
    p
}

fn holds(p: *const u8, bytes: usize, byte: u8) -> bool {
    // SAFETY: a block of the test's with so many bytes.
    let held = unsafe { slice::from_raw_parts(p, bytes) };
    held[0] == byte && held[1..] == held[..bytes - 1]
}

fn resize(p: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: a block of the test's, which goes on with the answer.
    unsafe { realloc(p, size) }
}

fn release(p: *mut u8) {
    // SAFETY: a block of the test's, used no more.
    unsafe { alloc::free(p) };
}

/// Purges what is free, which the arenas may keep for a while.
fn collect() {
    runtime::live_theap().unwrap();
    alloc::collect(Force::All);
}

/// Shrinks a written block, and answers what it left resident.
fn left_by_shrinking(from: usize, to: usize) -> usize {
    collect();
    let before = resident();
    let p = written(from, 3);
    assert!(resident() - before > from - MIB);
    let smaller = resize(p, to);
    assert!(holds(smaller, to, 3));
    collect();
    let left = resident().saturating_sub(before);
    release(smaller);
    left
}

#[test]
fn a_shrunk_block_gives_its_tail_back() {
    at(0, 0, || {
        let left = left_by_shrinking(LARGE, MIB);
        assert!(left < 8 * MIB, "{left}");
    });
}

/// Both with padding behind blocks, and where a block moves because its guard can't.
#[test]
fn a_shrunk_checked_block_gives_its_tail_back() {
    for (secure, debug) in [(2, 0), (4, 0), (5, 0), (0, 3)] {
        at(secure, debug, || {
            let left = left_by_shrinking(LARGE, MIB);
            assert!(left < 8 * MIB, "{secure} {debug}: {left}");
        });
    }
}

#[test]
fn a_shrunk_block_with_a_mapping_of_its_own_gives_its_tail_back() {
    at(0, 0, || {
        let before = options::get(OptionId::ArenaMaxObjectSize);
        options::set(OptionId::ArenaMaxObjectSize, (16 * MIB / 1024) as i64);
        let reserved = || runtime::current_subproc().arenas().stats().reserved.current();
        let start = reserved();
        let p = written(LARGE, 3);
        assert!(reserved() - start >= LARGE as i64);
        assert_eq!(resize(p, 20 * MIB), p);
        assert_eq!(reserved() - start, 20 * MIB as i64, "the tail is no mapping of ours any more");
        release(p);
        assert_eq!(reserved(), start);
        let left = left_by_shrinking(LARGE, MIB);
        options::set(OptionId::ArenaMaxObjectSize, before);
        assert!(left < 8 * MIB, "{left}");
    });
}

#[test]
fn many_small_steps_give_as_much_back_as_a_large_one() {
    at(0, 0, || {
        collect();
        let before = resident();
        let mut p = written(LARGE, 3);
        let mut size = LARGE;
        while size > 2 * MIB {
            size -= size / 8;
            let smaller = resize(p, size);
            assert_eq!(smaller, p, "{size}");
            p = smaller;
        }
        assert!(usable_size(p) <= size + size / 3 + SLICE_BYTES && holds(p, size, 3));
        collect();
        let left = resident().saturating_sub(before);
        release(p);
        assert!(left < 12 * MIB, "{left}");
    });
}

#[test]
fn a_tail_is_anybodys_and_can_be_had_again() {
    at(0, 0, || {
        let arenas = runtime::current_subproc().arenas();
        let in_use = arenas.in_use_slices();
        let singles = arenas.usage().single.get();
        let p = written(64 * MIB, 3);
        assert_eq!(resize(p, 8 * MIB), p);
        assert_eq!((usable_size(p), arenas.in_use_slices() - in_use), (8 * MIB, 8 * MIB / SLICE_BYTES));
        assert_eq!(arenas.usage().single.get() - singles, 8 * MIB / SLICE_BYTES);
        let behind = written(4 * MIB, 4);
        assert!(holds(p, 8 * MIB, 3) && holds(behind, 4 * MIB, 4));
        release(behind);
        assert_eq!(resize(p, 40 * MIB), p, "free again");
        assert!(holds(p, 8 * MIB, 3));
        // SAFETY: a block of the test's, which goes on with the answer.
        assert_eq!(unsafe { alloc::expand(p, 2 * MIB) }, p);
        assert_eq!((usable_size(p), arenas.in_use_slices() - in_use), (2 * MIB, 2 * MIB / SLICE_BYTES));
        release(p);
        assert_eq!((arenas.in_use_slices(), arenas.usage().single.get()), (in_use, singles));
    });
}

#[test]
fn a_block_that_shrinks_by_less_stays_as_it_is() {
    at(0, 0, || {
        for (size, smaller) in [(MIB, MIB - 60 * 1024), (8 * MIB, 7 * MIB), (8 * MIB, 6 * MIB)] {
            let p = written(size, 3);
            assert!(resize(p, smaller) == p && usable_size(p) == size, "{size} {smaller}");
            release(p);
        }
    });
}

/// Blocks that share a page move: only if that saves more than a quarter and 64 KiB, or half of a small block.
#[test]
fn blocks_of_shared_pages_shrink_by_moving_where_it_saves() {
    at(0, 0, || {
        for size in [LARGE_BLOCK_MAX, 400 * 1024, 300 * 1024, 200 * 1024, 128 * 1024, 100_000, 3000] {
            for smaller in (1..size).step_by(size / 37) {
                let p = written(size, 3);
                let usable = usable_size(p);
                let resized = resize(p, smaller);
                let (now, saved) = (usable_size(resized), usable - alloc::good_size(smaller));
                assert!(holds(resized, smaller, 3) && now >= smaller);
                let saves_much = saved > usable / 4 && saved > 64 * 1024 || smaller < usable / 2;
                assert_eq!(now < usable, saves_much, "{size} to {smaller}: {usable} to {now}");
                assert_eq!(resized != p, saves_much, "{size} to {smaller}");
                release(resized);
            }
        }
    });
}

/// A block of a page of its own for its alignment alone.
#[test]
fn aligned_blocks_give_their_tails_back_where_they_are() {
    for (secure, debug) in [(0, 0), (4, 0)] {
        at(secure, debug, || {
            let theap = runtime::live_theap().unwrap();
            for (align, offset) in [(4096, 0), (MIB, 0), (MIB, 64)] {
                let arenas = runtime::current_subproc().arenas();
                let in_use = arenas.in_use_slices();
                let p = alloc::alloc_aligned_at_in(theap, 32 * MIB, align, offset, Zero::Any);
                // SAFETY: a block of the test's, which goes on with the answer.
                let smaller = unsafe {
                    p.write_bytes(3, 32 * MIB);
                    alloc::realloc_aligned_at_in(theap, p, 2 * MIB, align, offset, Zero::Any)
                };
                assert!(smaller == p && holds(p, 2 * MIB, 3));
                let most = 2 * MIB / SLICE_BYTES + 1 + align / SLICE_BYTES;
                assert!(arenas.in_use_slices() - in_use <= most);
                release(smaller);
            }
        });
    }
}
