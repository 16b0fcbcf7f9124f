//! Between the system's UTF-16 and the contract's bytes.

use core::ffi::CStr;
use core::{ptr, slice};
use windows_sys::Win32::Globalization::{CP_UTF8, MultiByteToWideChar, WideCharToMultiByte};

/// UTF-8 in memory of its own, which is never given back.
pub(super) fn kept_utf8(wide: &[u16]) -> Option<&'static [u8]> {
    let bytes = convert(wide, &mut []);
    let start = super::mem::map(0, bytes, crate::mem::Access::ReadWrite).ok()?;
    // SAFETY: mapped just now, for ever.
    let copy = unsafe { slice::from_raw_parts_mut(start, bytes) };
    (convert(wide, copy) == bytes).then_some(copy)
}

/// Writes UTF-8 to `buf`; how many bytes it is. Into an empty buffer nothing is written; 0 if there is no room.
fn convert(wide: &[u16], buf: &mut [u8]) -> usize {
    let start = if buf.is_empty() { ptr::null_mut() } else { buf.as_mut_ptr() };
    let (units, room) = (wide.len() as i32, buf.len() as i32);
    // SAFETY: reads one slice, and writes to the other only.
    unsafe { WideCharToMultiByte(CP_UTF8, 0, wide.as_ptr(), units, start, room, ptr::null(), ptr::null_mut()) as usize }
}

/// A path, with a zero behind it, in UTF-16; `None` if it is too long, or no UTF-8.
pub(super) fn wide_path(path: &CStr) -> Option<[u16; PATH_UNITS]> {
    let (bytes, mut wide) = (path.to_bytes_with_nul(), [0; PATH_UNITS]);
    // SAFETY: reads one slice, and writes to the other only.
    let units = unsafe {
        MultiByteToWideChar(CP_UTF8, 0, bytes.as_ptr(), bytes.len() as i32, wide.as_mut_ptr(), PATH_UNITS as i32)
    };
    (units > 0).then_some(wide)
}

/// More than paths have without special measures (`MAX_PATH` is 260).
const PATH_UNITS: usize = 1024;
