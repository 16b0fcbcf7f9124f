//! A program alone in its memory: no forks, no handlers at its end.

use crate::process::ProcessInfo;
use crate::thread::NAME_BYTES;
use core::ffi::{CStr, c_char};

/// The memory is known, and nothing else.
pub(crate) fn info() -> ProcessInfo {
    let bytes = core::arch::wasm32::memory_size::<0>().saturating_mul(64 << 10);
    ProcessInfo { current_rss: bytes, peak_rss: bytes, ..ProcessInfo::default() }
}

pub(crate) fn memory_limit() -> Option<usize> {
    None
}

pub(crate) fn name_thread(_name: &CStr) {}

pub(crate) fn thread_name() -> [u8; NAME_BYTES] {
    [0; NAME_BYTES]
}

pub(crate) fn is_privileged() -> bool {
    false
}

pub(crate) fn at_exit(_f: extern "C" fn()) {}

pub(crate) fn at_fork(_prepare: extern "C" fn(), _parent: extern "C" fn(), _child: extern "C" fn()) {}

pub(crate) fn flush_streams() {}

pub(crate) fn id() -> u32 {
    1
}

/// Files are the host's.
pub(crate) unsafe fn real_path(_name: *const c_char, _buf: *mut c_char) -> bool {
    false
}

pub(crate) fn abort() -> ! {
    core::arch::wasm32::unreachable()
}
