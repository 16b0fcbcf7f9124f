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
use ferrimalloc_core::base::{Force, Zero};
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::options::{self, OptionId};
use ferrimalloc_core::runtime;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use support::{Block, Books, Numbers, Shadow};

/// log2 of the largest request.
const MAX_SIZE_BITS: u32 = 23;
/// log2 of the largest alignment.
const MAX_ALIGN_BITS: u32 = 22;
/// Heaps that a model has at a time, besides the main one.
const MAX_HEAPS: usize = 4;

/// What to do next. `pick` chooses among the blocks, or heaps, that there are.
#[derive(Clone, Copy, Debug)]
enum Op {
    Malloc { size: usize, zero: Zero },
    Aligned { size: usize, align: usize, offset: usize, zero: Zero },
    Realloc { pick: usize, size: usize, zero: Zero },
    ReallocAligned { pick: usize, size: usize, align: usize, offset: usize, zero: Zero },
    Expand { pick: usize, size: usize },
    Free { pick: usize },
    FreeMany { pick: usize },
    HeapNew,
    HeapMalloc { heap: usize, size: usize, align: usize, zero: Zero },
    HeapDelete { heap: usize },
    HeapDestroy { heap: usize },
    Collect { force: Force },
}

/// The numbers that an operation is made of: they shrink well.
type Raw = (u8, u16, usize, u32, u8);

fn op((kind, pick, size, align_bits, flags): Raw) -> Op {
    let pick = pick as usize;
    let zero = if flags & 1 == 0 { Zero::Any } else { Zero::Zeroed };
    let align = 1 << align_bits;
    let offset = if flags & 2 == 0 { 0 } else { pick * 8 };
    match kind {
        0..20 => Op::Malloc { size, zero },
        20..32 => Op::Aligned { size, align, offset, zero },
        32..44 => Op::Realloc { pick, size, zero },
        44..50 => Op::ReallocAligned { pick, size, align, offset, zero },
        50..54 => Op::Expand { pick, size },
        54..84 => Op::Free { pick },
        84..86 => Op::FreeMany { pick },
        86..88 => Op::HeapNew,
        88..96 => Op::HeapMalloc { heap: pick, size, align, zero },
        96 => Op::HeapDelete { heap: pick },
        97 => Op::HeapDestroy { heap: pick },
        98 => Op::Collect { force: Force::Routine },
        _ => Op::Collect { force: Force::All },
    }
}

fn raw() -> impl Strategy<Value = Raw> {
    let size = (0..=MAX_SIZE_BITS).prop_flat_map(|bits| 0..1usize << bits);
    let align_bits = prop_oneof![4 => 0..8u32, 1 => 8..=MAX_ALIGN_BITS];
    (0..100u8, any::<u16>(), size, align_bits, 0..4u8)
}

fn random_op(numbers: &mut Numbers) -> Op {
    let align_limit = if numbers.below(5) == 0 { MAX_ALIGN_BITS as usize + 1 } else { 8 };
    op((
        numbers.below(100) as u8,
        numbers.next() as u16,
        numbers.size(MAX_SIZE_BITS - 2),
        numbers.below(align_limit) as u32,
        numbers.below(4) as u8,
    ))
}

/// A block in use and the id of its heap.
struct Held {
    block: Block,
    heap_id: usize,
}

impl Held {
    fn new(block: Block) -> Held {
        let heap = alloc::heap_of(block.start()).expect("a block has a heap");
        Held { block, heap_id: heap.id() }
    }
}

/// The blocks and heaps of one thread.
struct Model<'a> {
    shadow: &'a Shadow,
    blocks: Vec<Held>,
    heaps: Vec<&'static Heap>,
    seed: u64,
}

impl<'a> Model<'a> {
    fn new(shadow: &'a Shadow, seed: u64) -> Self {
        Self { shadow, blocks: Vec::new(), heaps: Vec::new(), seed }
    }

