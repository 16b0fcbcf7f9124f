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
//!
//! Idea: McKenney, "Exploiting Deferred Destruction", chapter on QSBR; the interface is mimalloc's.

use core::cell::UnsafeCell;
use core::ptr;

use crate::arena::{ArenaSet, Meta};
use crate::page::{OwnedPage, PageRef, Threshold};
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

struct Node {
    next: *mut Node,
    page: PageRef,
    state: [usize; STATE_WORDS],
}

const BUCKETS: usize = 256;

/// Pages that wait, by address, and nodes for more.
pub struct Nodes {
    buckets: [*mut Node; BUCKETS],
    unused: *mut Node,
}

// SAFETY: nodes belong to the lock.
unsafe impl Send for Nodes {}

/// What a heap has besides whose pages wait.
pub struct Postponing {
    hooks: Hooks,
    state: UnsafeCell<[usize; STATE_WORDS]>,
    nodes: Lock<Nodes>,
}

// SAFETY: the state is the program's, and passed to it under the lock alone.
unsafe impl Sync for Postponing {}

fn bucket_of(page: PageRef) -> usize {
    ptr::from_ref(page).addr() / size_of_val(page) % BUCKETS
}

impl Nodes {
    fn insert(&mut self, node: *mut Node, page: PageRef) {
        let bucket = &mut self.buckets[bucket_of(page)];
        // SAFETY: the node is nobody's.
        unsafe { (*node).next = *bucket };
        *bucket = node;
    }

    /// Takes the page's node out of the table.
    fn remove_page(&mut self, page: PageRef) -> Option<*mut Node> {
        let mut link: *mut *mut Node = &raw mut self.buckets[bucket_of(page)];
        // SAFETY: links lead to nodes, which live as long as the heap.
        unsafe {
            while !(*link).is_null() {
                let node = *link;
                if ptr::eq((*node).page, page) {
                    *link = (*node).next;
                    return Some(node);
                }
                link = &raw mut (*node).next;
            }
        }
        None
    }

    fn keep_unused(&mut self, node: *mut Node) {
        // SAFETY: the node is in no list.
        unsafe { (*node).next = self.unused };
        self.unused = node;
    }

