//! A heap per request: whatever handling it leaves behind is gone at once, and memory does not fragment.
//!
//! `cargo run --release --example arena_per_request --features allocator-api2`

use std::time::Instant;

use allocator_api2::vec::Vec as HeapVec;
use ferrimalloc::{Heap, HeapRef, MiMalloc, Stats};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

const REQUESTS: u32 = 1000;

/// Splits a text into words, in memory of `heap`.
fn handle<'h>(heap: &'h HeapRef, text: &str) -> HeapVec<HeapVec<u8, &'h HeapRef>, &'h HeapRef> {
    let mut words = HeapVec::new_in(heap);
    for word in text.split_whitespace() {
        let mut copy = HeapVec::new_in(heap);
        copy.extend_from_slice(word.as_bytes());
        words.push(copy);
    }
    words
}

fn main() {
    let text = "what a request may leave behind ".repeat(100);
    let start = Instant::now();
    let mut words = 0;
    for _ in 0..REQUESTS {
        let heap = Heap::new().expect("memory for a heap");
        // The heap frees the words: nobody has to visit them.
        words += std::mem::ManuallyDrop::new(handle(&heap, &text)).len();
    }
    let stats = Stats::now();
    println!("{words} words in {REQUESTS} heaps, {:.1?}", start.elapsed());
    println!("pages at most {}, now {}", stats.pages.peak, stats.pages.current);
}
