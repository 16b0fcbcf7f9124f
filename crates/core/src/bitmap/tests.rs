//! The whole bitmap against a naive model, and many threads against an ownership table.

use super::*;
use core::ops::ControlFlow;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::vec::Vec;

/// Three chunks and a partial one.
const BITS: usize = 3 * CHUNK_BITS + 100;

/// What a bitmap should be.
struct Model {
    bits: Vec<bool>,
}

impl Model {
    fn new() -> Self {
        Model { bits: std::vec![false; BITS] }
    }

    fn fill(&mut self, range: BitRange, value: bool) -> usize {
        let bits = &mut self.bits[range.start..range.end()];
        let changed = bits.iter().filter(|bit| **bit != value).count();
        bits.fill(value);
        changed
    }

    fn count(&self, range: BitRange) -> usize {
        self.bits[range.start..range.end()].iter().filter(|bit| **bit).count()
    }

    fn all(&self, range: BitRange) -> bool {
        self.count(range) == range.len
    }

    fn none(&self, range: BitRange) -> bool {
        self.count(range) == 0
    }

    /// Whether a run of `len` exists in `window` at an index that `allowed` lets pass.
    fn has_run(&self, window: BitRange, len: usize, allowed: impl Fn(usize) -> bool) -> bool {
        let fits = |start: &usize| allowed(*start) && self.all(BitRange::new(*start, len));
        (window.start..(window.end() + 1).saturating_sub(len)).any(|start| fits(&start))
    }

    /// The maximal runs per chunk, from the bottom.
    fn runs(&self) -> Vec<BitRange> {
        let mut runs: Vec<BitRange> = Vec::new();
        for index in (0..BITS).filter(|index| self.bits[*index]) {
            match runs.last_mut() {
                Some(run) if run.end() == index && index % CHUNK_BITS != 0 => run.len += 1,
                _ => runs.push(BitRange::one(index)),
            }
        }
        runs
    }

    /// The same from the top, in pieces of at most `max`.
    fn runs_rev(&self, max: usize) -> Vec<BitRange> {
        let mut runs: Vec<BitRange> = Vec::new();
        for index in (0..BITS).rev().filter(|index| self.bits[*index]) {
            match runs.last_mut() {
                Some(run) if run.start == index + 1 && run.len < max && (index + 1) % CHUNK_BITS != 0 => {
                    *run = BitRange::new(index, run.len + 1);
                }
                _ => runs.push(BitRange::one(index)),
            }
        }
        runs
    }
}

#[derive(Clone, Debug)]
enum Op {
    Set(BitRange),
    Clear(BitRange),
    TryClaim(BitRange),
    Ask(BitRange),
    Find { len: usize, align: usize, phase: usize, hint: Hint, rejected: usize },
    FindSpanning { len: usize, align: usize, phase: usize },
    SetUnshared(BitRange),
    Walk { stop: usize },
    WalkRev { stop: usize, max: usize },
}

fn any_len() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1usize), Just(8), Just(64), Just(512), 1usize..12, 1usize..=64, 65usize..=512]
}

fn any_range() -> impl Strategy<Value = BitRange> {
    let lens = prop_oneof![any_len(), 0usize..=BITS];
    (0..BITS, lens).prop_map(|(start, len)| BitRange::new(start, len.min(BITS - start)))
}

fn any_align() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![Just((1, 0)), (1u32..11, 0usize..600).prop_map(|(shift, phase)| (1 << shift, phase))]
}

fn any_find() -> impl Strategy<Value = Op> {
    (any_len(), any_align(), 0usize..9, 0usize..17, 0usize..9).prop_map(
        |(len, (align, phase), chunk, field, rejected)| Op::Find {
            len,
            align,
            phase,
            hint: Hint { chunk, field },
            rejected,
        },
    )
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => any_range().prop_map(Op::Set),
        2 => any_range().prop_map(Op::Clear),
        1 => any_range().prop_map(Op::TryClaim),
        1 => any_range().prop_map(Op::Ask),
        6 => any_find(),
        1 => (any_len(), 0usize..3, any_align()).prop_map(|(len, times, (align, phase))| {
            Op::FindSpanning { len: len * (times + 1), align, phase }
        }),
        1 => any_range().prop_map(Op::SetUnshared),
        1 => (0usize..64).prop_map(|stop| Op::Walk { stop }),
        1 => (0usize..64, any_len()).prop_map(|(stop, max)| Op::WalkRev { stop, max }),
    ]
}

