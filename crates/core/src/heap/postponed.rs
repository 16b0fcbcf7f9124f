//! Heaps whose pages are kept after their last block was freed, until the program says that nobody looks at them any more: quiescent
//! state based reclamation, for runtimes whose threads read objects without a lock and may find them freed (CPython without
//! its global lock does).
//!
//! A page that would be released is asked about (`should_delay`). As long as the program wants that, the page stays one of
//! the heap, with its size class, unowned and listed: a thread that needs blocks of this class takes it, and the delay is
//! over (`clear`). So readers find objects of the same size, alive or freed, and never another heap's, other metadata, or
//! no memory. Pages that wait are asked about again by collections and upkeep.
//!
//! What the program keeps for each such page and heap lies in [`STATE_BYTES`] bytes that it alone understands.
//!
//! # Invariants
//! 1. A page waits (has a node) only while none of its blocks is in use: whoever takes it removes the node first.
//! 2. Nodes change under the lock. A page is claimed under it, too, when it is asked about again: a thread that has claimed
//!    a waiting page meanwhile is about to remove the node, and waits for the lock.
//! 3. A page that waits is let go of under the lock, when its node is there: whoever claims it finds the node.
//! 4. A page leaves only when the program has been asked about this wait and let it go. Its state is cleared then, and when the
//!    page is used again, once for each wait.
//!
//! A file of its own, for the model checker, which has another page and another place for nodes: [`Waiter`], [`Room`].
//!
//! Idea: McKenney, "Exploiting Deferred Destruction", chapter on QSBR; the interface is mimalloc's.

use core::cell::UnsafeCell;
use core::ptr;

use crate::sync::Lock;

/// What the program may keep for a page, and for a heap; aligned like a word.
pub const STATE_BYTES: usize = 128;
const STATE_WORDS: usize = STATE_BYTES / size_of::<usize>();

/// The program's part. The functions must not allocate or free; they are called under a lock of the heap's.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Of a heap's state, zeroed, before anything else.
    pub init: unsafe extern "C" fn(*mut u8),
    /// The page is in use again, or gone.
    pub clear: unsafe extern "C" fn(*mut u8),
    /// Whether the page with this state, in the heap with that, must be kept on; it has so many bytes. Zeroed at first.
    pub should_delay: unsafe extern "C" fn(*mut u8, *mut u8, usize) -> bool,
}

/// A page, as far as waiting goes.
pub trait Waiter: Copy + 'static {
    /// The right to it, which one thread has.
    type Owned;

    /// Neighbouring pages have different numbers; the same page has always the same.
    fn number(self) -> usize;

    /// Bytes of its blocks.
    fn bytes(self) -> usize;

    /// Whose right it is.
    fn of(owned: &Self::Owned) -> Self;

    /// The right to a page that nobody owns, with what it was let go with.
    fn claim(self) -> Option<(Self::Owned, usize)>;

    /// Lets go of a page that was only claimed, as it was.
    fn put_back(owned: Self::Owned, threshold: usize);

    /// Lets go of a page none of whose blocks is in use: whoever claims it may use it.
    fn let_wait(owned: Self::Owned);

    /// Nobody gets the page any more.
    fn keep_for_good(owned: Self::Owned);
}

/// Where memory for nodes comes from.
pub trait Room {
    /// So many bytes, aligned like a word; `None` without memory.
    fn take(&self, bytes: usize) -> Option<*mut u8>;

    /// # Safety
    /// Taken from here, of that size, and nobody uses it any more.
    unsafe fn give_back(&self, start: *mut u8, bytes: usize);
}

struct Node<P> {
    next: *mut Node<P>,
    page: P,
    state: [usize; STATE_WORDS],
}

const BUCKETS: usize = 256;

/// Pages that wait, by address, and nodes for more.
pub struct Nodes<P> {
    buckets: [*mut Node<P>; BUCKETS],
    unused: *mut Node<P>,
}

// SAFETY: nodes belong to the lock.
unsafe impl<P> Send for Nodes<P> {}

/// What a heap has besides whose pages wait.
pub struct Postponing<P> {
    hooks: Hooks,
    state: UnsafeCell<[usize; STATE_WORDS]>,
    nodes: Lock<Nodes<P>>,
}

// SAFETY: the state is the program's, and passed to it under the lock alone.
unsafe impl<P> Sync for Postponing<P> {}
// SAFETY: as above.
unsafe impl<P> Send for Postponing<P> {}

impl<P: Waiter> Nodes<P> {
    fn insert(&mut self, node: *mut Node<P>) {
        // SAFETY: the node is nobody's.
        let bucket = &mut self.buckets[unsafe { (*node).page.number() } % BUCKETS];
        // SAFETY: the node is nobody's.
        unsafe { (*node).next = *bucket };
        *bucket = node;
    }

    /// Takes the page's node out of the table.
    fn remove_page(&mut self, page: P) -> Option<*mut Node<P>> {
        let mut link: *mut *mut Node<P> = &raw mut self.buckets[page.number() % BUCKETS];
        // SAFETY: links lead to nodes, which live as long as the heap.
        unsafe {
            while !(*link).is_null() {
                let node = *link;
                if (*node).page.number() == page.number() {
                    *link = (*node).next;
                    return Some(node);
                }
                link = &raw mut (*node).next;
            }
        }
        None
    }

    fn keep_unused(&mut self, node: *mut Node<P>) {
        // SAFETY: the node is in no list.
        unsafe { (*node).next = self.unused };
        self.unused = node;
    }

