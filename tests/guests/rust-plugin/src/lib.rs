//! A plugin in Rust; with the feature `ours` the crate is its global allocator.

#[cfg(feature = "ours")]
#[global_allocator]
static GLOBAL: ferrimalloc::MiMalloc = ferrimalloc::MiMalloc;

use std::hint::black_box;

/// 0 when all went well.
#[unsafe(no_mangle)]
pub extern "C" fn work(n: i32) -> i32 {
    let n = n.unsigned_abs() as usize;
    for _ in 0..3 {
        let blocks: Vec<Vec<u8>> = (0..300).map(|i| vec![1; 1 + i * n % 5000]).collect();
        let large = black_box(vec![1u8; 5 << 20]);
        if large.iter().any(|&byte| byte != 1) || blocks.iter().flatten().any(|&byte| byte != 1) {
            return 1;
        }
    }
    0
}
