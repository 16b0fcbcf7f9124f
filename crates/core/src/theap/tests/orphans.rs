//! A thread stops anywhere in its work, as a fork leaves it: what the child then makes of its pages, against a shadow of
//! what is in use.

use std::collections::HashSet;

use super::hardened::{put_any, take_any};
use super::*;
use crate::heap::{SingleRequest, forget_guard, guard_single, release_page, release_page_of, release_resting};
use crate::options::Hardening;
use crate::os::os_page_bytes;
use crate::page::SinglePage;
use crate::random::Fast;
use crate::sync::steps::{stop_at, unstopped};
#[cfg(target_os = "linux")]
use ferrimalloc_prim::futex;

/// The first is that of blocks without memory, where blocks have canaries.
const SIZES: [usize; 5] = [8, 16, 64, 1024, SIXTEENTH];
/// Stops per sequence of operations.
const STOPS: usize = 60;

/// What two threads have: what the one that stops was just doing is in neither.
#[derive(Default)]
struct Shadow {
    mine: Vec<*mut u8>,
    theirs: Vec<*mut u8>,
}

/// A block in use that looks like a list of others, if it has memory.
fn used(p: *mut u8, others: &[*mut u8]) -> *mut u8 {
    let page = page_of(p).page();
    if !page.has_block_table() || !page.block_table().is_void() {
        // SAFETY: the test's own block, of a word at least.
        unsafe { p.cast::<*mut u8>().write(others.last().copied().unwrap_or(p)) };
    }
    p
}

fn pull(blocks: &mut Vec<*mut u8>, random: &mut Fast) -> Option<*mut u8> {
    let at = (!blocks.is_empty()).then(|| random.below(blocks.len() as u64) as usize)?;
    Some(blocks.swap_remove(at))
}

/// A few thousand operations by two threads.
fn run(bed: &Bed, shadow: &mut Shadow, seed: u64, operations: usize) {
    let mut random = Fast::new(seed);
    for _ in 0..operations {
        let bytes = SIZES[random.below(SIZES.len() as u64) as usize];
        match random.below(40) {
            0..12 => {
                let block = take_any(bed.theap, bytes);
                let block = used(block, &shadow.mine);
                shadow.mine.push(block);
            }
            12..22 => {
                if let Some(block) = pull(&mut shadow.mine, &mut random) {
                    put_any(bed.theap, block);
                }
            }
            22..26 => {
                let block = unstopped(|| take_any(bed.other, bytes));
                let block = used(block, &shadow.theirs);
                shadow.theirs.push(block);
            }
            26..30 => {
                if let Some(block) = pull(&mut shadow.mine, &mut random) {
                    unstopped(|| put_any(bed.other, block));
                }
            }
            30..34 => {
                if let Some(block) = pull(&mut shadow.theirs, &mut random) {
                    put_any(bed.theap, block);
                }
            }
            34 => unstopped(|| bed.other.flush_remote()),
            35 => bed.theap.flush_remote(),
            36 => bed.theap.collect(Force::Routine),
            37 => bed.theap.collect(Force::All),
            38 if random.below(4) == 0 => bed.theap.abandon_all(),
            _ => (0..30).for_each(|_| {
                let block = take_any(bed.theap, bytes);
                let block = used(block, &shadow.mine);
                shadow.mine.push(block);
            }),
        }
    }
}

/// What the child does with the pages of the thread that is gone.
fn adopt(bed: &Bed) {
    bed.heap.for_each_own_page(|page| {
        let owner = page.owner();
        let is_survivors = owner.tid() == STRANGER && !owner.is_unowned();
        if !is_survivors && !page.is_let_go() {
            // SAFETY: its owner stopped for good.
            Theap::abandon_orphan(unsafe { page.take_over() });
        }
    });
    bed.theap.forget_pages();
}

