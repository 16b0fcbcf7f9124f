//! `latency THREADS CALLS`: how long single calls of `malloc` and `free` take on the preloaded engine.
//!
//! Every thread replaces random blocks of its table, and every fourth block it trades for one of another thread, so that
//! some frees are remote. Sizes follow a power law from 16 bytes, one in 64 is larger, up to 64 KiB. Each call is timed
//! by itself; the timer's own cost, measured first, is subtracted. Histograms: HdrHistogram (Tene), two digits.
//! Prints a line per call: `malloc calls=… p50=… p99=… p99.9=… p99.99=… max=…`, in nanoseconds.

mod random;
mod table;
mod timer;

use hdrhistogram::Histogram;
use std::sync::Barrier;
use std::thread;
use table::{Exchange, Table};
use timer::Timer;

/// Nanoseconds of each call, by call.
struct Latencies {
    malloc: Histogram<u64>,
    free: Histogram<u64>,
}

const LONGEST_NANOS: u64 = 60_000_000_000;
const DIGITS: u8 = 2;

impl Latencies {
    fn new() -> Self {
        Latencies { malloc: histogram(), free: histogram() }
    }

    fn add(&mut self, other: &Latencies) {
        self.malloc.add(&other.malloc).expect("both have the same bounds");
        self.free.add(&other.free).expect("both have the same bounds");
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NANOS, DIGITS).expect("the bounds are valid")
}

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse::<u64>().ok());
    let (Some(Some(threads)), Some(Some(calls))) = (numbers.next(), numbers.next()) else {
        eprintln!("usage: latency THREADS CALLS");
        std::process::exit(2);
    };
    let latencies = measure(threads, calls);
    print("malloc", &latencies.malloc);
    print("free", &latencies.free);
}

fn measure(threads: u64, calls: u64) -> Latencies {
    let (exchange, start) = (Exchange::new(), Barrier::new(threads as usize));
    let mut all = Latencies::new();
    thread::scope(|scope| {
        let run = |index| measure_thread(index, calls, &exchange, &start);
        let workers: Vec<_> = (0..threads).map(|index| scope.spawn(move || run(index))).collect();
        for worker in workers {
            all.add(&worker.join().expect("a worker does not panic"));
        }
    });
    all
}

fn measure_thread(index: u64, calls: u64, exchange: &Exchange, start: &Barrier) -> Latencies {
    let mut latencies = Latencies::new();
    let mut table = Table::new(index, exchange);
    let timer = Timer::calibrated();
    start.wait();
    for _ in 0..calls {
        let (free, malloc) = table.replace_one(&timer);
        latencies.free.saturating_record(free);
        latencies.malloc.saturating_record(malloc);
    }
    latencies
}

fn print(call: &str, histogram: &Histogram<u64>) {
    let at = |quantile| histogram.value_at_quantile(quantile);
    let (p50, p99, p999, p9999) = (at(0.5), at(0.99), at(0.999), at(0.9999));
    let (calls, max) = (histogram.len(), histogram.max());
    println!("{call} calls={calls} p50={p50} p99={p99} p99.9={p999} p99.99={p9999} max={max}");
}
