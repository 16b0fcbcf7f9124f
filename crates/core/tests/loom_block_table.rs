//! Models of the books of a hardened page, every interleaving of them. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_block_table`.
//!
//! The numbers in the comments are the invariants in `src/hardened/block_table.rs`. A block's contents, and the table's memory, are
//! cells that loom watches: a block in two hands, or in one that does not see what the last one did, is an error.
//!
//! Where the owner looks at the remote word before it changes anything, it is a thread of its own and the model's main thread
//! frees: loom runs the main thread first, and forgets a look as soon as another thread looks, too.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use ferrimalloc_core::hardened::block_table::{AlreadyFree, BlockTable, Doubles, OwnedBlockTable, Secrets, Style};
use ferrimalloc_core::page::ownership::{BlockOffset, Push, Remote};
use loom::cell::{Cell, UnsafeCell};
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use std::alloc::{Layout, alloc_zeroed, dealloc};

const BLOCKS: usize = 3;
const BLOCK_BYTES: usize = 48;
const SECRETS: Secrets = Secrets { key: 1, order: 1 };

/// A hardened page: what `page/hardened.rs` and `theap/ownership.rs` do with the table and the remote word.
struct Page {
    table: &'static OwnedBlockTable,
    remote: Remote,
    /// Blocks that are not free, as far as they have been counted; the owner's.
    outstanding: Cell<usize>,
    contents: Vec<UnsafeCell<usize>>,
    /// Read by whoever uses the table, written by who gives its memory back.
    memory: UnsafeCell<()>,
}

// SAFETY: what the models check.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

fn layout() -> Layout {
    Layout::from_size_align(BlockTable::bytes(BLOCKS), 64).expect("a layout")
}

impl Page {
    /// Owned by the caller, all blocks in use.
    fn full() -> Arc<Page> {
        // SAFETY: zeroed, aligned, large enough; given back with the page.
        let table =
            unsafe { BlockTable::create(alloc_zeroed(layout()), BLOCKS, BLOCK_BYTES, SECRETS, Style::BARE).owned() };
        let page = Page {
            table,
            remote: Remote::new(),
            outstanding: Cell::new(0),
            contents: (0..BLOCKS).map(|_| UnsafeCell::new(0)).collect(),
            memory: UnsafeCell::new(()),
        };
        table.open(0, BLOCKS);
        (0..BLOCKS).for_each(|_| assert!(page.take().is_some()));
        Arc::new(page)
    }

    fn table<R>(&self, work: impl FnOnce(&OwnedBlockTable) -> R) -> R {
        self.memory.with(|_| work(self.table))
    }

    /// Writes to a block that is in use, by its user.
    fn touch(&self, block: usize) {
        // SAFETY: loom reports it if this is not exclusive.
        self.contents[block].with_mut(|contents| unsafe { *contents += 1 });
    }

    fn take(&self) -> Option<usize> {
        let take = |table: &OwnedBlockTable| if table.make_ready(1) { table.take() } else { None };
        let block = self.table(take)?;
        self.outstanding.set(self.outstanding.get() + 1);
        self.touch(block);
        Some(block)
    }

    fn take_all(&self) -> Vec<usize> {
        std::iter::from_fn(|| self.take()).collect()
    }

    /// Frees a block; by the owner.
    fn put(&self, block: usize) -> Result<(), AlreadyFree> {
        self.table(|table| table.put(block))?;
        self.outstanding.set(self.outstanding.get() - 1);
        Ok(())
    }

    /// Marks a block; by another thread, which counts it then.
    fn mark(&self, block: usize) -> Result<(), AlreadyFree> {
        self.touch(block);
        self.table(|table| table.put_remote(block))
    }

    fn count(&self, block: usize) -> Push {
        self.remote.push(BlockOffset::from_bytes(block * BLOCK_BYTES), 1, |_| ())
    }

    /// Frees a block of a page that somebody owns.
    fn free_remote(&self, block: usize) {
        assert_eq!(self.mark(block), Ok(()));
        self.count(block);
    }

    /// What the owner does when it needs blocks.
    fn refill(&self) {
        if self.remote.count() > 0 {
            let count = self.remote.take().count;
            self.accept(count);
        }
    }

    fn accept(&self, count: usize) {
        assert_eq!(self.table(OwnedBlockTable::drain).count, 0);
        self.outstanding.set(self.outstanding.get() - count);
        // Invariant 2.
        assert!(self.table(OwnedBlockTable::count_free) >= BLOCKS - self.outstanding.get());
    }

    /// Gives the table's memory back, when the counts say that no block is in use.
    fn release_if_unused(&self) -> bool {
        let is_unused = self.remote.arrived() >= self.outstanding.get();
        if is_unused {
            self.memory.with_mut(|_| ());
        }
        is_unused
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: made in `full` with this layout; nobody uses the table any more.
        unsafe { dealloc(std::ptr::from_ref(self.table).cast_mut().cast(), layout()) };
    }
}

