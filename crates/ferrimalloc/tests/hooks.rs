//! Hooks and options: one process, so one test after the other.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::CStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ferrimalloc::hooks::{self, ErrorCode};
use ferrimalloc::options::{self, Kind, Option, Standing};
use ferrimalloc::{Force, MiMalloc, Stats};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

static CALLS: AtomicUsize = AtomicUsize::new(0);
static BEATS: AtomicU64 = AtomicU64::new(0);
static ERRORS: AtomicUsize = AtomicUsize::new(0);
static LINES: AtomicUsize = AtomicUsize::new(0);

fn deferred(force: Force, heartbeat: u64) {
    let earlier = BEATS.swap(heartbeat, Ordering::Relaxed);
    assert!(heartbeat > earlier, "the heartbeat grows");
    CALLS.fetch_add(usize::from(force == Force::All), Ordering::Relaxed);
    drop(vec![1u8; 500]);
}

fn error(error: ErrorCode) {
    assert_eq!(error, ErrorCode::OutOfMemory);
    ERRORS.fetch_add(1, Ordering::Relaxed);
}

fn line(line: &CStr) {
    assert!(line.to_bytes().ends_with(b"\n"));
    LINES.fetch_add(1, Ordering::Relaxed);
}

/// In a thread of its own, since heartbeats are counted per thread.
fn deferred_frees_get_a_heartbeat() {
    hooks::on_deferred_free(Some(deferred));
    MiMalloc.collect(Force::All);
    MiMalloc.collect(Force::All);
    hooks::on_deferred_free(None);
    MiMalloc.collect(Force::All);
    assert_eq!(CALLS.load(Ordering::Relaxed), 2);
}

fn errors_and_output_arrive() {
    hooks::on_error(Some(error));
    hooks::on_output(Some(line));
    options::set_enabled(Option::ShowErrors, true);
    // SAFETY: a block of a good size, and a request that can't succeed.
    unsafe {
        let p = MiMalloc.alloc(Layout::new::<u64>());
        assert!(MiMalloc.realloc(p, Layout::new::<u64>(), isize::MAX as usize - 7).is_null());
        MiMalloc.dealloc(p, Layout::new::<u64>());
    }
    hooks::on_error(None);
    hooks::on_output(None);
    assert_eq!(ERRORS.load(Ordering::Relaxed), 1);
    assert_eq!(LINES.load(Ordering::Relaxed), 1);
}

fn options_are_typed() {
    options::set_bytes(Option::ArenaReserve, 100 << 20);
    assert_eq!(options::get(Option::ArenaReserve), 100 << 10);
    assert_eq!(options::get_bytes(Option::ArenaReserve), 100 << 20);
    assert!(options::is_chosen(Option::ArenaReserve));
    options::set_default(Option::ArenaReserve, 1);
    assert_eq!(options::get(Option::ArenaReserve), 100 << 10);
    assert_eq!(options::kind(Option::ArenaReserve), Kind::KiB);
    options::set_bytes(Option::ProfileSampleRate, 5001);
    assert_eq!((options::get(Option::ProfileSampleRate), options::get_bytes(Option::ProfileSampleRate)), (5001, 5001));
    assert_eq!(options::standing(Option::OsTag), Standing::NotHere("macOS only"));
    assert_eq!(options::name(Option::PurgeDelay), "purge_delay");
}

fn statistics_are_json() {
    let mut json = Vec::new();
    Stats::now().write_json(&mut |piece| json.extend_from_slice(piece));
    let json = String::from_utf8(json).unwrap();
    assert!(json.contains("\"allocator\": \"ferrimalloc\"") || json.contains("\"allocator\":\"ferrimalloc\""));
}

#[test]
fn hooks_and_options() {
    std::thread::spawn(deferred_frees_get_a_heartbeat).join().unwrap();
    errors_and_output_arrive();
    options_are_typed();
    statistics_are_json();
}
