//! A program whose every block comes from us: collections, threads, growing, zeros, alignments, thread-local
//! destructors.

use std::alloc::{GlobalAlloc, Layout, alloc, alloc_zeroed, dealloc, realloc};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use ferrimalloc::{Force, HeapRef, MiMalloc, Stats};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

#[test]
fn blocks_are_ours_and_large_enough() {
    let main = HeapRef::main().unwrap();
    for size in [1, 8, 9, 100, 1024, 1025, 70_000, 600_000, 40 << 20] {
        let block = vec![1u8; size];
        assert!(main.contains(block.as_ptr()), "{size}");
        // SAFETY: a block in use.
        let usable = unsafe { GLOBAL.usable_size(block.as_ptr()) };
        assert!(usable >= size && usable <= GLOBAL.good_size(size) * 3 / 2, "{size}: {usable}");
    }
    assert!(!main.contains(&raw const main as *const u8));
}

#[test]
fn version_is_that_of_the_interface() {
    assert_eq!(GLOBAL.version(), 30602);
}

#[test]
fn collections_keep_what_is_put_into_them() {
    let mut words = HashMap::new();
    let mut order = BTreeMap::new();
    for n in 0..50_000u64 {
        words.insert(format!("word {n}"), vec![n; (n % 17) as usize]);
        order.insert(n.wrapping_mul(0x9E37_79B9_7F4A_7C15), Box::new(n));
    }
    for n in (0..50_000u64).step_by(3) {
        assert_eq!(words.remove(&format!("word {n}")).unwrap().len(), (n % 17) as usize);
    }
    assert_eq!(words.len(), 33_333);
    assert!(words["word 7"].iter().all(|&m| m == 7));
    assert!(order.iter().all(|(key, n)| *key == n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
}

#[test]
fn growing_keeps_contents() {
    let mut bytes = Vec::new();
    for n in 0..(48usize << 20) / 8 {
        bytes.extend_from_slice(&n.to_le_bytes());
    }
    for (n, word) in bytes.chunks_exact(8).enumerate() {
        assert_eq!(word, n.to_le_bytes());
    }
    bytes.truncate(100);
    bytes.shrink_to_fit();
    assert_eq!(bytes[96..100], 12u32.to_le_bytes());
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[test]
fn every_alignment_is_kept_through_resizing() {
    for shift in 0..=25 {
        let align = 1usize << shift;
        for size in [1, 7, 8, 16, 100, 5000, 600_000] {
            // SAFETY: sizes are not 0, the block is resized and freed once with its own layout.
            unsafe {
                let mut p = alloc(layout(size, align));
                assert!(!p.is_null());
                let mut old = size;
                for new in [size, 2 * size + 1, 3_000_000, 24, size] {
                    assert_eq!(p.addr() % align, 0, "{size} {align}");
                    p.write(shift as u8);
                    p.add(old - 1).write(shift as u8);
                    p = realloc(p, layout(old, align), new);
                    assert_eq!(p.read(), shift as u8);
                    old = new;
                }
                assert_eq!(p.addr() % align, 0, "{size} {align}");
                dealloc(p, layout(old, align));
            }
        }
    }
}

#[test]
fn zeroed_blocks_are_zero_even_where_memory_was_used() {
    for size in [8, 16, 24, 100, 1000, 1024, 1025, 10_000, 100_000, 700_000, 9 << 20] {
        for align in [1, 8, 16, 64, 4096] {
            for _ in 0..3 {
                // SAFETY: as above; all `size` bytes of the block may be written.
                unsafe {
                    let p = alloc_zeroed(layout(size, align));
                    let bytes = std::slice::from_raw_parts_mut(p, size);
                    assert!(bytes.iter().all(|&byte| byte == 0), "{size} {align}");
                    bytes.fill(0xA5);
                    dealloc(p, layout(size, align));
                }
            }
        }
    }
}

#[test]
fn impossible_requests_are_refused() {
    let huge = layout(isize::MAX as usize - 4096, 1);
    // SAFETY: the layouts are not empty; the block is resized only if it could be.
    unsafe {
        assert!(GLOBAL.alloc(huge).is_null());
        assert!(GLOBAL.alloc_zeroed(layout(1, 1 << 62)).is_null());
        let p = GLOBAL.alloc(layout(100, 8));
        p.write(7);
        assert!(GLOBAL.realloc(p, layout(100, 8), huge.size()).is_null());
        assert_eq!(p.read(), 7);
        GLOBAL.dealloc(p, layout(100, 8));
    }
}

#[test]
fn blocks_wander_between_threads() {
    let (to_consumer, blocks) = mpsc::channel::<Vec<Box<[usize; 20]>>>();
    let consumer = thread::spawn(move || blocks.iter().flatten().map(|block| block[19]).sum::<usize>());
    let producers: Vec<_> = (0..4)
        .map(|_| {
            let to_consumer = to_consumer.clone();
            thread::spawn(move || {
                for _ in 0..200 {
                    to_consumer.send((0..100).map(|n| Box::new([n; 20])).collect()).unwrap();
                }
            })
        })
        .collect();
    drop(to_consumer);
    producers.into_iter().for_each(|producer| producer.join().unwrap());
    assert_eq!(consumer.join().unwrap(), 4 * 200 * 4950);
}

#[test]
fn many_short_threads_leave_their_blocks_to_others() {
    let kept = Arc::new(Mutex::new(Vec::new()));
    for round in 0..50usize {
        let threads: Vec<_> = (0..8)
            .map(|n| {
                let kept = Arc::clone(&kept);
                thread::spawn(move || {
                    let blocks: Vec<_> = (0..200).map(|size| vec![round as u8; size * n + 1]).collect();
                    kept.lock().unwrap().extend(blocks.into_iter().step_by(20));
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut kept = kept.lock().unwrap();
        assert!(kept.iter().all(|block: &Vec<u8>| block.iter().all(|&byte| byte == block[0])));
        let half = kept.len() / 2;
        kept.drain(..half);
    }
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Allocates while the thread's locals are being destroyed.
struct Late(Vec<String>);

impl Drop for Late {
    fn drop(&mut self) {
        let copy: Vec<String> = self.0.iter().map(|word| word.repeat(100)).collect();
        LATER.with(|later| later.borrow_mut().extend(copy.iter().cloned()));
        DROPPED.fetch_add(copy.len(), Ordering::Relaxed);
    }
}

thread_local! {
    static LATE: RefCell<Late> = const { RefCell::new(Late(Vec::new())) };
    static LATER: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn thread_local_destructors_may_allocate() {
    let threads: Vec<_> =
        (0..32).map(|n| thread::spawn(move || LATE.with(|late| late.borrow_mut().0.push(n.to_string())))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(DROPPED.load(Ordering::Relaxed), 32);
}

#[test]
fn collecting_gives_memory_back() {
    let blocks: Vec<_> = (0..64).map(|_| vec![1u8; 1 << 20]).collect();
    let before = Stats::now();
    drop(blocks);
    MiMalloc.collect(Force::All);
    let after = Stats::now();
    assert!(after.purged_bytes >= before.purged_bytes + (40 << 20), "{before:?} {after:?}");
}