/// Free memory that is said to be accessible can be touched.
fn check_free_memory(bed: &Bed, at: usize) {
    for arena in bed.heap.subproc().arenas().arenas() {
        let slices = (0..arena.slices()).filter(|&slice| arena.is_free(slice) && arena.is_committed(slice));
        let os_pages = slices.flat_map(|slice| (0..SLICE_BYTES).step_by(os_page_bytes()).map(move |at| (slice, at)));
        let closed = os_pages.filter(|(slice, at)| is_closed(arena.slice_memory(*slice).wrapping_add(*at)));
        assert_eq!(closed.collect::<Vec<_>>(), [], "stopped at {at}: (slice, byte) is closed");
    }
}

#[cfg(target_os = "linux")]
fn is_closed(p: *const u8) -> bool {
    futex::look(p.addr(), 0) == futex::Seen::Gone
}

#[cfg(not(target_os = "linux"))]
fn is_closed(p: *const u8) -> bool {
    // SAFETY: the test dies of it, if that is not accessible.
    unsafe { p.read_volatile() };
    false
}

fn is_any_hardened(bed: &Bed) -> bool {
    let block = take_any(bed.other, SIXTEENTH);
    let is_hardened = page_of(block).has_block_table();
    put_any(bed.other, block);
    is_hardened
}

/// Allocates from everything that there is, then frees all; what is in use must not be met.
fn use_all(bed: &Bed, shadow: Shadow, at: usize) {
    let kept: HashSet<_> = shadow.mine.iter().chain(&shadow.theirs).copied().collect();
    let mut taken = HashSet::new();
    for bytes in SIZES {
        for _ in 0..300 {
            let block = take_any(bed.other, bytes);
            assert!(!kept.contains(&block), "stopped at {at}: {bytes} bytes in use are handed out");
            assert!(taken.insert(used(block, &[])), "stopped at {at}: {bytes} bytes are handed out twice");
        }
    }
    kept.into_iter().chain(taken).for_each(|block| put_any(bed.other, block));
    bed.other.flush_remote();
    bed.other.collect(Force::All);
    check_free_memory(bed, at);
    // A block that the thread had in its hands keeps its page; gathered chains, each its own.
    assert!(bed.pages() <= 20, "stopped at {at}: {} pages are left", bed.pages());
}

/// Both threads' theaps at these levels.
fn bed_at(hardening: Hardening) -> Bed {
    let bed = Bed::new();
    [bed.theap, bed.other].into_iter().for_each(|theap| theap.instrumentation.instrument_at(hardening, theap.heap()));
    bed
}

/// Gives a bed's memory back: there are many. A page that was being released is in no registry any more.
fn destroy(bed: Bed) {
    let arenas = bed.heap.subproc().arenas();
    let slices = arenas.arenas().flat_map(|arena| (0..arena.slices()).map(|slice| arena.slice_memory(slice)));
    for page in slices.map(|memory| Page::entry(memory)).filter(|page| page.owner().is_page()) {
        forget_guard(page);
        // SAFETY: the test is done with the bed, and with it.
        unsafe { page.take_over() }.erase();
    }
    // SAFETY: as above. The heap and its theaps lie in the arenas.
    unsafe { arenas.destroy() };
}

fn stop_everywhere(seed: u64, hardening: Hardening) {
    let mut at = 1 + seed as usize % 7;
    loop {
        let mut bed = bed_at(hardening);
        bed.set(OptionId::PageFullRetain, (seed % 3) as i64);
        bed.set(OptionId::PageReclaimOnFree, (seed % 2) as i64);
        let mut shadow = Shadow::default();
        if stop_at(at, || run(&bed, &mut shadow, seed, 300)).is_none() {
            break;
        }
        adopt(&bed);
        assert_eq!(is_any_hardened(&bed), hardening.checks());
        use_all(&bed, shadow, at);
        destroy(bed);
        at += 1 + at / STOPS * 8;
    }
    assert!(at > 150, "few pins were passed");
}

