//! The hard patterns, at speed: threads that come and go, blocks that are freed far from where they were allocated, forks
//! beside busy threads. At the end of each nothing may be left, and the process is no larger than before.
//!
//! The allocator is one per process, so the tests of this file run one at a time. `FERRIMALLOC_TEST_TIMES` multiplies.

#![cfg(not(loom))]

mod support;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{Force, Zero};
use ferrimalloc_core::runtime;
use libc::{c_int, c_void, siginfo_t};
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::io::{self, Write};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use support::{Block, Books, Numbers, times};

static TURN: Mutex<()> = Mutex::new(());

/// The allocator for one test alone.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn malloc(size: usize, seed: u64) -> Block {
    let p = alloc::malloc(size);
    assert!(!p.is_null());
    Block::adopt(p, size, seed)
}

fn free(block: Block) {
    block.check();
    // SAFETY: the block's only holder.
    unsafe { alloc::free(block.start()) };
}

/// Waits until the threads have ended, destructors and all. (A scope only waits for what they do before.)
fn join(threads: Vec<JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
}

/// Resident memory of this process.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number") * 4096
}

/// How much more may be resident in the end. The in-memory system has 2 MiB pages behind it, so that one block keeps so much.
const MOST_GROWTH_BYTES: usize = if cfg!(feature = "sim") { 128 << 20 } else { 16 << 20 };

/// How many more slices may hold metadata in the end. It is kept for as much as there ever was at once, which with many threads takes
/// a few rounds; pages that are hardened have tables there, of two thirds of a KiB and more.
fn most_more_slices() -> usize {
    if support::has_level() { 64 } else { 16 }
}

/// Runs `work` twice to warm up, then several times: everything is given back each time, and nothing grows.
fn stays_flat(work: impl Fn(u64)) {
    let _turn = turn();
    (0..2).for_each(&work);
    let (books, resident) = (Books::collected(), resident_bytes());
    for round in 2..2 + 4 * times() as u64 {
        work(round);
        assert_eq!(Books::collected().pages, 0);
    }
    let after = Books::collected();
    assert!(after.slices <= books.slices + most_more_slices(), "{books:?} {after:?}");
    let grown = resident_bytes().saturating_sub(resident);
    assert!(grown < MOST_GROWTH_BYTES * support::shadow(), "{grown} bytes more are resident");
}

#[test]
fn threads_come_and_go() {
    stays_flat(|round| {
        for generation in 0..60 {
            let seed = round * 1000 + generation;
            let (outbox, inbox) = channel();
            let threads: Vec<_> = (0..8)
                .map(|index| {
                    let outbox = outbox.clone();
                    thread::spawn(move || live_shortly(seed * 8 + index, &outbox))
                })
                .collect();
            drop(outbox);
            inbox.into_iter().for_each(free);
            join(threads);
        }
    });
}

/// Leaves half of its blocks to others, and ends.
fn live_shortly(seed: u64, outbox: &Sender<Block>) {
    let mut numbers = Numbers::new(seed);
    for index in 0..40 {
        let block = malloc(numbers.size(14), seed + index);
        if index % 2 == 0 { free(block) } else { outbox.send(block).expect("open") }
    }
}

#[test]
fn producers_and_consumers() {
    const BLOCKS: usize = 20_000;
    stays_flat(|round| {
        let mut threads = Vec::new();
        for pair in 0..3 {
            let (outbox, inbox) = sync_channel(500);
            threads.push(thread::spawn(move || {
                let mut numbers = Numbers::new(round * 10 + pair);
                (0..BLOCKS).for_each(|_| outbox.send(malloc(numbers.size(11), numbers.next())).expect("open"));
            }));
            threads.push(thread::spawn(move || assert_eq!(inbox.into_iter().map(free).count(), BLOCKS)));
        }
        join(threads);
    });
}

/// Every block goes round through all threads several times, growing and shrinking as it goes.
#[test]
fn blocks_migrate() {
    const THREADS: usize = 6;
    const TRIPS: usize = 3 * THREADS;
    const BLOCKS: usize = 50 * THREADS;
    stays_flat(|round| {
        let (outboxes, inboxes): (Vec<_>, Vec<_>) = (0..THREADS).map(|_| channel::<(usize, Block)>()).unzip();
        let pass_on = |(index, inbox): (usize, Receiver<(usize, Block)>)| {
            let next = outboxes[(index + 1) % THREADS].clone();
            thread::spawn(move || {
                let mut numbers = Numbers::new(round * 100 + index as u64);
                for (trips, block) in inbox.into_iter().take(BLOCKS * TRIPS / THREADS) {
                    let block = resized(block, numbers.size(15), numbers.next());
                    if trips < TRIPS { next.send((trips + 1, block)).expect("open") } else { free(block) }
                }
            })
        };
        let threads = inboxes.into_iter().enumerate().map(pass_on).collect();
        for seed in 0..BLOCKS {
            outboxes[seed % THREADS].send((1, malloc(seed, seed as u64))).expect("open");
        }
        join(threads);
    });
}

