//! Limits on memory: the process's, and those of heaps. They are one per process, so the tests of this file run one at a time.

#![cfg(not(loom))]

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use ferrimalloc_core::alloc;
use ferrimalloc_core::arena::{Arena, limit_slices, process_limit, set_process_limit};
use ferrimalloc_core::base::{Force, SLICE_BYTES, Zero};
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::options::{self, OptionId};
use ferrimalloc_core::runtime;
use ferrimalloc_core::theap::Theap;
use ferrimalloc_prim::errno;

const MIB: usize = 1 << 20;
/// Of small, medium and large pages, and with a page of their own.
const SIZES: [usize; 7] = [16, 200, 1000, 5000, 40_000, 200_000, MIB];

static ONE_BY_ONE: Mutex<()> = Mutex::new(());

/// Nobody else is here, and when the answer is dropped there is no limit any more.
struct Alone(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

fn alone() -> Alone {
    let alone = Alone(ONE_BY_ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
    alloc::collect(Force::All);
    alone
}

impl Drop for Alone {
    fn drop(&mut self) {
        set_process_limit(0);
        runtime::register_limit_hook(None, ptr::null_mut());
    }
}

fn committed() -> usize {
    runtime::main_subproc().arenas().stats().committed.current() as usize
}

/// Blocks of one size, touched, until there are no more, or so many; each time `check` looks.
fn fill(size: usize, most: usize, mut check: impl FnMut()) -> Vec<*mut u8> {
    let mut blocks = Vec::new();
    while blocks.len() < most {
        let block = alloc::malloc(size);
        check();
        if block.is_null() {
            break;
        }
        // SAFETY: that large.
        unsafe { block.write_bytes(1, size) };
        blocks.push(block);
    }
    blocks
}

fn free_all(blocks: Vec<*mut u8>) {
    // SAFETY: used no more.
    blocks.into_iter().for_each(|block| unsafe { alloc::free(block) });
}

#[test]
fn what_is_committed_never_exceeds_the_process_limit() {
    let _alone = alone();
    let limit = committed() + 40 * MIB;
    set_process_limit(limit);
    assert_eq!(options::get(OptionId::Limit), limit as i64);
    for size in SIZES {
        errno::set(errno::Errno::EAGAIN);
        let blocks = fill(size, usize::MAX, || assert!(committed() <= limit, "{size}: {}", committed()));
        assert_eq!(errno::get(), errno::Errno::ENOMEM);
        assert!(blocks.len() * size > 30 * MIB, "{size}: {} of 40 MiB were had", blocks.len() * size / MIB);
        // Of what others had, which is unused now, whatever size it was of.
        free_all(blocks);
    }
}

#[test]
fn threads_keep_the_process_limit_together() {
    let _alone = alone();
    let limit = committed() + 24 * MIB;
    set_process_limit(limit);
    let (most, failures) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Joined one by one: the end of a scope doesn't wait for what threads do when they end.
    thread::scope(|scope| {
        let start = |number: usize| {
            let (most, failures) = (&most, &failures);
            scope.spawn(move || {
                let look = || _ = most.fetch_max(process_limit().charged(), Ordering::Relaxed);
                for round in 0..6 {
                    let size = SIZES[(number + round) % SIZES.len()];
                    let blocks = fill(size, 12 * MIB / size, look);
                    failures.fetch_add(usize::from(blocks.len() < 12 * MIB / size), Ordering::Relaxed);
                    free_all(blocks);
                }
            })
        };
        let threads: Vec<_> = (0..4).map(start).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    assert!(most.into_inner() <= limit / SLICE_BYTES);
    assert!(failures.into_inner() > 0, "four times 12 MiB are too many");
    set_process_limit(0);
    alloc::collect(Force::All);
    let arenas = runtime::main_subproc().arenas();
    let there =
        arenas.in_use_slices() + arenas.unused_slices() + arenas.arenas().map(Arena::info_slices).sum::<usize>();
    assert_eq!(process_limit().charged(), there, "all that is charged is there, and nothing else");
}

#[test]
fn at_the_limit_what_is_unused_is_used_and_not_purged() {
    let _alone = alone();
    // Nothing is purged for any other reason.
    options::set(OptionId::PurgeDelay, 1_000_000);
    let blocks = fill(MIB, 3, || ());
    // Not what is committed: where pages have holes, more is charged.
    set_process_limit(process_limit().charged() * SLICE_BYTES);
    let calls = || runtime::main_subproc().arenas().stats().purge_calls.get();
    let before = calls();
    free_all(blocks);
    let blocks = fill(MIB, 3, || ());
    assert_eq!((blocks.len(), calls()), (3, before));
    free_all(blocks);
    options::set(OptionId::PurgeDelay, 1000);
}

#[test]
fn a_lower_limit_frees_nothing_and_no_limit_is_none() {
    let _alone = alone();
    let blocks = fill(5000, 4000, || ());
    set_process_limit(MIB);
    assert!(alloc::malloc(100_000).is_null() && process_limit().shortage(0) > 0);
    // SAFETY: in use.
    assert!(blocks.iter().all(|&block| unsafe { block.add(4999).read() } == 1));
    set_process_limit(0);
    let block = alloc::malloc(100_000);
    assert!(!block.is_null());
    free_all(vec![block]);
    free_all(blocks);
}

#[test]
fn growing_blocks_and_mappings_are_limited_too() {
    let _alone = alone();
    let limit = committed() + 16 * MIB;
    set_process_limit(limit);
    let mut block = alloc::malloc(MIB);
    let mut size = MIB;
    loop {
        // SAFETY: a block in use.
        let larger = unsafe { alloc::realloc(block, size + MIB / 2) };
        assert!(committed() <= limit);
        if larger.is_null() {
            break;
        }
        (block, size) = (larger, size + MIB / 2);
    }
    // Moving needs both places.
    assert!(size >= 7 * MIB, "{size}");
    free_all(vec![block]);
    let before = options::get(OptionId::ArenaMaxObjectSize);
    options::set(OptionId::ArenaMaxObjectSize, 1024);
    let charged = process_limit().charged();
    let mapped = alloc::malloc(10 * MIB);
    assert!(!mapped.is_null() && committed() <= limit && alloc::malloc(10 * MIB).is_null());
    free_all(vec![mapped]);
    options::set(OptionId::ArenaMaxObjectSize, before);
    assert!(process_limit().charged() <= charged);
}

/// A heap with a theap of this thread.
fn limited_heap(bytes: usize) -> (&'static Heap, &'static Theap) {
    let heap = runtime::heap_new().unwrap();
    heap.limit().set(limit_slices(bytes));
    (heap, runtime::theap_for(heap).unwrap())
}

#[test]
fn a_heap_keeps_its_own_limit() {
    let _alone = alone();
    let (heap, theap) = limited_heap(8 * MIB);
    for size in SIZES {
        let mut blocks = Vec::new();
        loop {
            let block = alloc::alloc_in(theap, size, Zero::Any);
            assert!(heap.limit().charged() * SLICE_BYTES <= 8 * MIB);
            if block.is_null() {
                break;
            }
            blocks.push(block);
        }
        assert!(blocks.len() * size > 5 * MIB, "{size}: {}", blocks.len() * size);
        let other = alloc::malloc(9 * MIB);
        assert!(!other.is_null(), "others are not limited");
        free_all(vec![other]);
        free_all(blocks);
    }
    theap.collect(Force::All);
    assert_eq!(heap.limit().charged(), 0, "with its last page");
    // SAFETY: no block is used.
    assert!(unsafe { runtime::heap_destroy(heap) });
}

#[test]
fn a_deleted_heap_charges_the_main_heap() {
    let _alone = alone();
    let main = runtime::heap_main().unwrap();
    let (heap, theap) = limited_heap(0);
    let block = alloc::alloc_in(theap, 3 * MIB, Zero::Any);
    let (before, own) = (main.limit().charged(), heap.limit().charged());
    assert!(own >= 48);
    // SAFETY: the heap is not used any more.
    assert!(unsafe { runtime::heap_delete(heap) });
    assert_eq!(main.limit().charged(), before + own);
    free_all(vec![block]);
    assert_eq!(main.limit().charged(), before);
}

/// What the hook below frees, and how often it was asked.
static HELD: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static ASKED: AtomicUsize = AtomicUsize::new(0);
static ASKED_BY: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());

unsafe extern "C" fn free_held(heap: *mut Heap, bytes: usize, arg: *mut c_void) -> bool {
    assert!(bytes >= MIB && arg == ptr::dangling_mut::<c_void>());
    ASKED.fetch_add(1, Ordering::Relaxed);
    ASKED_BY.store(heap, Ordering::Relaxed);
    // What it allocates itself asks nobody.
    assert!(alloc::malloc(1 << 47).is_null());
    let held = HELD.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: in use, or null; nobody else has it.
    unsafe { alloc::free(held) };
    !held.is_null()
}

#[test]
fn the_program_is_asked_before_a_request_fails() {
    let _alone = alone();
    set_process_limit(committed() + 20 * MIB);
    runtime::register_limit_hook(Some(free_held), ptr::dangling_mut());
    HELD.store(alloc::malloc(12 * MIB), Ordering::Relaxed);
    assert_eq!(ASKED.load(Ordering::Relaxed), 0, "there was room");
    let block = alloc::malloc(12 * MIB);
    assert!(!block.is_null(), "the hook has made room");
    assert_eq!((ASKED.swap(0, Ordering::Relaxed), ASKED_BY.load(Ordering::Relaxed)), (1, ptr::null_mut()));
    assert!(alloc::malloc(12 * MIB).is_null(), "the hook has nothing more");
    assert_eq!(ASKED.swap(0, Ordering::Relaxed), 1);
    free_all(vec![block]);
    set_process_limit(0);

    let (heap, theap) = limited_heap(4 * MIB);
    HELD.store(alloc::alloc_in(theap, 3 * MIB, Zero::Any), Ordering::Relaxed);
    let block = alloc::alloc_in(theap, 3 * MIB, Zero::Any);
    assert!(!block.is_null());
    assert!(ptr::eq(ASKED_BY.load(Ordering::Relaxed), heap), "by the heap whose limit it is");
    // Requests that no limit refuses ask nobody.
    ASKED.store(0, Ordering::Relaxed);
    assert!(alloc::malloc(usize::MAX / 4).is_null());
    assert_eq!(ASKED.load(Ordering::Relaxed), 0);
    // SAFETY: no block is used.
    assert!(unsafe { runtime::heap_destroy(heap) });
}
