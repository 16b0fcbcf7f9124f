//! A small mutual exclusion lock: one 32-bit word, a short spin, then a futex.
//!
//! It guards rare and short work (reserving an arena, linking a heap), never a fast path. It lives in static or zeroed
//! memory, allocates nothing, needs no registration, and can be put right in a forked child.
//!
//! | word | meaning                                   |
//! |------|-------------------------------------------|
//! | 0    | free                                      |
//! | 1    | held, nobody sleeps                       |
//! | 2    | held, somebody may sleep and must be woken |
//!
//! Invariants:
//! 1. The thread that changed the word from 0 to 1 or 2 holds the lock until it stores 0.
//! 2. A thread sleeps only after it has itself stored 2 and while the word is still 2.
//! 3. Whoever has slept takes the lock with 2, for it cannot know whether others still sleep. So a sleeper is always
//!    covered by a 2, and by 1 the release that ends it wakes one.

use super::{AtomicU32, Ordering, UNDER_LOOM, const_unless_loom, spin_loop, wait};
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// How often a thread looks at a held lock before it sleeps; about a microsecond.
const SPINS: u32 = if UNDER_LOOM { 1 } else { 100 };

/// A value that one thread at a time may touch. Zeroed memory is an unlocked lock around a zeroed `T`.
#[repr(C)]
pub struct Lock<T> {
    word: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: by invariant 1 the value is reached by one thread at a time, which may drop or move it: `T: Send`.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// Where the guarded value lies.
    pub const VALUE_AT: usize = core::mem::offset_of!(Self, value);

    const_unless_loom! {
        /// An unlocked lock. `const` except under loom.
        pub const fn new(value: T) -> Self {
            Lock { word: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
        }
    }

    /// Takes the lock; it is released when the guard goes. Not re-entrant. May sleep.
    #[inline]
    pub fn lock(&self) -> LockGuard<'_, T> {
        self.lock_raw();
        LockGuard { lock: self, _stays_here: PhantomData }
    }

    /// Takes the lock if it is free. One compare-and-swap.
    #[inline]
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        // Not `then_some`: a guard that is made and not handed out would release the lock under its holder.
        self.take().then(|| LockGuard { lock: self, _stays_here: PhantomData })
    }

    /// Takes the lock without a guard: for fork's prepare handler. May sleep.
    #[inline]
    pub fn lock_raw(&self) {
        if !self.take() {
            self.lock_slow();
        }
    }

    /// Releases a lock that was taken without a guard: for fork's parent handler.
    ///
    /// # Safety
    /// The caller holds the lock through [`lock_raw`](Self::lock_raw).
    #[inline]
    pub unsafe fn unlock_raw(&self) {
        self.release();
    }

    /// Makes the lock free whatever it was: for fork's child handler, where its waiters no longer exist.
    ///
    /// # Safety
    /// No other thread uses the lock, and the value it guards is consistent (the forking thread held the lock).
    pub unsafe fn reinit(&self) {
        self.word.store(FREE, Ordering::Relaxed);
    }

    /// The guarded value, for those who hold the lock through [`lock_raw`](Self::lock_raw).
    pub fn data_ptr(&self) -> *mut T {
        self.value.get()
    }

    fn take(&self) -> bool {
        // ORDERING: acquire pairs with the release in `release`: we see what the last holder wrote.
        self.word.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    #[inline(never)]
    fn lock_slow(&self) {
        if self.spin() && self.take() {
            return;
        }
        // ORDERING: acquire as in `take`; invariants 2 and 3 ask for a 2 here.
        while self.word.swap(CONTENDED, Ordering::Acquire) != FREE {
            wait::wait(&self.word, CONTENDED);
        }
    }

    /// Watches a held lock for a moment and says whether it became free. Pointless if others sleep already.
    fn spin(&self) -> bool {
        for _ in 0..SPINS {
            match self.word.load(Ordering::Relaxed) {
                FREE => return true,
                CONTENDED => return false,
                _ => spin_loop(),
            }
        }
        false
    }

    fn release(&self) {
        // ORDERING: release publishes what the holder wrote to the next one's acquire.
        if self.word.swap(FREE, Ordering::Release) == CONTENDED {
            wait::wake_one(&self.word);
        }
    }
}

/// The right to touch a [`Lock`]'s value; releases the lock when dropped.
pub struct LockGuard<'a, T> {
    lock: &'a Lock<T>,
    /// Neither `Send` nor `Sync`: sharing it would share `T`, which may not be `Sync`.
    _stays_here: PhantomData<*mut T>,
}

impl<T> Deref for LockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a guard exists only while its thread holds the lock (invariant 1).
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for LockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: a guard exists only while its thread holds the lock, and we have the guard alone.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for LockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.release();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::mem::MaybeUninit;
    use std::thread;

    static COUNTER: Lock<u64> = Lock::new(0);

    #[test]
    fn threads_never_overlap() {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|_| *COUNTER.lock() += 1));
            }
        });
        assert_eq!(*COUNTER.lock(), 80_000);
    }

    #[test]
    fn zeroed_memory_is_free() {
        // SAFETY: zero is FREE, and a valid u64.
        let lock: Lock<u64> = unsafe { MaybeUninit::zeroed().assume_init() };
        assert_eq!(*lock.try_lock().expect("free"), 0);
    }

    #[test]
    fn try_lock_fails_while_held() {
        let lock = Lock::new(());
        let guard = lock.lock();
        assert!(lock.try_lock().is_none());
        assert!(lock.try_lock().is_none(), "the first attempt has changed nothing");
        drop(guard);
        assert!(lock.try_lock().is_some());
    }

    #[test]
    fn raw_taking_is_undone_by_unlock_or_reinit() {
        let lock = Lock::new(7);
        lock.lock_raw();
        assert!(lock.try_lock().is_none());
        // SAFETY: taken two lines above.
        unsafe { lock.unlock_raw() };
        lock.lock_raw();
        // SAFETY: nobody else knows this lock.
        unsafe { lock.reinit() };
        assert_eq!(*lock.lock(), 7);
    }

    #[test]
    fn a_sleeper_is_woken() {
        let lock = Lock::new(0);
        thread::scope(|scope| {
            let guard = lock.lock();
            let waiter = scope.spawn(|| *lock.lock() += 1);
            thread::sleep(core::time::Duration::from_millis(30));
            drop(guard);
            waiter.join().expect("woken");
        });
        assert_eq!(*lock.lock(), 1);
    }
}
