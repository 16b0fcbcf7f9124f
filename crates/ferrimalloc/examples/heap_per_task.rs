//! tokio: a heap per request, whose memory goes at once when the request has been answered, whichever thread that happens in; and threads of
//! the runtime that give memory back before they sleep.
//!
//! `cargo run --release -p ferrimalloc --example heap_per_task --features allocator-api2`

use allocator_api2::vec::Vec as HeapVec;
use ferrimalloc::{Heap, MiMalloc, Stats};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, yield_now};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

const REQUESTS: u64 = 200;

/// Answers a request: the sum of many numbers that lie in memory of its own. It may go on in another thread behind each `await`.
async fn answer(request: u64) -> u64 {
    let heap = Heap::builder().name(c"request").build().expect("memory for a heap");
    let mut parts = HeapVec::new_in(&heap);
    for part in 0..50 {
        let mut numbers = HeapVec::new_in(&heap);
        numbers.extend((0..500).map(|n| request + part * n));
        parts.push(numbers);
        yield_now().await;
    }
    parts.iter().flatten().sum()
}

fn main() {
    let runtime =
        Builder::new_multi_thread().worker_threads(2).on_thread_park(|| MiMalloc.idle()).build().expect("threads");
    let sum: u64 = runtime.block_on(async {
        let mut requests: JoinSet<u64> = (0..REQUESTS).map(answer).collect();
        let mut sum = 0;
        while let Some(answer) = requests.join_next().await {
            sum += answer.expect("a request does not panic");
        }
        sum
    });
    // The sums over parts 0..50 and n 0..500 of request + part * n.
    let expected: u64 = (0..REQUESTS).map(|request| request * 50 * 500 + 1225 * 124_750).sum();
    assert_eq!(sum, expected);
    println!(
        "{REQUESTS} requests, sum {sum}; heaps at most {}, now {}",
        Stats::now().heaps.peak,
        Stats::now().heaps.current
    );
}
