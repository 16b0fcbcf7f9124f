//! Requests that can't be met: said in one way, wherever it turns out. (A file of its own, since all others use it.)

use core::ptr;

use ferrimalloc_prim::{Errno, errno};

use crate::base::MAX_REQUEST;
use crate::diag::{self, Detail, ErrorKind};

/// Reports that `size` bytes can't be had, and is null.
#[cold]
pub(super) fn fail(size: usize) -> *mut u8 {
    let kind = if size > MAX_REQUEST { ErrorKind::RequestTooLarge } else { ErrorKind::OutOfMemory };
    diag::error(kind, ptr::null(), Detail::Bytes(size));
    errno::set(Errno::ENOMEM);
    ptr::null_mut()
}
