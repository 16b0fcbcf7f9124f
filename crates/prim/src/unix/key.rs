//! A pthread slot: one pointer per thread, with an optional destructor.
//!
//! The slot is created at run time, at most once: its number sits in one word, in which 0 means "not yet".

use crate::errno::{Errno, quiet};
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use libc::pthread_key_t;

/// Destructor of a slot: called with the value that a thread leaves behind, unless that is null.
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// The slot, created or not.
pub struct Key {
    /// One more than the C library's number; 0 if there is none yet. Goes from 0 to its value once.
    number_plus_one: AtomicUsize,
}

impl Key {
    /// A slot that is not created yet.
    #[allow(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Key {
        Key { number_plus_one: AtomicUsize::new(0) }
    }

    /// Creates the slot unless it exists. `EAGAIN` if the C library has none left.
    pub fn create(&self, destructor: Option<Destructor>) -> Result<(), Errno> {
        if self.number().is_none() {
            self.keep(new_number(destructor)?);
        }
        Ok(())
    }

    /// The calling thread's value; null if it never wrote one, or if there is no slot.
    #[inline]
    pub fn read(&self) -> *mut c_void {
        match self.number() {
            // SAFETY: a slot that exists and is never deleted.
            Some(number) => unsafe { libc::pthread_getspecific(number) },
            None => ptr::null_mut(),
        }
    }

    /// Writes the calling thread's value; false if there is no slot, or no memory for it.
    #[allow(
        clippy::not_unsafe_ptr_arg_deref,
        reason = "kept, not followed: what the destructor does with it is the destructor's promise"
    )]
    #[inline]
    pub fn write(&self, value: *mut c_void) -> bool {
        match self.number() {
            // SAFETY: as in `read`.
            Some(number) => quiet(|| unsafe { libc::pthread_setspecific(number, value) }) == 0,
            None => false,
        }
    }

    /// Whether it has been created.
    pub fn exists(&self) -> bool {
        self.number().is_some()
    }

    #[inline]
    fn number(&self) -> Option<pthread_key_t> {
        // Relaxed: the number is all there is; the C library orders its own tables.
        self.number_plus_one.load(Ordering::Relaxed).checked_sub(1).map(|number| number as pthread_key_t)
    }

    /// Keeps the number if this thread is the first, else returns it to the C library.
    fn keep(&self, number: pthread_key_t) {
        let plus_one = number as usize + 1;
        if self.number_plus_one.compare_exchange(0, plus_one, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            // SAFETY: nobody but this thread has seen the number.
            unsafe { libc::pthread_key_delete(number) };
        }
    }
}

fn new_number(destructor: Option<Destructor>) -> Result<pthread_key_t, Errno> {
    let mut number = 0;
    // SAFETY: a place for the number; the destructor is a function for any value written.
    match quiet(|| unsafe { libc::pthread_key_create(&mut number, destructor) }) {
        0 => Ok(number),
        error => Err(Errno(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Barrier};

    #[test]
    fn before_creation_it_holds_nothing() {
        let key = Key::new();
        assert!(key.read().is_null());
        assert!(!key.write(ptr::dangling_mut()));
    }

    #[test]
    fn racing_creators_agree() {
        static KEY: Key = Key::new();
        let everybody = Arc::new(Barrier::new(6));
        let visit = |n: usize, everybody: Arc<Barrier>| {
            everybody.wait();
            KEY.create(None).unwrap();
            assert!(KEY.write(ptr::without_provenance_mut(n)));
            everybody.wait();
            assert_eq!(KEY.read().addr(), n);
        };
        let threads: std::vec::Vec<_> = (1..=6)
            .map(|n| {
                let e = everybody.clone();
                std::thread::spawn(move || visit(n, e))
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
    }
}
