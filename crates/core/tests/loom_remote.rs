//! Models of who owns a page, and of the blocks that others free into it, every interleaving of them. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_remote`.
//!
//! The numbers in the comments are the invariants in `src/page/ownership.rs`. What only an owner may touch and the blocks'
//! links are cells that loom watches: access that is not exclusive, or not ordered after the last one, is an error. The
//! list of pages for anybody to take is a relaxed flag here, so that all order must come from the word itself.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use ferrimalloc_core::page::ownership::{BlockOffset, Chain, Ownership, Push, PushOrClaim};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

/// What belongs to the owner of a page.
#[derive(Default)]
struct Owned {
    /// Blocks on the owner's lists.
    free: Vec<usize>,
    releases: usize,
}

/// A page, as far as ownership goes.
struct Page {
    ownership: Ownership,
    owned: UnsafeCell<Owned>,
    /// For each block in use: its link once it is free.
    links: Vec<UnsafeCell<Option<usize>>>,
    /// Where those look who search a page to take.
    listed: AtomicBool,
}

// SAFETY: what the models check.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

/// The thread that gives pages up.
const ME: usize = 16;

fn at(index: usize) -> BlockOffset {
    BlockOffset::from_bytes(index * 16)
}

fn index_of(block: BlockOffset) -> usize {
    block.bytes() / 16
}

impl Page {
    /// Owned by the caller, with so many blocks in use.
    fn new(blocks: usize) -> Arc<Page> {
        Arc::new(Page {
            ownership: Ownership::new(),
            owned: UnsafeCell::new(Owned::default()),
            links: (0..blocks).map(|_| UnsafeCell::new(None)).collect(),
            listed: AtomicBool::new(false),
        })
    }

    /// Given up, in the list for anybody to take, until all of its blocks are free.
    fn new_listed(blocks: usize) -> Arc<Page> {
        let page = Page::new(blocks);
        page.list();
        page.ownership.let_go(ME, blocks, blocks).expect("nothing has been freed");
        page
    }

    fn owned<R>(&self, work: impl FnOnce(&mut Owned) -> R) -> R {
        // SAFETY: loom reports it if this is not exclusive.
        self.owned.with_mut(|owned| work(unsafe { &mut *owned }))
    }

    fn used(&self) -> usize {
        self.owned(|_| ());
        self.ownership.used()
    }

    fn link(&self, block: usize, next: Option<BlockOffset>) {
        // SAFETY: as above.
        self.links[block].with_mut(|link| unsafe { *link = next.map(index_of) });
    }

    /// Frees blocks, linked in this order, by one push.
    fn push(&self, blocks: &[usize]) -> Push {
        for pair in blocks.windows(2) {
            self.link(pair[0], Some(at(pair[1])));
        }
        let last = *blocks.last().expect("a block");
        self.ownership.push(at(blocks[0]), blocks.len(), |next| self.link(last, next))
    }

    /// Frees blocks of a page that somebody owns, or that this push can't complete.
    fn put(&self, blocks: &[usize]) {
        self.push(blocks);
    }

    /// Frees a block as any thread does that the page never belonged to.
    fn free(&self, block: usize) {
        if self.push(&[block]) == Push::Claimed {
            self.release_or_list();
        }
    }

    /// Frees a block as the last owner does; whether the page is its own again.
    fn free_given_up(&self, block: usize, wanted: usize) -> bool {
        match self.ownership.push_or_claim(at(block), wanted, |next| self.link(block, next)) {
            PushOrClaim::Left => return false,
            PushOrClaim::Due => {
                self.release_or_list();
                return false;
            }
            PushOrClaim::Claimed(chain) => {
                self.owned(|owned| owned.free.push(block));
                self.accept(chain);
            }
        }
        self.unlist();
        true
    }

    /// What `heap::release_or_list` does.
    fn release_or_list(&self) {
        loop {
            let used = self.used();
            if self.ownership.arrived() >= used {
                return self.release();
            }
            self.list();
            if self.ownership.put_back(used).is_ok() {
                return;
            }
        }
    }

