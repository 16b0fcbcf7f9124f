//! What slow paths do besides, and collections.

use core::ffi::{c_ulonglong, c_void};
use ferrimalloc_prim::mem;
use std::sync::Mutex;

use super::*;
use crate::options::OptionId;
use crate::runtime::{self, Thread};
use ferrimalloc_prim::thread;

/// A call of the hook: force, heartbeat.
static CALLS: Mutex<Vec<(bool, u64)>> = Mutex::new(Vec::new());

/// Counts the calls of the thread whose id it was given; allocates and frees, as it may.
unsafe extern "C" fn note(force: bool, heartbeat: c_ulonglong, thread: *mut c_void) {
    if thread.addr() == thread::id() {
        CALLS.lock().unwrap().push((force, heartbeat));
        (0..300).map(|_| malloc(3000)).collect::<Vec<_>>().into_iter().for_each(release);
    }
}

fn with_hook(work: impl FnOnce()) -> Vec<(bool, u64)> {
    CALLS.lock().unwrap().clear();
    register_deferred_free(Some(note), ptr::without_provenance_mut(thread::id()));
    work();
    register_deferred_free(None, ptr::null_mut());
    CALLS.lock().unwrap().clone()
}

#[test]
fn the_deferred_free_hook_beats_in_slow_paths_and_is_not_entered_again() {
    let _ground = ground();
    let mut blocks = Vec::new();
    let calls = with_hook(|| blocks.extend((0..5000).map(|_| malloc(256))));
    assert!(calls.len() > 50, "{} calls", calls.len());
    assert!(calls.is_sorted_by(|a, b| a.1 < b.1) && calls.iter().all(|(force, _)| !force));
    let quiet = with_hook(|| ());
    assert!(quiet.is_empty());
    blocks.into_iter().for_each(release);
}

#[test]
fn a_collection_asks_the_hook_for_all_of_it() {
    let _ground = ground();
    live_theap().unwrap();
    let forced = with_hook(|| collect(Force::All));
    assert!(forced.len() == 1 && forced[0].0);
    let routine = with_hook(|| collect(Force::Routine));
    assert!(routine.len() == 1 && !routine[0].0);
}

/// A thread that has only freed blocks of others may be the one that is asked to collect.
#[test]
fn a_thread_without_a_theap_purges() {
    for collect_all in [|| collect(Force::All), || collect_reduce(0)] {
        let _ground = ground();
        let blocks: Vec<_> = (0..100).map(|_| malloc(100_000)).collect();
        blocks.iter().enumerate().for_each(|(index, p)| fill(*p, index));
        blocks.into_iter().for_each(release);
        Thread::of(live_theap().unwrap()).collect(Force::All);
        let arenas = runtime::main_subproc().arenas();
        assert!(arenas.unused_slices() > 0);
        std::thread::spawn(move || {
            collect_all();
            assert!(current_theap().is_empty_theap());
        })
        .join()
        .unwrap();
        assert_eq!(arenas.unused_slices(), 0);
    }
}

#[test]
fn kept_pages_expire_while_the_thread_goes_on() {
    let mut ground = ground();
    // Pages that are committed as a whole fill without slow paths.
    if !mem::config().overcommits {
        return;
    }
    ground.set(OptionId::GenericCollect, 1_000_000);
    let theap = live_theap().unwrap();
    let bin = Bin::of(30_000);
    let blocks: Vec<_> = (0..17).map(|_| malloc(30_000)).collect();
    blocks.into_iter().for_each(release);
    assert!(theap.queue(bin).first().is_some(), "kept for a while");
    let others: Vec<_> = (0..400).map(|_| malloc(4000)).collect();
    assert!(theap.queue(bin).first().is_none(), "slow paths tick");
    others.into_iter().for_each(release);
}

#[test]
fn reducing_lets_go_of_pages_but_not_of_blocks() {
    let _ground = ground();
    let theap = live_theap().unwrap();
    let blocks: Vec<_> = (0..100).map(|_| malloc(8000)).collect();
    blocks.iter().enumerate().for_each(|(index, p)| fill(*p, index));
    assert!(theap.page_count() >= 1);
    collect_reduce(0);
    assert_eq!(theap.page_count(), 0);
    assert!(blocks.iter().enumerate().all(|(index, p)| holds(*p, 8000, index)));
    blocks.into_iter().for_each(release);
}

/// With the simulated system, which can refuse.
#[cfg(feature = "sim")]
mod on_sim {
    use super::*;
    use ferrimalloc_prim::sim::{self, Fault, Kind};

    #[test]
    fn what_is_kept_is_given_back_before_memory_runs_out() {
        let _ground = ground();
        let subproc = crate::runtime::main_subproc();
        sim::refuse(Kind::Map, Fault::From(1));
        let mut blocks = Vec::new();
        loop {
            let p = malloc(LARGE_BLOCK_MAX);
            if p.is_null() {
                break;
            }
            blocks.push(p);
        }
        // A few pages of another class become empty, and are kept: all that is free.
        blocks.drain(..64).for_each(release);
        let middle: Vec<_> = (0..8).map(|_| malloc(100_000)).collect();
        middle.into_iter().for_each(release);
        let used = subproc.arenas().in_use_slices();
        let larger = malloc(3 * MIB);
        assert!(!larger.is_null(), "{used} slices in use");
        blocks.into_iter().chain([larger]).for_each(release);
    }
}

/// While a heap ends, what a thread does with all its theaps leaves out those of other heaps.
#[test]
fn other_heaps_theaps_are_not_touched_while_a_heap_ends() {
    let _ground = ground();
    let heap = runtime::heap_new().unwrap();
    let theap = runtime::theap_for(heap).unwrap();
    assert!(!malloc_in(theap, 64).is_null());
    {
        let _a_heap_ends = runtime::ENDS.begin();
        collect_reduce(0);
        assert_eq!(theap.page_count(), 1, "reduced beside the end of a heap");
        let mut worked_on = 0;
        runtime::Thread::of(theap).for_each_theap(|_| worked_on += 1);
        assert_eq!(worked_on, 1, "the main theap alone");
    }
    collect_reduce(0);
    assert_eq!(theap.page_count(), 0);
    // SAFETY: the test's own heap, used no more.
    assert!(unsafe { runtime::heap_destroy(heap) });
}
