//! By a reference to the image that contains us, which nobody can give back.

use super::last_error::kept;
use core::ptr;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};

pub(crate) fn stay_loaded() {
    let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_PIN;
    let (here, mut module) = (stay_loaded as fn() as *const u16, ptr::null_mut());
    // SAFETY: an address of ours, and a place for the result.
    kept(|| unsafe { GetModuleHandleExW(flags, here, &mut module) });
}