/// Where a run of `len` may start by the documentation, not by the code.
fn allowed(len: usize, align: usize, phase: usize) -> impl Fn(usize) -> bool + Copy {
    let grid = if align == 1 && (len == 8 || len == 64) { len } else { 1 };
    move |start| (start + phase).is_multiple_of(align) && start.is_multiple_of(grid)
}

fn find(bitmap: &Bitmap, model: &mut Model, op: &Op) {
    let &Op::Find { len, align, phase, hint, rejected } = op else { unreachable!() };
    let found = bitmap.find_claim(Fit::new(len).aligned(align, phase), hint, |chunk| chunk != rejected);
    let allowed = allowed(len, align, phase);
    let Some(start) = found else {
        let mut windows = (0..4).filter(|chunk| *chunk != rejected).map(|chunk| bitmap.chunk_range(chunk));
        assert!(windows.all(|window| !model.has_run(window, len, allowed)), "missed a run: {op:?}");
        return;
    };
    let run = BitRange::new(start, len);
    assert!(allowed(start) && model.all(run) && start / CHUNK_BITS != rejected);
    assert_eq!(start / CHUNK_BITS, (run.end() - 1) / CHUNK_BITS);
    model.fill(run, false);
}

fn find_spanning(bitmap: &Bitmap, model: &mut Model, len: usize, align: usize, phase: usize) {
    let allowed = allowed(len, align, phase);
    let naive = (0..(BITS + 1).saturating_sub(len)).find(|&s| allowed(s) && model.all(BitRange::new(s, len)));
    let found = bitmap.find_claim_spanning(Fit::new(len).aligned(align, phase));
    assert_eq!(found, naive);
    found.map(|start| model.fill(BitRange::new(start, len), false));
}

