//! Everything allocated, by address: no two blocks may share a byte.

use super::block::{self, Block};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// Start and end of every block in use.
#[derive(Default)]
pub struct Shadow(Mutex<BTreeMap<usize, usize>>);

impl Shadow {
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a fresh block of at least `asked` bytes and fills it. The first `zeroed.1` bytes from `zeroed.0` must read
    /// as zero.
    pub fn adopt(&self, start: *mut u8, asked: usize, seed: u64) -> Block {
        let block = Block::adopt(start, asked, seed);
        self.enter(&block);
        block
    }

    /// The same for a block that must be zero.
    pub fn adopt_zeroed(&self, start: *mut u8, asked: usize, seed: u64) -> Block {
        block::check_zero(start, 0, asked);
        self.adopt(start, asked, seed)
    }

    /// Checks that what an allocator has added to a block is zero.
    pub fn check_grown(&self, start: *const u8, from: usize, to: usize) {
        block::check_zero(start, from, to);
    }

    /// Enters a block again whose [`Shadow::remove`] turned out to be in vain.
    pub fn enter(&self, block: &Block) {
        let (start, end) = (block.start() as usize, block.start() as usize + block.bytes());
        let mut map = self.0.lock().unwrap();
        let below = map.range(..end).next_back();
        if let Some((other, other_end)) = below {
            assert!(*other_end <= start, "{block:?} overlaps {other:#x}..{other_end:#x}");
        }
        map.insert(start, end);
    }

    /// Checks a block that is about to be freed or resized, and strikes it out.
    pub fn remove(&self, block: &Block) {
        block.check();
        self.forget(block);
    }

    /// Strikes a block out that has been freed or resized.
    pub fn forget(&self, block: &Block) {
        let removed = self.0.lock().unwrap().remove(&(block.start() as usize));
        assert!(removed.is_some(), "{block:?} is not in use");
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }
}
