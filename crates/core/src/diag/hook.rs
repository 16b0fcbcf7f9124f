//! Callbacks registered from C: a function and its argument, changed and read as one; and where lines go.
//!
//! Invariant 1: the first word of the pair is null or was made from the function type of the hook it belongs to.

use super::pair::Pair;
use core::ffi::{CStr, c_char, c_void};
use core::marker::PhantomData;
use core::mem;
use core::ptr;

/// Takes one line, zero-terminated, newline included.
pub type OutputFn = extern "C" fn(*const c_char, *mut c_void);
/// Takes an error number.
pub type ErrorFn = extern "C" fn(i32, *mut c_void);

pub type OutputHook = Hook<OutputFn>;
pub type ErrorHook = Hook<ErrorFn>;

/// A function and its argument, or nothing. `F` is a type of functions.
pub struct Hook<F> {
    pair: Pair,
    kind: PhantomData<F>,
}

impl<F: Copy> Hook<F> {
    /// Nothing is registered.
    pub const fn new() -> Self {
        const { assert!(size_of::<F>() == size_of::<*mut c_void>(), "a pointer") };
        Hook { pair: Pair::new(), kind: PhantomData }
    }

    /// Replaces the function and its argument.
    pub fn set(&self, fun: Option<F>, arg: *mut c_void) {
        // SAFETY: as large as a pointer, and any pointer is a plain word.
        let erase = |fun| unsafe { mem::transmute_copy::<F, *mut c_void>(&fun) };
        self.pair.set(fun.map_or(ptr::null_mut(), erase), arg);
    }

    /// The function and its argument, as they were registered.
    pub fn get(&self) -> Option<(F, *mut c_void)> {
        let (fun, arg) = self.pair.get()?;
        // SAFETY: by Invariant 1 a `fun` that is not null was an `F`.
        Some((unsafe { mem::transmute_copy::<*mut c_void, F>(&fun) }, arg))
    }

    /// Removes what a thread was registering when the process forked: in the child, where that thread is gone.
    pub fn repair(&self) {
        self.pair.repair();
    }
}

/// Takes finished lines, one call per line, newline included.
pub trait Output {
    /// Takes one line; `line` is the caller's again afterwards.
    fn put(&mut self, line: &CStr);
}

impl<F: FnMut(&CStr)> Output for F {
    fn put(&mut self, line: &CStr) {
        self(line);
    }
}

/// A C function and its argument.
pub struct HookOutput {
    fun: OutputFn,
    arg: *mut c_void,
}

impl HookOutput {
    /// Passes lines to `fun(line, arg)`.
    pub fn new(fun: OutputFn, arg: *mut c_void) -> Self {
        HookOutput { fun, arg }
    }
}

impl Output for HookOutput {
    fn put(&mut self, line: &CStr) {
        (self.fun)(line.as_ptr(), self.arg);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
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
}