    fn next_seed(&mut self) -> u64 {
        self.seed += 1;
        self.seed
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Malloc { size, zero } => self.malloc(size, zero),
            Op::Aligned { size, align, offset, zero } => self.aligned(size, align, offset, zero),
            Op::Realloc { pick, size, zero } => self.realloc(pick, size, zero),
            Op::ReallocAligned { pick, size, align, offset, zero } => {
                self.realloc_aligned(pick, size, align, offset, zero)
            }
            Op::Expand { pick, size } => self.expand(pick, size),
            Op::Free { pick } => self.free(pick),
            Op::FreeMany { pick } => (0..20).for_each(|step| self.free(pick + step * 7)),
            Op::HeapNew => self.heap_new(),
            Op::HeapMalloc { heap, size, align, zero } => self.heap_malloc(heap, size, align, zero),
            Op::HeapDelete { heap } => self.heap_delete(heap),
            Op::HeapDestroy { heap } => self.heap_destroy(heap),
            Op::Collect { force } => alloc::collect(force),
        }
    }

    fn keep(&mut self, p: *mut u8, size: usize, zero: Zero) {
        assert!(!p.is_null(), "{size} bytes");
        let seed = self.next_seed();
        let block = match zero {
            Zero::Any => self.shadow.adopt(p, size, seed),
            Zero::Zeroed => self.shadow.adopt_zeroed(p, size, seed),
        };
        self.blocks.push(Held::new(block));
    }

    fn malloc(&mut self, size: usize, zero: Zero) {
        let p = if zero == Zero::Any { alloc::malloc(size) } else { alloc::zalloc(size) };
        assert_eq!(p as usize % if size <= 8 { 8 } else { 16 }, 0, "{size} bytes at {p:p}");
        // A guarded block ends where its guard begins, wherever its class would.
        let is_guarded = options::get(OptionId::GuardedSampleRate) > 0;
        assert!(is_guarded || alloc::good_size(size) <= alloc::usable_size(p), "{size} bytes at {p:p}");
        self.keep(p, size, zero);
    }

    fn aligned(&mut self, size: usize, align: usize, offset: usize, zero: Zero) {
        let p = match offset {
            0 => alloc::malloc_aligned(size, align, zero),
            _ => alloc::malloc_aligned_at(size, align, offset, zero),
        };
        assert_eq!((p as usize + offset) % align, 0, "{size} bytes at {p:p}");
        self.keep(p, size, zero);
    }

    /// The block to work on, if there is any.
    fn picked(&self, pick: usize) -> Option<usize> {
        (!self.blocks.is_empty()).then(|| pick % self.blocks.len())
    }

    /// Takes a block out and resizes it.
    fn resize(&mut self, pick: usize, size: usize, zero: Zero, resize: impl FnOnce(*mut u8) -> *mut u8) {
        let Some(index) = self.picked(pick) else { return };
        let old = self.blocks.swap_remove(index).block;
        self.shadow.remove(&old);
        let p = resize(old.start());
        assert!(!p.is_null(), "{old:?} to {size} bytes");
        old.check_at(p, size);
        if zero == Zero::Zeroed {
            self.shadow.check_grown(p, old.bytes(), size);
        }
        self.keep(p, size, Zero::Any);
    }

    fn realloc(&mut self, pick: usize, size: usize, zero: Zero) {
        let theap = runtime::live_theap().expect("memory");
        self.resize(pick, size, zero, |p| {
            // SAFETY: the model's own block.
            unsafe {
                match zero {
                    Zero::Any => alloc::realloc(p, size),
                    Zero::Zeroed => alloc::realloc_in(theap, p, size, zero),
                }
            }
        });
    }

    fn realloc_aligned(&mut self, pick: usize, size: usize, align: usize, offset: usize, zero: Zero) {
        let theap = runtime::live_theap().expect("memory");
        self.resize(pick, size, zero, |p| {
            // SAFETY: the model's own block.
            let moved = unsafe { alloc::realloc_aligned_at_in(theap, p, size, align, offset, zero) };
            assert_eq!((moved as usize + offset) % align, 0, "{size} bytes at {moved:p}");
            moved
        });
    }

    fn expand(&mut self, pick: usize, size: usize) {
        let Some(index) = self.picked(pick) else { return };
        let old = &self.blocks[index].block;
        // SAFETY: the model's own block.
        let p = unsafe { alloc::expand(old.start(), size) };
        old.check();
        if !p.is_null() {
            assert_eq!(p, old.start());
            assert!(alloc::usable_size(p) >= size);
            let old = self.blocks.swap_remove(index).block;
            self.shadow.remove(&old);
            self.keep(p, size, Zero::Any);
        }
    }

    fn free(&mut self, pick: usize) {
        if let Some(index) = self.picked(pick) {
            let held = self.blocks.swap_remove(index);
            free(self.shadow, held.block);
        }
    }

    fn heap_new(&mut self) {
        if self.heaps.len() < MAX_HEAPS {
            self.heaps.push(runtime::heap_new().expect("memory"));
        }
    }

    fn heap_malloc(&mut self, pick: usize, size: usize, align: usize, zero: Zero) {
        if !self.heaps.is_empty() {
            self.malloc_in(self.heaps[pick % self.heaps.len()], size, align, zero);
        }
    }

    fn malloc_in(&mut self, heap: &'static Heap, size: usize, align: usize, zero: Zero) {
        let theap = runtime::theap_for(heap).expect("memory");
        let p = alloc::alloc_aligned_at_in(theap, size, align, 0, zero);
        assert_eq!(p as usize % align, 0);
        self.keep(p, size, zero);
        let held = self.blocks.last().expect("just kept");
        assert_eq!(held.heap_id, heap.id());
    }

    fn heap_delete(&mut self, pick: usize) {
        let Some(heap) = self.take_heap(pick) else { return };
        let id = heap.id();
        // SAFETY: the model's own heap, in which nobody allocates any more.
        assert!(unsafe { runtime::heap_delete(heap) });
        let main = runtime::heap_main().expect("memory");
        for held in self.blocks.iter_mut().filter(|held| held.heap_id == id) {
            held.block.check();
            held.heap_id = main.id();
            assert!(alloc::heap_of(held.block.start()).is_some_and(|heap| heap == main));
        }
    }

    fn heap_destroy(&mut self, pick: usize) {
        let Some(heap) = self.take_heap(pick) else { return };
        let id = heap.id();
        self.blocks.iter().filter(|held| held.heap_id == id).for_each(|held| self.shadow.remove(&held.block));
        self.blocks.retain(|held| held.heap_id != id);
        // SAFETY: the model's own heap, and it forgets its blocks.
        assert!(unsafe { runtime::heap_destroy(heap) });
    }

    fn take_heap(&mut self, pick: usize) -> Option<&'static Heap> {
        (!self.heaps.is_empty()).then(|| self.heaps.swap_remove(pick % self.heaps.len()))
    }

    /// Frees everything and ends the heaps.
    fn finish(&mut self) {
        while !self.heaps.is_empty() {
            self.heap_delete(0);
        }
        while !self.blocks.is_empty() {
            self.free(self.seed as usize);
        }
    }
}

