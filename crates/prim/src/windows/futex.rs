//! `WaitOnAddress`, since Windows 8.

use super::last_error::kept;
use core::sync::atomic::AtomicU32;
use windows_sys::Win32::System::Threading::{INFINITE, WaitOnAddress, WakeByAddressAll, WakeByAddressSingle};

pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    wait_for(word, expected, INFINITE);
}

pub(crate) fn wait_for(word: &AtomicU32, expected: u32, millis: u32) {
    // SAFETY: both words live during the call. Every error is a reason to look again.
    kept(|| unsafe { WaitOnAddress(word.as_ptr().cast(), (&raw const expected).cast(), size_of::<u32>(), millis) });
}

pub(crate) fn wake(word: &AtomicU32, most: u32) {
    // SAFETY: the system uses the address as a name only.
    unsafe {
        match most {
            1 => WakeByAddressSingle(word.as_ptr().cast()),
            _ => WakeByAddressAll(word.as_ptr().cast()),
        }
    }
}
