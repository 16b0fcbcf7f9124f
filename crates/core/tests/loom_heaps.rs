//! Models of heaps and theaps at their end: against threads that free, that end, that collect. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_heaps`.
//!
//! That a heap lives is a cell that loom watches: whoever works on a heap reads it, whoever gives its memory back writes it.
//! The numbers in the comments are the invariants in `src/page/heap_word.rs`, `src/theap/identity.rs` and
//! `src/theap/remote_batch.rs`.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use ferrimalloc_core::page::heap_word::{HeapLocks, HeapWord, Lifetime};
use ferrimalloc_core::page::ownership::{BlockOffset, Owner, Ownership, Push, Remote};
use ferrimalloc_core::runtime::ends::Ends;
use ferrimalloc_core::sync::{Lock, References};
use ferrimalloc_core::theap::identity::Identity;
use ferrimalloc_core::theap::remote_batch::{RemoteBatch, RemotePage};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn spawn<T: 'static, R: 'static>(shared: &Arc<T>, work: impl FnOnce(&T) -> R + 'static) -> JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || work(&shared))
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("no panic")
}

/// A heap, with room for one page in its lists.
struct Heap {
    is_alive: UnsafeCell<bool>,
    /// Whether there are bitmaps for the page's arena, and the page's bits in them. Relaxed, so that all order must come
    /// from the protocol.
    has_bitmaps: AtomicBool,
    has_page: AtomicBool,
    is_listed: AtomicBool,
}

impl Heap {
    fn new() -> Heap {
        let no = || AtomicBool::new(false);
        Heap { is_alive: UnsafeCell::new(true), has_bitmaps: no(), has_page: no(), is_listed: no() }
    }

    fn handle(&self) -> *const () {
        std::ptr::from_ref(self).cast()
    }

    /// What everyone does who works on the heap.
    fn touch(&self) {
        // SAFETY: loom reports it if somebody writes.
        assert!(self.is_alive.with(|alive| unsafe { *alive }), "a heap that has ended");
    }

    /// Gives its memory back.
    fn free(&self) {
        assert!(!self.has_page.load(Ordering::Relaxed), "a page is left");
        // SAFETY: loom reports it if this is not exclusive.
        self.is_alive.with_mut(|alive| unsafe { *alive = false });
    }

    fn enter(&self) {
        self.has_bitmaps.store(true, Ordering::Relaxed);
        self.has_page.store(true, Ordering::Relaxed);
    }

    fn strike_out(&self) {
        self.touch();
        assert!(self.has_bitmaps.load(Ordering::Relaxed), "the page would not be found there");
        assert!(self.has_page.swap(false, Ordering::Relaxed), "not in this heap's lists");
        self.is_listed.store(false, Ordering::Relaxed);
    }

    fn list(&self) {
        self.touch();
        self.is_listed.store(true, Ordering::Relaxed);
    }
}

/// A page of a heap that is about to end, and the main heap.
struct World {
    locks: HeapLocks,
    main: Heap,
    heap: Heap,
    heap_word: HeapWord,
    ownership: Ownership,
    /// What belongs to the owner.
    owned: UnsafeCell<()>,
    releases: AtomicUsize,
}