fn resized(block: Block, size: usize, seed: u64) -> Block {
    block.check();
    // SAFETY: the block's only holder.
    let p = unsafe { alloc::realloc(block.start(), size) };
    assert!(!p.is_null());
    block.check_at(p, size);
    Block::adopt(p, size, seed)
}

/// Many more threads than processors swap blocks in and out of common places.
#[test]
fn oversubscribed() {
    stays_flat(|round| {
        let places: Arc<[AtomicPtr<u8>]> = (0..256).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        let swap = |index| {
            let places = places.clone();
            thread::spawn(move || swap_blocks(&places, round * 100 + index))
        };
        join((0..64).map(swap).collect());
        // SAFETY: all threads are done: the blocks are ours.
        places.iter().for_each(|place| unsafe { alloc::free(place.load(Ordering::Relaxed)) });
    });
}

fn swap_blocks(places: &[AtomicPtr<u8>], seed: u64) {
    let mut numbers = Numbers::new(seed);
    for _ in 0..400 {
        let size = numbers.size(12).max(1);
        let fresh = alloc::malloc(size);
        // SAFETY: ours until it is swapped in.
        unsafe { fresh.write_bytes(seed as u8, size) };
        let old = places[numbers.below(places.len())].swap(fresh, Ordering::AcqRel);
        // SAFETY: swapped out, so it is ours; or null.
        unsafe { alloc::free(old) };
    }
}

/// Allocates and frees when its thread ends.
struct LateUser(Vec<Block>);

impl Drop for LateUser {
    fn drop(&mut self) {
        let more: Vec<Block> = (0..50).map(|seed| malloc(seed * 10, seed as u64)).collect();
        self.0.drain(..).chain(more).for_each(free);
    }
}

thread_local! {
    static LATE: RefCell<LateUser> = const { RefCell::new(LateUser(Vec::new())) };
}

/// Destructors that run before the allocator's, and others that run after it, use it.
#[test]
fn destructors_that_allocate() {
    let key = create_key();
    stays_flat(|round| {
        for generation in 0..40 {
            let threads: Vec<_> = (0..4)
                .map(|index| thread::spawn(move || end_late(key, round * 1000 + generation * 4 + index)))
                .collect();
            join(threads);
        }
    });
    assert!(LATE_RUNS.load(Ordering::Relaxed) > 0);
}

fn end_late(key: libc::pthread_key_t, seed: u64) {
    LATE.with_borrow_mut(|late| late.0.extend((0..20).map(|index| malloc(100, seed + index))));
    let last = malloc(64, seed);
    // SAFETY: a key of ours; its destructor frees the block.
    unsafe { libc::pthread_setspecific(key, last.start().cast()) };
}

static LATE_RUNS: AtomicUsize = AtomicUsize::new(0);

fn create_key() -> libc::pthread_key_t {
    let _turn = turn();
    // The allocator's own key comes first, so that its destructor runs before this one.
    free(malloc(1, 1));
    alloc::collect(Force::All);
    let mut key = 0;
    // SAFETY: a local, and a function that lives as long as the process.
    assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(free_late)) }, 0);
    key
}

unsafe extern "C" fn free_late(block: *mut c_void) {
    LATE_RUNS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the block that `end_late` left.
    unsafe { alloc::free(block.cast()) };
    (0..30).map(|seed| malloc(200, seed)).collect::<Vec<_>>().into_iter().for_each(free);
}

/// A heap is deleted while threads free its blocks, some of them at their end.
#[test]
fn heaps_end_beside_threads_that_free() {
    stays_flat(|round| {
        for turn in 0..30 {
            let heap = runtime::heap_new().expect("memory");
            let theap = runtime::theap_for(heap).expect("memory");
            let mut numbers = Numbers::new(round * 100 + turn);
            let mut shares: Vec<Vec<Block>> = (0..4).map(|_| Vec::new()).collect();
            for index in 0..200 {
                let size = numbers.size(13);
                let p = alloc::alloc_aligned_at_in(theap, size, 8, 0, Zero::Any);
                shares[index % 4].push(Block::adopt(p, size, index as u64));
            }
            let free_all = |share: Vec<Block>| thread::spawn(|| share.into_iter().for_each(free));
            let threads = shares.into_iter().map(free_all).collect();
            // SAFETY: nobody allocates in the heap any more.
            assert!(unsafe { runtime::heap_delete(heap) });
            join(threads);
        }
    });
}

