//! Models of the bitmap's protocols, every interleaving of them. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_bitmap`.
//!
//! The numbers in the comments are the invariants in `src/bitmap/bitmap.rs`. Chunks have two fields here.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use core::ops::ControlFlow;
use ferrimalloc_core::bitmap::{BitRange, Bitmap, CHUNK_BITS, FIELD_BITS, Fit, Hint};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

#[path = "../src/bitmap/owned.rs"]
mod owned;
use owned::OwnedBitmap;

/// The last bit of field 0 and the first of field 1: a run that crosses fields.
const CROSSING: BitRange = BitRange::new(FIELD_BITS - 1, 2);
const LOW: usize = FIELD_BITS - 1;
const HIGH: usize = FIELD_BITS;

fn bitmap_with(bits: usize, set: &[BitRange]) -> Arc<OwnedBitmap> {
    let bitmap = OwnedBitmap::new(bits);
    for range in set {
        bitmap.set(*range);
    }
    Arc::new(bitmap)
}

fn find(bitmap: &Bitmap, len: usize) -> Option<usize> {
    bitmap.find_claim(Fit::new(len), Hint::default(), |_| true)
}

/// Runs the actions in threads of their own, the last one here, and returns what they did.
fn race<const N: usize>(bitmap: &Arc<OwnedBitmap>, actions: [fn(&Bitmap) -> usize; N]) -> [usize; N] {
    let mut threads = Vec::new();
    for action in &actions[1..] {
        let (bitmap, action) = (bitmap.clone(), *action);
        threads.push(thread::spawn(move || action(&bitmap)));
    }
    let first = actions[0](bitmap);
    let mut others = threads.into_iter().map(|thread| thread.join().expect("no panic"));
    std::array::from_fn(|index| if index == 0 { first } else { others.next().expect("as many") })
}

/// Whether a search for single bits finds exactly `count`.
fn assert_findable(bitmap: &Bitmap, count: usize) {
    for _ in 0..count {
        assert!(find(bitmap, 1).is_some(), "a set bit is hidden");
    }
    assert_eq!(find(bitmap, 1), None);
}

/// Invariant 1 in one field: of claims for the same bits one wins.
#[test]
fn one_of_two_claimers_wins() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::new(3, 2)]);
        let claim = |bitmap: &Bitmap| bitmap.try_claim(BitRange::new(3, 2)) as usize;
        assert_eq!(race(&bitmap, [claim, claim]).iter().sum::<usize>(), 1);
        assert!(bitmap.is_all_clear(bitmap.all()));
    });
}

/// Invariant 1: claimers of different bits in one field both win; the losing swap is retried.
#[test]
fn neighbours_do_not_disturb_each_other() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::new(3, 2)]);
        let claims = race(&bitmap, [|b| find(b, 1).expect("two bits"), |b| find(b, 1).expect("two bits")]);
        assert_ne!(claims[0], claims[1]);
    });
}

/// Invariants 1 and 2: a claim over two fields against a claim of its second half.
#[test]
fn a_claim_that_rolls_back_loses_nothing() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[CROSSING]);
        let won =
            race(&bitmap, [|b| 2 * b.try_claim(CROSSING) as usize, |b| b.try_claim(BitRange::one(HIGH)) as usize]);
        assert!(won == [2, 0] || won == [0, 1]);
        assert_findable(&bitmap, 2 - won[0] - won[1]);
    });
}

/// Invariants 1, 2, 4: two long claims that overlap in a field: never both, and here never neither, for nobody else
/// changes anything.
#[test]
fn overlapping_long_claims() {
    loom::model(|| {
        let bitmap = bitmap_with(2 * CHUNK_BITS, &[BitRange::new(LOW, FIELD_BITS + 2)]);
        let won = race(
            &bitmap,
            [
                |b| b.try_claim(BitRange::new(LOW, 2)) as usize,
                |b| b.try_claim(BitRange::new(HIGH, FIELD_BITS + 1)) as usize,
            ],
        );
        assert!(won[0] + won[1] >= 1, "somebody gets through");
        assert!(won[0] + won[1] <= 1, "they share the first bit of field 1");
        let claimed = 2 * won[0] + (FIELD_BITS + 1) * won[1];
        assert_eq!(bitmap.count_set(bitmap.all()), FIELD_BITS + 2 - claimed);
    });
}

/// Invariants 2 and 3: a rollback beside a set in the same field.
#[test]
fn a_rollback_beside_a_set() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::one(LOW)]);
        let did = race(&bitmap, [|b| b.try_claim(CROSSING) as usize, |b| b.set(BitRange::new(LOW - 1, 1))]);
        assert_eq!(did, [0, 1]);
        assert_findable(&bitmap, 2);
    });
}

/// Invariants 5 and 6: a search that finds a chunk empty and unmarks it, against a set.
#[test]
fn a_set_is_never_hidden() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::one(3)]);
        bitmap.clear_one(3);
        let found = race(&bitmap, [|b| find(b, 1).is_some() as usize, |b| b.set(BitRange::one(5)) - 1]);
        assert_findable(&bitmap, 1 - found[0]);
    });
}

/// Invariants 5 and 6: only the first of two sets in a field marks the chunk; the second relies on it.
#[test]
fn a_second_set_relies_on_the_first() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::one(3)]);
        bitmap.clear_one(3);
        let found = race(
            &bitmap,
            [|b| find(b, 1).is_some() as usize, |b| b.set(BitRange::one(5)), |b| b.set(BitRange::one(6))],
        );
        assert_findable(&bitmap, 2 - found[0]);
    });
}

