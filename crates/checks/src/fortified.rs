//! What a program calls that was compiled with `_FORTIFY_SOURCE`, where the compiler knows how large the destination
//! is. The size comes last; a copy that needs more ends the process, as in glibc.

use crate::memory::{explicit_bzero, memcpy, memmove, mempcpy, memset};
use crate::wide::{wmemcpy, wmemmove, wmempcpy};
use crate::{next, strings};

/// Calls the function if the object, in the function's units, is as large as the last argument.
macro_rules! with_length {
    ($($name:ident => $function:ident($($arg:ident: $ty:ty),*; $length:ident) -> $result:ty;)*) => {$(
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty,)* $length: usize, object: usize) -> $result {
            if $length > object {
                next::fail();
            }
            // SAFETY: the contract of the C function.
            unsafe { $function($($arg,)* $length) }
        }
    )*};
}

with_length! {
    __memcpy_chk => memcpy(to: *mut u8, from: *const u8; bytes) -> *mut u8;
    __memmove_chk => memmove(to: *mut u8, from: *const u8; bytes) -> *mut u8;
    __mempcpy_chk => mempcpy(to: *mut u8, from: *const u8; bytes) -> *mut u8;
    __memset_chk => memset(to: *mut u8, byte: i32; bytes) -> *mut u8;
    __explicit_bzero_chk => explicit_bzero(to: *mut u8; bytes) -> ();
    __wmemcpy_chk => wmemcpy(to: *mut u8, from: *const u8; count) -> *mut u8;
    __wmemmove_chk => wmemmove(to: *mut u8, from: *const u8; count) -> *mut u8;
    __wmempcpy_chk => wmempcpy(to: *mut u8, from: *const u8; count) -> *mut u8;
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __strcpy_chk(to: *mut u8, from: *const u8, object_bytes: usize) -> *mut u8 {
    // SAFETY: the contract of the C function.
    unsafe { strings::copy(c"strcpy", to, from, object_bytes) };
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __stpcpy_chk(to: *mut u8, from: *const u8, object_bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { strings::copy(c"stpcpy", to, from, object_bytes) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __strncpy_chk(to: *mut u8, from: *const u8, limit: usize, object_bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { strings::copy_some(c"strncpy", to, from, limit, object_bytes) };
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __stpncpy_chk(to: *mut u8, from: *const u8, limit: usize, object_bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { strings::copy_some(c"stpncpy", to, from, limit, object_bytes) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __strcat_chk(to: *mut u8, from: *const u8, object_bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { strings::append(c"strcat", to, from, strings::ANY, object_bytes) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __strncat_chk(to: *mut u8, from: *const u8, limit: usize, object_bytes: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { strings::append(c"strncat", to, from, limit, object_bytes) }
}
