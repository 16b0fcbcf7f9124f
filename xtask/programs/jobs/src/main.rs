//! Prints a line: of each job its name, its answer and its milliseconds; then what threads that have ended leave behind, in
//! KiB: the working set before them, after the first of many rounds, and after the last. (That includes what the allocator
//! keeps for later, unless it is told to keep nothing.)

#[path = "../../wasm/src/lib.rs"]
mod jobs;
#[cfg_attr(unix, path = "linux.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod system;

use std::sync::mpsc::channel;
use std::time::Instant;
use system::working_set_kib;

const THREADS: usize = 4;
const ROUNDS: usize = 30;
/// What each thread takes at a time, in blocks of up to 3 KiB.
const BYTES: usize = 8 << 20;

fn main() {
    let timed = |name: &str, job: &dyn Fn() -> u32| {
        let began = Instant::now();
        let answer = job();
        print!("{name} {answer} {:.1} ", began.elapsed().as_secs_f64() * 1e3);
    };
    timed("words", &|| jobs::words(1_000_000));
    timed("growing", &|| jobs::growing(100));
    timed("queue", &|| jobs::queue(1_000_000));
    let before = working_set_kib();
    timed("threads", &round);
    let first = working_set_kib();
    timed("rounds", &|| (1..ROUNDS).map(|_| round()).sum());
    println!("kib {before} {first} {}", working_set_kib());
}

/// Threads fill blocks, pass half of them on to the next, check and free what they get, and end. The answer: how many blocks.
fn round() -> u32 {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel::<Vec<Vec<u8>>>()).unzip();
    let threads: Vec<_> = receivers
        .into_iter()
        .enumerate()
        .map(|(number, receiver)| {
            let next = senders[(number + 1) % THREADS].clone();
            std::thread::spawn(move || {
                let mut blocks = fill(number);
                let count = blocks.len() as u32;
                next.send(blocks.split_off(blocks.len() / 2)).expect("the next one waits");
                let passed = receiver.recv().expect("the one before sends");
                assert!(passed.iter().chain(&blocks).all(|block| block.iter().all(|byte| *byte == block[0])));
                count
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("no thread fails")).sum()
}

fn fill(number: usize) -> Vec<Vec<u8>> {
    let (mut blocks, mut total) = (Vec::new(), 0);
    while total < BYTES {
        let size = blocks.len() * 37 % 3000 + 16;
        blocks.push(vec![(blocks.len() + number) as u8; size]);
        total += size;
    }
    blocks
}
