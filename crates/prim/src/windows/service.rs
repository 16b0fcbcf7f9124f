//! A thread of the allocator's own.

use super::last_error::kept;
use crate::errno::Errno;
use core::ffi::c_void;
use core::{mem, ptr};
use windows_sys::Win32::Foundation::{CloseHandle, HANDLE};
use windows_sys::Win32::System::Threading::{
    CreateThread, INFINITE, STACK_SIZE_PARAM_IS_A_RESERVATION, SwitchToThread, WaitForSingleObject,
};

/// Enough for a few frames, and for what the system does on a thread's stack when it begins.
const STACK_BYTES: usize = 256 << 10;

/// Starts a thread; its handle as a number.
pub(crate) fn start(work: extern "C" fn()) -> Result<usize, Errno> {
    let (argument, flags) = (work as *const c_void, STACK_SIZE_PARAM_IS_A_RESERVATION);
    // SAFETY: `run` takes a function as its argument.
    let thread =
        kept(|| unsafe { CreateThread(ptr::null(), STACK_BYTES, Some(run), argument, flags, ptr::null_mut()) });
    if thread.is_null() { Err(Errno::EAGAIN) } else { Ok(thread.expose_provenance()) }
}

unsafe extern "system" fn run(work: *mut c_void) -> u32 {
    // SAFETY: what `start` gave.
    let work: extern "C" fn() = unsafe { mem::transmute(work) };
    work();
    0
}

pub(crate) fn yield_now() {
    // SAFETY: takes nothing; never fails.
    unsafe { SwitchToThread() };
}

pub(crate) fn join(thread: usize) {
    let thread: HANDLE = ptr::with_exposed_provenance_mut(thread);
    // SAFETY: made by `start` and not waited for before (`ServiceThread`).
    kept(|| unsafe {
        WaitForSingleObject(thread, INFINITE);
        CloseHandle(thread);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    static RAN: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn serve() {
        RAN.fetch_add(1, SeqCst);
    }

    #[test]
    fn a_service_can_be_waited_for() {
        join(start(serve).unwrap());
        assert_eq!(RAN.load(SeqCst), 1);
    }
}