// SAFETY: what the models check.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    /// The page has been given up with so many blocks in use; the push of all of them, or of one, claims it.
    fn new(blocks: usize, threshold: usize) -> Arc<World> {
        let world = Arc::new(World {
            locks: HeapLocks::new(),
            main: Heap::new(),
            heap: Heap::new(),
            heap_word: HeapWord::new(),
            ownership: Ownership::new(),
            owned: UnsafeCell::new(()),
            releases: AtomicUsize::new(0),
        });
        world.heap.enter();
        world.heap_word.begin(world.heap.handle(), Lifetime::MayEnd);
        world.ownership.begin(16);
        world.ownership.let_go(16, blocks, threshold).expect("nothing has been freed");
        world
    }

    /// What `heap::heap_of_page` does, with work on the heap.
    fn with_heap(&self, work: impl FnOnce(&Heap)) {
        let held = self.heap_word.guard(&self.locks);
        // SAFETY: one of the two, which live as long as the world.
        work(unsafe { &*held.heap().cast::<Heap>() });
    }

    /// What everyone does who owns the page.
    fn used(&self) -> usize {
        // SAFETY: loom reports it if this is not exclusive.
        self.owned.with_mut(|_| ());
        self.ownership.used()
    }

    /// Frees a block as any thread does.
    fn free(&self, block: usize) {
        if self.ownership.push(BlockOffset::from_bytes(block * 16), 1, |_| ()) == Push::Claimed {
            self.release_or_list();
        }
    }

    /// What `heap::release_or_list` does.
    fn release_or_list(&self) {
        loop {
            let used = self.used();
            if self.ownership.arrived() >= used {
                self.with_heap(Heap::strike_out);
                self.ownership.set_owner(Owner::NONE);
                self.releases.fetch_add(1, Ordering::Relaxed);
                return;
            }
            if !self.ownership.is_listed() {
                self.with_heap(|heap| heap.list());
                self.ownership.set_listed(true);
            }
            if self.ownership.put_back(used).is_ok() {
                return;
            }
        }
    }

    /// What `Registry::take_listed` does with a page that it did not look for.
    fn claim_by_mistake(&self) {
        if let Some(threshold) = self.ownership.claim_in_place() {
            self.used();
            if self.ownership.put_back(threshold).is_err() {
                self.release_or_list();
            }
        }
    }

    /// What `runtime::heap_delete` does with the heap's pages and its memory.
    fn delete(&self) {
        {
            let _no_thread_guards_it = self.locks.lock(self.heap.handle());
            if self.heap.has_page.load(Ordering::Relaxed) {
                self.main.enter();
                if self.heap.is_listed.swap(false, Ordering::Relaxed) {
                    self.main.is_listed.store(true, Ordering::Relaxed);
                }
                self.heap.has_page.store(false, Ordering::Relaxed);
                self.heap_word.move_to(self.main.handle());
            }
        }
        self.heap.free();
    }

    /// What `runtime::heap_destroy` does, with nobody using any block: in two steps.
    fn destroy(&self) {
        while self.ownership.claim_in_place().is_none() && self.ownership.owner().is_unowned() {
            thread::yield_now();
        }
        {
            let _no_thread_guards_it = self.locks.lock(self.heap.handle());
            if self.heap.has_page.load(Ordering::Relaxed) {
                self.used();
                self.heap.strike_out();
                self.releases.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.heap.free();
    }

    fn count_releases(&self) -> usize {
        self.releases.load(Ordering::Relaxed)
    }
}

/// The heap's last block is freed in the instant of its deletion: the page is struck out of one heap's lists, alive.
#[test]
fn deletion_against_the_last_free() {
    loom::model(|| {
        let world = World::new(1, 1);
        let other = spawn(&world, |world| world.free(0));
        world.delete();
        join(other);
        assert_eq!(world.count_releases(), 1);
        assert!(!world.main.has_page.load(Ordering::Relaxed));
    });
}

/// Two threads free the last two blocks; one lists the page before.
#[test]
fn deletion_against_listing_and_the_last_free() {
    bounded(2, || {
        let world = World::new(2, 1);
        let first = spawn(&world, |world| world.free(0));
        let second = spawn(&world, |world| world.free(1));
        world.delete();
        join(first);
        join(second);
        assert_eq!(world.count_releases(), 1);
        assert!(!world.main.has_page.load(Ordering::Relaxed));
        assert!(!world.main.is_listed.load(Ordering::Relaxed));
    });
}

/// A page that was just listed is found in the main heap afterwards.
#[test]
fn deletion_against_listing() {
    loom::model(|| {
        let world = World::new(2, 1);
        let other = spawn(&world, |world| world.free(0));
        world.delete();
        join(other);
        assert!(world.main.has_page.load(Ordering::Relaxed));
        assert!(world.main.is_listed.load(Ordering::Relaxed), "nobody would find it");
        assert_eq!(world.heap_word.heap(), world.main.handle());
    });
}

/// A thread in search of another page claims this one by mistake while its heap is destroyed.
#[test]
fn destruction_against_a_mistaken_search() {
    loom::model(|| {
        let world = World::new(2, 2);
        let thief = spawn(&world, World::claim_by_mistake);
        world.destroy();
        join(thief);
        assert_eq!(world.count_releases(), 1);
    });
}

/// The same when a block was freed before: if the thief had the page at that moment, it may not put the page back but has to
/// decide about it, which takes the heap's lock.
#[test]
fn destruction_against_a_mistaken_search_that_has_to_decide() {
    for blocks in [1, 2] {
        bounded(3, move || {
            let world = World::new(blocks, 1);
            let thief = spawn(&world, World::claim_by_mistake);
            world.free(0);
            world.destroy();
            join(thief);
            assert_eq!(world.count_releases(), 1);
        });
    }
}

/// The same while blocks are freed: the page is as it was, and the last free releases it.
#[test]
fn a_mistaken_search_against_the_last_frees() {
    bounded(3, || {
        let world = World::new(2, 2);
        let thief = spawn(&world, World::claim_by_mistake);
        let other = spawn(&world, |world| world.free(1));
        world.free(0);
        join(other);
        join(thief);
        assert_eq!(world.count_releases(), 1);
    });
}

/// What a theap has: its thread's alone, whatever heap it is a part of.
struct Theap {
    identity: Identity,
    contents: UnsafeCell<usize>,
}

impl Theap {
    fn new() -> Theap {
        Theap { identity: Identity::new(), contents: UnsafeCell::new(0) }
    }

    fn touch(&self) {
        // SAFETY: loom reports it if this is not exclusive.
        self.contents.with_mut(|contents| unsafe { *contents += 1 });
    }
}

/// A theap's memory, the stack where it is kept for the next, and a page that names it.
struct Reuse {
    theap: Theap,
    kept: Lock<bool>,
    heaps: [Heap; 2],
}

// SAFETY: what the models check.
unsafe impl Send for Reuse {}
// SAFETY: as above.
unsafe impl Sync for Reuse {}

impl Reuse {
    fn new() -> Arc<Reuse> {
        Arc::new(Reuse { theap: Theap::new(), kept: Lock::new(false), heaps: [Heap::new(), Heap::new()] })
    }

    fn begin(&self, tid: usize, heap: usize) {
        self.theap.touch();
        self.theap.identity.begin(tid, self.heaps[heap].handle());
    }

    fn end(&self) {
        self.theap.touch();
        self.theap.identity.end();
        *self.kept.lock() = true;
    }

    /// Frees a block of a page that thread `tid` owned last, as a part of a heap.
    fn free_given_up(&self, tid: usize, heap: usize) -> bool {
        let serves = self.theap.identity.serves(tid, self.heaps[heap].handle());
        if serves {
            self.theap.touch();
        }
        serves
    }
}

/// Invariant 1: a theap ends and its memory serves another thread, while the first frees blocks of pages that name it.
#[test]
fn a_theap_is_used_by_its_thread_only() {
    loom::model(|| {
        let reuse = Reuse::new();
        reuse.begin(1, 0);
        let other = spawn(&reuse, |reuse| {
            let taken = std::mem::take(&mut *reuse.kept.lock());
            if taken {
                reuse.begin(2, 0);
                assert!(reuse.free_given_up(2, 0));
                assert!(!reuse.free_given_up(2, 1), "another heap's page");
            }
        });
        assert!(reuse.free_given_up(1, 0));
        assert!(!reuse.free_given_up(1, 1), "another heap's page");
        reuse.end();
        assert!(!reuse.free_given_up(1, 0), "it has ended");
        join(other);
        assert!(!reuse.free_given_up(1, 0));
    });
}

/// A theap in a heap that ends, of a thread that uses it no more.
struct Ending {
    ends: Ends,
    main: Heap,
    heap: Heap,
    theap: Identity,
}

// SAFETY: what the models check.
unsafe impl Send for Ending {}
// SAFETY: as above.
unsafe impl Sync for Ending {}

impl Ending {
    fn new() -> Arc<Ending> {
        let ending = Ending { ends: Ends::new(), main: Heap::new(), heap: Heap::new(), theap: Identity::new() };
        let ending = Arc::new(ending);
        ending.theap.begin(1, ending.heap.handle());
        ending
    }

    /// Works on the theap's heap, as leaving its list of theaps or handing over counts do.
    fn work(&self) {
        // SAFETY: one of the two, which live as long as the world.
        unsafe { &*self.theap.heap().cast::<Heap>() }.touch();
    }

    fn end_heap(&self) {
        let _other_threads_wait = self.ends.begin();
        self.theap.move_to(self.main.handle());
        self.heap.free();
    }

    fn end_thread(&self) {
        let _no_heap_ends = self.ends.wait();
        self.work();
        self.theap.end();
    }

    fn collect(&self) -> bool {
        let no_heap_ends = self.ends.unless_now();
        if no_heap_ends.is_some() {
            self.work();
        }
        no_heap_ends.is_some()
    }
}

/// A thread ends while a heap ends in which it has a theap.
#[test]
fn a_heap_ends_while_a_thread_ends() {
    loom::model(|| {
        let ending = Ending::new();
        let thread = spawn(&ending, Ending::end_thread);
        ending.end_heap();
        join(thread);
        assert_eq!(ending.theap.tid(), 0);
    });
}

/// A thread collects, and then ends.
#[test]
fn a_heap_ends_while_a_thread_collects() {
    bounded(3, || {
        let ending = Ending::new();
        let thread = spawn(&ending, |ending| {
            ending.collect();
            ending.end_thread();
        });
        ending.end_heap();
        join(thread);
    });
}

/// A structure that ends with the last that holds on to it.
struct Pinned {
    references: References,
    contents: UnsafeCell<usize>,
    ends: AtomicUsize,
}

// SAFETY: what the models check.
unsafe impl Send for Pinned {}
// SAFETY: as above.
unsafe impl Sync for Pinned {}

impl Pinned {
    fn let_go(&self) {
        if self.references.remove() {
            // SAFETY: loom reports it if this is not exclusive.
            self.contents.with_mut(|contents| unsafe { *contents = 0 });
            self.ends.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn visit(&self) {
        // SAFETY: loom reports it if somebody writes.
        assert_eq!(self.contents.with(|contents| unsafe { *contents }), 7);
        self.let_go();
    }
}

/// A heap ends while two visitors look at it: the last of the three gives the memory back.
#[test]
fn a_visited_structure_ends_once_and_last() {
    loom::model(|| {
        let pinned =
            Arc::new(Pinned { references: References::new(), contents: UnsafeCell::new(7), ends: AtomicUsize::new(0) });
        let visitors = [(); 2].map(|()| {
            pinned.references.add();
            spawn(&pinned, Pinned::visit)
        });
        pinned.let_go();
        visitors.into_iter().for_each(join);
        assert_eq!(pinned.ends.load(Ordering::Relaxed), 1);
    });
}

/// A page as far as gathering goes: blocks are 1, 2, …, and each has a link that loom watches.
struct Gathered {
    number: usize,
    remote: Remote,
    links: [UnsafeCell<usize>; 4],
    enough: u16,
    weight: u32,
}

// SAFETY: what the models check.
unsafe impl Send for Gathered {}
// SAFETY: as above.
unsafe impl Sync for Gathered {}

fn block(index: usize) -> *mut u8 {
    std::ptr::without_provenance_mut(index)
}

impl Gathered {
    fn new(number: usize, enough: u16) -> &'static Gathered {
        Self::heavy(number, enough, 1)
    }

    fn heavy(number: usize, enough: u16, weight: u32) -> &'static Gathered {
        Box::leak(Box::new(Gathered { number, remote: Remote::new(), links: Default::default(), enough, weight }))
    }

    fn set_link(&self, block: usize, next: usize) {
        // SAFETY: loom reports it if this is not exclusive.
        self.links[block - 1].with_mut(|link| unsafe { *link = next });
    }

    /// What the owner finds: the blocks, in order.
    fn taken(&self) -> Vec<usize> {
        let chain = self.remote.take();
        let mut blocks = Vec::new();
        let mut next = if chain.count > 0 { chain.head.bytes() / 8 } else { 0 };
        while next != 0 {
            blocks.push(next);
            // SAFETY: as above.
            next = self.links[next - 1].with_mut(|link| unsafe { *link });
        }
        assert_eq!(blocks.len(), chain.count);
        blocks
    }
}

impl RemotePage for Gathered {
    fn number(&self) -> usize {
        self.number
    }

    fn longest_chain(&self) -> u16 {
        self.enough
    }

    fn weight(&self) -> u32 {
        self.weight
    }

    fn freed_twice(&self, _: *mut u8) {
        panic!("each once");
    }

    unsafe fn link(&self, block: *mut u8, next: *mut u8) {
        self.set_link(block.addr(), next.addr());
    }

    unsafe fn push(&'static self, head: *mut u8, tail: *mut u8, count: usize) {
        let link = |next: Option<BlockOffset>| self.set_link(tail.addr(), next.map_or(0, |next| next.bytes() / 8));
        self.remote.push(BlockOffset::from_bytes(head.addr() * 8), count, link);
    }
}

fn gather(blocks: &[(&'static Gathered, usize)]) {
    let batch = RemoteBatch::<Gathered>::new();
    for &(page, index) in blocks {
        // SAFETY: blocks of the model.
        unsafe { batch.add(page, block(index)) };
    }
    batch.flush();
    batch.flush();
}

fn assert_all(mut blocks: Vec<usize>, wanted: &[usize]) {
    blocks.sort_unstable();
    assert_eq!(blocks, wanted);
}

/// Invariants 1 and 2: two threads gather blocks of a page, its owner takes them meanwhile.
#[test]
fn gathered_blocks_arrive() {
    bounded(3, || {
        let page = Gathered::new(0, 9);
        let other = thread::spawn(|| gather(&[(page, 1), (page, 2)]));
        let third = thread::spawn(|| gather(&[(page, 3), (page, 4)]));
        let mut blocks = page.taken();
        join(other);
        join(third);
        blocks.extend(page.taken());
        assert_all(blocks, &[1, 2, 3, 4]);
    });
}

/// Invariants 1 and 2: pages that share a place, and chains that are pushed because they are long enough.
#[test]
fn gathered_blocks_make_room_for_others() {
    loom::model(|| {
        let (page, neighbour) = (Gathered::new(0, 2), Gathered::new(32, 9));
        let blocks = [(page, 1), (neighbour, 1), (page, 2), (page, 3), (neighbour, 2), (neighbour, 3)];
        let other = thread::spawn(move || gather(&blocks));
        let mut blocks = page.taken();
        join(other);
        blocks.extend(page.taken());
        assert_all(blocks, &[1, 2, 3]);
        assert_all(neighbour.taken(), &[1, 2, 3]);
    });
}

/// Invariant 4: what weighs enough altogether waits no longer, in whichever chains it is, and is pushed once.
#[test]
fn gathered_blocks_of_some_weight_arrive_by_themselves() {
    bounded(3, || {
        let (light, heavy) = (Gathered::new(0, 9), Gathered::heavy(1, 9, 192));
        let other = thread::spawn(move || {
            let batch = RemoteBatch::<Gathered>::new();
            for (page, index) in [(light, 1), (heavy, 1), (heavy, 2)] {
                // SAFETY: blocks of the model.
                unsafe { batch.add(page, block(index)) };
            }
            assert!(!batch.is_pending());
            batch.flush();
        });
        let mut blocks = light.taken();
        join(other);
        blocks.extend(light.taken());
        assert_all(blocks, &[1]);
        assert_all(heavy.taken(), &[1, 2]);
    });
}