#[test]
fn a_thread_may_stop_anywhere() {
    (0..4).for_each(|seed| stop_everywhere(seed, Hardening::NONE));
}

#[test]
fn a_single_block_left_behind_is_left_to_whoever_frees_it() {
    let bed = Bed::new();
    let request =
        SingleRequest { bytes: 1 << 20, align: 1, offset: 0, front_bytes: 0, spare_bytes: 0, zero: Zero::Any };
    for lends in [true, false] {
        let page = bed.heap.fresh_single(&request, ME, bed.theap.handle(), 0).unwrap();
        if lends {
            page.mark_single_handed_out();
        }
        let here = page.page();
        Theap::abandon_orphan(page);
        assert_eq!(bed.pages(), usize::from(lends));
        if lends {
            assert!(here.owner().is_unowned() && here.look().used_when_let_go() == 1);
            release_page(here.claim().unwrap().0);
        }
    }
}

#[test]
fn a_thread_with_hardened_pages_may_stop_anywhere() {
    for (seed, levels) in (4..).zip([(2, 0), (4, 0), (4, 0), (5, 0), (0, 3)]) {
        stop_everywhere(seed, Hardening { secure: levels.0, debug: levels.1 });
    }
}

/// Stops at every pin of `work`, which is followed by `after` in the child; nothing that is closed may be taken for ordinary memory.
fn stop_with_guards(secure: u8, work: impl Fn(&Bed), after: impl Fn(&Bed)) {
    let mut at = 1;
    loop {
        let bed = bed_at(Hardening { secure, debug: 0 });
        let stopped = stop_at(at, || work(&bed));
        adopt(&bed);
        after(&bed);
        check_free_memory(&bed, at);
        destroy(bed);
        if stopped.is_none() {
            break;
        }
        at += 1;
    }
    assert!(at > 2, "a pin before the guard and one behind it");
}

#[test]
fn what_a_thread_was_closing_is_opened_before_it_is_used_again() {
    // A page whose blocks have no memory, and one that ends with a guard.
    stop_with_guards(3, |bed| put_any(bed.theap, take_any(bed.theap, 8)), |_| ());
    stop_with_guards(5, |bed| put_any(bed.theap, take_any(bed.theap, 1024)), |_| ());
}

/// A guarded block's page, which nobody owns.
fn guarded_single(bed: &Bed) -> SinglePage {
    let bytes = os_page_bytes();
    let request =
        SingleRequest { bytes, align: bytes, offset: bytes, front_bytes: bytes, spare_bytes: bytes, zero: Zero::Any };
    let mut page = bed.heap.fresh_single(&request, ME, bed.theap.handle(), 0).unwrap().hand_out_single(ME);
    assert!(guard_single(&mut page));
    page
}

fn release_all_of(bed: &Bed) {
    bed.heap.for_each_own_page(|page| {
        // SAFETY: nobody has its block.
        release_page_of(bed.heap, unsafe { page.take_over() });
    });
}

/// Nobody has the block: its page stays until the heap is destroyed.
#[test]
fn what_a_thread_was_closing_around_a_single_block_is_opened_when_its_heap_is_destroyed() {
    stop_with_guards(0, |bed| _ = guarded_single(bed), release_all_of);
}

#[test]
fn a_guarded_block_that_a_thread_was_freeing_rests_or_is_lost_and_its_memory_comes_back() {
    let free = |bed: &Bed| {
        let page = guarded_single(bed);
        release_page(page.free().unwrap());
        assert!(bed.pages() == 1 && bed.heap.stats().malloc_huge.current() == 0);
    };
    // What rests goes with a collection, and with its heap.
    stop_with_guards(0, free, |bed| {
        release_resting(bed.heap.subproc());
        release_all_of(bed);
        assert_eq!(bed.pages(), 0);
    });
    stop_with_guards(0, free, |bed| {
        release_all_of(bed);
        release_resting(bed.heap.subproc());
        assert_eq!(bed.pages(), 0);
    });
}
