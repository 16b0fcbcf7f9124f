//! `fork`: the child has one thread, and memory as it was at that moment.
//!
//! Before the fork this thread takes every lock, so that no other thread is inside a critical section. In the child
//! the locks are made new, and the theaps of threads that don't exist there are ended: their pages are
//! abandoned like at a thread's end, after their counts have been checked against the lists (a thread may
//! have been between two instructions of a free). Slices or pages that another thread was just claiming are lost to the
//! child, and so are the few remote frees that it had gathered.

use super::process::reopening;
use super::thread::{Thread, current_theap, ended_threads, heap_ends};
use super::{current_subproc, deferred, gather, process, subprocs};
use crate::arena::page_map;
use crate::diag;
use crate::heap::{Heap, Subproc};
use crate::options;
use crate::page::{Owner, Page};
use crate::theap::Theap;
use ferrimalloc_prim::thread::id as thread_id;

pub(super) extern "C" fn prepare() {
    heap_ends().lock().lock_raw();
    reopening().lock_raw();
    subprocs::lock_all();
    page_map::lock().lock_raw();
    ended_threads().lock_raw();
}

pub(super) extern "C" fn parent() {
    // SAFETY: `prepare` took the locks on this thread.
    unsafe {
        ended_threads().unlock_raw();
        page_map::lock().unlock_raw();
        subprocs::unlock_all(false);
        reopening().unlock_raw();
        heap_ends().lock().unlock_raw();
    }
}

pub(super) extern "C" fn child() {
    // SAFETY: `prepare` took the locks on the thread that this one is a copy of; there is no other.
    unsafe {
        ended_threads().reinit();
        page_map::lock().reinit();
        subprocs::unlock_all(true);
        gather::after_fork();
        process::after_fork();
        reopening().reinit();
        heap_ends().lock().reinit();
    }
    diag::after_fork();
    options::after_fork();
    deferred::after_fork();
    let me = thread_id();
    reseed();
    subprocs::for_each_subproc(|subproc| {
        subproc.for_each_heap(|heap| {
            adopt_orphans(heap, me);
            true
        });
        forget_threads(subproc);
        true
    });
}

/// The keys of this thread's checked pages are to differ from the parent's from now on.
fn reseed() {
    let theap = current_theap();
    if !theap.is_empty_theap() {
        Thread::of(theap).theaps().for_each(Theap::reseed);
    }
}

/// Counts this thread alone.
fn forget_threads(subproc: &'static Subproc) {
    let mine = i64::from(core::ptr::eq(subproc, current_subproc()) && !current_theap().is_empty_theap());
    let threads = &subproc.arenas().stats().threads;
    threads.decrease((threads.current() - mine).max(0) as usize);
}

/// Abandons the pages of all threads but `me`, and ends their theaps.
fn adopt_orphans(heap: &'static Heap, me: usize) {
    heap.registry().for_each_page(heap.subproc().arenas(), |page| {
        if is_orphan(page, me) {
            Theap::abandon_orphan(page);
        }
        true
    });
    while let Some(theap) = Theap::find_of(heap, |theap| theap.tid() != me) {
        theap.forget_pages();
        theap.end();
    }
}

/// Owned by a thread that the child doesn't have.
fn is_orphan(page: &Page, me: usize) -> bool {
    let owner = page.owner();
    !owner.is_unowned() && owner != Owner::NONE && owner.tid() != me
}
