//! What the targets share: reading numbers from the fuzzer's bytes, and counting operations.

#![allow(dead_code, reason = "each target uses a part of it")]

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

const MAX_BITS: u32 = 20;
const SMALL_BITS: u32 = 14;

/// The fuzzer's bytes; zeros when there are no more.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn word(&mut self) -> u32 {
        (0..4).fold(0, |word, _| word << 8 | u32::from(self.byte()))
    }

    /// A size below `1 << MAX_BITS`; below `1 << SMALL_BITS` every order of magnitude is as easy to reach, above it one size
    /// in eight lies: large blocks, filled and checked, would take all the time.
    pub fn size(&mut self) -> usize {
        let choice = u32::from(self.byte());
        let (scale, bits) = (choice / 8, if choice % 8 == 0 { MAX_BITS } else { SMALL_BITS });
        self.word() as usize & ((1 << (scale % (bits + 1))) - 1)
    }
}

static OPERATIONS: AtomicU64 = AtomicU64::new(0);
static AT_EXIT: Once = Once::new();

/// What the whole process has done so far: the last number is printed at the end, `operations: N`.
pub fn operations_so_far(operations: u64) {
    OPERATIONS.store(operations, Ordering::Relaxed);
    // SAFETY: the handler takes nothing and is a function of this program.
    AT_EXIT.call_once(|| assert_eq!(unsafe { libc::atexit(print_operations) }, 0));
}

/// The same for one who counts from run to run.
pub fn count_operations(operations: u64) {
    operations_so_far(OPERATIONS.load(Ordering::Relaxed) + operations);
}

extern "C" fn print_operations() {
    eprintln!("operations: {}", OPERATIONS.load(Ordering::Relaxed));
}
