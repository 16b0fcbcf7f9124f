//! `RtlGenRandom`: the generator of the process, which the kernel seeds. Never waits.

use super::last_error::kept;
use windows_sys::Win32::Security::Authentication::Identity::RtlGenRandom;

pub(crate) fn fill(buf: &mut [u8]) -> bool {
    // SAFETY: writes to the slice only.
    kept(|| buf.chunks_mut(1 << 20).all(|chunk| unsafe { RtlGenRandom(chunk.as_mut_ptr().cast(), chunk.len() as u32) }))
}