/// Invariants 5 and 6: two searches unmark, one bit is claimed and given back between them.
#[test]
fn two_searches_and_a_bit_that_comes_and_goes() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::one(3)]);
        let come_and_go = |b: &Bitmap| {
            let found = find(b, 1);
            found.into_iter().for_each(|bit| assert!(b.set_one(bit)));
            0
        };
        race(&bitmap, [come_and_go, come_and_go]);
        assert_findable(&bitmap, 1);
    });
}

/// Invariants 2, 5 and 6: while a failing claim holds the chunk's only bit, a search unmarks the chunk.
#[test]
fn a_rollback_is_never_hidden() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::one(LOW)]);
        let found = race(&bitmap, [|b| b.try_claim(CROSSING) as usize, |b| find(b, 1).is_some() as usize]);
        assert_eq!(found[0], 0);
        assert_findable(&bitmap, 1 - found[1]);
    });
}

/// Two searches for runs over fields, and a third for the bit in the middle.
#[test]
fn searches_share_a_chunk() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::new(LOW - 1, 4)]);
        let pair = |b: &Bitmap| 2 * find(b, 2).is_some() as usize;
        let claimed = race(&bitmap, [pair, pair, |b| b.try_claim(BitRange::one(HIGH)) as usize]);
        assert_eq!(bitmap.count_set(bitmap.all()), 4 - claimed.iter().sum::<usize>());
    });
}

/// A long search over chunks against a set in, and a claim of, its range.
#[test]
fn spanning_searches() {
    loom::model(|| {
        let set = BitRange::new(CHUNK_BITS - 1, 2);
        let bitmap = bitmap_with(2 * CHUNK_BITS, &[set]);
        let claimed = race(
            &bitmap,
            [
                |b| 2 * b.find_claim_spanning(Fit::new(2)).is_some() as usize,
                |b| b.find_claim(Fit::new(1), Hint { chunk: 1, field: 0 }, |chunk| chunk == 1).is_some() as usize,
            ],
        );
        assert!(claimed != [0, 0] && claimed != [2, 1]);
        assert_findable(&bitmap, 2 - claimed[0] - claimed[1]);
    });
}

/// Claims what a walk shows, as purging does; gives runs of two back and keeps single ones.
fn walk(bitmap: &Bitmap) -> usize {
    let mut kept = 0;
    let _ = bitmap.for_each_set_run_rev(CHUNK_BITS, |run| {
        match bitmap.try_claim(run) {
            true if run.len == 2 => assert_eq!(bitmap.set(run), 2),
            true => kept += run.len,
            false => {}
        }
        ControlFlow::Continue(())
    });
    kept
}

#[test]
fn a_walk_against_a_claimer() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[CROSSING]);
        let taken = race(&bitmap, [walk, |b| b.clear_one(LOW) as usize]);
        assert_findable(&bitmap, 2 - taken[0] - taken[1]);
    });
}

/// Invariants 5 and 6: a walk retires the chunk that it finds empty, while a bit is set there.
#[test]
fn a_walk_against_a_giver() {
    loom::model(|| {
        let bitmap = bitmap_with(CHUNK_BITS, &[BitRange::one(LOW)]);
        let taken = race(&bitmap, [walk, |b| b.set_one(HIGH) as usize]);
        assert_findable(&bitmap, 2 - taken[0]);
    });
}

/// Slices with contents: `value` may be touched only by who owns bit 0 or 1.
struct Slices {
    bitmap: OwnedBitmap,
    values: [UnsafeCell<usize>; 2],
}

impl Slices {
    fn touch(&self, index: usize) {
        // SAFETY: loom reports it if this is not exclusive.
        self.values[index].with_mut(|value| unsafe { *value += 1 });
    }
}

// SAFETY: what the models check.
unsafe impl Sync for Slices {}

/// Release and acquire: who claims a bit sees what its last owner wrote, even if others changed the field in between.
#[test]
fn contents_travel_with_the_bit() {
    loom::model(|| {
        let slices = Slices { bitmap: OwnedBitmap::new(CHUNK_BITS), values: Default::default() };
        slices.bitmap.set(BitRange::one(1));
        let slices = Arc::new(slices);
        let giver = slices.clone();
        let giver = thread::spawn(move || {
            giver.touch(0);
            giver.bitmap.set_one(0);
        });
        let taker = slices.clone();
        let taker = thread::spawn(move || {
            find(&taker.bitmap, 1).into_iter().for_each(|index| taker.touch(index));
        });
        find(&slices.bitmap, 1).into_iter().for_each(|index| slices.touch(index));
        giver.join().expect("no panic");
        taker.join().expect("no panic");
    });
}

/// The same for a claim that did not look before.
#[test]
fn contents_travel_with_a_blind_claim() {
    loom::model(|| {
        let slices = Arc::new(Slices { bitmap: OwnedBitmap::new(CHUNK_BITS), values: Default::default() });
        let giver = slices.clone();
        let giver = thread::spawn(move || {
            giver.touch(0);
            giver.bitmap.set_one(0);
        });
        if slices.bitmap.try_claim(BitRange::one(0)) {
            slices.touch(0);
        }
        giver.join().expect("no panic");
    });
}

/// The same for bits that a failing claim has had in its hands, and for `clear`.
#[test]
fn contents_survive_a_rollback() {
    loom::model(|| {
        let slices = Arc::new(Slices { bitmap: OwnedBitmap::new(CHUNK_BITS), values: Default::default() });
        let giver = slices.clone();
        let giver = thread::spawn(move || {
            giver.touch(0);
            giver.bitmap.set_one(0);
        });
        let failing = slices.clone();
        let failing = thread::spawn(move || assert!(!failing.bitmap.try_claim(BitRange::new(0, CHUNK_BITS))));
        if slices.bitmap.clear_one(0) {
            slices.touch(0);
        }
        giver.join().expect("no panic");
        failing.join().expect("no panic");
    });
}
