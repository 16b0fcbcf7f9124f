//! A program's memory while the system fails it now and then.

use crate::support::{Block, Books, Shadow};
use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::runtime;
use ferrimalloc_prim::{Errno, errno};

/// Whether requests may fail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Stormy,
    Fair,
}

/// What a scenario works in.
pub struct World {
    pub weather: Weather,
    pub shadow: Shadow,
    pub blocks: Vec<Block>,
    seed: u64,
    /// Requests that failed.
    pub nulls: usize,
}

impl World {
    pub fn new(weather: Weather) -> Self {
        Self { weather, shadow: Shadow::new(), blocks: Vec::new(), seed: 0, nulls: 0 }
    }

    fn next_seed(&mut self) -> u64 {
        self.seed += 1;
        self.seed
    }

    /// Runs a request; null is counted, and must come with `errno`.
    fn ask(&mut self, request: impl FnOnce() -> *mut u8) -> Option<*mut u8> {
        errno::set(Errno(0));
        let p = request();
        if p.is_null() {
            assert!(errno::get() == Errno::ENOMEM, "null without errno");
            self.note_failure();
        }
        (!p.is_null()).then_some(p)
    }

    /// Something could not be had.
    pub fn note_failure(&mut self) {
        assert!(self.weather == Weather::Stormy, "failed in fair weather");
        self.nulls += 1;
    }

    fn keep(&mut self, p: Option<*mut u8>, size: usize, zero: Zero) {
        let Some(p) = p else { return };
        let seed = self.next_seed();
        let block = match zero {
            Zero::Any => self.shadow.adopt(p, size, seed),
            Zero::Zeroed => self.shadow.adopt_zeroed(p, size, seed),
        };
        self.blocks.push(block);
    }

    pub fn malloc(&mut self, size: usize) {
        let p = self.ask(|| alloc::malloc(size));
        self.keep(p, size, Zero::Any);
    }

    pub fn zalloc(&mut self, size: usize) {
        let p = self.ask(|| alloc::zalloc(size));
        self.keep(p, size, Zero::Zeroed);
    }

    pub fn aligned(&mut self, size: usize, align: usize, offset: usize) {
        let p = self.ask(|| alloc::malloc_aligned_at(size, align, offset, Zero::Any));
        assert_eq!(p.map_or(0, |p| (p as usize + offset) % align), 0);
        self.keep(p, size, Zero::Any);
    }

    /// Resizes a block; if that fails, the block must be as it was.
    pub fn realloc(&mut self, index: usize, size: usize) {
        let Some(old) = self.blocks.get(index) else { return };
        let start = old.start();
        // SAFETY: our own block.
        let p = self.ask(|| unsafe { alloc::realloc(start, size) });
        let Some(p) = p else { return self.blocks[index].check() };
        let old = self.blocks.remove(index);
        old.check_at(p, size.min(old.bytes()));
        self.shadow.forget(&old);
        let seed = self.next_seed();
        self.blocks.insert(index, self.shadow.adopt(p, size, seed));
    }

    pub fn malloc_in(&mut self, heap: &'static Heap, size: usize) {
        let Some(theap) = runtime::theap_for(heap) else {
            return self.note_failure();
        };
        let p = self.ask(|| alloc::alloc_in(theap, size, Zero::Any));
        self.keep(p, size, Zero::Any);
    }

    pub fn free(&mut self, index: usize) {
        let block = self.blocks.swap_remove(index);
        self.shadow.remove(&block);
        // SAFETY: our own block, forgotten.
        unsafe { alloc::free(block.start()) };
    }

    /// Frees every n-th block, beginning with the last one.
    pub fn free_some(&mut self, every: usize) {
        (0..self.blocks.len()).rev().step_by(every).for_each(|index| self.free(index));
    }

    /// Forgets blocks whose heap is about to be destroyed.
    pub fn forget_from(&mut self, first: usize) {
        let forgotten = self.blocks.split_off(first.min(self.blocks.len()));
        forgotten.iter().for_each(|block| self.shadow.remove(block));
    }

    /// Takes over another world's block.
    pub fn receive(&mut self, block: Block) {
        self.shadow.enter(&block);
        self.blocks.push(block);
    }

    pub fn check(&self) {
        self.blocks.iter().for_each(Block::check);
    }

    /// Frees everything; nothing may be left.
    pub fn finish(&mut self) {
        self.free_some(1);
        assert!(self.shadow.is_empty());
        let books = Books::collected();
        assert_eq!(books.pages, 0, "{books:?}");
        assert!(books.slices < 200, "{books:?}");
    }
}
