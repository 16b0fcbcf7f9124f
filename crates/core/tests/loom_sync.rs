//! Models of the lock, the once, the bell and presence, every interleaving of them. Run with
//! `RUSTFLAGS="--cfg loom" cargo test -p ferrimalloc-core --release --test loom_sync`.
//!
//! A futex wait really sleeps here, so a lost wake-up is found as a deadlock. The numbers in the comments are the invariants in `src/sync/lock.rs`, `once.rs`, `bell.rs` and `presence.rs`.
#![cfg(loom)]

#[path = "models/first_failure.rs"]
mod first_failure;

use ferrimalloc_core::sync::{AtomicUsize, Bell, Heard, Left, Lock, Once, Ordering, Presence, Progress};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// A counter that loom watches: access that is not exclusive or not ordered is an error.
#[derive(Default)]
struct Watched(UnsafeCell<usize>);

impl Watched {
    fn increment(&self) {
        // SAFETY: loom reports it if this is not exclusive.
        self.0.with_mut(|value| unsafe { *value += 1 });
    }

    fn get(&self) -> usize {
        // SAFETY: loom reports it if somebody writes.
        self.0.with(|value| unsafe { *value })
    }
}

// SAFETY: what the models check.
unsafe impl Sync for Watched {}

fn bounded(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Invariant 1 of the lock: one holder at a time, who sees what the last one did.
#[test]
fn two_lockers() {
    loom::model(|| {
        let lock = Arc::new(Lock::new(Watched::default()));
        let other = lock.clone();
        let other = thread::spawn(move || other.lock().increment());
        lock.lock().increment();
        other.join().expect("no panic");
        assert_eq!(lock.lock().get(), 2);
    });
}

/// All three invariants: with three threads somebody takes the lock after a sleep while another still sleeps.
#[test]
fn three_lockers() {
    bounded(2, || {
        let lock = Arc::new(Lock::new(Watched::default()));
        let others: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || lock.lock().increment())
            })
            .collect();
        lock.lock().increment();
        others.into_iter().for_each(|other| other.join().expect("no panic"));
        assert_eq!(lock.lock().get(), 3);
    });
}

/// `try_lock` beside a holder: fails, or gets the lock properly.
#[test]
fn a_try_and_a_lock() {
    loom::model(|| {
        let lock = Arc::new(Lock::new(Watched::default()));
        let other = lock.clone();
        let other = thread::spawn(move || other.try_lock().map(|value| value.increment()).is_some());
        lock.lock().increment();
        let tried = other.join().expect("no panic");
        assert_eq!(lock.lock().get(), 1 + tried as usize);
    });
}

/// A `try_lock` that fails leaves the lock to its holder: a third thread stays out, too.
#[test]
fn a_failing_try_beside_two_lockers() {
    bounded(2, || {
        let lock = Arc::new(Lock::new(Watched::default()));
        let locker = lock.clone();
        let locker = thread::spawn(move || locker.lock().increment());
        let trier = lock.clone();
        let trier = thread::spawn(move || {
            let first = trier.try_lock().map(|value| value.increment()).is_some();
            let second = trier.try_lock().map(|value| value.increment()).is_some();
            first as usize + second as usize
        });
        lock.lock().increment();
        locker.join().expect("no panic");
        let tried = trier.join().expect("no panic");
        assert_eq!(lock.lock().get(), 2 + tried);
    });
}

/// Invariant 1 of the once: the function runs once, and whoever returns sees what it did.
#[test]
fn callers_of_a_once() {
    bounded(3, || {
        let once = Arc::new((Once::new(), Watched::default()));
        let call = |once: &(Once, Watched)| {
            assert_eq!(once.0.call(|| once.1.increment()), Progress::Done);
            assert_eq!(once.1.get(), 1);
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let once = once.clone();
                thread::spawn(move || call(&once))
            })
            .collect();
        call(&once);
        others.into_iter().for_each(|other| other.join().expect("no panic"));
    });
}

/// Invariant 2: the running thread gets through, another waits.
#[test]
fn a_nested_call_beside_another() {
    loom::model(|| {
        let once = Arc::new((Once::new(), Watched::default()));
        let call = |once: &(Once, Watched)| {
            let nested = || assert_eq!(once.0.call(|| unreachable!()), Progress::InProgress);
            assert_eq!(once.0.call(|| (nested(), once.1.increment()).1), Progress::Done);
            assert_eq!(once.1.get(), 1);
        };
        let other = once.clone();
        let other = thread::spawn(move || call(&other));
        call(&once);
        other.join().expect("no panic");
    });
}

/// `is_done` alone publishes what the function did.
#[test]
fn a_glance_at_a_once() {
    loom::model(|| {
        let once = Arc::new((Once::new(), Watched::default()));
        let other = once.clone();
        let other = thread::spawn(move || other.0.call(|| other.1.increment()));
        if once.0.is_done() {
            assert_eq!(once.1.get(), 1);
        }
        other.join().expect("no panic");
    });
}

/// Invariant 2 of the bell: work that was made before a ring is seen by the servant, who never sleeps beside it.
#[test]
fn work_beside_a_servant_who_goes_to_sleep() {
    loom::model(|| {
        let shared = Arc::new((Bell::new(), AtomicUsize::new(0)));
        assert!(shared.0.attend());
        let other = shared.clone();
        let other = thread::spawn(move || {
            other.1.store(1, Ordering::Relaxed);
            other.0.ring()
        });
        let has_work = || shared.1.load(Ordering::Relaxed) == 1;
        while !has_work() {
            shared.0.sleep_unless(has_work);
        }
        assert_ne!(other.join().expect("no panic"), Heard::Nobody);
    });
}

/// A servant who is dismissed leaves, whatever rings meanwhile.
#[test]
fn a_dismissal_beside_a_ring() {
    bounded(2, || {
        let bell = Arc::new(Bell::new());
        assert!(bell.attend() && !bell.attend());
        let ringer = bell.clone();
        let ringer = thread::spawn(move || ringer.ring());
        let owner = bell.clone();
        let owner = thread::spawn(move || owner.dismiss());
        while !bell.is_dismissed() {
            bell.sleep_unless(|| false);
        }
        bell.leave();
        ringer.join().expect("no panic");
        owner.join().expect("no panic");
        assert!(!bell.is_attended() && bell.ring() == Heard::Nobody);
    });
}

/// Invariants of presence, as the scavenger needs them: one of those who leave hires a servant before; the last to leave
/// sees that, and dismisses him.
#[test]
fn the_last_to_leave_dismisses_the_servant() {
    loom::model(|| {
        let shared = Arc::new((Presence::new(), Bell::new()));
        (0..2).for_each(|_| shared.0.enter());
        let other = shared.clone();
        let other = thread::spawn(move || {
            assert!(other.1.attend());
            leave_last(&other)
        });
        let last = leave_last(&shared);
        let other_last = other.join().expect("no panic");
        assert!(last != other_last, "one of the two is the last");
        assert!(shared.1.is_dismissed());
    });
}

fn leave_last((presence, bell): &(Presence, Bell)) -> bool {
    let is_last = presence.leave() == Left::Last;
    if is_last && bell.is_attended() {
        bell.dismiss();
    }
    is_last
}