    fn list(&self) {
        self.owned(|_| ());
        if !self.ownership.is_listed() {
            self.ownership.set_listed(true);
            self.listed.store(true, Ordering::Relaxed);
        }
    }

    fn unlist(&self) {
        self.owned(|_| ());
        if self.ownership.is_listed() {
            self.ownership.set_listed(false);
            self.listed.store(false, Ordering::Relaxed);
        }
    }

    /// What `Registry::take_listed` does; whether the page is the caller's.
    fn steal(&self) -> bool {
        if !self.listed.load(Ordering::Relaxed) {
            return false;
        }
        let Some(threshold) = self.ownership.claim_in_place() else { return false };
        self.owned(|_| ());
        if !self.ownership.is_listed() {
            if self.ownership.put_back(threshold).is_err() {
                self.release_or_list();
            }
            return false;
        }
        self.unlist();
        self.accept(self.ownership.take());
        true
    }

    /// Puts a chain on the owner's lists; every link must have arrived.
    fn accept(&self, chain: Chain) {
        let mut blocks = Vec::new();
        let mut next = (chain.count > 0).then(|| index_of(chain.head));
        while let Some(block) = next {
            blocks.push(block);
            // SAFETY: loom reports it if this is not exclusive.
            next = self.links[block].with_mut(|link| unsafe { *link });
        }
        assert_eq!(blocks.len(), chain.count, "Invariant 2");
        self.owned(|owned| owned.free.extend(blocks));
    }

    /// The page's memory becomes something else.
    fn release(&self) {
        for block in 0..self.links.len() {
            self.links[block].with_mut(|_| ());
        }
        self.owned(|owned| owned.releases += 1);
        self.unlist();
    }

    /// With all threads done: every block has been found once (Invariant 3); answers whether the page was released.
    fn finish(&self) -> bool {
        let chain = self.ownership.claim().unwrap_or_else(|| self.ownership.take());
        self.accept(chain);
        self.owned(|owned| {
            owned.free.sort_unstable();
            assert!(owned.free.iter().copied().eq(0..self.links.len()), "{:?}", owned.free);
            assert!(owned.releases <= 1);
            owned.releases == 1
        })
    }
}

/// Runs the actions in threads of their own, the last one here, and returns what they did.
fn race<T: Copy + 'static>(page: &Arc<Page>, actions: &[fn(&Page) -> T]) -> Vec<T> {
    let spawn = |action: &fn(&Page) -> T| {
        let (page, action) = (page.clone(), *action);
        thread::spawn(move || action(&page))
    };
    let (last, others) = actions.split_last().expect("an action");
    let others: Vec<_> = others.iter().map(spawn).collect();
    let done_here = last(page);
    others.into_iter().map(|other| other.join().expect("no panic")).chain([done_here]).collect()
}

fn count<T: PartialEq>(results: &[T], wanted: T) -> usize {
    results.iter().filter(|result| **result == wanted).count()
}

/// All interleavings with at most so many preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Invariants 2 and 3: pushes don't lose each other's blocks.
#[test]
fn push_and_push() {
    loom::model(|| {
        let page = Page::new(3);
        let pushes = race(&page, &[|page| page.push(&[0]), |page| page.push(&[1, 2])]);
        assert_eq!(pushes, [Push::Left, Push::Left], "somebody owns the page");
        assert!(!page.finish());
    });
}

/// Invariants 3 and 4: the owner takes while others push.
#[test]
fn push_and_take() {
    loom::model(|| {
        let page = Page::new(3);
        let take = |page: &Page| {
            page.accept(page.ownership.take());
            page.accept(page.ownership.take());
        };
        race(&page, &[|page| page.put(&[0]), |page| page.put(&[1, 2]), take]);
        assert!(!page.finish());
    });
}