    /// A node for a page, its state zeroed; `None` without memory.
    fn fresh(&mut self, page: PageRef, arenas: &ArenaSet) -> Option<*mut Node> {
        let node = match self.unused.is_null() {
            true => arenas.meta_alloc(size_of::<Node>())?.start.cast(),
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

impl Postponing {
    /// In metadata of `arenas`; `None` without memory.
    pub(super) fn begin(arenas: &ArenaSet, hooks: Hooks) -> Option<&'static Postponing> {
        let place = arenas.meta_alloc(size_of::<Postponing>())?.start.cast::<Postponing>();
        let nodes = Lock::new(Nodes { buckets: [ptr::null_mut(); BUCKETS], unused: ptr::null_mut() });
        // SAFETY: memory of that size, nobody else's; the program's function gets a zeroed state.
        unsafe {
            place.write(Postponing { hooks, state: UnsafeCell::new([0; STATE_WORDS]), nodes });
            (hooks.init)((*place).state.get().cast());
            Some(&*place)
        }
    }

    /// Held over `fork`.
    pub fn lock(&self) -> &Lock<Nodes> {
        &self.nodes
    }

    /// # Safety
    /// The node is the caller's, under the lock.
    unsafe fn must_wait(&self, node: *mut Node) -> bool {
        // SAFETY: the precondition; the state is the program's.
        unsafe {
            let page = (*node).page;
            let bytes = page.capacity() * page.block_bytes();
            (self.hooks.should_delay)((&raw mut (*node).state).cast(), self.state.get().cast(), bytes)
        }
    }

    /// # Safety
    /// The node is the caller's, under the lock, and in no list.
    unsafe fn clear(&self, nodes: &mut Nodes, node: *mut Node) {
        // SAFETY: the precondition.
        unsafe { (self.hooks.clear)((&raw mut (*node).state).cast()) };
        nodes.keep_unused(node);
    }

    /// Gives all memory back.
    ///
    /// # Safety
    /// The heap is gone, with all its pages.
    pub(super) unsafe fn give_up(&'static self, arenas: &ArenaSet) {
        let give_back = |start: *mut u8, bytes| {
            // SAFETY: metadata of ours that nobody uses.
            unsafe { arenas.meta_free(Meta { start, bytes }) };
        };
        let mut nodes = self.nodes.lock();
        let Nodes { buckets, unused } = &mut *nodes;
        for first in buckets.iter_mut().chain([unused]) {
            let mut node = core::mem::replace(first, ptr::null_mut());
            while !node.is_null() {
                // SAFETY: a node of a list.
                let next = unsafe { (*node).next };
                give_back(node.cast(), size_of::<Node>());
                node = next;
            }
        }
        drop(nodes);
        give_back(ptr::from_ref(self).cast_mut().cast(), size_of::<Postponing>());
    }

    /// A page without blocks in use is about to be released: answers it, unless it has to wait. `list` lets any thread take it,
    /// if that makes sense.
    pub(super) fn keep(&self, page: OwnedPage, arenas: &ArenaSet, list: impl FnOnce(&OwnedPage)) -> Option<OwnedPage> {
        let mut nodes = self.nodes.lock();
        let waited = nodes.remove_page(page.page());
        let Some(node) = waited.or_else(|| nodes.fresh(page.page(), arenas)) else {
            // Nobody would know how long it must wait: it stays for good.
            page.hold();
            return None;
        };
        // SAFETY: the node is ours.
        if !unsafe { self.must_wait(node) } {
            // SAFETY: as above.
            unsafe { self.clear(&mut nodes, node) };
            return Some(page);
        }
        nodes.insert(node, page.page());
        // The last of its blocks that others have freed are still in the remote word.
        let chain = page.take_remote();
        if !page.is_singleton() {
            page.adopt(chain);
        }
        list(&page);
        let hint = page.owner().tid();
        let given_up = page.let_go(hint, 0, 1);
        debug_assert!(given_up.is_ok(), "no block of it is in use that could be freed");
        None
    }

    /// A page that may have waited has been claimed, to be used.
    pub fn use_again(&self, page: &OwnedPage) {
        let mut nodes = self.nodes.lock();
        if let Some(node) = nodes.remove_page(page.page()) {
            // SAFETY: taken out of the table.
            unsafe { self.clear(&mut nodes, node) };
        }
    }

    /// Asks about the pages that wait, and gives those that need not any more to `release`.
    pub(super) fn ask_each(&self, release: impl Fn(OwnedPage)) {
        let mut nodes = self.nodes.lock();
        for bucket in 0..BUCKETS {
            let mut node = nodes.buckets[bucket];
            while !node.is_null() {
                // SAFETY: a node of the table; those before it may have left.
                let (page, next) = unsafe { ((*node).page, (*node).next) };
                // A thread that has it now is about to use it again.
                if let Some((page, threshold)) = page.claim_in_place()
                    && let Some(page) = self.ask(&mut nodes, node, page, threshold)
                {
                    release(page);
                }
                node = next;
            }
        }
    }

    /// Asks about one page, claimed; answers it if it need not wait any more.
    fn ask(&self, nodes: &mut Nodes, node: *mut Node, page: OwnedPage, threshold: Threshold) -> Option<OwnedPage> {
        // SAFETY: the node is in the table, which is locked.
        if unsafe { self.must_wait(node) } {
            let put_back = page.put_back(threshold);
            debug_assert!(put_back.is_ok(), "no block of it is in use that could be freed");
            return None;
        }
        nodes.remove_page(page.page());
        // SAFETY: taken out of the table.
        unsafe { self.clear(nodes, node) };
        Some(page)
    }
}
