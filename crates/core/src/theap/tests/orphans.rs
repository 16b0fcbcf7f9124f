//! A thread stops anywhere in its work, as a fork leaves it: what the child then makes of its pages, against a shadow of
//! what is in use.

use std::collections::HashSet;

use super::hardened::{Hardened, put_any, take_any};
use super::*;
use crate::heap::{SingleRequest, release_page};
use crate::options::Hardening;
use crate::random::Fast;
use crate::sync::steps::{stop_at, unstopped};

const SIZES: [usize; 4] = [16, 64, 1024, SIXTEENTH];
/// Stops per sequence of operations.
const STOPS: usize = 60;

/// What two threads have: what the one that stops was just doing is in neither.
#[derive(Default)]
struct Shadow {
    mine: Vec<*mut u8>,
    theirs: Vec<*mut u8>,
}

/// A block in use that looks like a list of others.
fn used(p: *mut u8, others: &[*mut u8]) -> *mut u8 {
    // SAFETY: the test's own block, of two words at least.
    unsafe { p.cast::<*mut u8>().write(others.last().copied().unwrap_or(p)) };
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
        let bytes = SIZES[random.below(4) as usize];
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
    // A block that the thread had in its hands keeps its page; gathered chains, each its own.
    assert!(bed.pages() <= 20, "stopped at {at}: {} pages are left", bed.pages());
}

fn stop_everywhere(seed: u64, hardening: Hardening) {
    let mut at = 1 + seed as usize % 7;
    loop {
        let mut bed = Bed::new();
        // While the bed is ours: other tests come in between.
        let _ordinary_again = Hardened::begin(hardening);
        bed.set(OptionId::PageFullRetain, (seed % 3) as i64);
        bed.set(OptionId::PageReclaimOnFree, (seed % 2) as i64);
        let mut shadow = Shadow::default();
        if stop_at(at, || run(&bed, &mut shadow, seed, 300)).is_none() {
            break;
        }
        adopt(&bed);
        use_all(&bed, shadow, at);
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
    let request = SingleRequest { bytes: 1 << 20, align: 1, offset: 0, spare_bytes: 0, zero: Zero::Any };
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
    (4..6).for_each(|seed| stop_everywhere(seed, Hardening { secure: 4, debug: 0 }));
}
