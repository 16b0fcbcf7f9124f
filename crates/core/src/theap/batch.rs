//! Frees into other threads' pages, gathered per page and pushed together.
//!
//! A thread that frees what others allocate mostly frees runs of blocks of the same pages. A few chains are gathered,
//! each for one page, and pushed with one compare-and-swap: when another page needs the place, when a chain has
//! grown large, in every slow path of the thread, and at its end. So little memory waits, and only while the thread
//! is active.
//!
//! Idea: BatchIt (ISMM 2024), snmalloc's remote caches.

use core::cell::Cell;
use core::ptr;

use crate::heap::settle;
use crate::page::remote::Push;
use crate::page::{Block, Page};

/// How many pages are gathered for at a time; a power of two.
const CHAINS: usize = 16;
/// A chain of this many bytes is pushed.
const MAX_CHAIN_BYTES: usize = 16 << 10;
/// A chain of this many blocks is pushed.
const MAX_CHAIN_BLOCKS: usize = 32;

/// Blocks of one page, linked.
struct ChainCell {
    page: Cell<*const Page>,
    head: Cell<*mut u8>,
    tail: Cell<*mut u8>,
    count: Cell<usize>,
}

/// The chains of a thread. Valid when zeroed.
pub struct Batch {
    chains: [ChainCell; CHAINS],
    /// Whether any chain has blocks.
    pending: Cell<bool>,
}

impl Batch {
    pub const fn new() -> Self {
        Self { chains: [const { ChainCell::new() }; CHAINS], pending: Cell::new(false) }
    }

    /// Frees a block of a page that another thread owns.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more.
    #[inline]
    pub unsafe fn add(&self, page: &'static Page, p: *mut u8) {
        let chain = &self.chains[index_of(page)];
        if !ptr::eq(chain.page.get(), page) {
            chain.flush();
            chain.page.set(page);
            chain.tail.set(p);
            chain.head.set(ptr::null_mut());
        }
        // SAFETY: the block is the caller's to link.
        unsafe { Block::set_next(p.cast(), chain.head.get().cast()) };
        chain.head.set(p);
        let count = chain.count.get() + 1;
        chain.count.set(count);
        self.pending.set(true);
        if count >= MAX_CHAIN_BLOCKS || count * page.block_bytes() >= MAX_CHAIN_BYTES {
            chain.flush();
        }
    }

    /// Pushes everything gathered.
    #[inline]
    pub fn flush(&self) {
        if self.pending.replace(false) {
            self.flush_all();
        }
    }

    /// Whether anything is gathered.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        self.pending.get()
    }

    /// Forgets everything gathered.
    pub fn clear(&self) {
        self.pending.set(false);
        for chain in &self.chains {
            chain.page.set(ptr::null());
            chain.count.set(0);
        }
    }

    #[inline(never)]
    fn flush_all(&self) {
        self.chains.iter().for_each(ChainCell::flush);
    }
}

/// Neighbouring pages get different places.
#[inline]
fn index_of(page: &Page) -> usize {
    ptr::from_ref(page).addr() / size_of::<Page>() % CHAINS
}

impl ChainCell {
    const fn new() -> Self {
        Self {
            page: Cell::new(ptr::null()),
            head: Cell::new(ptr::null_mut()),
            tail: Cell::new(ptr::null_mut()),
            count: Cell::new(0),
        }
    }

    fn flush(&self) {
        // SAFETY: a chain's page has blocks in use (the chain's), so it is alive.
        let Some(page) = (unsafe { self.page.replace(ptr::null()).as_ref() }) else { return };
        let count = self.count.replace(0);
        // SAFETY: the chain's blocks are ours, and blocks of the page.
        unsafe { push_remote(page, self.head.get(), self.tail.get(), count) };
    }
}

/// Pushes a chain of `count` blocks on the remote list of their page, and sees to the page if that claims it.
///
/// # Safety
/// The blocks from `head` to `tail` are linked, belong to the page, and nobody uses them any more.
pub unsafe fn push_remote(page: &'static Page, head: *mut u8, tail: *mut u8, count: usize) {
    let pushed = page.remote.push(page.offset_of(head), count, |next| {
        let next = next.map_or(ptr::null_mut(), |offset| page.block_at(offset));
        // SAFETY: the last block is ours until the push succeeds.
        unsafe { Block::set_next(tail.cast(), next.cast()) };
    });
    if pushed == Push::Claimed {
        settle(page);
    }
}
