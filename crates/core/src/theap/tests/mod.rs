//! Theaps by themselves, on a sub-process of their own: a thread's work is done by hand, so that the tests see each step.

use core::ptr;
use std::vec::Vec;

use super::*;
use crate::arena::tests::ground;
use crate::base::*;
use crate::heap::Heap;
use crate::heap::tests::new_subproc;
use crate::options::OptionId;
use crate::os::tests::Alone;
use crate::page::{EMPTY_PAGE, Flag, Freed, Lifetime, Owned, Owner, Page, Source};

mod batch;
mod collect;
mod find;
mod hardened;
mod holes;
mod idle;
mod lifo;
mod orphans;
mod ownership;
mod queue;
mod reclaim;
mod retire;
mod sparing;
mod sparse;
mod theap;

/// Two thread ids that no thread of the process has: neither an address nor, where they are counted, a small number.
const ME: usize = usize::MAX << 24;
const STRANGER: usize = ME + 16;

/// Blocks of this size have pages of 16, of one slice.
const SIXTEENTH: usize = 4096;

/// A heap with the theaps of two threads.
struct Bed {
    alone: Alone,
    heap: &'static Heap,
    theap: &'static Theap,
    other: &'static Theap,
}

impl Bed {
    fn new() -> Bed {
        let alone = ground();
        let heap = new_subproc().main_heap().unwrap();
        let [theap, other] = [ME, STRANGER].map(|tid| Theap::create(heap, tid, ptr::null()).unwrap());
        Bed { alone, heap, theap, other }
    }

    fn set(&mut self, option: OptionId, value: i64) {
        self.alone.set(option, value);
    }

    /// Full pages stay in their queue, however many there are.
    fn keeping_full_pages() -> Bed {
        let mut bed = Bed::new();
        bed.set(OptionId::PageFullRetain, 1000);
        bed
    }

    /// Pages in the heap, whoever owns them.
    fn pages(&self) -> usize {
        let mut pages = 0;
        self.heap.for_each_own_page(|_| {
            pages += 1;
        });
        pages
    }
}

/// What `malloc` does when its fast path misses.
fn take(theap: &'static Theap, bytes: usize) -> *mut u8 {
    let bin = Bin::of(bytes);
    let page = match theap.queue(bin).first() {
        Some(page) if page.has_free() => page,
        _ => theap.find_page(bin).expect("there is memory"),
    };
    assert!(theap.queue(bin).first() == Some(page), "the page found is first in its queue");
    check(theap);
    page.pop()
}

fn take_many(theap: &'static Theap, bytes: usize, count: usize) -> Vec<*mut u8> {
    (0..count).map(|_| take(theap, bytes)).collect()
}

/// Takes every block of `pages` pages.
fn take_pages(theap: &'static Theap, bytes: usize, pages: usize) -> Vec<Vec<*mut u8>> {
    let blocks = |page: &'static Owned| {
        let rest = (1..page.reserved()).map(|_| take(theap, bytes));
        rest.collect::<Vec<_>>()
    };
    let one = |_| {
        let first = take(theap, bytes);
        let mut all = std::vec![first];
        all.extend(blocks(page_of(first)));
        assert!(all.iter().all(|block| page_of(*block) == page_of(first)));
        all
    };
    (0..pages).map(one).collect()
}

fn page_of(p: *mut u8) -> &'static Owned {
    match Page::lookup(p) {
        Some(page) => page.look(),
        None => panic!("no page at {p:p}"),
    }
}

/// What `free` does on the theap's thread.
fn put(theap: &'static Theap, p: *mut u8) {
    put_unchecked(theap, p);
    check(theap);
}

fn put_unchecked(theap: &'static Theap, p: *mut u8) {
    let page = page_of(p);
    // SAFETY: the test's own block, used no more.
    unsafe {
        if page.owner() == Owner::thread(theap.tid()) {
            match page.push_local(p) {
                Freed::Empty => theap.page_emptied(page),
                Freed::InUse if page.has_large_blocks() && page.is_look_due() => theap.see_to_sparse(page),
                Freed::InUse => {}
            }
        } else if page.owner().is_unowned() && page.owner().tid() == theap.tid() {
            theap.free_given_up(page.page(), p);
        } else {
            theap.free_foreign(page.page(), p);
        }
    }
}

fn put_all(theap: &'static Theap, blocks: &[*mut u8]) {
    blocks.iter().for_each(|block| put(theap, *block));
}

/// The pages in a class's queue, first to last.
fn queued(theap: &Theap, bytes: usize) -> Vec<&'static Owned> {
    theap.queue(Bin::of(bytes)).pages().collect()
}

fn is_queued(theap: &Theap, page: &'static Owned) -> bool {
    queued(theap, page.block_bytes()).contains(&page)
}

/// Everything that must hold between two steps: links, flags, counts, the direct table.
fn check(theap: &Theap) {
    for bin in (0..Bin::COUNT).filter_map(Bin::from_index) {
        let queue = theap.queue(bin);
        let forward = queued(theap, bin.block_bytes());
        assert!(queue.last() == forward.last().copied(), "{bin:?}: links");
        let is_ours = |page: &&'static Owned| {
            page.bin() == bin
                && page.is(Flag::Queued)
                && page.owner().tid() == theap.tid()
                && !page.owner().is_unowned()
                && page.theap() == theap.handle()
        };
        assert!(forward.iter().all(is_ours), "{bin:?}: a page that is not ours");
        let source = forward.first().map_or(Source::EMPTY, |page| page.source());
        assert!(queue.source() == source, "{bin:?}: what blocks are taken from");
        let lifo = forward.iter().filter(|page| page.is(Flag::Lifo));
        assert!(lifo.eq(forward.first().filter(|page| page.is(Flag::Lifo))), "{bin:?}: only the first page can be");
        assert_eq!(queue.kept_full(), forward.iter().filter(|page| page.is(Flag::KeptFull)).count(), "{bin:?}");
    }
    for words in 0..=SMALL_SIZE_MAX / WORD_BYTES {
        let first = theap.queue(Bin::of(words * WORD_BYTES)).first().unwrap_or(&*EMPTY_PAGE);
        assert!(theap.direct_page(words) == first, "the table's entry for {words} words");
    }
}
