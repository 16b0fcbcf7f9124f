//! Frees into other threads' pages, gathered per page and pushed together.
//!
//! A thread that frees what others allocate mostly frees runs of blocks of the same pages. A few chains are gathered,
//! each for one page, and pushed with one compare-and-swap: when another page needs the place, when a chain has
//! grown large, in every slow path of the thread, after so much altogether (a thread that only frees has no slow
//! paths), and at its end. So little memory waits.
//!
//! Invariants
//! 1. A chain's blocks are of one page, linked from the last one added to the first; nobody else knows them.
//! 2. Every block added is pushed once, by a flush.
//! 3. A page that has blocks in a chain is alive, for these count as in use.
//! 4. The chains in `used` are those that have blocks.
//!
//! Idea: BatchIt (ISMM 2024), snmalloc's remote caches.

use core::cell::Cell;
use core::ptr;

use crate::sync::{array_of, const_unless_loom};

/// How many pages are gathered for at a time, one in each bit of [`RemoteBatch::used`]. Mixed small sizes are of two to three
/// dozen classes.
const CHAINS: usize = 32;
/// When blocks of this weight have been added, everything is pushed.
const MAX_WEIGHT: u32 = 384;

/// A page, as far as batches go.
pub trait RemotePage: Sized + 'static {
    /// Neighbouring pages have different numbers.
    fn number(&self) -> usize;

    /// A chain of so many blocks waits no longer; at least 1.
    fn longest_chain(&self) -> u16;

    /// What a block of the page weighs, at least 1.
    fn weight(&self) -> u32;

    /// Block `p` was added once more.
    fn freed_twice(&self, p: *mut u8);

    /// Makes `next` (or null) follow `block`.
    ///
    /// # Safety
    /// Both are blocks of the page that the caller has freed.
    unsafe fn link(&self, block: *mut u8, next: *mut u8);

    /// Frees the `count` blocks from `head` to `tail`.
    ///
    /// # Safety
    /// They are blocks of the page, linked, and nobody uses them any more.
    unsafe fn push(&'static self, head: *mut u8, tail: *mut u8, count: usize);
}

/// Blocks of one page, linked.
struct Chain<P> {
    page: Cell<*const P>,
    head: Cell<*mut u8>,
    tail: Cell<*mut u8>,
    count: Cell<u16>,
    /// With so many blocks it is pushed.
    longest: Cell<u16>,
    /// What each of its blocks weighs.
    weight: Cell<u32>,
}

/// The chains of a thread. Valid when zeroed.
pub struct RemoteBatch<P> {
    chains: [Chain<P>; CHAINS],
    used: Cell<u32>,
    /// What was added since everything was pushed weighs, pushed or not.
    weight: Cell<u32>,
}

impl<P: RemotePage> RemoteBatch<P> {
    const_unless_loom! {
        /// Nothing is gathered. `const` except under loom.
        pub const fn new() -> Self {
            Self { chains: array_of!(Chain::new(); CHAINS), used: Cell::new(0), weight: Cell::new(0) }
        }
    }

    /// Frees a block of `page`, now or with others later, unless it is the one that was added last for that page.
    ///
    /// # Safety
    /// `p` is a block of the page that nobody uses any more.
    #[inline(always)]
    pub unsafe fn add(&self, page: &'static P, p: *mut u8) {
        let index = page.number() % CHAINS;
        // SAFETY: the precondition.
        unsafe {
            match ptr::eq(self.chains[index].page.get(), page) {
                true => self.link(index, page, p),
                false => self.add_first(index, page, p),
            }
        }
    }

    /// Links a block of the chain's page to it.
    ///
    /// # Safety
    /// As for [`RemoteBatch::add`].
    #[inline(always)]
    unsafe fn link(&self, index: usize, page: &'static P, p: *mut u8) {
        let chain = &self.chains[index];
        if chain.head.get() == p {
            return page.freed_twice(p);
        }
        // SAFETY: the precondition.
        unsafe { page.link(p, chain.head.get()) };
        chain.head.set(p);
        let count = chain.count.get() + 1;
        chain.count.set(count);
        let weight = self.weight.get() + chain.weight.get();
        self.weight.set(weight);
        if count >= chain.longest.get() || weight >= MAX_WEIGHT {
            self.flush_grown(index);
        }
    }

    /// Begins a chain of the page with the block, and pushes the one whose place it takes.
    ///
    /// # Safety
    /// As for [`RemoteBatch::add`].
    #[inline(never)]
    unsafe fn add_first(&self, index: usize, page: &'static P, p: *mut u8) {
        let chain = &self.chains[index];
        chain.flush();
        chain.begin(page, p);
        self.used.set(self.used.get() | 1 << index);
        // SAFETY: the precondition.
        unsafe { self.link(index, page, p) };
    }

    /// A chain has grown to its end, or all of them together.
    #[inline(never)]
    fn flush_grown(&self, index: usize) {
        let chain = &self.chains[index];
        if chain.count.get() >= chain.longest.get() {
            chain.flush();
            self.used.set(self.used.get() & !(1 << index));
        }
        if self.weight.get() >= MAX_WEIGHT {
            self.flush_all();
        }
    }

    /// Pushes everything gathered.
    #[inline]
    pub fn flush(&self) {
        if self.is_pending() {
            self.flush_all();
        }
    }

    /// Whether anything is gathered.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        self.used.get() != 0
    }

    /// Forgets everything gathered.
    pub fn clear(&self) {
        self.used.set(0);
        self.weight.set(0);
        for chain in &self.chains {
            chain.page.set(ptr::null());
            chain.count.set(0);
        }
    }

    #[inline(never)]
    fn flush_all(&self) {
        self.weight.set(0);
        let mut used = self.used.replace(0);
        while used != 0 {
            self.chains[used.trailing_zeros() as usize].flush();
            used &= used - 1;
        }
    }
}

impl<P: RemotePage> Chain<P> {
    const fn new() -> Self {
        Self {
            page: Cell::new(ptr::null()),
            head: Cell::new(ptr::null_mut()),
            tail: Cell::new(ptr::null_mut()),
            count: Cell::new(0),
            longest: Cell::new(0),
            weight: Cell::new(0),
        }
    }

    /// `p` will be the first block.
    #[inline]
    fn begin(&self, page: &P, p: *mut u8) {
        self.page.set(page);
        self.tail.set(p);
        self.head.set(ptr::null_mut());
        self.longest.set(page.longest_chain());
        self.weight.set(page.weight());
    }

    fn flush(&self) {
        // SAFETY: invariant 3.
        let Some(page) = (unsafe { self.page.replace(ptr::null()).as_ref() }) else { return };
        let count = self.count.replace(0);
        // SAFETY: invariant 1.
        unsafe { page.push(self.head.get(), self.tail.get(), usize::from(count)) };
    }
}
