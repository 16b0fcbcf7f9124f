//! The environment as it is when it is first asked for: a copy in UTF-8 that stays. The system has it in UTF-16.

use super::last_error::kept;
use super::text;
use crate::once::Detected;
use core::slice;
use windows_sys::Win32::System::Environment::{FreeEnvironmentStringsW, GetEnvironmentStringsW};

/// Its entries, `name=value`.
pub(crate) fn entries() -> Option<Entries> {
    static COPY: Detected<Entries> = Detected::new();
    Some(*COPY.get(|| kept(copy)))
}

/// Texts one behind the other, each with a zero behind it.
#[derive(Clone, Copy)]
pub(crate) struct Entries(&'static [u8]);

impl Iterator for Entries {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let entry = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(entry)
    }
}

/// In memory of its own, which is never given back; empty without memory.
fn copy() -> Entries {
    // SAFETY: answers null, or texts that end with zeros, with one more zero behind the last.
    let copied = unsafe {
        let start = GetEnvironmentStringsW();
        if start.is_null() {
            return Entries(&[]);
        }
        let copied = text::kept_utf8(slice::from_raw_parts(start, units(start)));
        FreeEnvironmentStringsW(start);
        copied
    };
    Entries(copied.unwrap_or(&[]))
}

/// How long the texts are, with the zeros behind them.
///
/// # Safety
/// They are as `GetEnvironmentStringsW` gives them.
unsafe fn units(start: *const u16) -> usize {
    let mut units = 0;
    // SAFETY: the end has not been reached.
    while unsafe { start.add(units).read() } != 0 {
        // SAFETY: as above.
        while unsafe { start.add(units).read() } != 0 {
            units += 1;
        }
        units += 1;
    }
    units
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_end_with_zeros() {
        assert!(Entries(b"ab=1\0\0odd\0").eq([&b"ab=1"[..], b"", b"odd"]));
        assert!(Entries(b"").next().is_none());
        let texts: std::vec::Vec<u16> = "a=1\0bc=2\0\0x".encode_utf16().collect();
        // SAFETY: as the system gives them.
        assert_eq!(unsafe { units(texts.as_ptr()) }, 9);
    }
}