fn free(shadow: &Shadow, block: Block) {
    shadow.remove(&block);
    // SAFETY: the model's own block, which it forgets.
    unsafe { alloc::free(block.start()) };
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

/// One of several threads that send each other blocks.
struct Player<'a> {
    model: Model<'a>,
    numbers: Numbers,
    outboxes: Vec<Sender<Held>>,
    inbox: Receiver<Held>,
    /// Heaps that all players allocate in.
    shared: &'a [&'static Heap],
}

impl Player<'_> {
    /// Plays, and leaves the blocks that it holds in the end, and those still on their way to it.
    fn play(mut self, steps: usize) -> (Vec<Held>, Receiver<Held>) {
        for _ in 0..steps {
            self.step();
        }
        while !self.model.heaps.is_empty() {
            self.model.heap_delete(0);
        }
        (self.model.blocks, self.inbox)
    }

    fn step(&mut self) {
        match self.numbers.below(10) {
            0..2 => self.send(),
            2 => self.malloc_shared(),
            3..5 => self.free_received(),
            _ => {
                let op = random_op(&mut self.numbers);
                // A heap can only end while no other thread has its blocks.
                if !matches!(op, Op::HeapDestroy { .. } | Op::HeapDelete { .. }) {
                    self.model.apply(op);
                }
            }
        }
    }

    fn send(&mut self) {
        let pick = self.numbers.below(1 << 16);
        let Some(index) = self.model.picked(pick) else { return };
        let held = self.model.blocks.swap_remove(index);
        let to = self.numbers.below(self.outboxes.len());
        if let Err(unsent) = self.outboxes[to].send(held) {
            self.model.blocks.push(unsent.0);
        }
    }

    fn malloc_shared(&mut self) {
        let heap = self.shared[self.numbers.below(self.shared.len())];
        let size = self.numbers.size(16);
        self.model.malloc_in(heap, size, 8, Zero::Any);
    }

    /// Frees half of what has come and keeps the rest, to resize it or to send it on.
    fn free_received(&mut self) {
        let received: Vec<Held> = self.inbox.try_iter().collect();
        for held in received {
            if self.numbers.below(2) == 0 {
                free(self.model.shadow, held.block);
            } else {
                self.model.blocks.push(held);
            }
        }
    }
}

