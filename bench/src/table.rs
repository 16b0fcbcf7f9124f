//! A thread's table of live blocks, and the exchange through which threads trade blocks.

use crate::random::Random;
use crate::timer::Timer;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

type Block = *mut c_void;

const LIVE_BLOCKS: usize = 10_000;
const EXCHANGE_SLOTS: usize = 64;
/// One replacement in so many trades its block first.
const TRADE_EVERY: usize = 4;

/// Blocks that anyone may take by leaving another.
pub struct Exchange([AtomicPtr<c_void>; EXCHANGE_SLOTS]);

impl Exchange {
    pub fn new() -> Self {
        Exchange([const { AtomicPtr::new(ptr::null_mut()) }; EXCHANGE_SLOTS])
    }

    fn trade(&self, slot: usize, given: Block) -> Block {
        // ORDERING: publishes the block's contents to the thread that takes it, and acquires those of the taken one.
        self.0[slot].swap(given, Ordering::AcqRel)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.iter().for_each(|slot| free(slot.load(Ordering::Relaxed)));
    }
}

pub struct Table<'a> {
    blocks: Vec<Block>,
    random: Random,
    exchange: &'a Exchange,
}

impl<'a> Table<'a> {
    pub fn new(seed: u64, exchange: &'a Exchange) -> Self {
        let mut random = Random::new(seed + 1);
        let blocks = (0..LIVE_BLOCKS).map(|_| malloc(random.bytes())).collect();
        Table { blocks, random, exchange }
    }

    /// Frees one block, or one that it was traded for, and allocates another; nanoseconds of the two calls.
    pub fn replace_one(&mut self, timer: &Timer) -> (u64, u64) {
        let index = self.random.below(LIVE_BLOCKS);
        let old = self.perhaps_trade(self.blocks[index]);
        let bytes = self.random.bytes();
        let (free_nanos, ()) = timer.time(|| free(old));
        let (malloc_nanos, new) = timer.time(|| malloc(bytes));
        touch(new);
        self.blocks[index] = new;
        (free_nanos, malloc_nanos)
    }

    fn perhaps_trade(&mut self, block: Block) -> Block {
        if self.random.below(TRADE_EVERY) != 0 {
            return block;
        }
        self.exchange.trade(self.random.below(EXCHANGE_SLOTS), block)
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        self.blocks.iter().for_each(|&block| free(block));
    }
}

#[inline(never)]
fn malloc(bytes: usize) -> Block {
    // SAFETY: any size may be asked for.
    unsafe { libc::malloc(bytes) }
}

#[inline(never)]
fn free(block: Block) {
    // SAFETY: a table or the exchange held this block, or null, and nobody else does: trading swaps.
    unsafe { libc::free(block) }
}

fn touch(block: Block) {
    assert!(!block.is_null(), "out of memory");
    // SAFETY: a fresh block of at least 16 bytes.
    unsafe { block.cast::<u8>().write_volatile(1) }
}
