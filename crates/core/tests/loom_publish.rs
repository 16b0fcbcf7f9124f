//! Models of everything that is shown to other threads once it is ready: pointers, lists, places, tables, pairs. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_publish`.
//!
//! What is published are cells that loom watches: reading one that its writer did not publish is an error.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use ferrimalloc_core::arena::slots::Slots;
use ferrimalloc_core::diag::pair::Pair;
use ferrimalloc_core::diag::reentrancy_guard::{Entry, ReentrancyGuard};
use ferrimalloc_core::profile::rule::{Base, Rule, RuleTable};
use ferrimalloc_core::sync::{GrowingList, Node, Published, RangeTable, TryOnce};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};
use std::ptr;

/// Something made and then published. Lives for ever, as what the allocator publishes does.
struct Made {
    contents: UnsafeCell<usize>,
    link: AtomicPtr<Made>,
}

// SAFETY: what the models check.
unsafe impl Send for Made {}
// SAFETY: as above.
unsafe impl Sync for Made {}

impl Made {
    fn new(contents: usize) -> &'static Made {
        Box::leak(Box::new(Made { contents: UnsafeCell::new(contents), link: AtomicPtr::new(ptr::null_mut()) }))
    }

    /// Made in two steps, the second of which must be seen, too.
    fn written(contents: usize) -> &'static Made {
        let made = Made::new(0);
        made.write(contents);
        made
    }

    fn write(&self, contents: usize) {
        // SAFETY: loom reports it if this is not exclusive.
        self.contents.with_mut(|place| unsafe { *place = contents });
    }

    fn read(&self) -> usize {
        // SAFETY: loom reports it if somebody writes.
        self.contents.with(|place| unsafe { *place })
    }
}

impl Node for Made {
    fn link(&self) -> &AtomicPtr<Made> {
        &self.link
    }
}

fn spawn<T: 'static, R: 'static>(shared: &Arc<T>, work: impl FnOnce(&T) -> R + 'static) -> JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || work(&shared))
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("no panic")
}

/// Who sees the pointer sees what it points to.
#[test]
fn published_contents_are_seen() {
    loom::model(|| {
        let place = Arc::new(Published::<Made>::new());
        let publisher = spawn(&place, |place| place.publish(Made::written(7)));
        // SAFETY: null or a `Made`, which lives for ever.
        if let Some(made) = unsafe { place.get().as_ref() } {
            assert_eq!(made.read(), 7);
        }
        join(publisher);
    });
}

/// Of two that install theirs one wins, and both go on with the same.
#[test]
fn installers_agree() {
    loom::model(|| {
        let place = Arc::new(Published::<Made>::new());
        let install = |place: &Published<Made>, contents: usize| {
            let made = Made::written(contents);
            let installed = place.install(made).map_or_else(|winner| winner, |()| ptr::from_ref(made));
            // SAFETY: as above.
            let made = unsafe { &*installed };
            (installed.addr(), made.read())
        };
        let other = spawn(&place, move |place| install(place, 1));
        let mine = install(&place, 2);
        assert_eq!(join(other), mine);
        assert_eq!(place.get().addr(), mine.0);
    });
}

/// Both nodes arrive, and a walk sees what was written to those that it meets.
#[test]
fn a_list_grows_while_it_is_walked() {
    loom::model(|| {
        let list = Arc::new(GrowingList::<Made>::new());
        let other = spawn(&list, |list| list.push(Made::written(1)));
        let walker = spawn(&list, |list| list.iter().for_each(|node| assert!(node.read() > 0)));
        list.push(Made::written(2));
        join(other);
        join(walker);
        assert_eq!(list.iter().map(Made::read).sum::<usize>(), 3);
    });
}

/// A range that begins and grows has the right entry for an address, or none yet; never one of a wrong place, nor for an
/// address outside.
#[test]
fn a_table_begins_and_grows_while_it_is_used() {
    loom::model(|| {
        const TOP: usize = 0x1000;
        const END: usize = 0x9000;
        let table = Arc::new(RangeTable::<u8, 4>::new());
        let owner = spawn(&table, |table| {
            table.begin(TOP, ptr::without_provenance_mut(END), 0x10);
            table.grow(0x30);
        });
        let entry = |address: usize| table.entry(address).map(|entry| entry.addr().get());
        let (near, far) = (entry(TOP - 1), entry(TOP - 0x21));
        assert!([None, Some(END - 1)].contains(&near) && [None, Some(END - 3)].contains(&far), "{near:x?} {far:x?}");
        // The highest address of all is the first distance of a table without a top.
        assert_eq!([entry(TOP), entry(TOP - 0x31), entry(0), entry(!0)], [None; 4]);
        join(owner);
        assert_eq!((entry(TOP - 1), entry(TOP - 0x30)), (Some(END - 1), Some(END - 3)));
        assert_eq!((table.top(), table.end().addr(), table.bytes()), (TOP, END, 0x30));
    });
}

