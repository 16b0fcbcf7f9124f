//! Models of heaps whose empty pages wait for the program: against readers of freed objects, and against threads that use such a page
//! again. Run with `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_postponed`.
//!
//! The page's memory is a cell that loom watches: readers read it without a lock, whoever gives it back writes it. The page's
//! ownership is the allocator's own protocol, the program one with a clock and, for each reader, the time at which it last held
//! nothing. The numbers in the comments are the invariants in `src/heap/postponed.rs`.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::ptr;

use ferrimalloc_core::heap::postponed::{Hooks, Postponing, Room, Waiter};
use ferrimalloc_core::page::ownership::{BlockOffset, Owner, Ownership, Push};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};

const BLOCKS: usize = 1;
const TID: usize = 16;
const NEVER: usize = usize::MAX;

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

fn spawn<R: 'static>(world: &Arc<World>, work: impl FnOnce(&World) -> R + 'static) -> JoinHandle<R> {
    let world = world.clone();
    thread::spawn(move || work(&world))
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("no panic")
}

/// A page with one block, as any thread has it.
#[derive(Clone, Copy)]
struct Page(*const PageWords);

struct PageWords {
    ownership: Ownership,
    /// What belongs to the owner.
    owned: UnsafeCell<()>,
    /// The block, which readers look at, freed or not.
    memory: UnsafeCell<()>,
    blocks_in_use: AtomicUsize,
    times_released: AtomicUsize,
}

/// The right to it.
struct OwnedPage(Page);

impl Page {
    fn words(&self) -> &PageWords {
        // SAFETY: the world has it, and outlives its threads.
        unsafe { &*self.0 }
    }
}

impl PageWords {
    /// What everyone does who owns the page.
    fn touch(&self) {
        // SAFETY: loom reports it if this is not exclusive.
        self.owned.with_mut(|_| ());
    }
}

impl Waiter for Page {
    type Owned = OwnedPage;

    fn number(self) -> usize {
        self.0.addr() / 8
    }

    fn bytes(self) -> usize {
        BLOCKS * 64
    }

    fn of(owned: &OwnedPage) -> Page {
        owned.0
    }

    fn claim(self) -> Option<(OwnedPage, usize)> {
        let threshold = self.words().ownership.claim_in_place()?;
        self.words().touch();
        Some((OwnedPage(self), threshold))
    }

    fn put_back(owned: OwnedPage, threshold: usize) {
        owned.0.words().touch();
        owned.0.words().ownership.put_back(threshold).expect("nothing could be freed");
    }

    fn let_wait(owned: OwnedPage) {
        let words = owned.0.words();
        words.touch();
        words.ownership.take();
        words.ownership.let_go(TID, 0, 1).expect("nothing could be freed");
    }

    fn keep_for_good(_: OwnedPage) {
        panic!("there is memory for nodes");
    }
}

/// Nodes come from the process's own allocator.
struct Process;

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 16).expect("a size")
}

impl Room for Process {
    fn take(&self, bytes: usize) -> Option<*mut u8> {
        // SAFETY: no node is of no size.
        Some(unsafe { alloc_zeroed(layout(bytes)) })
    }

    unsafe fn give_back(&self, start: *mut u8, bytes: usize) {
        // SAFETY: the precondition.
        unsafe { dealloc(start, layout(bytes)) };
    }
}

/// The program: what `mimalloc-qsbr.h` asks for.
struct Program {
    now: AtomicUsize,
    /// The time at which the reader last held nothing; `NEVER`: it holds nothing until it says so.
    seen: AtomicUsize,
    waits_begun: AtomicUsize,
    waits_ended: AtomicUsize,
}

impl Program {
    fn new() -> Program {
        let at = |value| AtomicUsize::new(value);
        Program { now: at(1), seen: at(NEVER), waits_begun: at(0), waits_ended: at(0) }
    }

