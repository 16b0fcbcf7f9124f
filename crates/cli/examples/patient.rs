//! A process for tests to look at: it allocates what it says, until its standard input ends.
//!
//! `steady`: known blocks in a heap of their own. `busy`: blocks of one size that stay, while threads come and go and
//! allocate and free other sizes all the time.

use ferrimalloc::{Heap, MiMalloc};
use std::alloc::Layout;
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

/// Sizes of `steady`, each a class of its own.
const SIZES: [usize; 7] = [16, 112, 1024, 5120, 20480, 114_688, 700_000];
const COUNTS: [usize; 7] = [5000, 3000, 700, 300, 60, 20, 3];
/// What stays in `busy`: a size that nothing else has, and how many are kept of those that are made.
const STAYS: usize = 3584;
const MADE: usize = 600;

static END: AtomicBool = AtomicBool::new(false);

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("steady") => steady(),
        Some("busy") => busy(),
        _ => eprintln!("steady or busy?"),
    }
}

/// Says that everything is there, and waits for the end of standard input.
fn wait(facts: &str) {
    println!("{facts}");
    let _ = std::io::stdin().read(&mut [0; 1]);
}

fn steady() {
    let heap = Heap::new().expect("memory");
    let mut kept = Vec::new();
    for (size, count) in SIZES.into_iter().zip(COUNTS) {
        let layout = Layout::from_size_align(size, 8).expect("a layout");
        let blocks: Vec<_> = (0..2 * count).map(|_| heap.alloc(layout).expect("memory")).collect();
        for (index, block) in blocks.into_iter().enumerate() {
            if index % 2 == 0 {
                // SAFETY: a block of this heap that nobody uses.
                unsafe { heap.free(block) };
            } else {
                kept.push(block);
            }
        }
    }
    wait(&format!("{}", kept.len()));
}

fn busy() {
    let mut stay: Vec<Option<Vec<u8>>> = (0..MADE).map(|index| Some(vec![index as u8; STAYS])).collect();
    stay.iter_mut().step_by(3).for_each(|block| *block = None);
    let workers: Vec<_> = (0..2).map(|seed| thread::spawn(move || churn(seed + 1))).collect();
    let short = thread::spawn(|| {
        while !END.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
            let _ = thread::spawn(|| drop((0..200).map(|size| vec![0_u8; size * 7 + 1]).collect::<Vec<_>>())).join();
        }
    });
    let heaps = thread::spawn(|| {
        while !END.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(1));
            let heap = Heap::new().expect("memory");
            let layout = Layout::from_size_align(200, 8).expect("a layout");
            (0..500).for_each(|_| _ = heap.alloc(layout));
        }
    });
    wait(&stay.iter().flatten().count().to_string());
    END.store(true, Ordering::Relaxed);
    workers.into_iter().chain([short, heaps]).for_each(|worker| _ = worker.join());
}

fn churn(seed: u64) {
    let mut random = seed;
    let mut blocks: Vec<Vec<u8>> = (0..600).map(|_| Vec::new()).collect();
    while !END.load(Ordering::Relaxed) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (place, size) = ((random >> 33) as usize % 600, (random >> 45) as usize % 2000);
        let size = if place % 40 == 0 { size * 40 } else { size };
        blocks[place] = vec![0; if (2500..4500).contains(&size) { 100 } else { size }];
    }
}
