//! The process, its threads, heaps and sub-processes, on the real thing: the main sub-process that all tests share, one
//! test at a time.

use core::ptr;
use std::thread;
use std::vec::Vec;

use super::*;
use crate::arena::tests;
use crate::base::*;
use crate::heap::{Heap, Subproc};
use crate::options::OptionId;
use crate::os::tests::Alone;
use crate::page::{Freed, Page};
use crate::theap::Theap;

#[cfg(unix)]
pub(crate) mod fork;
mod gather;
mod heaps;
#[cfg(unix)]
mod late_destructors;
mod subprocs;
mod threads;

/// Ground that a test leaves without a theap, so that the next one finds those of its own threads only.
pub(crate) struct Ground(Alone);

pub(crate) fn ground() -> Ground {
    let alone = tests::ground();
    // A test before may have had arenas refused, after which size classes share pages.
    main_subproc().arenas().lower_ceiling(0);
    Ground(alone)
}

impl Ground {
    /// Sets an option until the test ends.
    pub fn set(&mut self, option: OptionId, value: i64) {
        self.0.set(option, value);
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        thread_done();
    }
}

/// What `malloc` does when its fast path misses.
fn take(theap: &'static Theap, bytes: usize) -> *mut u8 {
    let page = theap.find_page(Bin::of(bytes)).expect("there is memory");
    page.pop()
}

/// What `free` does, for blocks that share a page.
fn put(p: *mut u8) {
    let page = page_of(p);
    let theap = live_theap().unwrap();
    // SAFETY: the test's own block, used no more.
    unsafe {
        match page.if_mine() {
            Some(mine) if mine.push_local(p) == Freed::Empty => Theap::of_page(mine).page_emptied(mine),
            Some(_) => {}
            None => {
                theap.free_foreign(page, p);
                theap.flush_remote();
            }
        }
    }
}

fn page_of(p: *mut u8) -> &'static Page {
    match Page::lookup(p) {
        Some(page) => page,
        None => panic!("no page at {p:p}"),
    }
}

/// An address as a number, which may go to another thread.
fn address(p: *mut u8) -> usize {
    p.expose_provenance()
}

fn block(address: usize) -> *mut u8 {
    ptr::with_exposed_provenance_mut(address)
}

fn pages_of(heap: &Heap) -> usize {
    let mut pages = 0;
    heap.for_each_own_page(|_| {
        pages += 1;
    });
    pages
}

fn theaps_of(heap: &Heap) -> usize {
    let mut theaps = 0;
    Theap::for_each_of(heap, |_| theaps += 1);
    theaps
}

fn destroy(heap: &'static Heap) {
    // SAFETY: the test is done with it and its blocks.
    assert!(unsafe { heap_destroy(heap) });
}

/// Runs `work` on a thread of its own, and waits for that thread's very end.
fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(work).join().unwrap()
}
