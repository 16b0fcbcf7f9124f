//! rayon: after a burst of work every thread of the pool gives back what it holds without need, as only it can.
//!
//! `cargo run --release -p ferrimalloc --example idle_pool`

use ferrimalloc::{Force, MiMalloc, Stats};
use rayon::prelude::*;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

const MIB: u64 = 1 << 20;

/// Sorts many words: all threads allocate, and free what others have allocated.
fn burst() -> usize {
    let mut words: Vec<String> =
        (0..400_000u64).into_par_iter().map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9))).collect();
    words.par_sort();
    words.len()
}

fn committed_mib() -> u64 {
    Stats::now().committed_bytes.current / MIB
}

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("threads");
    let words = pool.install(burst);
    let before = committed_mib();
    // Each thread once, as it is about to wait.
    pool.broadcast(|_| MiMalloc.idle());
    MiMalloc.collect(Force::Routine);
    println!(
        "{words} words sorted; {before} MiB held after the burst, {} MiB when all threads are idle",
        committed_mib()
    );
}
