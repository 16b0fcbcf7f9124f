//! Environment variables, read without the C library: `getenv` may be interposed, and compares names exactly.
//!
//! Names are compared without regard to case, values are copied to the caller's buffer. Like `getenv`, this must not race with
//! `setenv`; the allocator reads its options once, early.
//!
//! A program that runs with more rights than whoever started it (set-user-ID, file capabilities) finds no variables here: they
//! are that user's.

use crate::platform;
use core::ffi::{CStr, c_char};

/// False while the C library has not set up the environment: before its constructors, a preloaded `malloc` may be called by
/// the dynamic loader. Ask again later.
pub fn ready() -> bool {
    !platform::environ().is_null()
}

/// Copies the value of `name` to `buf`, as much as fits, and returns that part; `None` if it is unset or not [`ready`].
pub fn get<'a>(name: &str, buf: &'a mut [u8]) -> Option<&'a [u8]> {
    let value = trusted().find_map(|entry| value_of(entry, name.as_bytes()))?;
    let fitting = value.len().min(buf.len());
    buf[..fitting].copy_from_slice(&value[..fitting]);
    Some(&buf[..fitting])
}

/// Whether there is a variable whose name begins with `prefix`.
pub fn has_prefix(prefix: &str) -> bool {
    trusted().any(|entry| begins_with(entry, prefix.as_bytes()))
}

/// Calls `visit` with the name of each variable that begins with `prefix`, without the prefix.
pub fn for_each_with_prefix(prefix: &str, mut visit: impl FnMut(&[u8])) {
    for entry in trusted().filter(|entry| begins_with(entry, prefix.as_bytes())) {
        let rest = &entry[prefix.len()..];
        let end = rest.iter().position(|&byte| byte == b'=').unwrap_or(rest.len());
        visit(&rest[..end]);
    }
}

/// The environment, or an empty one in place of one that is not to be trusted.
fn trusted() -> Entries {
    Entries(if platform::process::is_privileged() { core::ptr::null() } else { platform::environ() })
}

fn begins_with(entry: &[u8], prefix: &[u8]) -> bool {
    entry.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The value, if `entry` is `name=value`.
fn value_of<'e>(entry: &'e [u8], name: &[u8]) -> Option<&'e [u8]> {
    let (key, rest) = entry.split_at_checked(name.len())?;
    rest.strip_prefix(b"=").filter(|_| key.eq_ignore_ascii_case(name))
}

/// Walks over an array of C strings that ends with a null pointer. The array itself may be null: nothing in it.
struct Entries(*const *const c_char);

impl Iterator for Entries {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: null, or at an element of a null-terminated array: we never step over the null pointer.
        let entry = *unsafe { self.0.as_ref() }?;
        if entry.is_null() {
            return None;
        }
        // SAFETY: as before; this element is not the terminating one.
        self.0 = unsafe { self.0.add(1) };
        // SAFETY: an entry of the environment is a C string; it lives as long as nobody changes the environment (module head).
        Some(unsafe { CStr::from_ptr(entry) }.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(array: &[*const c_char], name: &str) -> Option<&'static [u8]> {
        Entries(array.as_ptr()).find_map(|entry| value_of(entry, name.as_bytes()))
    }

    #[test]
    fn finds_names_in_any_case() {
        let array =
            [c"ab=1".as_ptr(), c"Mimalloc_Verbose=yes".as_ptr(), c"odd".as_ptr(), c"=x".as_ptr(), core::ptr::null()];
        assert_eq!(find(&array, "MIMALLOC_VERBOSE"), Some(&b"yes"[..]));
        assert_eq!(find(&array, "ab"), Some(&b"1"[..]));
        assert_eq!(find(&array, "a"), None);
        assert_eq!(find(&array, "abc"), None);
        assert_eq!(find(&array, "odd"), None);
    }

    #[test]
    fn finds_beginnings_in_any_case() {
        assert!(begins_with(b"Mimalloc_Verbose=yes", b"MIMALLOC_"));
        assert!(!begins_with(b"MIMALLOC", b"MIMALLOC_"));
        assert!(!begins_with(b"XMIMALLOC_A=1", b"MIMALLOC_"));
        assert!(has_prefix("pat") && !has_prefix("FERRIMALLOC_IS_NOT_SET"));
        let mut names = std::vec::Vec::new();
        for_each_with_prefix("pa", |name| names.push(name.to_ascii_uppercase()));
        assert!(names.iter().any(|name| name == b"TH"));
    }

    #[test]
    fn an_environment_that_is_not_there_yet_is_empty() {
        assert!(Entries(core::ptr::null()).next().is_none());
    }

    #[test]
    fn reads_the_real_environment() {
        let path = std::env::var("PATH").expect("tests run with a PATH");
        let mut buf = [0; 8192];
        assert!(ready());
        assert_eq!(get("path", &mut buf), Some(path.as_bytes()));
        assert_eq!(get("PATH", &mut buf[..3]), Some(&path.as_bytes()[..3]));
        assert_eq!(get("FERRIMALLOC_IS_NOT_SET", &mut buf), None);
    }
}
