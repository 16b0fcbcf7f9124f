//! Unbuffered output.

use crate::errno::{Errno, get, quiet};
use core::ffi::CStr;

pub(crate) fn write_stderr(bytes: &[u8]) {
    write(libc::STDERR_FILENO, bytes);
}

/// Writes all of `bytes`, in as many calls as it takes; gives up at the first error but an interruption.
pub(crate) fn write(file: libc::c_int, bytes: &[u8]) {
    quiet(|| {
        let mut rest = bytes;
        while !rest.is_empty() {
            match write_some(file, rest) {
                Some(written) => rest = &rest[written..],
                None => return,
            }
        }
    });
}

/// Makes or empties a file that only its owner may write.
pub(crate) fn create(path: &CStr) -> Option<libc::c_int> {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: a C string and numbers.
    let file = quiet(|| unsafe { libc::open(path.as_ptr(), flags, 0o644 as libc::c_uint) });
    (file >= 0).then_some(file)
}

pub(crate) fn close(file: libc::c_int) {
    // SAFETY: a descriptor that `create` returned, and nobody uses any more.
    quiet(|| unsafe { libc::close(file) });
}

fn write_some(file: libc::c_int, bytes: &[u8]) -> Option<usize> {
    // SAFETY: reads from the slice only.
    let written = unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) };
    match written {
        -1 if get() == Errno(libc::EINTR) => Some(0),
        ..=0 => None,
        written => Some(written as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::vec::Vec;

    fn pipe() -> (File, File) {
        let mut ends = [0; 2];
        // SAFETY: a place for two descriptors.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        // SAFETY: new descriptors that nothing else owns.
        unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) }
    }

    #[test]
    fn writes_everything_through_a_narrow_pipe() {
        let (mut reader, writer) = pipe();
        let bytes: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
        let sent = bytes.clone();
        let sender = std::thread::spawn(move || write(writer.as_raw_fd(), &sent));
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        sender.join().unwrap();
        assert_eq!(received, bytes);
    }

    #[test]
    fn a_closed_file_is_ignored() {
        crate::errno::set(Errno::EAGAIN);
        write(-1, b"nobody hears this");
        assert_eq!(get(), Errno::EAGAIN);
    }
}