/// A generation of threads; answers the blocks that outlive them.
fn play_together(shadow: &Shadow, shared: &[&'static Heap], inherited: Vec<Held>, seed: u64) -> Vec<Held> {
    const PLAYERS: usize = 4;
    let (outboxes, inboxes): (Vec<_>, Vec<_>) = (0..PLAYERS).map(|_| channel()).unzip();
    for (index, held) in inherited.into_iter().enumerate() {
        outboxes[index % PLAYERS].send(held).expect("open");
    }
    thread::scope(|scope| {
        let play = |(index, inbox)| {
            let seed = seed * 1000 + index as u64;
            let outboxes = outboxes.clone();
            let player = move || {
                let model = Model::new(shadow, seed << 32);
                Player { model, numbers: Numbers::new(seed), outboxes, inbox, shared }.play(600)
            };
            scope.spawn(player)
        };
        let players: Vec<_> = inboxes.into_iter().enumerate().map(play).collect();
        let ended: Vec<_> = players.into_iter().map(|player| player.join().expect("no panic")).collect();
        ended
            .into_iter()
            .flat_map(|(held, inbox)| held.into_iter().chain(inbox.try_iter().collect::<Vec<_>>()))
            .collect()
    })
}

#[test]
fn threads_agree_with_the_model() {
    let _turn = turn();
    let before = Books::collected();
    for round in 1..=(6 * support::times() / support::share()) as u64 {
        let shadow = Shadow::new();
        let shared = [runtime::heap_new().expect("memory"), runtime::heap_new().expect("memory")];
        let mut left = Vec::new();
        for generation in 0..4 {
            left = play_together(&shadow, &shared, left, round * 10 + generation);
        }
        end_round(&shadow, shared, left);
        assert_eq!(Books::collected().pages, 0);
    }
    check_nothing_left(before);
}

/// Deletes one of the shared heaps, destroys the other, and frees what is left.
fn end_round(shadow: &Shadow, shared: [&'static Heap; 2], left: Vec<Held>) {
    let mut model = Model::new(shadow, 7);
    model.blocks = left;
    model.heaps.extend(shared);
    model.heap_delete(0);
    model.heap_destroy(0);
    model.finish();
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
