//! The profiler: its sums against exact ones, its stacks, and blocks that come and go in every way.
//!
//! Sums of samples are random. They are compared within five standard deviations, which one run in a million misses.

#![cfg(not(loom))]

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{Alignment, Force, Zero};
use ferrimalloc_core::page::{Marks, Page, Walk};
use ferrimalloc_core::profile::{self, Amount, Counts};
use ferrimalloc_core::runtime;

/// The profiler is the process's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const SIGMAS: f64 = 5.0;

/// Runs while the profiler does, with nothing in use that was sampled before.
struct Profiling<'t>(#[allow(dead_code)] MutexGuard<'t, ()>);

impl Profiling<'_> {
    fn at(rate_bytes: usize) -> Profiling<'static> {
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
        assert!(runtime::live_theap().is_some());
        runtime::profile_at(rate_bytes);
        Profiling(guard)
    }
}

impl Drop for Profiling<'_> {
    fn drop(&mut self) {
        runtime::profile_at(0);
    }
}

/// Whether a stack goes through a function that does nothing but call another.
fn is_in(frames: &[usize], site: Site) -> bool {
    const SITE_BYTES: usize = 32;
    frames.iter().skip(1).any(|&frame| frame.wrapping_sub(site as usize) < SITE_BYTES)
}

/// What all stacks through a function amount to.
fn sums(site: Site) -> (Amount, Amount) {
    let (mut allocated, mut in_use) = (Amount::default(), Amount::default());
    profile::for_each_stack(|frames, counts: &Counts| {
        if is_in(frames, site) {
            for (sum, more) in [(&mut allocated, counts.allocated), (&mut in_use, counts.in_use)] {
                sum.count += more.estimate().count;
                sum.bytes += more.estimate().bytes;
            }
        }
        true
    });
    (allocated, in_use)
}

/// How far off an estimate of the number of blocks may be.
fn tolerance(blocks: usize, bytes: usize, rate: usize) -> f64 {
    let p = profile::probability(bytes, rate);
    SIGMAS * (blocks as f64 * (1.0 - p) / p).sqrt() + 1.0
}

#[track_caller]
fn assert_near(found: u64, exact: usize, tolerance: f64) {
    assert!((found as f64 - exact as f64).abs() <= tolerance, "{found}, not {exact} within {tolerance}");
}

#[inline(never)]
fn allocate(size: usize) -> *mut u8 {
    alloc::malloc(size)
}

macro_rules! sites {
    ($($name:ident),*) => {$(
        #[inline(never)]
        fn $name(size: usize) -> *mut u8 {
            core::hint::black_box(allocate(size))
        }
    )*};
}
sites!(site_a, site_b, site_c, site_d, site_e, site_f, site_g);

type Site = fn(usize) -> *mut u8;

fn free(p: *mut u8) {
    // SAFETY: a block of the test's, which is done with it.
    unsafe { alloc::free(p) }
}

/// Allocates in a ring of `live` blocks.
fn churn(site: Site, size: usize, blocks: usize, live: usize) {
    let mut ring = vec![core::ptr::null_mut(); live];
    let mut random = 1u64;
    for _ in 0..blocks {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let place = &mut ring[(random >> 33) as usize % live];
        free(*place);
        *place = site(size);
    }
    ring.into_iter().for_each(free);
}

#[test]
fn sums_are_right_for_blocks_of_every_kind() {
    const RATE: usize = 16 << 10;
    let _profiling = Profiling::at(RATE);
    let cases: [(Site, usize, usize, usize); 4] = [
        (site_a, 48, 2_000_000, 1),
        (site_b, 200, 400_000, 5_000),
        (site_c, 20_000, 20_000, 50),
        (site_d, 600_000, 300, 3),
    ];
    for (site, size, blocks, live) in cases {
        churn(site, size, blocks, live);
        let (allocated, in_use) = sums(site);
        let bytes = alloc::good_size(size);
        let tolerance = tolerance(blocks, bytes, RATE);
        assert_near(allocated.count, blocks, tolerance);
        assert_near(allocated.bytes, blocks * bytes, tolerance * bytes as f64);
        assert_eq!(in_use, Amount::default(), "{size}: all was freed");
    }
}

