//! `rust-programs NAME SCALE`: collection-heavy Rust programs; the allocator is linked in, chosen by a feature.
//! Prints `checksum=…` and `final_rss_kib=…`, as the C workloads do.

mod allocator;
mod channels;
mod collections;
mod graph;
#[allow(dead_code, reason = "its sizes are for the other programs")]
#[path = "../../src/random.rs"]
mod random;

use std::process::ExitCode;

/// Runs so many rounds and returns a checksum.
type Program = fn(u64) -> u64;

/// A program by its name, with its rounds at scale 1.
fn program(name: &str) -> Option<(f64, Program)> {
    match name {
        "collections" => Some((250.0, collections::run)),
        "graph" => Some((400.0, graph::run)),
        "channels" => Some((1500.0, channels::run)),
        _ => None,
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let scale = words.get(2).and_then(|word| word.parse::<f64>().ok()).unwrap_or(1.0);
    let Some((rounds, run)) = words.get(1).and_then(|name| program(name)) else {
        eprintln!("usage: rust-programs collections|graph|channels [SCALE]");
        return ExitCode::from(2);
    };
    let checksum = run((rounds * scale).max(1.0) as u64);
    println!("checksum={checksum:016x}\nfinal_rss_kib={}", resident_kib());
    ExitCode::SUCCESS
}

fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|field| field.parse::<u64>().ok());
    pages.unwrap_or(0) * 4
}
