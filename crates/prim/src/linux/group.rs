//! The control group that the process is in, as far as it limits memory (Linux's `admin-guide/cgroup-v1/memory.rst`,
//! `admin-guide/cgroup-v2.rst`): whoever needs more than its group may have is killed, or above `memory.high` slowed down until
//! something has been given back.
//!
//! A container may see its group under another path than the one that `/proc/self/cgroup` tells, or as the root of all. So
//! each ancestor of that path is asked, down to the root, and the least answer counts; limits of ancestors hold in any case.
//! (If there is the path itself, it begins at the root of all, which has no limit.)

use super::file::{leading_number, read, read_line};
use core::ffi::CStr;

/// A hierarchy of groups.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Version {
    One,
    Two,
}

/// Deeper groups are not asked.
const MOST_LEVELS: usize = 16;
const LONGEST_PATH: usize = 512;

/// How many bytes the process's group may have; `None` if there is no limit or no telling. A few system calls.
#[cold]
pub(crate) fn memory_limit() -> Option<usize> {
    let mut buf = [0; 2048];
    let (version, path) = memory_group(read(c"/proc/self/cgroup", &mut buf))?;
    let (mut least, mut known) = (None, false);
    for path in ancestors(path).take(MOST_LEVELS) {
        if known && path.is_empty() {
            break;
        }
        let limit = limit_of(version, path);
        known |= limit.is_some();
        least = [least, limit].into_iter().flatten().min();
    }
    least
}

/// From a line for each hierarchy: number, controllers, path. That of version 2 has no controllers.
fn memory_group(lines: &[u8]) -> Option<(Version, &[u8])> {
    let path_of = |wanted: &[u8]| {
        lines.split(|&byte| byte == b'\n').find_map(|line| {
            let mut fields = line.splitn(3, |&byte| byte == b':').skip(1);
            let mut controllers = fields.next()?.split(|&byte| byte == b',');
            let path = fields.next()?;
            controllers.any(|name| name.iter().eq(wanted)).then_some(path)
        })
    };
    let first = path_of(b"memory").map(|path| (Version::One, path));
    first.or_else(|| path_of(b"").map(|path| (Version::Two, path)))
}

/// The path of a group, of the group it is in, and so on; the root is empty.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::successors(Some(path.strip_suffix(b"/").unwrap_or(path)), |path| parent(path))
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    Some(&path[..path.iter().rposition(|&byte| byte == b'/')?])
}

fn limit_of(version: Version, path: &[u8]) -> Option<usize> {
    let (root, files) = match version {
        Version::One => (&b"/sys/fs/cgroup/memory"[..], &[&b"/memory.limit_in_bytes\0"[..]][..]),
        Version::Two => (&b"/sys/fs/cgroup"[..], &[&b"/memory.max\0"[..], b"/memory.high\0"][..]),
    };
    files.iter().filter_map(|file| number_in(root, path, file)).min()
}

/// The number in a file of a group; `None` if it says that there is no limit.
fn number_in(root: &[u8], path: &[u8], file: &[u8]) -> Option<usize> {
    let mut name = [0; LONGEST_PATH];
    let mut length = 0;
    for part in [root, path, file] {
        name.get_mut(length..length + part.len())?.copy_from_slice(part);
        length += part.len();
    }
    let mut buf = [0; 64];
    // Version 2 has a word for "no limit".
    leading_number(read_line(CStr::from_bytes_until_nul(&name).ok()?, &mut buf)).map(|(bytes, _)| bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_in_both_versions() {
        let first = b"5:cpu,cpuacct:/\n4:memory:/system/this:that\n0::/\n";
        assert_eq!(memory_group(first), Some((Version::One, &b"/system/this:that"[..])));
        assert_eq!(memory_group(b"0::/user.slice\n"), Some((Version::Two, &b"/user.slice"[..])));
        assert_eq!(memory_group(b""), None);
        assert_eq!(memory_group(b"1:cpu:/a\n"), None);
    }

    #[test]
    fn the_root_is_an_ancestor() {
        assert!(ancestors(b"/a/b").eq([&b"/a/b"[..], b"/a", b""]));
        assert!(ancestors(b"/").eq([&b""[..]]));
    }

    #[test]
    fn groups_that_do_not_exist_have_no_limit() {
        assert_eq!(limit_of(Version::One, b"/there/is/no/such"), None);
        assert_eq!(limit_of(Version::Two, &[b'a'; LONGEST_PATH]), None);
    }

    #[test]
    fn a_limit_leaves_room_for_this_process() {
        assert!(memory_limit().is_none_or(|bytes| bytes > crate::process::info().current_rss));
    }
}
