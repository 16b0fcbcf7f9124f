//! `fork`: the child has one thread, and memory as it was at that moment. A file of its own, since it knows all the others' locks.
//!
//! Before the fork this thread takes every lock, so that no other thread is inside a critical section. Our handlers are
//! registered before all others (`process`): others' prepare before ours, and may allocate, free, and wait for threads
//! that do.
//!
//! In the child the locks are made new. The pages and theaps of threads that don't exist there wait until they matter
//! (`orphans`). Slices that another thread was just claiming are lost to the child, and so are the few remote frees
//! that it had gathered.

use super::thread::Thread;
use super::{callbacks, current_subproc, gather, late, orphans, process, scavenger, subprocs, thread};
use crate::arena::page_map;
use crate::diag;
use crate::heap::{Subproc, adopt_orphans_first, unlock};
use crate::options;
use crate::profile;

pub(super) extern "C" fn prepare() {
    // Those of an earlier fork: only one thread survives a fork.
    adopt_orphans_first();
    scavenger::lock_all();
    orphans::ADOPTING.lock_raw();
    thread::ENDS.lock().lock_raw();
    process::REOPENING.lock_raw();
    subprocs::lock_all();
    page_map::lock().lock_raw();
    thread::ENDED.lock_raw();
    late::LIST.lock_raw();
    profile::lock_for_fork().lock_raw();
}

/// Releases what `prepare` took: in the parent by unlocking, in the child by making the locks new.
///
/// # Safety
/// `prepare` took the locks on this thread, or in the child on the one that this is a copy of, and there is no other.
unsafe fn unlock_all(child: bool) {
    // SAFETY: the precondition.
    unsafe {
        unlock(profile::lock_for_fork(), child);
        unlock(&late::LIST, child);
        unlock(&thread::ENDED, child);
        unlock(page_map::lock(), child);
        subprocs::unlock_all(child);
        unlock(&process::REOPENING, child);
        unlock(thread::ENDS.lock(), child);
        unlock(&orphans::ADOPTING, child);
        scavenger::unlock_all(child);
    }
}

pub(super) extern "C" fn parent() {
    // SAFETY: `prepare` took the locks on this thread.
    unsafe { unlock_all(false) };
}

pub(super) extern "C" fn child() {
    // SAFETY: `prepare` took the locks on the thread that this one is a copy of; there is no other.
    unsafe {
        unlock_all(true);
        gather::after_fork();
        process::after_fork();
    }
    thread::after_fork();
    scavenger::after_fork();
    diag::after_fork();
    options::after_fork();
    callbacks::after_fork();
    profile::after_fork();
    orphans::after_fork();
    reseed();
    subprocs::for_each_subproc(forget_threads);
}

/// The keys of this thread's hardened pages are to differ from the parent's from now on, and so are its samples.
fn reseed() {
    for theap in Thread::current().into_iter().flat_map(|thread| thread.theaps()) {
        theap.reseed();
        theap.draw_gaps();
    }
}

/// Counts this thread alone.
fn forget_threads(subproc: &'static Subproc) {
    let mine = i64::from(core::ptr::eq(subproc, current_subproc()) && Thread::current().is_some());
    let threads = &subproc.arenas().stats().threads;
    threads.decrease((threads.current() - mine).max(0) as usize);
}