#[test]
fn what_is_in_use_is_told_and_threads_follow() {
    const RATE: usize = 8 << 10;
    const BLOCKS: usize = 200_000;
    let _profiling = Profiling::at(RATE);
    let worker = std::thread::Builder::new().name("worker-of-test".into());
    let blocks =
        worker.spawn(|| (0..BLOCKS).map(|_| site_e(100) as usize).collect::<Vec<_>>()).unwrap().join().unwrap();
    let (_, in_use) = sums(site_e);
    assert_near(in_use.count, BLOCKS, tolerance(BLOCKS, alloc::good_size(100), RATE));
    let mut names = HashMap::new();
    profile::for_each_stack(|frames, counts| {
        if is_in(frames, site_e) {
            *names.entry(counts.who.thread).or_insert(0) += 1;
            assert!(frames.len() > 3, "{frames:x?}");
        }
        true
    });
    assert_eq!(names.keys().collect::<Vec<_>>(), [b"worker-of-test\0\0"]);
    blocks.into_iter().for_each(|p| free(p as *mut u8));
    let (allocated, in_use) = sums(site_e);
    assert_eq!(in_use, Amount::default(), "freed by another thread");
    assert_near(allocated.count, BLOCKS, tolerance(BLOCKS, alloc::good_size(100), RATE));
}

/// Holes take blocks off lists that were cut, and put others on them that weren't counted yet.
#[test]
fn sums_are_right_where_pages_have_holes() {
    const RATE: usize = 4 << 10;
    const SIZE: usize = 500;
    const CYCLES: usize = 20_000;
    let _profiling = Profiling::at(RATE);
    let blocks: Vec<_> = (0..4_000).map(|_| site_a(SIZE)).collect();
    // What stays fills OS pages, so that every free block lies in a hole.
    let (kept, freed): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|&p| p as usize >> 12 & 15 == 5);
    freed.into_iter().for_each(free);
    let mut most = 0;
    for cycle in 0..CYCLES {
        // Of what is opened for a block the others go again at once.
        alloc::collect(Force::All);
        most = most.max(hole_bytes());
        let burst: Vec<_> = (0..1 + cycle % 3).map(|_| site_f(SIZE)).collect();
        burst.into_iter().for_each(free);
    }
    assert!(most > 1 << 20, "{most}");
    let (allocated, in_use) = sums(site_f);
    let blocks = (0..CYCLES).map(|cycle| 1 + cycle % 3).sum();
    assert_near(allocated.count, blocks, tolerance(blocks, alloc::good_size(SIZE), RATE));
    assert_eq!(in_use, Amount::default());
    kept.into_iter().for_each(free);
    assert_eq!(sums(site_a).1, Amount::default());
}

fn hole_bytes() -> usize {
    let mut bytes = 0;
    runtime::main_subproc().main_heap().unwrap().for_each_own_page(|page| bytes += page.hole_bytes());
    bytes
}

/// At so high a rate nearly every block is a sample, so every path meets some.
#[test]
fn samples_are_blocks_like_all_others() {
    let _profiling = Profiling::at(64);
    let (_, before) = profile::totals();
    let mut blocks = Vec::new();
    for round in 0..4_000usize {
        let size = 1 + round * 37 % 3000;
        let (align, offset) = (1 << (round % 13), if round % 3 == 0 { 24 } else { 0 });
        let p = match round % 4 {
            0 => alloc::malloc(size),
            1 => alloc::zalloc(size),
            2 => alloc::malloc_aligned(size, align, Zero::Zeroed),
            _ => alloc::malloc_aligned_at(size, align, offset, Zero::Zeroed),
        };
        assert!(!p.is_null() && alloc::usable_size(p) >= size);
        assert!(round % 4 != 3 || (p as usize + offset).is_multiple_of(align));
        assert!(round % 4 != 2 || (p as usize).is_multiple_of(align));
        // SAFETY: the block is ours, and that large.
        unsafe {
            assert!(round % 4 == 0 || (0..size).all(|at| p.add(at).read() == 0), "a block of zeros");
            p.write_bytes(round as u8, size);
        }
        blocks.push((p, size, round as u8));
    }
    for (index, (p, size, mark)) in blocks.into_iter().enumerate() {
        let larger = size * (1 + index % 5);
        // SAFETY: the block is ours, and that large.
        unsafe {
            let p = if index % 2 == 0 { alloc::realloc(p, larger) } else { p };
            assert!((0..size).all(|at| p.add(at).read() == mark));
            alloc::free(p);
        }
    }
    let (_, after) = profile::totals();
    assert_eq!(before.sampled, after.sampled, "every sample has come back");
}