/// The owner gives up while the blocks are freed: either it hears of them, or the push that completes them claims.
#[test]
fn push_and_let_go() {
    loom::model(|| {
        let page = Page::new(2);
        let let_go = |page: &Page| {
            page.owned(|_| ());
            page.ownership.let_go(ME, 2, 2).is_err()
        };
        let claims =
            race(&page, &[|page| page.push(&[0]) == Push::Claimed, |page| page.push(&[1]) == Push::Claimed, let_go]);
        assert_eq!(count(&claims, true), 1, "{claims:?}");
        assert!(!page.ownership.is_unowned());
        assert_eq!(page.used(), 2);
        assert!(!page.finish());
    });
}

/// Invariant 2: of three pushes one reaches the threshold.
#[test]
fn the_threshold_is_reached_once() {
    bounded(3, || {
        let page = Page::new(3);
        page.ownership.let_go(ME, 3, 2).expect("nothing has been freed");
        let push =
            [(|page: &Page| page.push(&[0])) as fn(&Page) -> Push, |page| page.push(&[1]), |page| page.push(&[2])];
        let pushes = race(&page, &push);
        assert_eq!(count(&pushes, Push::Claimed), 1);
        assert_eq!(page.used(), 3);
        assert!(!page.finish());
    });
}

/// Invariant 1: a page without an owner gets one.
#[test]
fn claim_and_claim() {
    loom::model(|| {
        let page = Page::new_listed(1);
        let claim = |page: &Page| {
            let claim = page.ownership.claim();
            claim.is_some_and(|chain| page.owned(|owned| owned.free.len() == chain.count))
        };
        let in_place = |page: &Page| page.ownership.claim_in_place().is_some() && page.used() == 1;
        assert_eq!(count(&race(&page, &[claim, claim, in_place]), true), 1);
    });
}

/// Invariants 1 and 3: the claimer finds what was pushed before, and the rest stays for it.
#[test]
fn push_and_claim() {
    loom::model(|| {
        let page = Page::new_listed(2);
        let claim = |page: &Page| match page.ownership.claim() {
            Some(chain) => page.accept(chain),
            None => assert_eq!(page.ownership.count(), 2),
        };
        race(&page, &[|page| page.put(&[0]), |page| page.put(&[1]), claim]);
        assert!(!page.finish());
    });
}

/// The last owner frees while another thread does: whoever completes what it waits for owns the page, alone.
#[test]
fn push_and_free_by_the_last_owner() {
    for wanted in [1, 2] {
        loom::model(move || {
            let page = Page::new_listed(2);
            let other = page.clone();
            let other = thread::spawn(move || other.push(&[0]) == Push::Claimed);
            let back = page.free_given_up(1, wanted);
            let claimed = other.join().expect("no panic");
            assert!(!(back && claimed));
            page.finish();
        });
    }
}

/// The last owner would have the page back only with more blocks free than it takes to list it: its own frees may be
/// what makes the page due.
#[test]
fn the_last_owner_sees_to_a_page_that_is_due() {
    loom::model(|| {
        let page = Page::new(3);
        page.ownership.let_go(ME, 3, 2).expect("nothing has been freed");
        let other = page.clone();
        let other = thread::spawn(move || other.free(2));
        let back = page.free_given_up(0, 3) || page.free_given_up(1, 3);
        other.join().expect("no panic");
        assert_eq!(page.finish(), !back, "released unless it went back to its last owner");
    });
}

/// All blocks of a page that is just being given up are freed: one thread releases it, or its owner keeps it and has
/// them all.
#[test]
fn a_page_is_released_once() {
    bounded(3, || {
        let page = Page::new(2);
        let give_up = |page: &Page| {
            page.owned(|_| ());
            page.ownership.let_go(ME, 2, 1).is_ok()
        };
        let given_up = race(
            &page,
            &[
                |page| {
                    page.free(0);
                    true
                },
                |page| {
                    page.free(1);
                    true
                },
                give_up,
            ],
        );
        let released = page.finish();
        assert_eq!(released, given_up[2], "a page given up is released by who frees its last block");
    });
}