/// Children of a process with busy threads allocate, free what they have inherited, start threads, and fork again.
#[test]
fn forks_beside_busy_threads() {
    let _turn = turn();
    let stop = Arc::new(AtomicBool::new(false));
    let busy = |seed| {
        let stop = stop.clone();
        thread::spawn(move || be_busy(seed, &stop))
    };
    let threads = (0..4).map(busy).collect();
    (0..150 * times() as u64).for_each(fork_with_blocks);
    stop.store(true, Ordering::Relaxed);
    join(threads);
    assert_eq!(Books::collected().pages, 0);
}

/// One of four has it done by others, which come and go: so a fork also meets threads that start, make their first pages, and end.
fn be_busy(seed: u64, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let (outbox, inbox) = channel();
        if seed == 0 {
            join(vec![thread::spawn(move || live_shortly(seed, &outbox))]);
        } else {
            live_shortly(seed, &outbox);
            drop(outbox);
        }
        inbox.into_iter().for_each(free);
    }
}

fn fork_with_blocks(seed: u64) {
    let inherited: Vec<Block> = (0..20).map(|index| malloc(index * 30, seed + index as u64)).collect();
    let status = in_child(|| {
        live_in_child(&inherited, seed);
        if seed.is_multiple_of(10) {
            assert_eq!(in_child(|| live_in_child(&[], seed)), 0);
        }
    });
    assert_eq!(status, 0, "child {seed}");
    inherited.into_iter().for_each(free);
}

/// Has a process that touches what it must not say where before it dies of it.
fn explain_death() {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = last_words;
    // SAFETY: integers and a set of signals: all zero is a value. The handler is one for `SA_SIGINFO`.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESETHAND;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut()), 0);
    }
}

/// The same instruction ends the process when this returns. Not by the macros, whose output is kept for the parent's test.
extern "C" fn last_words(_: c_int, info: *mut siginfo_t, _: *mut c_void) {
    // SAFETY: what the system hands to a handler.
    let address = unsafe { (*info).si_addr() } as usize;
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let number = |text: &str| usize::from_str_radix(text, 16).ok();
    let has_it = |line: &&str| {
        let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
        range.is_some_and(|(start, end)| number(start) <= Some(address) && Some(address) < number(end))
    };
    let mapping = maps.lines().find(has_it).unwrap_or("no mapping");
    let _ = writeln!(io::stderr(), "died at {address:#x} ({mapping})\n{}", Backtrace::force_capture());
}

/// Runs `work` in a forked child; answers its status. A child that hangs is ended by its alarm.
fn in_child(work: impl FnOnce()) -> c_int {
    // SAFETY: the child uses the allocator under test, which is made for that, and functions of the C library that
    // glibc allows after a fork.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        // SAFETY: ends the child without running the parent's exit handlers.
        unsafe {
            libc::alarm(20);
            explain_death();
            work();
            libc::_exit(0);
        }
    }
    let mut status = 0;
    // SAFETY: a child of ours and a local.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

fn live_in_child(inherited: &[Block], seed: u64) {
    for block in inherited {
        block.check();
        // SAFETY: the child's copy of the block, which it does not touch again.
        unsafe { alloc::free(block.start()) };
    }
    let mut numbers = Numbers::new(seed);
    let own: Vec<Block> = (0..100).map(|index| malloc(numbers.size(16), index)).collect();
    // SAFETY: the thread only uses the allocator, and is waited for.
    unsafe {
        let mut thread = 0;
        assert_eq!(libc::pthread_create(&mut thread, ptr::null(), free_and_allocate, ptr::null_mut()), 0);
        assert_eq!(libc::pthread_join(thread, ptr::null_mut()), 0);
    }
    own.into_iter().for_each(free);
}

extern "C" fn free_and_allocate(_: *mut c_void) -> *mut c_void {
    (0..100).map(|seed| malloc(seed as usize * 20, seed)).collect::<Vec<_>>().into_iter().for_each(free);
    ptr::null_mut()
}

/// Not on the in-memory system: a child whose parent's other thread was inside of it finds its lock held for ever, and levels
/// with guards are inside of it all the time.
#[cfg(not(feature = "sim"))]
#[test]
fn all_of_it_holds_at_every_level() {
    let _turn = turn();
    support::at_every_level(&["all_of_it_holds_at_every_level"], &[]);
}
