//! What the tests of the whole core share: blocks that know their contents, a map of everything allocated, numbers
//! without a pattern, and a sub-process's books.
#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod block;
mod books;
mod levels;
pub mod model;
mod numbers;
pub mod players;
mod shadow;
mod tally;

pub use block::Block;
pub use books::Books;
pub use levels::{at_every_level, has_level, share};
pub use numbers::{Numbers, mix};
pub use shadow::Shadow;
pub use tally::{Tally, operations};

/// Where numbers without a pattern begin: the variable `FERRIMALLOC_TEST_SEED`.
pub fn seed() -> u64 {
    std::env::var("FERRIMALLOC_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0)
}

/// How much longer than usual to test: the variable `FERRIMALLOC_TEST_TIMES`.
pub fn times() -> usize {
    factor("FERRIMALLOC_TEST_TIMES")
}

/// How many times as much as the program's is resident under a sanitizer, which keeps a shadow of memory and records of threads: the
/// variable `FERRIMALLOC_TEST_SHADOW`.
pub fn shadow() -> usize {
    factor("FERRIMALLOC_TEST_SHADOW")
}

fn factor(variable: &str) -> usize {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(1)
}
