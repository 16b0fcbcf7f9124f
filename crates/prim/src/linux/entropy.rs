//! `getrandom`, refusing to wait for the kernel to gather randomness at boot.

use crate::errno::{Errno, get, quiet};

pub(crate) fn fill(buf: &mut [u8]) -> bool {
    quiet(|| {
        let mut rest = buf;
        while !rest.is_empty() {
            match fill_some(rest) {
                Some(count) => rest = &mut rest[count..],
                None => return false,
            }
        }
        true
    })
}

fn fill_some(buf: &mut [u8]) -> Option<usize> {
    // SAFETY: writes to the slice only.
    let count = unsafe { libc::syscall(libc::SYS_getrandom, buf.as_mut_ptr(), buf.len(), libc::GRND_NONBLOCK) };
    match usize::try_from(count) {
        Ok(count) => Some(count).filter(|&count| count > 0),
        Err(_) => (get() == Errno(libc::EINTR)).then_some(0),
    }
}
