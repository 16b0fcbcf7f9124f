//! Generations of threads that send each other blocks and share heaps, against the model of the core's own tests. The fuzzer
//! chooses how many, how long, and which numbers they draw.

#![no_main]

mod common;
#[path = "../../crates/core/tests/support/mod.rs"]
mod support;

use common::{Bytes, operations_so_far};
use libfuzzer_sys::fuzz_target;
use support::Books;
use support::players::play_round;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let generations = 1 + u64::from(bytes.byte() % 3);
    let steps = 1 + usize::from(bytes.byte());
    let seed = u64::from(bytes.word());
    play_round(seed, generations, steps);
    assert_eq!(Books::collected().pages, 0);
    operations_so_far(support::operations());
});
