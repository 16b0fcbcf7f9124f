//! Small files of the kernel (`/proc`, `/sys`), read into a buffer on the stack.
//!
//! By bare system calls: the C library's `open` and `read` are cancellation points, and may be interposed by a library that
//! allocates.

use crate::errno::quiet;
use core::ffi::CStr;
use libc::c_long;

/// The beginning of the file, as much as fits; empty if it cannot be read.
pub(crate) fn read<'a>(path: &CStr, buf: &'a mut [u8]) -> &'a [u8] {
    read_by(path, buf, read_all)
}

/// The same for a file of one line, which comes in one piece.
pub(crate) fn read_line<'a>(path: &CStr, buf: &'a mut [u8]) -> &'a [u8] {
    read_by(path, buf, |file, buf| read_some(file, buf).unwrap_or(0))
}

#[cold]
#[inline(never)]
fn read_by<'a>(path: &CStr, buf: &'a mut [u8], read: fn(c_long, &mut [u8]) -> usize) -> &'a [u8] {
    let length = quiet(|| match open(path) {
        Some(file) => (read(file, buf), close(file)).0,
        None => 0,
    });
    &buf[..length]
}

/// Calls `with` with the whole file, piece by piece.
pub(crate) fn for_each_piece(path: &CStr, with: &mut dyn FnMut(&[u8])) {
    let mut buf = [0; 1024];
    quiet(|| {
        let Some(file) = open(path) else { return };
        while let Some(count) = read_some(file, &mut buf) {
            with(&buf[..count]);
        }
        close(file);
    });
}

fn open(path: &CStr) -> Option<c_long> {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: a C string and numbers.
    let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
    (file >= 0).then_some(file)
}

fn close(file: c_long) {
    // SAFETY: a descriptor that `open` returned and nobody else knows.
    unsafe { libc::syscall(libc::SYS_close, file) };
}

/// Longer files may come in several pieces.
fn read_all(file: c_long, buf: &mut [u8]) -> usize {
    let mut length = 0;
    while let Some(more) = read_some(file, &mut buf[length..]) {
        length += more;
    }
    length
}

fn read_some(file: c_long, buf: &mut [u8]) -> Option<usize> {
    // SAFETY: writes to the slice only.
    let count = unsafe { libc::syscall(libc::SYS_read, file, buf.as_mut_ptr(), buf.len()) };
    usize::try_from(count).ok().filter(|&count| count > 0)
}

/// The number at the start of `text`, and what follows it.
pub(crate) fn leading_number(text: &[u8]) -> Option<(usize, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, rest) = text.split_at(digits);
    let add = |sum: usize, digit: &u8| sum.checked_mul(10)?.checked_add(usize::from(digit - b'0'));
    if digits == 0 { None } else { Some((number.iter().try_fold(0, add)?, rest)) }
}

/// The words of a line of text.
pub(crate) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(leading_number(b"42 kB"), Some((42, &b" kB"[..])));
        assert_eq!(leading_number(b"7"), Some((7, &b""[..])));
        assert_eq!(leading_number(b""), None);
        assert_eq!(leading_number(b"x1"), None);
        assert_eq!(leading_number(b"99999999999999999999999"), None);
    }

    #[test]
    fn lines() {
        assert!(words(b" a  bc\n").eq([&b"a"[..], b"bc"]));
    }

    #[test]
    fn reads_files_and_parts_of_files() {
        let mut buf = [0; 4096];
        let expected = std::fs::read("/proc/sys/kernel/ostype").unwrap();
        assert_eq!(read(c"/proc/sys/kernel/ostype", &mut buf), expected);
        assert_eq!(read(c"/proc/sys/kernel/ostype", &mut buf[..3]), &expected[..3]);
        assert_eq!(read_line(c"/proc/sys/kernel/ostype", &mut buf), expected);
        assert_eq!(read(c"/proc/there/is/no/such", &mut buf), b"");
    }
}