fn spawn<R: 'static>(page: &Arc<Page>, work: impl FnOnce(&Page) -> R + 'static) -> JoinHandle<R> {
    let page = page.clone();
    thread::spawn(move || work(&page))
}

fn outcome<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("no panic")
}

/// A drain finds nothing that was freed twice.
const NO_DOUBLES: Doubles = Doubles { count: 0, index: 0 };

/// Of two threads that free the same block, one is told.
#[test]
fn two_frees_of_a_block() {
    loom::model(|| {
        let page = Page::full();
        let free = |page: &Page| page.table(|table| table.put_remote(1));
        let other = spawn(&page, free);
        let mut told = [free(&page), outcome(other)];
        told.sort_by_key(Result::is_err);
        assert_eq!(told, [Ok(()), Err(AlreadyFree)]);
        assert_eq!(page.table.drain(), NO_DOUBLES);
        assert_eq!(page.table.count_free(), 1);
    });
}

/// Frees of different blocks, whose bits share a word, beside a drain: each is found once.
#[test]
fn a_drain_loses_no_block() {
    loom::model(|| {
        let page = Page::full();
        let others = [0, 1].map(|block| spawn(&page, move |page: &Page| page.mark(block)));
        assert_eq!(page.table.drain(), NO_DOUBLES);
        for other in others {
            assert_eq!(outcome(other), Ok(()));
        }
        assert_eq!(page.table.drain(), NO_DOUBLES);
        assert_eq!(page.table.count_free(), 2);
    });
}

/// The owner frees a block, another thread another one, in the same word.
#[test]
fn the_owner_frees_beside_another() {
    loom::model(|| {
        let page = Page::full();
        let owner = spawn(&page, |page| {
            assert_eq!(page.put(1), Ok(()));
            page.refill();
        });
        page.free_remote(0);
        outcome(owner);
        page.refill();
        assert_eq!((page.outstanding.get(), page.table.count_free()), (1, 2));
        assert_eq!(page.take_all().len(), 2);
    });
}

/// The owner and another thread free the same block: one of them is told, or the drain tells.
#[test]
fn the_owner_and_another_free_a_block() {
    loom::model(|| {
        let page = Page::full();
        let other = spawn(&page, |page| page.table(|table| table.put_remote(1)));
        let own = page.put(1);
        let other = outcome(other);
        let doubles = page.table.drain();
        assert!(own.is_ok() || other.is_ok());
        let told = own.is_err() as usize + other.is_err() as usize + doubles.count;
        assert_eq!(told, 1, "{own:?} {other:?} {doubles:?}");
        assert!(doubles.count == 0 || doubles.index == 1);
        assert_eq!(page.table.count_free(), 1);
    });
}

/// Invariants 1 and 2: what has been counted is found. And a block that is drained before it is counted comes to its next
/// user with all that the last one did.
#[test]
fn blocks_come_back_with_their_contents() {
    loom::model(|| {
        let page = Page::full();
        let other = spawn(&page, |page| page.free_remote(1));
        let owner = spawn(&page, |page| {
            page.refill();
            page.take_all()
        });
        page.free_remote(0);
        outcome(other);
        let early = outcome(owner);
        page.refill();
        let mut all = [early, page.take_all()].concat();
        all.sort_unstable();
        assert_eq!(all, [0, 1]);
        assert_eq!(page.outstanding.get(), BLOCKS);
    });
}

/// The owner gives the table's memory back as soon as all blocks are counted, and not before: nobody looks there then.
#[test]
fn the_books_end_after_the_last_free() {
    loom::model(|| {
        let page = Page::full();
        assert_eq!(page.put(2), Ok(()));
        let other = spawn(&page, |page| page.free_remote(1));
        let owner = spawn(&page, Page::release_if_unused);
        page.free_remote(0);
        outcome(other);
        assert!(outcome(owner) || page.release_if_unused());
    });
}

/// Who claims a page that was given up has its books as the last owner left them.
#[test]
fn the_books_travel_with_the_page() {
    loom::model(|| {
        let page = Page::full();
        let other = spawn(&page, |page| {
            assert_eq!(page.mark(0), Ok(()));
            if page.count(0) == Push::Claimed {
                page.refill();
                assert_eq!(page.take_all().len(), 2);
            }
        });
        assert_eq!(page.put(1), Ok(()));
        if page.remote.let_go(1).is_err() {
            page.refill();
            assert_eq!(page.take_all().len(), 2);
        }
        outcome(other);
        assert_eq!((page.outstanding.get(), page.table.count_free()), (BLOCKS, 0));
    });
}