/// One of two does the work; who finds it done sees it.
#[test]
fn an_attempt_is_made_once() {
    loom::model(|| {
        let shared = Arc::new((TryOnce::new(), Made::new(0)));
        let work = |(attempt, made): &(TryOnce, &Made)| {
            let begun = !attempt.is_done() && attempt.begin();
            if begun {
                made.write(made.read() + 1);
                attempt.finish();
            } else if attempt.is_done() {
                assert_eq!(made.read(), 1);
            }
            begun
        };
        let other = spawn(&shared, work);
        let (mine, other) = (work(&shared), join(other));
        assert!(mine != other, "one and only one has begun");
    });
}

/// Something that is told its number.
struct Numbered {
    number: AtomicUsize,
    made: &'static Made,
}

impl Numbered {
    fn add_to<const N: usize>(slots: &Slots<Numbered, N>) -> bool {
        let item: &Numbered =
            Box::leak(Box::new(Numbered { number: AtomicUsize::new(usize::MAX), made: Made::written(1) }));
        slots.add(item, |number| item.number.store(number, Ordering::Relaxed))
    }
}

/// Two items are added while somebody walks: numbers are different, and known to whoever meets an item.
#[test]
fn items_are_added_while_others_walk() {
    loom::model(|| {
        let slots = Arc::new(Slots::<Numbered, 3>::new());
        let other = spawn(&slots, Numbered::add_to);
        let walker = spawn(&slots, |slots| {
            for item in slots.iter() {
                assert_eq!(item.made.read(), 1);
                assert!(item.number.load(Ordering::Relaxed) < 2);
            }
        });
        assert!(Numbered::add_to(&slots));
        assert!(join(other));
        join(walker);
        let numbers: Vec<usize> = slots.iter().map(|item| item.number.load(Ordering::Relaxed)).collect();
        assert_eq!(numbers, [0, 1]);
    });
}

/// The last place goes to one of two, and the other is told.
#[test]
fn the_last_place_is_taken_once() {
    loom::model(|| {
        let slots = Arc::new(Slots::<Numbered, 1>::new());
        let other = spawn(&slots, Numbered::add_to);
        let mine = Numbered::add_to(&slots);
        assert!(mine != join(other));
        assert_eq!((slots.count(), slots.iter().count()), (1, 1));
        let mut drained = 0;
        slots.drain(|_| drained += 1);
        assert_eq!((drained, slots.count(), slots.iter().count()), (1, 0, 0));
    });
}

fn set(pair: &Pair, number: usize) {
    let word = ptr::without_provenance_mut(number);
    pair.set(word, word);
}

fn check(pair: &Pair) {
    if let Some((first, second)) = pair.get() {
        assert_eq!(first, second, "halves of two pairs");
    }
}

/// A reader believes whole pairs only, while one writer replaces them twice.
#[test]
fn a_pair_is_read_while_it_is_replaced() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let pair = Arc::new(Pair::new());
        let writer = spawn(&pair, |pair| {
            set(pair, 1);
            set(pair, 2);
        });
        check(&pair);
        join(writer);
        assert!(pair.get().is_some_and(|(first, second)| first.addr() == 2 && second.addr() == 2));
    });
}

/// Two writers: what stays is one of theirs.
#[test]
fn a_pair_is_replaced_by_two() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let pair = Arc::new(Pair::new());
        let other = spawn(&pair, |pair| set(pair, 1));
        set(&pair, 2);
        check(&pair);
        join(other);
        assert!(pair.get().is_some());
        check(&pair);
    });
}

/// Two threads are let in side by side and neither twice, also after the other has left.
#[test]
fn a_turnstile_lets_each_thread_in_once() {
    loom::model(|| {
        let reentrancy_guard = Arc::new(ReentrancyGuard::new());
        let pass = |reentrancy_guard: &ReentrancyGuard| {
            let Entry::Entered(pass) = reentrancy_guard.enter() else { panic!("there is room for two") };
            assert!(matches!(reentrancy_guard.enter(), Entry::Inside));
            drop(pass);
            assert!(matches!(reentrancy_guard.enter(), Entry::Entered(_)));
        };
        let other = spawn(&reentrancy_guard, pass);
        pass(&reentrancy_guard);
        join(other);
    });
}

/// Who looks for the rule of an address finds that one or none, whoever writes to the same place meanwhile.
#[test]
fn a_rule_is_never_anothers() {
    const ADDRESSES: [usize; 3] = [0x1000, 0x1008, 0x2000];
    fn rule(address: usize) -> Rule {
        Rule { base: Base::StackPointer, cfa: (address >> 3) as i32, return_address: -1, fp: None }
    }
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let rules = Arc::new(RuleTable::new());
        let other = spawn(&rules, |rules| {
            rules.remember(ADDRESSES[0], rule(ADDRESSES[0]));
            rules.remember(ADDRESSES[2], rule(ADDRESSES[2]));
        });
        rules.remember(ADDRESSES[1], rule(ADDRESSES[1]));
        let check = || {
            for address in ADDRESSES {
                assert!(rules.find(address).is_none_or(|found| found == rule(address)), "another address's rule");
            }
        };
        check();
        join(other);
        check();
        rules.remember(ADDRESSES[1], rule(ADDRESSES[1]));
        assert_eq!(rules.find(ADDRESSES[1]), Some(rule(ADDRESSES[1])), "the last writer's rule stays");
    });
}
