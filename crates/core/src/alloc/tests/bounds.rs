//! How far blocks reach from addresses inside of them.

use super::*;
use crate::alloc::bounds::surely_has;
use crate::options::OptionId;
use core::ffi::c_int;
use std::format;

/// Asserts what is said of an address that has `room` bytes: exactly, and whether that is quickly told or not.
fn expect(p: *const u8, room: usize, what: &str) {
    assert_eq!(remaining(p), room, "{what}");
    let more = [room.wrapping_add(1), usize::MAX / 2].into_iter().filter(|bytes| *bytes > room);
    assert!(more.into_iter().all(|bytes| !surely_has(p, bytes)), "{what}: {room} and no more");
}

/// At some addresses inside, deep ones included, and at the last byte.
fn expect_inside(p: *const u8, size: usize) {
    let steps = (0..size).step_by(size / 37 + 1).chain(size.checked_sub(1));
    steps.for_each(|at| expect(p.wrapping_add(at), size - at, &format!("{at} in {size}")));
}

#[test]
fn every_address_of_a_block_has_the_bytes_to_its_end() {
    let _ground = ground();
    for size in edges() {
        let p = malloc(size);
        expect_inside(p, usable_size(p));
        release(p);
    }
}

#[test]
fn blocks_at_addresses_of_their_own_end_where_they_end() {
    let _ground = ground();
    for (size, align) in [(100, 64), (100, 4096), (5000, 8192), (100_000, SLICE_BYTES), (3 * MIB, MIB), (40, 2 * MIB)] {
        let p = malloc_aligned(size, align, Zero::Any);
        expect_inside(p, usable_size(p));
        release(p);
    }
}

#[test]
fn ordinary_blocks_are_quickly_told() {
    let _ground = ground();
    for size in [8, 24, 100, 5000, 100_000] {
        let p = malloc(size);
        let bytes = usable_size(p);
        assert!(surely_has(p, bytes) && surely_has(p.wrapping_add(bytes / 2), bytes - bytes / 2), "{size}");
        release(p);
    }
}

#[test]
fn a_block_of_a_page_of_its_own_has_nothing_behind() {
    let _ground = ground();
    let p = malloc(3 * MIB);
    let bytes = usable_size(p);
    assert!([0, UNLIMITED].contains(&remaining(p.wrapping_add(bytes))) || page_of(p.wrapping_add(bytes)) != page_of(p));
    assert_eq!(remaining(p.wrapping_add(bytes - 1)), 1);
    release(p);
}

#[test]
fn a_hint_of_a_block_that_is_gone_says_nothing_of_the_next() {
    let _ground = ground();
    for (size, then) in [(40 * MIB, 7 * MIB), (7 * MIB, 40 * MIB), (20 * MIB, MIB)] {
        let p = malloc(size);
        expect_inside(p, usable_size(p));
        release(p);
        let blocks: Vec<_> = (0..4).map(|_| malloc(then)).collect();
        blocks.iter().for_each(|&p| expect_inside(p, usable_size(p)));
        blocks.into_iter().for_each(release);
    }
}

#[test]
fn blocks_with_a_mapping_of_their_own_are_known_inside() {
    let mut ground = ground();
    let foreign = std::vec![0u8; 8 * MIB];
    assert_eq!(remaining(foreign.as_ptr()), UNLIMITED, "it is kept that this is nobody's");
    ground.set(OptionId::ArenaMaxObjectSize, (MIB / 1024) as i64);
    let blocks: Vec<_> = (0..3).map(|_| malloc(5 * MIB)).collect();
    blocks.iter().for_each(|&p| expect_inside(p, usable_size(p)));
    blocks.into_iter().for_each(release);
}

#[test]
fn what_is_not_ours_has_no_end() {
    let _ground = ground();
    live_theap().unwrap();
    let here = 1u64;
    let elsewhere = std::vec![1u8; 5 * MIB];
    let inside = &elsewhere[4 * MIB];
    for p in [ptr::null(), ptr::from_ref(&here).cast(), inside, usize::MAX as *const u8, (usize::MAX / 2) as *const u8]
    {
        for _ in 0..2 {
            assert_eq!(remaining(p), UNLIMITED, "{p:?}");
        }
    }
}

#[test]
fn a_slice_that_was_nobodys_is_a_blocks_when_there_is_one() {
    let _ground = ground();
    let mut blocks: Vec<*mut u8> = Vec::new();
    for _ in 0..40 {
        let p = malloc(30 * MIB);
        expect_inside(p, usable_size(p));
        blocks.push(p);
        // The next arena will lie somewhere below, where the page map has entries already.
        let lowest = blocks.iter().min().unwrap();
        (1..=256).rev().for_each(|slices| _ = remaining(lowest.wrapping_sub(slices * SLICE_BYTES)));
    }
    blocks.into_iter().for_each(release);
}

unsafe extern "C" fn copy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe { to.copy_from(from, bytes) };
    to
}

unsafe extern "C" fn set(to: *mut u8, byte: c_int, bytes: usize) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe { to.write_bytes(byte as u8, bytes) };
    to
}

#[test]
fn copies_are_cut_where_the_first_block_ends() {
    let mut ground = ground();
    ground.set(OptionId::Abort, 0);
    let copier: Copier<CopyFn> = Copier { function: copy, name: c"copy".as_ptr() };
    let filler: Copier<FillFn> = Copier { function: set, name: c"set".as_ptr() };
    let (small, large, next) = (malloc(64), malloc(1024), malloc(64));
    fill(next, 7);
    let errors = crate::diag::error_count;
    // SAFETY: blocks of the test's; what would be too much is cut.
    unsafe {
        large.write_bytes(3, 1024);
        let before = errors();
        assert_eq!(copy_checked(small, large, 64, &copier), small);
        assert_eq!(fill_checked(small.add(60), 4, 4, &filler), small.add(60));
        assert_eq!((errors() - before, holds(small, 60, 3), *small.add(63)), (0, true, 4));
        assert_eq!(copy_checked(small, large, 1024, &copier), small);
        assert_eq!((errors() - before, holds(small, 64, 3)), (1, true));
        assert_eq!(fill_checked(small, 5, 65, &filler), small);
        assert_eq!((errors() - before, holds(small, 64, 5)), (2, true));
        copy_checked(large, small, 1024, &copier);
        assert_eq!((errors() - before, holds(large, 64, 5), *large.add(64)), (3, true, 3));
        assert_eq!(allowed(c"it".as_ptr(), small.add(1), 64, Access::Read), 63);
        assert_eq!(errors() - before, 4);
    }
    assert!(holds(next, 64, 7));
    [small, large, next].into_iter().for_each(release);
}
