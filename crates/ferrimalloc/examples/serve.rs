//! A program that tells what its heap is like: `/metrics` for Prometheus, `/debug/pprof/heap` for pprof and Grafana Pyroscope.
//!
//! ```sh
//! cargo run --release -p ferrimalloc --example serve -- 127.0.0.1:8080
//! curl -s localhost:8080/metrics
//! pprof -http=:8081 http://localhost:8080/debug/pprof/heap
//! ```

use ferrimalloc::profile::{self, Settings};
use ferrimalloc::{MiMalloc, Stats};
use std::error::Error;
use std::fmt::Write;
use tiny_http::{Header, Response, Server};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

/// Mean bytes from one sample to the next. It can run all the time: `docs/PROFILING.md` says what it costs.
const RATE_BYTES: usize = 512 << 10;
/// How many documents are kept.
const KEPT: usize = 1000;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into());
    profile::start(&Settings { rate_bytes: RATE_BYTES, ..Settings::default() });
    let server = Server::http(address)?;
    println!("http://{}", server.server_addr());
    let mut kept = Vec::new();
    for request in server.incoming_requests() {
        let path = request.url().split('?').next().unwrap_or_default().to_owned();
        let (kind, body) = match path.as_str() {
            "/metrics" => ("application/openmetrics-text; version=1.0.0; charset=utf-8", metrics().into_bytes()),
            "/debug/pprof/heap" => ("application/octet-stream", heap_profile()),
            "/work" => ("text/plain", work(&mut kept)),
            _ => ("text/plain", b"/metrics  /debug/pprof/heap  /work\n".to_vec()),
        };
        let header = Header::from_bytes("Content-Type", kind).expect("a header of ours");
        // Who asked may be gone.
        let _ = request.respond(Response::from_data(body).with_header(header));
    }
    Ok(())
}

/// Something to be seen: documents of which the newest are kept.
fn work(kept: &mut Vec<Vec<String>>) -> Vec<u8> {
    kept.extend(
        (0..100)
            .map(|document| (0..200).map(|line| format!("line {line} of {document}: {}", "x".repeat(64))).collect()),
    );
    kept.drain(..kept.len().saturating_sub(KEPT));
    format!("{} documents\n", kept.len()).into_bytes()
}

/// The names are those of the command `ferrimalloc stats --prometheus`, so that one dashboard shows both.
fn metrics() -> String {
    let stats = Stats::now();
    let live_bytes = stats.shared_page_bytes.current + stats.own_page_bytes.current;
    let gauges = [
        ("live_bytes", live_bytes, "Bytes of blocks in use."),
        ("pages", stats.pages.current, "Pages of blocks."),
        ("reserved_bytes", stats.reserved_bytes.current, "Address space reserved."),
        ("committed_bytes", stats.committed_bytes.current, "Memory in use or not given back yet."),
        ("committed_peak_bytes", stats.committed_bytes.peak, "Its peak."),
        ("arenas", stats.arenas, "Arenas."),
        ("heaps", stats.heaps.current, "Heaps."),
        ("threads", stats.threads.current, "Threads that allocate."),
    ];
    let counters = [
        ("purged_bytes", stats.purged_bytes, "Memory given back to the system."),
        ("purge_calls", stats.purge_calls, "Calls of the system to give memory back."),
        ("pages_made", stats.pages.total, "Pages made."),
        ("threads_started", stats.threads.total, "Threads that have allocated."),
        ("big_blocks_allocated", stats.own_page_blocks, "Blocks with a page of their own, allocated."),
    ];
    let mut text = String::new();
    let mut metric = |kind: &str, suffix: &str, (name, value, help): (&str, u64, &str)| {
        let name = format!("ferrimalloc_{name}");
        let _ = write!(text, "# TYPE {name} {kind}\n# HELP {name} {help}\n{name}{suffix} {value}\n");
    };
    gauges.into_iter().for_each(|gauge| metric("gauge", "", gauge));
    counters.into_iter().for_each(|counter| metric("counter", "_total", counter));
    text + "# EOF\n"
}

/// What is in use, and what has been allocated, by stack.
fn heap_profile() -> Vec<u8> {
    let mut bytes = Vec::new();
    profile::pprof(&mut |piece: &[u8]| bytes.extend_from_slice(piece), RATE_BYTES);
    bytes
}