    /// The reader may hold objects that it finds from now on; before any thread starts.
    fn begin_reading(&self) {
        self.seen.store(self.now.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// It holds none any more.
    fn quiescent(&self) {
        self.seen.store(NEVER, Ordering::Release);
    }

    fn must_wait(&self, goal: &mut usize) -> bool {
        if *goal == 0 {
            *goal = self.now.fetch_add(1, Ordering::AcqRel) + 1;
            self.waits_begun.fetch_add(1, Ordering::Relaxed);
        }
        self.seen.load(Ordering::Acquire) < *goal
    }
}

std::thread_local! {
    /// Of the model that runs.
    static PROGRAM: Cell<*const Program> = const { Cell::new(ptr::null()) };
}

unsafe extern "C" fn init(heap: *mut u8) {
    // SAFETY: room for a word.
    unsafe { heap.cast::<*const Program>().write(PROGRAM.get()) };
}

unsafe extern "C" fn clear(page: *mut u8) {
    // SAFETY: written by `should_delay`.
    assert_ne!(unsafe { page.cast::<[usize; 2]>().read() }, [0, 0], "it did not wait");
    // SAFETY: as above; the second word is the program. The state is left as it is: the next wait begins with zeros.
    unsafe {
        let [_, program] = page.cast::<[usize; 2]>().read();
        (*(program as *const Program)).waits_ended.fetch_add(1, Ordering::Relaxed);
    }
}

unsafe extern "C" fn should_delay(page: *mut u8, heap: *mut u8, bytes: usize) -> bool {
    assert_eq!(bytes, BLOCKS * 64);
    // SAFETY: `init` wrote the heap's state; the page's is two words, zeroed at first.
    unsafe {
        let program = heap.cast::<*const Program>().read();
        let state = &mut *page.cast::<[usize; 2]>();
        state[1] = program as usize;
        (*program).must_wait(&mut state[0])
    }
}

/// A heap with one page.
struct World {
    program: Box<Program>,
    page: Box<PageWords>,
    postponing: &'static Postponing<Page>,
    /// Whether a reader finds the object.
    has_object: AtomicBool,
    is_listed: AtomicBool,
}

// SAFETY: what the models check.
unsafe impl Send for World {}
// SAFETY: as above.
unsafe impl Sync for World {}

impl World {
    /// This thread owns the page; its block is in use, and can be found.
    fn new() -> Arc<World> {
        let program = Box::new(Program::new());
        PROGRAM.set(&raw const *program);
        let page = Box::new(PageWords {
            ownership: Ownership::new(),
            owned: UnsafeCell::new(()),
            memory: UnsafeCell::new(()),
            blocks_in_use: AtomicUsize::new(BLOCKS),
            times_released: AtomicUsize::new(0),
        });
        page.ownership.begin(TID);
        let hooks = Hooks { init, clear, should_delay };
        let postponing = Postponing::begin(&Process, hooks).expect("memory");
        let yes = || AtomicBool::new(true);
        Arc::new(World { program, page, postponing, has_object: yes(), is_listed: AtomicBool::new(false) })
    }

    fn page(&self) -> Page {
        Page(&raw const *self.page)
    }

    /// Nobody finds the object any more, and its block is freed: the last of a page that this thread owns.
    fn free_last(&self) {
        self.has_object.store(false, Ordering::Release);
        self.page.blocks_in_use.store(0, Ordering::Relaxed);
        self.page_emptied(OwnedPage(self.page()));
    }

    /// What `heap::release_page` does.
    fn page_emptied(&self, page: OwnedPage) {
        let list = |_: &OwnedPage| self.is_listed.store(true, Ordering::Relaxed);
        if let Some(page) = self.postponing.keep(page, &Process, list) {
            self.release(page);
        }
    }

    /// Gives the page's memory back.
    fn release(&self, OwnedPage(page): OwnedPage) {
        let words = page.words();
        words.touch();
        assert_eq!(words.blocks_in_use.load(Ordering::Relaxed), 0, "a block is in use");
        // SAFETY: loom reports it if a reader is there.
        words.memory.with_mut(|_| ());
        words.ownership.set_owner(Owner::NONE);
        self.is_listed.store(false, Ordering::Relaxed);
        words.times_released.fetch_add(1, Ordering::Relaxed);
    }

    fn ask(&self) {
        self.postponing.ask_each(|page| self.release(page));
    }

    /// Reads an object without a lock, and then says that it holds nothing.
    fn read(&self) {
        if self.has_object.load(Ordering::Acquire) {
            // SAFETY: loom reports it if the memory is given back meanwhile.
            self.page.memory.with(|_| ());
        }
        self.program.quiescent();
    }

    /// What `Theap::take_listed` does: true if this thread has the page now, with its block in use.
    fn take_listed(&self) -> bool {
        if !self.is_listed.load(Ordering::Relaxed) {
            return false;
        }
        let Some((page, _)) = self.page().claim() else { return false };
        self.postponing.use_again(&page);
        self.page.touch();
        self.is_listed.store(false, Ordering::Relaxed);
        self.page.blocks_in_use.store(BLOCKS, Ordering::Relaxed);
        true
    }

    /// The page is full, and its owner leaves it.
    fn give_up(&self) {
        self.page.touch();
        self.page.ownership.let_go(TID, BLOCKS, BLOCKS).expect("nothing was freed");
    }

    /// Frees the block of a page that was given up.
    fn free_given_up(&self) {
        self.page.blocks_in_use.store(0, Ordering::Relaxed);
        if self.page.ownership.push(BlockOffset::from_bytes(0), 1, |_| ()) == Push::Claimed {
            self.page_emptied(OwnedPage(self.page()));
        }
    }

    fn times_released(&self) -> usize {
        self.page.times_released.load(Ordering::Relaxed)
    }

    /// At the end of a model: nobody holds anything; whether the page is gone then.
    fn settle(&self) -> bool {
        self.program.quiescent();
        self.ask();
        let at = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        assert_eq!(at(&self.program.waits_begun), at(&self.program.waits_ended), "a wait without an end");
        assert!(self.times_released() <= 1);
        self.times_released() == 1
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: all threads have ended.
            unsafe { self.postponing.give_up(&Process) };
        }
    }
}

/// A reader that has found the object reads it for as long as it likes (Invariant 4).
#[test]
fn a_page_waits_for_its_readers() {
    loom::model(|| {
        let world = World::new();
        world.program.begin_reading();
        let reader = spawn(&world, World::read);
        world.free_last();
        world.ask();
        join(reader);
        assert!(world.settle(), "the page was lost");
    });
}

/// Two threads ask at once, while a reader is there.
#[test]
fn two_threads_ask() {
    bounded(2, || {
        let world = World::new();
        world.program.begin_reading();
        world.free_last();
        let reader = spawn(&world, World::read);
        let other = spawn(&world, World::ask);
        world.ask();
        join(reader);
        join(other);
        assert!(world.settle(), "the page was lost");
    });
}

/// A thread uses the page again while another asks: it is one's or the other's, and does not wait any more with a block
/// in use, also when nobody owns it (Invariants 1 and 2).
#[test]
fn a_page_is_used_again() {
    loom::model(|| {
        let world = World::new();
        world.program.begin_reading();
        world.free_last();
        world.program.quiescent();
        let taker = spawn(&world, |world| {
            let takes = world.take_listed();
            if takes {
                world.give_up();
            }
            takes
        });
        world.ask();
        let is_used = join(taker);
        world.ask();
        assert_eq!(world.settle(), !is_used, "released exactly if nobody has it");
    });
}

/// A thread takes the page as soon as it can be had, and leaves it with a block in use (Invariant 3).
#[test]
fn a_page_is_taken_as_soon_as_it_waits() {
    loom::model(|| {
        let world = World::new();
        world.program.begin_reading();
        let taker = spawn(&world, |world| {
            let takes = world.take_listed();
            if takes {
                world.give_up();
            }
            takes
        });
        world.free_last();
        let is_used = join(taker);
        assert_eq!(world.settle(), !is_used, "released exactly if nobody has it");
    });
}

/// A page waits a second time: for those who read then (Invariant 4).
#[test]
fn a_page_waits_again() {
    bounded(3, || {
        let world = World::new();
        world.program.begin_reading();
        world.free_last();
        assert!(world.take_listed());
        world.give_up();
        world.has_object.store(true, Ordering::Relaxed);
        world.program.begin_reading();
        let reader = spawn(&world, World::read);
        world.has_object.store(false, Ordering::Release);
        world.free_given_up();
        world.ask();
        join(reader);
        assert!(world.settle(), "the page was lost");
    });
}

/// The metadata of a page that is gone serve another page: nobody asks about the old one (Invariant 1).
#[test]
fn a_page_in_the_place_of_one_that_waited() {
    bounded(3, || {
        let world = World::new();
        world.program.begin_reading();
        world.free_last();
        world.program.quiescent();
        let other = spawn(&world, World::ask);
        world.ask();
        join(other);
        world.ask();
        assert_eq!(world.times_released(), 1);
        world.page.blocks_in_use.store(BLOCKS, Ordering::Relaxed);
        world.page.ownership.begin(TID);
        world.give_up();
        assert!(world.settle(), "and not twice");
    });
}
