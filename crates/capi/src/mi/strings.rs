//! Copies of strings, paths and variables of the environment.

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

use ferrimalloc_core::alloc;
use ferrimalloc_prim::{Errno, process};
use libc::wchar_t;

use super::args::tell;
use super::export;

/// Allocates so many bytes.
fn plain(bytes: usize) -> *mut c_void {
    alloc::malloc(bytes).cast()
}

/// A copy, in memory from `allocate`, of at most `max` bytes of a string; null for null and without memory.
///
/// # Safety
/// `s` is null, or a string, or has `max` bytes.
pub unsafe fn copy(s: *const c_char, max: usize, allocate: impl FnOnce(usize) -> *mut c_void) -> *mut c_char {
    if s.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the precondition; the copy has one byte more than the string.
    unsafe {
        let bytes = libc::strnlen(s, max);
        let copy: *mut c_char = allocate(bytes + 1).cast();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(s, copy, bytes);
            copy.add(bytes).write(0);
        }
        copy
    }
}

/// `realpath(3)` whose own result comes from `allocate`.
///
/// # Safety
/// `name` is null or a string; `resolved` is null or has `PATH_MAX` bytes.
pub unsafe fn real_path(
    name: *const c_char,
    resolved: *mut c_char,
    allocate: impl FnOnce(usize) -> *mut c_void,
) -> *mut c_char {
    let mut path = [0 as c_char; process::PATH_BYTES];
    // SAFETY: the precondition; `path` is as large as it must be.
    unsafe {
        match resolved.is_null() {
            true if process::real_path(name, path.as_mut_ptr()) => copy(path.as_ptr(), usize::MAX, allocate),
            false if process::real_path(name, resolved) => resolved,
            _ => ptr::null_mut(),
        }
    }
}

/// How many characters a wide string has.
///
/// # Safety
/// `s` is a wide string.
unsafe fn wide_length(s: *const wchar_t) -> usize {
    // SAFETY: the precondition: a zero ends it.
    unsafe { (0..).take_while(|&index| s.add(index).read() != 0).count() }
}

export! {
    /// A copy of a string; null for null.
    fn mi_strdup(s: *const c_char) -> *mut c_char {
        copy(s, usize::MAX, plain)
    }

    /// A copy of at most `n` bytes of a string; looks at no more.
    fn mi_strndup(s: *const c_char, n: usize) -> *mut c_char {
        copy(s, n, plain)
    }

    /// `realpath(3)`; without a buffer the result is a block of ours.
    fn mi_realpath(fname: *const c_char, resolved_name: *mut c_char) -> *mut c_char {
        real_path(fname, resolved_name, plain)
    }

    /// A copy of a wide string; null for null.
    fn mi_wcsdup(s: *const wchar_t) -> *mut wchar_t {
        if s.is_null() {
            return ptr::null_mut();
        }
        let count = wide_length(s) + 1;
        let copy: *mut wchar_t = alloc::malloc(count * size_of::<wchar_t>()).cast();
        if !copy.is_null() {
            ptr::copy_nonoverlapping(s, copy, count);
        }
        copy
    }

    /// A copy of a string of bytes; null for null.
    fn mi_mbsdup(s: *const u8) -> *mut u8 {
        copy(s.cast(), usize::MAX, plain).cast()
    }

    /// A copy of an environment variable in `*buf` (null: it is not set), its size with the ending zero in `*size`.
    /// 0, `EINVAL` for null arguments, `ENOMEM`.
    fn mi_dupenv_s(buf: *mut *mut c_char, size: *mut usize, name: *const c_char) -> c_int {
        if buf.is_null() || name.is_null() {
            return Errno::EINVAL.0;
        }
        let value = libc::getenv(name);
        let duplicate = copy(value, usize::MAX, plain);
        buf.write(duplicate);
        tell(size, if duplicate.is_null() { 0 } else { libc::strlen(duplicate) + 1 });
        if duplicate.is_null() && !value.is_null() { Errno::ENOMEM.0 } else { 0 }
    }

    /// Windows only: `EINVAL`, and null in `*buf`.
    fn mi_wdupenv_s(buf: *mut *mut wchar_t, size: *mut usize, name: *const wchar_t) -> c_int {
        let _ = name;
        tell(buf, ptr::null_mut());
        tell(size, 0);
        Errno::EINVAL.0
    }
}
