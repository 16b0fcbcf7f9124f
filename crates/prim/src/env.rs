//! Environment variables, read without the C library: `getenv` may be interposed, and compares names exactly.
//!
//! Names are compared without regard to case, values are copied to the caller's buffer. Like `getenv`, this must not race with
//! `setenv`; the allocator reads its options once, early.
//!
//! A program that runs with more rights than whoever started it (set-user-ID, file capabilities) finds no variables here: they
//! are that user's.

use crate::platform;

/// False while the C library has not set up the environment: before its constructors, a preloaded `malloc` may be called by
/// the dynamic loader. Ask again later.
pub fn ready() -> bool {
    platform::environ::entries().is_some()
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
fn trusted() -> impl Iterator<Item = &'static [u8]> {
    let entries = if platform::process::is_privileged() { None } else { platform::environ::entries() };
    entries.into_iter().flatten()
}

fn begins_with(entry: &[u8], prefix: &[u8]) -> bool {
    entry.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The value, if `entry` is `name=value`.
fn value_of<'e>(entry: &'e [u8], name: &[u8]) -> Option<&'e [u8]> {
    let (key, rest) = entry.split_at_checked(name.len())?;
    rest.strip_prefix(b"=").filter(|_| key.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn values_are_found_by_names_in_any_case() {
        assert_eq!(value_of(b"Mimalloc_Verbose=yes", b"MIMALLOC_VERBOSE"), Some(&b"yes"[..]));
        assert_eq!(value_of(b"ab=1", b"ab"), Some(&b"1"[..]));
        let others = [(&b"ab=1"[..], &b"a"[..]), (b"ab=1", b"abc"), (b"odd", b"odd"), (b"=x", b"odd")];
        assert!(others.iter().all(|(entry, name)| value_of(entry, name).is_none()));
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
