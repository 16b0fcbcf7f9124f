//! What the targets share: reading numbers from the fuzzer's bytes, and counting operations.

#![allow(dead_code, reason = "each target uses a part of it")]

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

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

    /// A size below `1 << max_bits`, every order of magnitude as easy to reach.
    pub fn size(&mut self, max_bits: u32) -> usize {
        let bits = u32::from(self.byte()) % (max_bits + 1);
        self.word() as usize & ((1 << bits) - 1)
    }
}

static OPERATIONS: AtomicU64 = AtomicU64::new(0);
static AT_EXIT: Once = Once::new();

/// Adds to the number that is printed at the end: `operations: N`.
pub fn count_operations(operations: u64) {
    OPERATIONS.fetch_add(operations, Ordering::Relaxed);
    // SAFETY: the handler takes nothing and is a function of this program.
    AT_EXIT.call_once(|| assert_eq!(unsafe { libc::atexit(print_operations) }, 0));
}

extern "C" fn print_operations() {
    eprintln!("operations: {}", OPERATIONS.load(Ordering::Relaxed));
}
