//! What a thread does besides when it is in a slow path anyway: hand over gathered remote frees, run the deferred-free
//! hook, let empty pages expire, purge what is due, collect.

use crate::base::*;
use crate::heap::{adopt_orphans_first, release_resting};
use crate::page::Owned;
use crate::profile;
use crate::runtime::{
    Thread, asks_for_room, collect_unowned, consider_scavenger, current_subproc, current_theap, has_deferred_free,
    run_deferred_free,
};
use crate::theap::{Idled, Theap, Tick};

/// Once per slow path of `malloc`.
#[inline]
pub(super) fn in_slow_path(theap: &'static Theap) {
    adopt_orphans_first();
    theap.flush_remote();
    let thread = Thread::of(theap);
    let heartbeat = thread.beat();
    if has_deferred_free() {
        run_deferred_free(thread, heartbeat, Force::Routine);
    }
    match theap.tick() {
        Tick::NotYet => {}
        Tick::Due => tick(theap),
        Tick::Collect => collect_now(Force::Routine),
    }
}

#[cold]
fn tick(theap: &'static Theap) {
    profile::catch_up();
    theap.follow_profiler();
    theap.upkeep();
    let subproc = theap.heap().subproc();
    collect_unowned(subproc, Force::Routine);
    let arenas = subproc.arenas();
    arenas.purge_due(Force::Routine);
    if !Thread::of(theap).is_late() {
        consider_scavenger(arenas);
    }
}

/// How often the program is asked for room for one request at most.
const MOST_ASKS: usize = 8;

/// A page with a free block, after doing what is due in slow paths. Out of memory, everything that the thread keeps is
/// given back first.
pub(super) fn find_page(theap: &'static Theap, bin: Bin) -> Option<&'static Owned> {
    in_slow_path(theap);
    theap.economise();
    theap.find_page(bin).or_else(|| with_room_made(theap, bin.block_bytes(), || theap.find_page(bin)))
}

/// Tries again what has found no memory for `bytes` bytes, when what the thread keeps has been given back; and as long as a limit is in its way and
/// the program says that it is worth it.
#[cold]
pub(super) fn with_room_made<T>(theap: &'static Theap, bytes: usize, attempt: impl Fn() -> Option<T>) -> Option<T> {
    let slices = bytes.div_ceil(SLICE_BYTES);
    let again = || {
        make_room(theap);
        attempt()
    };
    again().or_else(|| {
        let asks = || asks_for_room(Thread::of(theap), theap.heap(), slices, bytes);
        (0..MOST_ASKS).take_while(|_| asks()).find_map(|_| again())
    })
}

/// Memory has run out: gives back whatever this thread and the arenas keep.
#[cold]
fn make_room(theap: &'static Theap) {
    Thread::of(theap).collect(Force::All);
    release_resting(theap.heap().subproc());
    theap.heap().subproc().arenas().purge_due(Force::All);
}

/// Collects this thread's theaps, if it has any, and purges: with `Force::All` everything that can be given
/// back, also inside of pages, and guarded blocks at rest; else what is due, and what a thread gives back that is about to wait ([`idle`]).
pub fn collect(force: Force) {
    collect_now(force);
    if force == Force::Routine {
        idle();
    }
}

/// This thread is about to wait: it gives back what it holds without need, empty pages and what is empty of sparse ones, and has memory
/// purged that is too much while nothing happens. A thread that does so again and again does it some times, and then every
/// sixteenth of a purge delay; else this is no more than a tick.
pub fn idle() {
    let thread = Thread::current();
    let mut has_given_back = thread.is_none();
    if let Some(thread) = thread {
        adopt_orphans_first();
        thread.for_each_theap(|theap| has_given_back |= theap.idle() == Idled::GaveBack);
    }
    let arenas = current_subproc().arenas();
    if has_given_back { arenas.purge_idle() } else { arenas.purge_due(Force::Routine) }
}

fn collect_now(force: Force) {
    if let Some(thread) = Thread::current() {
        adopt_orphans_first();
        run_deferred_free(thread, thread.beat(), force);
        thread.collect(force);
        thread.for_each_theap(Theap::audit);
    }
    collect_unowned(current_subproc(), force);
    if force == Force::All {
        release_resting(current_subproc());
    }
    current_subproc().arenas().purge_due(force);
}

/// Collects, and gives pages of this thread up until it owns at most `target_bytes` of them; purges.
pub fn collect_reduce(target_bytes: usize) {
    collect(Force::All);
    let Some(thread) = Thread::current() else { return };
    let mut owned_bytes = 0;
    thread.for_each_theap(|theap| owned_bytes += theap.reduce(target_bytes.saturating_sub(owned_bytes)));
    current_theap().heap().subproc().arenas().purge_due(Force::All);
}
