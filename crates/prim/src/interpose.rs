//! Functions that stand in front of the C library's: finding those behind them, and what does instead until that can
//! be done.
//!
//! A library that defines `memcpy` is called by the dynamic linker's first steps on: for functions that choose an
//! implementation while libraries are being relocated, perhaps before its own words are filled in. [`copy`] and its
//! like call nothing.

use crate::errno::quiet;
use crate::object::{Object, look_up};
use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The address of the function of that name in the libraries behind the one that contains us; 0 if there is none. To
/// be called when libraries have been relocated. May allocate by the process's `malloc`.
pub fn next(name: &CStr) -> usize {
    quiet(|| look_up(libc::RTLD_NEXT, name))
}

/// Has the library that contains `address` call other functions: each of `functions` is a name that the library
/// imports, and the address to be called from now on. False if not all of them could be: if the address is the program's
/// own, or nobody's, nothing has happened. A few system calls.
pub fn rebind(address: usize, functions: &[(&CStr, usize)]) -> bool {
    let Some(library) = Object::containing(address).filter(|object| !object.is_program) else { return false };
    let mut are_all_written = true;
    for (name, place) in quiet(|| library.imports()) {
        let Some((_, function)) = functions.iter().find(|(wanted, _)| *wanted == name) else { continue };
        let at = place.expose_provenance();
        are_all_written &= quiet(|| {
            library.while_writable(at..at + size_of::<usize>(), || {
                // SAFETY: a word that the dynamic linker has filled in, in memory that is writable now. Others read it
                // meanwhile, as it was or as it will be.
                unsafe { AtomicUsize::from_ptr(place) }.store(*function, Ordering::Relaxed);
            })
        });
    }
    are_all_written
}

/// Copies bytes one by one, in ascending order, or in descending order if the destination begins inside of the source.
///
/// # Safety
/// As for C's `memmove`.
pub unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    let is_ascending = to.addr().wrapping_sub(from.addr()) >= bytes;
    for step in 0..bytes {
        let at = if is_ascending { step } else { bytes - 1 - step };
        // SAFETY: the precondition. Volatile, or the compiler would make a call of `memmove` of it.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
}

/// Sets bytes one by one.
///
/// # Safety
/// As for C's `memset`.
pub unsafe fn fill(to: *mut u8, byte: u8, bytes: usize) {
    // SAFETY: the precondition; volatile as in `copy`.
    (0..bytes).for_each(|at| unsafe { to.add(at).write_volatile(byte) });
}

/// How many bytes there are before the first zero, at most `limit`.
///
/// # Safety
/// As for C's `strnlen`.
pub unsafe fn length(text: *const u8, limit: usize) -> usize {
    // SAFETY: the precondition; volatile as in `copy`.
    (0..limit).find(|&at| unsafe { text.add(at).read_volatile() } == 0).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_env = "gnu")]
    use crate::object::tests::rights;
    #[cfg(target_env = "gnu")]
    use std::{borrow::ToOwned, vec::Vec};

    #[test]
    fn copies_may_overlap() {
        for (from, to) in [(0usize, 3usize), (3, 0), (2, 2), (0, 8)] {
            let mut bytes: [u8; 16] = core::array::from_fn(|at| at as u8);
            let mut expected = bytes;
            expected.copy_within(from..from + 8, to);
            // SAFETY: both lie inside of the array.
            unsafe { copy(bytes.as_mut_ptr().add(to), bytes.as_ptr().add(from), 8) };
            assert_eq!(bytes, expected, "{from} to {to}");
        }
    }

    #[test]
    fn a_length_ends_at_a_zero_or_at_the_limit() {
        let mut text = *b"abcdef";
        // SAFETY: inside of the array.
        unsafe {
            fill(text.as_mut_ptr().add(4), 0, 1);
            assert_eq!([length(text.as_ptr(), 6), length(text.as_ptr(), 3), length(text.as_ptr(), 0)], [4, 3, 0]);
        }
    }

    /// musl's static programs have no `dlsym`.
    #[test]
    #[cfg(target_env = "gnu")]
    fn the_next_function_of_a_name_is_found() {
        assert_ne!(next(c"memcpy"), 0);
        assert_eq!(next(c"there_is_no_such_function"), 0);
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn what_the_dynamic_linker_has_sealed_is_sealed_again() {
        let library = Object::containing(next(c"getauxval")).unwrap();
        let sealed = |(name, place): (&CStr, *mut usize)| (name.to_owned(), place.expose_provenance());
        let sealed: Vec<_> = library.imports().map(sealed).filter(|word| rights(word.1) == "r--p").collect();
        for (name, place) in &sealed {
            // SAFETY: a word that the dynamic linker has filled in.
            let function = unsafe { core::ptr::with_exposed_provenance::<usize>(*place).read() };
            assert!(rebind(library.base, &[(name, function)]));
            assert_eq!(rights(*place), "r--p", "{name:?}");
        }
        assert!(!sealed.is_empty());
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn a_library_calls_what_it_is_told_to() {
        extern "C" fn mine() {}
        let function = next(c"getauxval");
        let library = Object::containing(function).unwrap();
        assert!(library.imports().all(|(name, place)| !name.is_empty() && !place.is_null()));
        assert!(!rebind(mine as *const () as usize, &[]), "the program's own");
        assert!(!rebind(16, &[]), "nobody's");
        assert!(rebind(function, &[(c"there_is_no_such_function", 1)]));
    }
}
