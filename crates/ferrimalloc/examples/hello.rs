//! A Rust program whose allocator is ferrimalloc: `cargo run --release -p ferrimalloc --example hello`.

use ferrimalloc::{HeapRef, MiMalloc};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

fn main() {
    let numbers = vec![1u64; 100_000];
    let is_ours = HeapRef::main().is_some_and(|heap| heap.contains(numbers.as_ptr().cast()));
    println!("ferrimalloc: {}", if is_ours { "yes" } else { "no" });
}
