//! `fork`: the child has one thread, and memory as it was at that moment.
//!
//! Before the fork this thread takes every lock, so that no other thread is inside a critical section. Our handlers are
//! registered before all others (`process`): others' prepare before ours, and may allocate, free, and wait for threads
//! that do.
//!
//! In the child the locks are made new. The pages and theaps of threads that don't exist there wait until they matter
//! (`orphans`). Slices that another thread was just claiming are lost to the child, and so are the few remote frees
//! that it had gathered.

use super::process::reopening;
use super::thread::{Thread, current_theap, ended_threads, heap_ends};
use super::{current_subproc, deferred, gather, late, orphans, process, scavenger, subprocs, thread};
use crate::arena::page_map;
use crate::diag;
use crate::heap::{Subproc, adopt_orphans_first};
use crate::options;
use crate::profile;

pub(super) extern "C" fn prepare() {
    // Those of an earlier fork: only one thread survives a fork.
    adopt_orphans_first();
    scavenger::lock_all();
    orphans::adopting().lock_raw();
    heap_ends().lock().lock_raw();
    reopening().lock_raw();
    subprocs::lock_all();
    page_map::lock().lock_raw();
    ended_threads().lock_raw();
    late::lock().lock_raw();
    profile::lock_for_fork().lock_raw();
}

pub(super) extern "C" fn parent() {
    // SAFETY: `prepare` took the locks on this thread.
    unsafe {
        profile::lock_for_fork().unlock_raw();
        late::lock().unlock_raw();
        ended_threads().unlock_raw();
        page_map::lock().unlock_raw();
        subprocs::unlock_all(false);
        reopening().unlock_raw();
        heap_ends().lock().unlock_raw();
        orphans::adopting().unlock_raw();
        scavenger::unlock_all();
    }
}

pub(super) extern "C" fn child() {
    // SAFETY: `prepare` took the locks on the thread that this one is a copy of; there is no other.
    unsafe {
        profile::lock_for_fork().reinit();
        thread::after_fork();
        ended_threads().reinit();
        page_map::lock().reinit();
        subprocs::unlock_all(true);
        gather::after_fork();
        process::after_fork();
        reopening().reinit();
        heap_ends().lock().reinit();
        orphans::adopting().reinit();
        scavenger::after_fork();
    }
    diag::after_fork();
    options::after_fork();
    deferred::after_fork();
    orphans::after_fork();
    reseed();
    subprocs::for_each_subproc(|subproc| {
        forget_threads(subproc);
        true
    });
}

/// The keys of this thread's hardened pages are to differ from the parent's from now on, and so are its samples.
fn reseed() {
    let theap = current_theap();
    if !theap.is_empty_theap() {
        Thread::of(theap).theaps().for_each(|theap| {
            theap.reseed();
            theap.draw_gaps();
        });
    }
}

/// Counts this thread alone.
fn forget_threads(subproc: &'static Subproc) {
    let mine = i64::from(core::ptr::eq(subproc, current_subproc()) && !current_theap().is_empty_theap());
    let threads = &subproc.arenas().stats().threads;
    threads.decrease((threads.current() - mine).max(0) as usize);
}