#[test]
fn a_block_that_grows_in_place_is_counted_as_it_is() {
    let _profiling = Profiling::at(4096);
    let (_, before) = profile::totals();
    let mut p = allocate(1 << 20);
    for bytes in (2..64).map(|mib| mib << 20) {
        // SAFETY: the block is ours.
        p = unsafe { alloc::realloc(p, bytes) };
    }
    let (_, now) = profile::totals();
    assert_eq!(now.sampled.bytes - before.sampled.bytes, alloc::usable_size(p) as u64);
    free(p);
    let (_, after) = profile::totals();
    assert_eq!(after.sampled, before.sampled);
}

#[test]
fn blocks_that_go_with_their_heap_are_not_in_use() {
    let _profiling = Profiling::at(512);
    let (_, before) = profile::totals();
    let heap = runtime::heap_new().unwrap();
    let theap = runtime::theap_for(heap).unwrap();
    theap.follow_profiler();
    let native = Alignment::NATURAL;
    (0..5_000).for_each(|_| assert!(!alloc::alloc_aligned_at_in(theap, 300, native.align, 0, Zero::Any).is_null()));
    let (_, now) = profile::totals();
    assert!(now.sampled.count > before.sampled.count + 1000);
    let mut heaps = Vec::new();
    profile::for_each_stack(|_, counts| {
        heaps.push(counts.who.heap);
        true
    });
    assert!(heaps.contains(&(heap.id() as u64)));
    // SAFETY: nobody uses its blocks.
    assert!(unsafe { runtime::heap_destroy(heap) });
    let (_, after) = profile::totals();
    assert_eq!(after.sampled, before.sampled);
}

/// Pages of samples of the main heap: how many there are, and how many blocks are in use in them.
fn sample_pages() -> (usize, usize) {
    let (mut pages, mut used) = (0, 0);
    runtime::main_subproc().main_heap().unwrap().for_each_own_page(|page| {
        if page.is_sampled() {
            pages += 1;
            used += page.in_use(Walk::Allowed);
            assert_eq!(page.in_use(Walk::Allowed), page.mark_free(&mut Marks::new()), "as its lists say");
        }
    });
    (pages, used)
}

#[test]
fn samples_share_pages_which_go_when_they_are_empty() {
    const SIZES: [usize; 5] = [16, 500, 4096, 20_000, 64 << 10];
    let _profiling = Profiling::at(512);
    alloc::collect(Force::All);
    let (before, _) = sample_pages();
    let (_, earlier) = profile::totals();
    let blocks: Vec<_> = (0..5_000).map(|index| site_g(SIZES[index % SIZES.len()])).collect();
    let samples = profile::totals().1.sampled.count - earlier.sampled.count;
    let (pages, used) = sample_pages();
    assert!(used as u64 >= samples * 9 / 10, "{used} of {samples}: all but those that it began with");
    // A page has seven blocks of the largest and of no class fewer.
    assert!(pages - before <= used / 7 + SIZES.len(), "{pages} pages for {used} samples");
    blocks.into_iter().for_each(free);
    assert!(sample_pages().0 <= before + SIZES.len(), "one of a class is kept");
    alloc::collect(Force::All);
    assert_eq!(sample_pages(), (before, 0));
    assert_eq!(profile::totals().1.sampled, earlier.sampled);
}

#[test]
fn samples_come_and_go_in_many_threads() {
    const THREADS: usize = 4;
    let _profiling = Profiling::at(64);
    let (_, before) = profile::totals();
    let places: Vec<_> = (0..64).map(|_| Mutex::new(0)).collect();
    let works = |seed: usize| {
        let mut random = seed as u64 + 1;
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (place, size) = (&places[(random >> 33) as usize % places.len()], 8 << ((random >> 40) % 10));
            let p = allocate(size);
            // SAFETY: the block is ours, and that large.
            unsafe { p.write_bytes(seed as u8, size) };
            let old = std::mem::replace(&mut *place.lock().unwrap(), p.expose_provenance());
            free(core::ptr::with_exposed_provenance_mut(old));
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|seed| _ = scope.spawn(move || works(seed))));
    places.iter().for_each(|place| free(core::ptr::with_exposed_provenance_mut(*place.lock().unwrap())));
    assert_eq!(profile::totals().1.sampled, before.sampled);
    alloc::collect(Force::All);
    assert_eq!(sample_pages().1, 0);
}

