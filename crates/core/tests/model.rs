//! The core against a model: random operations, with a shadow map of everything allocated.
//!
//! Checked at every step: blocks don't overlap, are aligned, hold at least what was asked for, keep their contents until they
//! are freed and over resizing, and are zero where zeros were asked for. Checked at the end: with everything freed no
//! page is left, and no slice but those of the allocator's own structures.
//!
//! The allocator is one per process, so the tests of this file run one at a time.

#![cfg(not(loom))]

mod support;

use ferrimalloc_core::alloc;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::{Mutex, MutexGuard};
use support::model::{MAX_ALIGN_BITS, MAX_SIZE_BITS, Model, Raw, free, op};
use support::players::play_round;
use support::{Books, Shadow};

fn raw() -> impl Strategy<Value = Raw> {
    let size = (0..=MAX_SIZE_BITS).prop_flat_map(|bits| 0..1usize << bits);
    let align_bits = prop_oneof![4 => 0..8u32, 1 => 8..=MAX_ALIGN_BITS];
    (0..100u8, any::<u16>(), size, align_bits, 0..4u8)
}

static TURN: Mutex<()> = Mutex::new(());

/// The allocator for one test alone.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Slices that metadata may come to take while a test runs.
const METADATA_SLICES: usize = 24;

/// With everything freed: no page is left, and only metadata may have grown.
fn check_nothing_left(before: Books) {
    let after = Books::collected();
    assert_eq!(after.pages, 0, "{after:?}");
    assert!(after.slices <= before.slices + METADATA_SLICES, "{before:?} {after:?}");
}

#[test]
fn one_thread_agrees_with_the_model() {
    let _turn = turn();
    let before = Books::collected();
    let config = ProptestConfig {
        cases: (150 * support::times() / support::share()) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(raws in vec(raw(), 1..400))| {
        let shadow = Shadow::new();
        let mut model = Model::new(&shadow, 1);
        raws.into_iter().map(op).for_each(|op| model.apply(op));
        model.finish();
        prop_assert!(shadow.is_empty());
        prop_assert_eq!(Books::collected().pages, 0);
    });
    check_nothing_left(before);
}

#[test]
fn threads_agree_with_the_model() {
    let _turn = turn();
    let before = Books::collected();
    for round in 1..=(6 * support::times() / support::share()) as u64 {
        play_round(round, 4, 600);
        assert_eq!(Books::collected().pages, 0);
    }
    check_nothing_left(before);
}

/// A block that has shrunk, then moved its memory away, leaves something behind that is not zero.
#[test]
fn memory_that_did_not_move_is_not_taken_for_zero() {
    let _turn = turn();
    const MIB: usize = 1 << 20;
    let shadow = Shadow::new();
    let old = shadow.adopt(alloc::malloc(8 * MIB), 8 * MIB, 1);
    let wall = shadow.adopt(alloc::malloc(MIB), MIB, 2);
    shadow.remove(&old);
    // SAFETY: our own block.
    let moved = unsafe { alloc::realloc(alloc::realloc(old.start(), 2 * MIB), 20 * MIB) };
    old.check_at(moved, 2 * MIB);
    let moved = shadow.adopt(moved, 20 * MIB, 3);
    let fresh = shadow.adopt_zeroed(alloc::zalloc(6 * MIB), 6 * MIB, 4);
    [wall, moved, fresh].into_iter().for_each(|block| free(&shadow, block));
}

#[test]
fn all_of_it_holds_at_every_level() {
    let _turn = turn();
    support::at_every_level(&["all_of_it_holds_at_every_level"], &[]);
}
