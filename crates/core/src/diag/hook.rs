//! Callbacks registered from C: a function and its argument, changed and read as one.
//!
//! # Protocol
//! `version` is even while the pair stands still and odd while somebody writes it. A writer makes it odd by one
//! compare-and-swap, writes both words, makes it even again. A reader reads the version, both words, and the version
//! again, and believes them if the version was even and is the same. Neither waits: a reader that finds a writer at
//! work uses no hook, and of two writers at once one gives up (either order would have been right).
//!
//! Invariants
//! 1. `fun` is null or was made from the function type of the hook it belongs to.
//! 2. Both words are written only while `version` is odd.

use crate::sync::{AtomicPtr, AtomicUsize, Ordering, fence};
use core::ffi::{c_char, c_void};
use core::marker::PhantomData;
use core::mem;
use core::ptr;

/// Takes one line, zero-terminated, newline included.
pub type OutputFn = extern "C" fn(*const c_char, *mut c_void);
/// Takes an error number.
pub type ErrorFn = extern "C" fn(i32, *mut c_void);

pub type OutputHook = Hook<OutputFn>;
pub type ErrorHook = Hook<ErrorFn>;

/// How often a reader tries while writers interfere.
const TRIES: usize = 4;

/// A function of type `F` and its argument, or nothing.
pub struct Hook<F> {
    version: AtomicUsize,
    fun: AtomicPtr<c_void>,
    arg: AtomicPtr<c_void>,
    kind: PhantomData<F>,
}

impl<F: Callback> Default for Hook<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Callback> Hook<F> {
    pub const fn new() -> Self {
        Hook {
            version: AtomicUsize::new(0),
            fun: AtomicPtr::new(ptr::null_mut()),
            arg: AtomicPtr::new(ptr::null_mut()),
            kind: PhantomData,
        }
    }

    /// Replaces the pair.
    pub fn set(&self, fun: Option<F>, arg: *mut c_void) {
        let before = self.version.load(Ordering::Relaxed);
        if is_written(before) || !self.begin(before) {
            return;
        }
        self.fun.store(fun.map_or(ptr::null_mut(), F::erase), Ordering::Relaxed);
        self.arg.store(arg, Ordering::Relaxed);
        // ORDERING: Release publishes both words; pairs with the Acquire load in `read`.
        self.version.store(before.wrapping_add(2), Ordering::Release);
    }

    /// The pair as it was registered.
    pub fn get(&self) -> Option<(F, *mut c_void)> {
        let (fun, arg) = (0..TRIES).find_map(|_| self.read())?;
        if fun.is_null() {
            return None;
        }
        // SAFETY: by Invariant 1 a `fun` that is not null was made by `F::erase`.
        Some((unsafe { F::restore(fun) }, arg))
    }

    /// Removes a pair that a thread was writing when the process forked: in the child, where that thread is gone.
    pub fn repair(&self) {
        let version = self.version.load(Ordering::Relaxed);
        if is_written(version) {
            self.fun.store(ptr::null_mut(), Ordering::Relaxed);
            // ORDERING: Release publishes the null; pairs with the Acquire load in `read`.
            self.version.store(version.wrapping_add(1), Ordering::Release);
        }
    }

    fn begin(&self, before: usize) -> bool {
        let odd = before.wrapping_add(1);
        // ORDERING: Acquire keeps the writes of the words behind the odd version in this thread.
        let begun = self.version.compare_exchange(before, odd, Ordering::Acquire, Ordering::Relaxed);
        // ORDERING: Release fence: a reader that sees one of the words written next also sees the odd version;
        // pairs with the Acquire fence in `read`.
        fence(Ordering::Release);
        begun.is_ok()
    }

    fn read(&self) -> Option<(*mut c_void, *mut c_void)> {
        // ORDERING: Acquire sees the words that this version published; pairs with the Release store in `set`.
        let before = self.version.load(Ordering::Acquire);
        let pair = (self.fun.load(Ordering::Relaxed), self.arg.load(Ordering::Relaxed));
        // ORDERING: Acquire fence: if a word came from a later writer, the version below is later too.
        fence(Ordering::Acquire);
        let after = self.version.load(Ordering::Relaxed);
        (before == after && !is_written(before)).then_some(pair)
    }
}

fn is_written(version: usize) -> bool {
    version & 1 == 1
}

/// A function pointer that can be kept as a plain word.
pub trait Callback: Copy {
    fn erase(self) -> *mut c_void;
    /// # Safety
    /// `word` came from `erase` of the same type.
    unsafe fn restore(word: *mut c_void) -> Self;
}

impl Callback for OutputFn {
    fn erase(self) -> *mut c_void {
        self as *mut c_void
    }

    unsafe fn restore(word: *mut c_void) -> Self {
        // SAFETY: the caller's promise: the word is an `OutputFn`.
        unsafe { mem::transmute::<*mut c_void, OutputFn>(word) }
    }
}

impl Callback for ErrorFn {
    fn erase(self) -> *mut c_void {
        self as *mut c_void
    }

    unsafe fn restore(word: *mut c_void) -> Self {
        // SAFETY: the caller's promise: the word is an `ErrorFn`.
        unsafe { mem::transmute::<*mut c_void, ErrorFn>(word) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    extern "C" fn expects_one(_: i32, arg: *mut c_void) {
        assert_eq!(arg.addr(), 1);
    }

    extern "C" fn expects_two(_: i32, arg: *mut c_void) {
        assert_eq!(arg.addr(), 2);
    }

    fn word(number: usize) -> *mut c_void {
        ptr::without_provenance_mut(number)
    }

    #[test]
    fn starts_empty_and_is_replaced_and_removed() {
        let hook = ErrorHook::new();
        assert!(hook.get().is_none());
        hook.set(Some(expects_one), word(1));
        assert!(hook.get().is_some_and(|(_, arg)| arg == word(1)));
        hook.set(None, word(1));
        assert!(hook.get().is_none());
    }

    #[test]
    fn readers_never_see_half_of_a_registration() {
        let hook = ErrorHook::new();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..50_000 {
                    hook.set(Some(expects_one), word(1));
                    hook.set(Some(expects_two), word(2));
                }
                done.store(true, Ordering::Relaxed);
            });
            while !done.load(Ordering::Relaxed) {
                if let Some((fun, arg)) = hook.get() {
                    fun(0, arg);
                }
            }
        });
    }

    #[test]
    fn an_interrupted_registration_means_no_hook() {
        let hook = ErrorHook::new();
        hook.set(Some(expects_one), word(1));
        hook.version.fetch_add(1, Ordering::Relaxed);
        assert!(hook.get().is_none());
        hook.set(Some(expects_two), word(2));
        assert!(hook.get().is_none());
        hook.repair();
        assert!(hook.get().is_none());
        hook.set(Some(expects_two), word(2));
        hook.repair();
        assert!(hook.get().is_some_and(|(_, arg)| arg == word(2)));
    }
}
