//! A vector that shrinks gives its memory back at once, in a process that has done nothing else.
//!
//! One test: what arenas may keep depends on what the process did before.
#![cfg(feature = "allocator-api2")]

use allocator_api2::vec::Vec;
use ferrimalloc::{Force, Heap, MiMalloc};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

const MIB: usize = 1 << 20;

/// The process's resident set, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap() * 4096
}

#[test]
fn shrink_to_fit_gives_memory_back() {
    let before = resident();
    let mut bytes = std::vec![7u8; 256 * MIB];
    assert!(resident() - before > 255 * MIB);
    let start = bytes.as_ptr();
    bytes.truncate(MIB);
    bytes.shrink_to_fit();
    assert!(bytes.as_ptr() == start && bytes.iter().all(|&byte| byte == 7), "where it is");
    let left = resident() - before;
    assert!(left < 16 * MIB, "{left}");

    let heap = Heap::new().unwrap();
    let mut words = Vec::new_in(&heap);
    words.resize(16 * MIB, 5u64);
    assert!(resident() - before > 127 * MIB);
    words.truncate(MIB);
    words.shrink_to_fit();
    // Who goes up and down may keep some for a while.
    MiMalloc.collect(Force::All);
    assert!(words.iter().all(|&word| word == 5));
    let left = resident() - before;
    assert!(left < 24 * MIB, "{left}");
}
