//! The performance counter, the tick count, and the wall clock.

use crate::once::Detected;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::Performance::{QueryPerformanceCounter, QueryPerformanceFrequency};
use windows_sys::Win32::System::SystemInformation::{GetSystemTimePreciseAsFileTime, GetTickCount64};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Since the machine's start. The counter never fails (QueryPerformanceCounter, since Windows XP).
pub(crate) fn fine_nanos() -> u64 {
    static FREQUENCY: Detected<u64> = Detected::new();
    let frequency = *FREQUENCY.get(|| counted(QueryPerformanceFrequency).max(1));
    let count = counted(QueryPerformanceCounter);
    count / frequency * NANOS_PER_SECOND + count % frequency * NANOS_PER_SECOND / frequency
}

fn counted(ask: unsafe extern "system" fn(*mut i64) -> i32) -> u64 {
    let mut count = 0;
    // SAFETY: a place for the result.
    unsafe { ask(&mut count) };
    count as u64
}

/// A load from a page that the kernel shares with all processes; it goes on every 10 to 16 ms.
pub(crate) fn coarse_nanos() -> u64 {
    // SAFETY: takes nothing, returns a number.
    unsafe { GetTickCount64() * 1_000_000 }
}

/// Since 1970.
pub(crate) fn epoch_nanos() -> u64 {
    let mut time = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
    // SAFETY: a place for the result.
    unsafe { GetSystemTimePreciseAsFileTime(&mut time) };
    units(time).saturating_sub(UNITS_TO_1970) * 100
}

/// From 1601, where file times begin, in units of 100 ns.
const UNITS_TO_1970: u64 = 11_644_473_600 * 10_000_000;

/// Of 100 ns.
pub(crate) fn units(time: FILETIME) -> u64 {
    u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime)
}