/// A listed page, wanted by a thief while its blocks are freed: it is released or the thief's, and never both.
#[test]
fn a_page_is_stolen_or_released() {
    bounded(3, || {
        let page = Page::new_listed(2);
        let free_first = |page: &Page| {
            page.free(0);
            false
        };
        let free_second = |page: &Page| {
            page.free(1);
            false
        };
        let stolen = race(&page, &[free_first, free_second, Page::steal])[2];
        assert_eq!(page.finish(), !stolen);
    });
}

/// A thread in search of another page claims this one by mistake and puts it back as it was, while its blocks are freed:
/// whoever frees the last one still releases it.
#[test]
fn a_page_claimed_by_mistake_is_put_back() {
    bounded(3, || {
        let page = Page::new(2);
        page.ownership.let_go(ME, 2, 2).expect("nothing has been freed");
        let mistaken = |page: &Page| {
            if let Some(threshold) = page.ownership.claim_in_place()
                && page.ownership.put_back(threshold).is_err()
            {
                page.release_or_list();
            }
        };
        race(&page, &[|page| page.free(0), mistaken, |page| page.free(1)]);
        assert!(page.finish(), "with all blocks free, somebody has released the page");
    });
}

/// Two thieves and a free: one of them has the page.
#[test]
fn a_page_is_stolen_once() {
    loom::model(|| {
        let page = Page::new_listed(2);
        let free = |page: &Page| {
            page.free(0);
            false
        };
        let stolen = race(&page, &[Page::steal, Page::steal, free]);
        assert_eq!(count(&stolen, true), 1);
        page.owned(|_| ());
        assert!(!page.ownership.is_listed());
        page.link(1, None);
        page.owned(|owned| owned.free.push(1));
        assert!(!page.finish());
    });
}

/// The whole life: the last owner frees a block and would have the page back, a thief wants it, and others free the
/// rest.
#[test]
fn the_last_owner_a_thief_and_the_others() {
    bounded(3, || {
        let page = Page::new_listed(2);
        let last_owner = |page: &Page| page.free_given_up(0, 1);
        let other = |page: &Page| {
            page.free(1);
            false
        };
        let owners = race(&page, &[last_owner, Page::steal, other]);
        let released = page.finish();
        assert!(count(&owners, true) + usize::from(released) <= 1, "{owners:?} {released}");
    });
}

/// A thief gives the page up again at once, as a thread that ends does, while its blocks are freed.
#[test]
fn stolen_given_up_and_released() {
    bounded(3, || {
        let page = Page::new_listed(2);
        let abandon = |page: &Page| {
            if page.steal() {
                let used = page.used() - page.owned(|owned| owned.free.len());
                if used == 0 {
                    page.release();
                } else if page.ownership.let_go(0, used, used).is_err() {
                    page.release_or_list();
                }
            }
        };
        race(&page, &[|page| page.free(0), |page| page.free(1), abandon]);
        assert!(page.finish(), "with all blocks free, somebody has released the page");
    });
}

/// Somebody with a hint at a page that is no more looks at the one that begins there now, which changes hands meanwhile: once
/// its owner is seen, so is what describes it.
#[test]
fn an_old_hint_leads_to_what_describes_the_page_now() {
    loom::model(|| {
        let (page, slices) = (Arc::new(Ownership::new()), Arc::new(AtomicUsize::new(2)));
        let begin = {
            let (page, slices) = (page.clone(), slices.clone());
            thread::spawn(move || {
                slices.store(1, Ordering::Relaxed);
                page.begin(ME);
                page.let_go(ME, 1, 1).expect("nothing has been freed");
            })
        };
        let take = {
            let page = page.clone();
            thread::spawn(move || {
                if page.claim().is_some() {
                    page.keep(2 * ME);
                }
            })
        };
        if page.published_owner().is_page() {
            assert_eq!(slices.load(Ordering::Relaxed), 1);
        }
        begin.join().unwrap();
        take.join().unwrap();
    });
}