/// Walks until so many runs were seen and one more, and checks them.
fn walk(expected: &[BitRange], stop: usize, walk: impl Fn(&mut dyn FnMut(BitRange) -> ControlFlow<()>)) {
    let mut seen = Vec::new();
    walk(&mut |run| {
        seen.push(run);
        if seen.len() > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(seen.iter().eq(expected.iter().take(stop + 1)));
}

fn apply(bitmap: &Bitmap, model: &mut Model, op: &Op) {
    match *op {
        Op::Set(range) => assert_eq!(bitmap.set(range), model.fill(range, true)),
        Op::Clear(range) => assert_eq!(bitmap.clear(range), model.fill(range, false)),
        Op::TryClaim(range) => {
            let expected = model.all(range);
            assert_eq!(bitmap.try_claim(range), expected);
            if expected {
                model.fill(range, false);
            }
        }
        Op::Ask(range) => {
            assert_eq!(bitmap.is_all_set(range), model.all(range));
            assert_eq!(bitmap.is_all_clear(range), model.none(range));
            assert_eq!(bitmap.count_set(range), model.count(range));
        }
        Op::Find { .. } => find(bitmap, model, op),
        Op::FindSpanning { len, align, phase } => find_spanning(bitmap, model, len, align, phase),
        Op::SetUnshared(range) => {
            bitmap.set_unshared(range);
            model.fill(range, true);
        }
        Op::Walk { stop } => walk(&model.runs(), stop, |visit| _ = bitmap.for_each_set_run(visit)),
        Op::WalkRev { stop, max } => {
            walk(&model.runs_rev(max), stop, |visit| _ = bitmap.for_each_set_run_rev(max, visit));
        }
    }
}

fn assert_same(bitmap: &Bitmap, model: &Model) {
    let mut runs = Vec::new();
    let _ = bitmap.for_each_set_run(|run| {
        runs.push(run);
        ControlFlow::Continue(())
    });
    assert_eq!(runs, model.runs());
    assert!((0..BITS).all(|index| bitmap.is_set(index) == model.bits[index]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn behaves_like_a_vec_of_bools(ops in prop::collection::vec(any_op(), 1..60)) {
        let (bitmap, mut model) = (OwnedBitmap::new(BITS), Model::new());
        for op in &ops {
            apply(&bitmap, &mut model, op);
        }
        assert_same(&bitmap, &model);
    }

    #[test]
    fn fragmented_bitmaps_are_searched_completely(
        holes in prop::collection::vec(0..BITS, 0..40),
        finds in prop::collection::vec(any_find(), 1..20),
    ) {
        let (bitmap, mut model) = (OwnedBitmap::new(BITS), Model::new());
        apply(&bitmap, &mut model, &Op::Set(bitmap.all()));
        for hole in holes {
            apply(&bitmap, &mut model, &Op::Clear(BitRange::one(hole)));
        }
        for op in &finds {
            apply(&bitmap, &mut model, op);
        }
        assert_same(&bitmap, &model);
    }
}

#[test]
fn sizes() {
    assert_eq!(Bitmap::layout_bytes(0), 0);
    assert_eq!(Bitmap::layout_bytes(1), 128);
    assert_eq!(Bitmap::layout_bytes(16384), 32 * 64 + 64);
    assert_eq!(Bitmap::layout_bytes(MAX_BITS), 8192 * 64 + 128 * 8);
    let bitmap = OwnedBitmap::new(BITS);
    assert_eq!((bitmap.bits(), bitmap.chunk_count()), (BITS, 4));
    assert_eq!(bitmap.chunk_range(3), BitRange::new(3 * CHUNK_BITS, 100));
}

#[test]
fn an_empty_bitmap_finds_nothing() {
    let bitmap = OwnedBitmap::new(0);
    assert_eq!(bitmap.find_claim(Fit::new(1), Hint::default(), |_| true), None);
    assert_eq!(bitmap.find_claim_spanning(Fit::new(1)), None);
    let _ = bitmap.for_each_set_run(|_| unreachable!());
    let _ = bitmap.for_each_set_run_rev(1, |_| unreachable!());
}

#[test]
fn the_largest_bitmap() {
    let bitmap = OwnedBitmap::new(MAX_BITS);
    assert!(bitmap.set_one(MAX_BITS - 1));
    assert_eq!(bitmap.find_claim(Fit::new(1), Hint { chunk: 77, field: 5 }, |_| true), Some(MAX_BITS - 1));
    assert_eq!(bitmap.set(bitmap.all()), MAX_BITS);
    let whole = Fit::new(MAX_BITS - 5000).aligned(4096, 4000);
    assert_eq!(bitmap.find_claim_spanning(whole), Some(96));
    assert_eq!(bitmap.count_set(bitmap.all()), 5000);
}

#[test]
fn the_hint_says_where_to_begin() {
    let bitmap = OwnedBitmap::new(BITS);
    bitmap.set(bitmap.all());
    let claim = |chunk, field| bitmap.find_claim(Fit::new(1), Hint { chunk, field }, |_| true);
    assert_eq!(claim(2, 3), Some(2 * CHUNK_BITS + 3 * 64));
    assert_eq!(claim(4, 8), Some(0));
    bitmap.clear(BitRange::new(CHUNK_BITS, BITS - CHUNK_BITS));
    assert_eq!(bitmap.find_claim(Fit::new(9), Hint { chunk: 1, field: 7 }, |_| true), Some(7 * 64));
}

/// A hint without need costs a look; one that is missing would hide bits.
#[test]
fn bits_set_before_others_know_the_bitmap_are_marked() {
    for range in
        [BitRange::new(700, 3), BitRange::new(CHUNK_BITS - 1, 2), BitRange::new(0, BITS), BitRange::new(600, 0)]
    {
        let bitmap = OwnedBitmap::new(BITS);
        bitmap.set_unshared(range);
        assert_eq!(bitmap.count_set(bitmap.all()), range.len);
        assert_eq!(bitmap.find_claim_spanning(Fit::new(range.len.max(1))), (range.len > 0).then_some(range.start));
    }
}

#[test]
fn empty_chunks_are_passed_by_and_come_back() {
    let bitmap = OwnedBitmap::new(BITS);
    bitmap.set_one(700);
    assert!(bitmap.marked(BitRange::new(0, 4)).eq([1]));
    assert!(bitmap.clear_one(700));
    assert_eq!(bitmap.find_claim(Fit::new(1), Hint::default(), |_| true), None);
    assert_eq!(bitmap.marked(BitRange::new(0, 4)).count(), 0);
    bitmap.set_one(600);
    assert_eq!(bitmap.find_claim(Fit::new(1), Hint::default(), |_| true), Some(600));
}

#[test]
fn a_failed_claim_leaves_everything() {
    let bitmap = OwnedBitmap::new(BITS);
    bitmap.set(BitRange::new(10, 600));
    assert!(!bitmap.try_claim(BitRange::new(10, 601)));
    assert_eq!(bitmap.count_set(bitmap.all()), 600);
    assert!(bitmap.try_claim(BitRange::new(10, 600)));
    assert!(bitmap.is_all_clear(bitmap.all()));
}

/// Who owns which bit: a second table, changed by plain swaps, that would notice a bit owned twice.
struct Owners(Vec<AtomicUsize>);

impl Owners {
    fn take(&self, run: BitRange, who: usize) {
        for owner in &self.0[run.start..run.end()] {
            assert_eq!(owner.swap(who, Ordering::Relaxed), 0, "a bit was claimed twice");
        }
    }

    fn give(&self, run: BitRange, who: usize) {
        for owner in &self.0[run.start..run.end()] {
            assert_eq!(owner.swap(0, Ordering::Relaxed), who, "a bit was lost");
        }
    }
}

struct Worker<'a> {
    bitmap: &'a Bitmap,
    owners: &'a Owners,
    who: usize,
    random: u64,
    held: Vec<BitRange>,
}

impl Worker<'_> {
    fn random(&mut self, below: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random as usize % below
    }

    fn keep(&mut self, run: BitRange) {
        self.owners.take(run, self.who);
        self.held.push(run);
    }

    fn give_back(&mut self, slot: usize) {
        let run = self.held.swap_remove(slot);
        self.owners.give(run, self.who);
        assert_eq!(self.bitmap.set(run), run.len, "somebody set our bits");
    }

    fn find(&mut self) {
        let len = [1, 1, 2, 7, 8, 20, 64, 65, 200, 512][self.random(10)];
        let align = [1, 1, 1, 2, 16][self.random(5)];
        let hint = Hint { chunk: self.random(4), field: self.random(8) };
        let found = self.bitmap.find_claim(Fit::new(len).aligned(align, 3), hint, |_| true);
        found.into_iter().for_each(|start| self.keep(BitRange::new(start, len)));
    }

    fn find_spanning(&mut self) {
        let len = 513 + self.random(300);
        let found = self.bitmap.find_claim_spanning(Fit::new(len));
        found.into_iter().for_each(|start| self.keep(BitRange::new(start, len)));
    }

    /// Claims the runs that a walk shows, and keeps the last of a few.
    fn visit(&mut self) {
        let (bitmap, owners, who) = (self.bitmap, self.owners, self.who);
        let mut kept = None;
        let mut left = self.random(20);
        let visit = |run: BitRange| {
            if !bitmap.try_claim(run) {
                return ControlFlow::Continue(());
            }
            owners.take(run, who);
            left = left.saturating_sub(1);
            if left == 0 {
                kept = Some(run);
                return ControlFlow::Break(());
            }
            owners.give(run, who);
            assert_eq!(bitmap.set(run), run.len, "somebody set our bits");
            ControlFlow::Continue(())
        };
        let _ = match self.random.is_multiple_of(2) {
            true => bitmap.for_each_set_run(visit),
            false => bitmap.for_each_set_run_rev(40, visit),
        };
        self.held.extend(kept);
    }

    fn step(&mut self) {
        match self.random(16) {
            0..8 => self.find(),
            8 => self.find_spanning(),
            9 => self.visit(),
            _ if !self.held.is_empty() => {
                let slot = self.random(self.held.len());
                self.give_back(slot);
            }
            _ => {}
        }
    }

    fn run(mut self, steps: usize) {
        (0..steps).for_each(|_| self.step());
        while !self.held.is_empty() {
            self.give_back(0);
        }
    }
}

#[test]
fn threads_never_share_nor_lose_bits() {
    let bitmap = OwnedBitmap::new(BITS);
    let owners = Owners((0..BITS).map(|_| AtomicUsize::new(0)).collect());
    bitmap.set(bitmap.all());
    thread::scope(|scope| {
        for who in 1..=4 {
            let random = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(who as u64);
            let worker = Worker { bitmap: &bitmap, owners: &owners, who, random, held: Vec::new() };
            scope.spawn(move || worker.run(30_000));
        }
    });
    assert!(bitmap.is_all_set(bitmap.all()));
    assert!(bitmap.marked(BitRange::new(0, 4)).eq(0..4), "a chunk is hidden");
}