    /// A node for a page, its state zeroed; `None` without memory.
    fn fresh(&mut self, page: P, room: &impl Room) -> Option<*mut Node<P>> {
        let node = match self.unused.is_null() {
            true => room.take(size_of::<Node<P>>())?.cast(),
            false => self.unused,
        };
        // SAFETY: memory of a node that is nobody's, or the first unused one.
        unsafe {
            if ptr::eq(node, self.unused) {
                self.unused = (*node).next;
            }
            node.write(Node { next: ptr::null_mut(), page, state: [0; STATE_WORDS] });
        }
        Some(node)
    }
}

impl<P: Waiter> Postponing<P> {
    /// `None` without memory.
    pub fn begin(room: &impl Room, hooks: Hooks) -> Option<&'static Postponing<P>> {
        let place = room.take(size_of::<Postponing<P>>())?.cast::<Postponing<P>>();
        let nodes = Lock::new(Nodes { buckets: [ptr::null_mut(); BUCKETS], unused: ptr::null_mut() });
        // SAFETY: memory of that size, nobody else's; the program's function gets a zeroed state.
        unsafe {
            place.write(Postponing { hooks, state: UnsafeCell::new([0; STATE_WORDS]), nodes });
            (hooks.init)((*place).state.get().cast());
            Some(&*place)
        }
    }

    /// Held over `fork`.
    pub fn lock(&self) -> &Lock<Nodes<P>> {
        &self.nodes
    }

    /// # Safety
    /// The node is the caller's, under the lock.
    unsafe fn must_wait(&self, node: *mut Node<P>) -> bool {
        // SAFETY: the precondition; the state is the program's.
        unsafe {
            let bytes = (*node).page.bytes();
            (self.hooks.should_delay)((&raw mut (*node).state).cast(), self.state.get().cast(), bytes)
        }
    }

    /// # Safety
    /// The node is the caller's, under the lock, and in no list.
    unsafe fn clear(&self, nodes: &mut Nodes<P>, node: *mut Node<P>) {
        // SAFETY: the precondition.
        unsafe { (self.hooks.clear)((&raw mut (*node).state).cast()) };
        nodes.keep_unused(node);
    }

    /// Gives all memory back.
    ///
    /// # Safety
    /// The heap is gone, with all its pages.
    pub unsafe fn give_up(&'static self, room: &impl Room) {
        let mut nodes = self.nodes.lock();
        let Nodes { buckets, unused } = &mut *nodes;
        for first in buckets.iter_mut().chain([unused]) {
            let mut node = core::mem::replace(first, ptr::null_mut());
            while !node.is_null() {
                // SAFETY: a node of a list, which nobody else knows.
                unsafe {
                    let next = (*node).next;
                    room.give_back(node.cast(), size_of::<Node<P>>());
                    node = next;
                }
            }
        }
        drop(nodes);
        // SAFETY: the precondition.
        unsafe { room.give_back(ptr::from_ref(self).cast_mut().cast(), size_of::<Postponing<P>>()) };
    }

    /// A page without blocks in use is about to be released: answers it, unless it has to wait. `list` lets any thread find it.
    pub fn keep(&self, owned: P::Owned, room: &impl Room, list: impl FnOnce(&P::Owned)) -> Option<P::Owned> {
        let mut nodes = self.nodes.lock();
        let page = P::of(&owned);
        let waited = nodes.remove_page(page);
        let Some(node) = waited.or_else(|| nodes.fresh(page, room)) else {
            // Nobody would know how long it must wait.
            P::keep_for_good(owned);
            return None;
        };
        // SAFETY: the node is ours.
        if !unsafe { self.must_wait(node) } {
            // SAFETY: as above.
            unsafe { self.clear(&mut nodes, node) };
            return Some(owned);
        }
        nodes.insert(node);
        list(&owned);
        P::let_wait(owned);
        None
    }

    /// A page that may have waited has been claimed, to be used.
    pub fn use_again(&self, owned: &P::Owned) {
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.remove_page(P::of(owned)) {
            // SAFETY: taken out of the table.
            unsafe { self.clear(&mut nodes, node) };
        }
    }

    /// Asks about the pages that wait, and gives those that need not any more to `release`.
    pub fn ask_each(&self, release: impl Fn(P::Owned)) {
        let mut nodes = self.nodes.lock();
        for bucket in 0..BUCKETS {
            let mut node = nodes.buckets[bucket];
            while !node.is_null() {
                // SAFETY: a node of the table; those before it may have left.
                let (page, next) = unsafe { ((*node).page, (*node).next) };
                // A thread that has it now is about to use it again.
                if let Some((owned, threshold)) = page.claim()
                    && let Some(owned) = self.ask(&mut nodes, node, owned, threshold)
                {
                    release(owned);
                }
                node = next;
            }
        }
    }

    /// Asks about one page, claimed; answers it if it need not wait any more.
    fn ask(&self, nodes: &mut Nodes<P>, node: *mut Node<P>, owned: P::Owned, threshold: usize) -> Option<P::Owned> {
        // SAFETY: the node is in the table, which is locked.
        if unsafe { self.must_wait(node) } {
            P::put_back(owned, threshold);
            return None;
        }
        nodes.remove_page(P::of(&owned));
        // SAFETY: taken out of the table.
        unsafe { self.clear(nodes, node) };
        Some(owned)
    }
}
