//! What a thread does with the allocator, and what must come of it.
//!
//! Checked at every step: blocks don't overlap, are aligned, hold at least what was asked for, keep their contents until they
//! are freed and over resizing, and are zero where zeros were asked for.

use super::{Block, Numbers, Shadow, Tally};
use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{Force, Zero};
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::options::{self, OptionId};
use ferrimalloc_core::runtime;

/// log2 of the largest request.
pub const MAX_SIZE_BITS: u32 = 23;
/// log2 of the largest alignment.
pub const MAX_ALIGN_BITS: u32 = 22;
/// Heaps that a model has at a time, besides the main one.
pub const MAX_HEAPS: usize = 4;

/// What to do next. `pick` chooses among the blocks, or heaps, that there are.
#[derive(Clone, Copy, Debug)]
pub enum Op {
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
pub type Raw = (u8, u16, usize, u32, u8);

pub fn op((kind, pick, size, align_bits, flags): Raw) -> Op {
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

pub fn random_op(numbers: &mut Numbers) -> Op {
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
pub struct Held {
    pub block: Block,
    heap_id: usize,
}

impl Held {
    pub fn new(block: Block) -> Held {
        let heap = alloc::heap_of(block.start()).expect("a block has a heap");
        Held { block, heap_id: heap.id() }
    }
}

/// The blocks and heaps of one thread.
pub struct Model<'a> {
    pub shadow: &'a Shadow,
    pub blocks: Vec<Held>,
    pub heaps: Vec<&'static Heap>,
    seed: u64,
    tally: Tally,
}

impl<'a> Model<'a> {
    pub fn new(shadow: &'a Shadow, seed: u64) -> Self {
        Self { shadow, blocks: Vec::new(), heaps: Vec::new(), seed, tally: Tally::default() }
    }

    pub fn next_seed(&mut self) -> u64 {
        self.seed += 1;
        self.seed
    }

    pub fn apply(&mut self, op: Op) {
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
            Op::Collect { force } => self.collect(force),
        }
    }

    pub fn keep(&mut self, p: *mut u8, size: usize, zero: Zero) {
        assert!(!p.is_null(), "{size} bytes");
        let seed = self.next_seed();
        let block = match zero {
            Zero::Any => self.shadow.adopt(p, size, seed),
            Zero::Zeroed => self.shadow.adopt_zeroed(p, size, seed),
        };
        self.blocks.push(Held::new(block));
    }

    pub fn malloc(&mut self, size: usize, zero: Zero) {
        self.tally.add_one();
        let p = if zero == Zero::Any { alloc::malloc(size) } else { alloc::zalloc(size) };
        assert_eq!(p as usize % if size <= 8 { 8 } else { 16 }, 0, "{size} bytes at {p:p}");
        // A guarded block ends where its guard begins, wherever its class would.
        let is_guarded = options::get(OptionId::GuardedSampleRate) > 0;
        assert!(is_guarded || alloc::good_size(size) <= alloc::usable_size(p), "{size} bytes at {p:p}");
        self.keep(p, size, zero);
    }

    pub fn aligned(&mut self, size: usize, align: usize, offset: usize, zero: Zero) {
        self.tally.add_one();
        let p = match offset {
            0 => alloc::malloc_aligned(size, align, zero),
            _ => alloc::malloc_aligned_at(size, align, offset, zero),
        };
        assert_eq!((p as usize + offset) % align, 0, "{size} bytes at {p:p}");
        self.keep(p, size, zero);
    }

    /// The block to work on, if there is any.
    pub fn picked(&self, pick: usize) -> Option<usize> {
        (!self.blocks.is_empty()).then(|| pick % self.blocks.len())
    }

    /// Takes a block out and resizes it.
    pub fn resize(&mut self, pick: usize, size: usize, zero: Zero, resize: impl FnOnce(*mut u8) -> *mut u8) {
        let Some(index) = self.picked(pick) else { return };
        let old = self.blocks.swap_remove(index).block;
        self.shadow.remove(&old);
        self.tally.add_one();
        let p = resize(old.start());
        assert!(!p.is_null(), "{old:?} to {size} bytes");
        old.check_at(p, size);
        if zero == Zero::Zeroed {
            self.shadow.check_grown(p, old.bytes(), size);
        }
        self.keep(p, size, Zero::Any);
    }

    pub fn realloc(&mut self, pick: usize, size: usize, zero: Zero) {
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

    pub fn realloc_aligned(&mut self, pick: usize, size: usize, align: usize, offset: usize, zero: Zero) {
        let theap = runtime::live_theap().expect("memory");
        self.resize(pick, size, zero, |p| {
            // SAFETY: the model's own block.
            let moved = unsafe { alloc::realloc_aligned_at_in(theap, p, size, align, offset, zero) };
            assert_eq!((moved as usize + offset) % align, 0, "{size} bytes at {moved:p}");
            moved
        });
    }

    pub fn expand(&mut self, pick: usize, size: usize) {
        let Some(index) = self.picked(pick) else { return };
        self.tally.add_one();
        let held = self.blocks.swap_remove(index);
        let old = &held.block;
        self.shadow.remove(old);
        // SAFETY: the model's own block.
        let p = unsafe { alloc::expand(old.start(), size) };
        if p.is_null() {
            old.check();
            self.shadow.enter(old);
            return self.blocks.push(held);
        }
        assert!(p == old.start() && alloc::usable_size(p) >= size);
        old.check_at(p, size);
        self.keep(p, size, Zero::Any);
    }

    pub fn free(&mut self, pick: usize) {
        if let Some(index) = self.picked(pick) {
            let held = self.blocks.swap_remove(index);
            self.free_block(held.block);
        }
    }

    pub fn free_block(&mut self, block: Block) {
        self.tally.add_one();
        free(self.shadow, block);
    }

    fn collect(&mut self, force: Force) {
        self.tally.add_one();
        alloc::collect(force);
    }

    pub fn heap_new(&mut self) {
        if self.heaps.len() < MAX_HEAPS {
            self.tally.add_one();
            self.heaps.push(runtime::heap_new().expect("memory"));
        }
    }

    pub fn heap_malloc(&mut self, pick: usize, size: usize, align: usize, zero: Zero) {
        if !self.heaps.is_empty() {
            self.malloc_in(self.heaps[pick % self.heaps.len()], size, align, zero);
        }
    }

    pub fn malloc_in(&mut self, heap: &'static Heap, size: usize, align: usize, zero: Zero) {
        self.tally.add_one();
        let theap = runtime::theap_for(heap).expect("memory");
        let p = alloc::alloc_aligned_at_in(theap, size, align, 0, zero);
        assert_eq!(p as usize % align, 0);
        self.keep(p, size, zero);
        let held = self.blocks.last().expect("just kept");
        assert_eq!(held.heap_id, heap.id());
    }

    pub fn heap_delete(&mut self, pick: usize) {
        let Some(heap) = self.take_heap(pick) else { return };
        self.tally.add_one();
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

    pub fn heap_destroy(&mut self, pick: usize) {
        let Some(heap) = self.take_heap(pick) else { return };
        self.tally.add_one();
        let id = heap.id();
        self.blocks.iter().filter(|held| held.heap_id == id).for_each(|held| self.shadow.remove(&held.block));
        self.blocks.retain(|held| held.heap_id != id);
        // SAFETY: the model's own heap, and it forgets its blocks.
        assert!(unsafe { runtime::heap_destroy(heap) });
    }

    pub fn take_heap(&mut self, pick: usize) -> Option<&'static Heap> {
        (!self.heaps.is_empty()).then(|| self.heaps.swap_remove(pick % self.heaps.len()))
    }

    /// Frees everything and ends the heaps.
    pub fn finish(&mut self) {
        while !self.heaps.is_empty() {
            self.heap_delete(0);
        }
        while !self.blocks.is_empty() {
            self.free(self.seed as usize);
        }
    }
}

pub fn free(shadow: &Shadow, block: Block) {
    shadow.remove(&block);
    // SAFETY: the model's own block, which it forgets.
    unsafe { alloc::free(block.start()) };
}
