//! Strings: `strcpy` and its kin. What is to be copied is measured first, inside of the source's block.

use core::ffi::CStr;

use crate::{check, next};

/// No more is known of the destination than its block.
pub const ANY: usize = usize::MAX;

/// Copies a string of `bytes` bytes and its zero, and answers where the zero is. `object_bytes` is what a fortified
/// caller says that there is at the destination.
///
/// # Safety
/// There are as many bytes, which may be read; as many and one may be written, as far as no block says otherwise.
unsafe fn put(function: &'static CStr, to: *mut u8, from: *const u8, bytes: usize, object_bytes: usize) -> *mut u8 {
    if bytes >= object_bytes {
        next::fail();
    }
    let room = check::writable(function, to, bytes + 1);
    let Some(bytes) = room.checked_sub(1) else { return to };
    // SAFETY: the precondition.
    unsafe {
        next::copy(to, from, bytes);
        to.add(bytes).write(0);
        to.add(bytes)
    }
}

/// # Safety
/// As for C's `strcpy`.
pub unsafe fn copy(function: &'static CStr, to: *mut u8, from: *const u8, object_bytes: usize) -> *mut u8 {
    // SAFETY: the precondition.
    unsafe {
        let bytes = check::text_bytes(function, from, ANY).unwrap_or_else(|cut| cut);
        put(function, to, from, bytes, object_bytes)
    }
}

/// Copies at most `limit` bytes of a string and fills the rest of `limit` with zeros; answers where those begin.
///
/// # Safety
/// As for C's `strncpy`.
pub unsafe fn copy_some(
    function: &'static CStr,
    to: *mut u8,
    from: *const u8,
    limit: usize,
    object_bytes: usize,
) -> *mut u8 {
    if limit > object_bytes {
        next::fail();
    }
    let room = check::writable(function, to, limit);
    // SAFETY: the precondition.
    unsafe {
        let bytes = check::text_bytes(function, from, limit).unwrap_or_else(|cut| cut).min(room);
        next::copy(to, from, bytes);
        next::fill(to.add(bytes), 0, room - bytes);
        to.add(bytes)
    }
}

/// Copies at most `limit` bytes of a string, and a zero, to the end of another one. Nothing, if that one has no end in
/// its block.
///
/// # Safety
/// As for C's `strncat`.
pub unsafe fn append(
    function: &'static CStr,
    to: *mut u8,
    from: *const u8,
    limit: usize,
    object_bytes: usize,
) -> *mut u8 {
    // SAFETY: the precondition.
    unsafe {
        if let Ok(before) = check::text_bytes(function, to, ANY) {
            let bytes = check::text_bytes(function, from, limit).unwrap_or_else(|cut| cut);
            put(function, to.add(before), from, bytes, object_bytes.saturating_sub(before));
        }
    }
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcpy(to: *mut u8, from: *const u8) -> *mut u8 {
    // SAFETY: the contract of the C function.
    unsafe { copy(c"strcpy", to, from, ANY) };
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stpcpy(to: *mut u8, from: *const u8) -> *mut u8 {
    // SAFETY: as above.
    unsafe { copy(c"stpcpy", to, from, ANY) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __stpcpy(to: *mut u8, from: *const u8) -> *mut u8 {
    // SAFETY: as above.
    unsafe { copy(c"stpcpy", to, from, ANY) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strncpy(to: *mut u8, from: *const u8, limit: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { copy_some(c"strncpy", to, from, limit, ANY) };
    to
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn stpncpy(to: *mut u8, from: *const u8, limit: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { copy_some(c"stpncpy", to, from, limit, ANY) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn __stpncpy(to: *mut u8, from: *const u8, limit: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { copy_some(c"stpncpy", to, from, limit, ANY) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strcat(to: *mut u8, from: *const u8) -> *mut u8 {
    // SAFETY: as above.
    unsafe { append(c"strcat", to, from, ANY, ANY) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn strncat(to: *mut u8, from: *const u8, limit: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { append(c"strncat", to, from, limit, ANY) }
}
