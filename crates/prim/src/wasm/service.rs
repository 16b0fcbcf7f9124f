//! There are no other threads.

use crate::errno::Errno;

pub(crate) fn start(_work: extern "C" fn()) -> Result<usize, Errno> {
    Err(Errno::EAGAIN)
}

pub(crate) fn yield_now() {}

pub(crate) fn join(_handle: usize) {}