#[test]
fn samples_outlive_a_heap_that_is_deleted() {
    let _profiling = Profiling::at(64);
    let (_, before) = profile::totals();
    let heap = runtime::heap_new().unwrap();
    let theap = runtime::theap_for(heap).unwrap();
    theap.follow_profiler();
    let blocks: Vec<_> = (0..3_000).map(|index| alloc::malloc_in(theap, 1 + index % 2_000)).collect();
    let (freed, kept) = blocks.split_at(1_000);
    freed.iter().for_each(|&p| free(p));
    // SAFETY: nobody allocates in it.
    assert!(unsafe { runtime::heap_delete(heap) });
    assert!(kept.iter().all(|&p| alloc::heap_of(p) == runtime::heap_main()));
    assert!(sample_pages().1 > 1_000);
    kept.iter().for_each(|&p| free(p));
    assert_eq!(profile::totals().1.sampled, before.sampled);
    alloc::collect(Force::All);
    assert_eq!(sample_pages(), (0, 0));
}

#[test]
fn a_sample_that_is_freed_again_is_no_block() {
    let _profiling = Profiling::at(16);
    let (_, before) = profile::totals();
    let blocks: Vec<_> = (0..100).map(|_| allocate(200)).collect();
    let sample = *blocks.iter().find(|&&p| is_sample(p)).unwrap();
    blocks.iter().for_each(|&p| free(p));
    free(sample);
    assert_eq!(profile::totals().1.sampled, before.sampled);
    let again: Vec<_> = (0..200).map(|_| allocate(200)).collect();
    let different: std::collections::HashSet<_> = again.iter().collect();
    assert_eq!(different.len(), again.len(), "no block is handed out twice");
    again.into_iter().for_each(free);
}

/// They are no thread's: the child's one thread frees those of all, and allocates in their pages, whatever others were doing.
#[cfg(unix)]
#[test]
fn samples_of_all_threads_are_freed_in_the_child_of_a_fork() {
    let _profiling = Profiling::at(64);
    let ends = std::sync::atomic::AtomicBool::new(false);
    let theirs: Mutex<Vec<usize>> = Mutex::new(Vec::new());
    let works = || {
        let own: Vec<_> = (0..300).map(|_| allocate(300).expose_provenance()).collect();
        theirs.lock().unwrap().extend(&own);
        while !ends.load(std::sync::atomic::Ordering::Relaxed) {
            (1..20).map(|size| allocate(size * 40)).for_each(free);
        }
    };
    let free_all = |blocks: &[usize]| {
        let blocks = || blocks.iter().map(|&p| core::ptr::with_exposed_provenance_mut(p));
        let samples = blocks().filter(|&p| is_sample(p)).count();
        blocks().for_each(free);
        samples
    };
    std::thread::scope(|scope| {
        (0..2).for_each(|_| _ = scope.spawn(works));
        while theirs.lock().unwrap().len() < 600 {
            std::thread::yield_now();
        }
        let blocks = theirs.lock().unwrap().clone();
        for _ in 0..50 {
            // SAFETY: the child uses the allocator under test, and what the C library allows after a fork.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: a child that hangs is ended by it.
                unsafe { libc::alarm(20) };
                let freed = free_all(&blocks);
                let own: Vec<_> = (0..300).map(|_| allocate(300).expose_provenance()).collect();
                let is_right = freed > 400 && free_all(&own) > 200;
                alloc::collect(Force::All);
                // SAFETY: ends the child.
                unsafe { libc::_exit(if is_right { 0 } else { 1 }) };
            }
            let mut status = 0;
            // SAFETY: a child of ours and a local.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert_eq!(status, 0);
        }
        ends.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    free_all(&theirs.lock().unwrap());
}

fn is_sample(p: *const u8) -> bool {
    Page::lookup(p).is_some_and(Page::is_sampled)
}

#[test]
fn nothing_is_sampled_when_the_profiler_is_off() {
    drop(Profiling::at(64));
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(|broken| broken.into_inner());
    let (before, _) = profile::totals();
    (0..100_000).map(|_| site_a(64)).for_each(free);
    churn(site_b, 100, 100_000, 1000);
    assert_eq!(profile::totals().0, before);
}
