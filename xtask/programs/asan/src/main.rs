//! One error with memory each, by name, for AddressSanitizer to report; `clean` has none. The allocator is ferrimalloc, built with
//! the sanitizer like the rest of the program.

use ferrimalloc::MiMalloc;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::{env, thread};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

/// Without the bounds that Rust checks.
#[inline(never)]
fn read(bytes: *const u8, index: usize) -> u8 {
    // SAFETY: that it may be wrong is what this program is for.
    unsafe { bytes.wrapping_add(index).read_volatile() }
}

fn use_after_drop(bytes: usize) {
    let contents = vec![1u8; bytes];
    let start = contents.as_ptr();
    drop(contents);
    read(start, bytes / 2);
}

fn use_after_growth(bytes: usize) {
    let mut contents = vec![1u8; bytes];
    let start = contents.as_ptr();
    contents.reserve_exact(1);
    read(start, 0);
    black_box(contents);
}

fn use_after_drop_elsewhere(bytes: usize) {
    let contents = vec![1u8; bytes];
    let start = contents.as_ptr();
    thread::spawn(move || drop(contents)).join().unwrap();
    read(start, 0);
}

fn overrun(bytes: usize) {
    let contents = vec![1u8; bytes];
    read(contents.as_ptr(), bytes);
    black_box(contents);
}

/// Collections that grow and shrink, zeros, alignments, threads.
fn clean(bytes: usize) {
    let work = move || {
        let mut words: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for step in 0..2000u64 {
            let size = bytes / 2 + (step as usize * 37) % bytes;
            words.insert(format!("word {}", step % 97), vec![0; size]);
            *counts.entry(step * step % 1009).or_default() += size;
            if let Some(contents) = words.get_mut(&format!("word {}", step % 13)) {
                contents.extend_from_slice(&[1; 11]);
                contents.shrink_to_fit();
            }
        }
        words.values().flatten().map(|byte| usize::from(*byte)).sum::<usize>() + counts.len()
    };
    let other = thread::spawn(work);
    assert_eq!(work(), other.join().unwrap());
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let bytes = arguments[2].parse().expect("a number of bytes");
    match arguments[1].as_str() {
        "clean" => clean(bytes),
        "use-after-drop" => use_after_drop(bytes),
        "use-after-growth" => use_after_growth(bytes),
        "use-after-drop-elsewhere" => use_after_drop_elsewhere(bytes),
        "overrun" => overrun(bytes),
        act => panic!("nothing is called {act}"),
    }
}
