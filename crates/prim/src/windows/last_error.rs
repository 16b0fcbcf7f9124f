//! The calling thread's last error, which a program may ask for after `free`: nothing here changes it by the way.

use windows_sys::Win32::Foundation::{GetLastError, SetLastError};

/// Runs `call` and puts the last error back to what it was before.
pub(crate) fn kept<R>(call: impl FnOnce() -> R) -> R {
    // SAFETY: takes nothing, returns a number.
    let before = unsafe { GetLastError() };
    let result = call();
    // SAFETY: takes a number.
    unsafe { SetLastError(before) };
    result
}
