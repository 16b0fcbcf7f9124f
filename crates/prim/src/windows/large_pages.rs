//! Large pages, which are resident from the beginning and stay so. Only accounts that may "lock pages in memory" get any.

use super::aligned;
use super::last_error::kept;
use super::mem::allocate;
use crate::errno::Errno;
use crate::mem::{Access, HugeSize};
use crate::once::Detected;
use core::mem::zeroed;
use core::ptr;
use windows_sys::Win32::Foundation::{CloseHandle, ERROR_SUCCESS, GetLastError, HANDLE};
use windows_sys::Win32::Security::{
    AdjustTokenPrivileges, LookupPrivilegeValueW, SE_LOCK_MEMORY_NAME, SE_PRIVILEGE_ENABLED, TOKEN_ADJUST_PRIVILEGES,
    TOKEN_PRIVILEGES, TOKEN_QUERY,
};
use windows_sys::Win32::System::Memory::{
    GetLargePageMinimum, MEM_COMMIT, MEM_EXTENDED_PARAMETER, MEM_LARGE_PAGES, MEM_RESERVE,
    MemExtendedParameterAttributeFlags, PAGE_READWRITE,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

pub(crate) fn map_huge(hint: usize, bytes: usize, size: HugeSize) -> Result<*mut u8, Errno> {
    static IS_ALLOWED: Detected<bool> = Detected::new();
    // SAFETY: takes nothing, returns a number.
    let smallest = unsafe { GetLargePageMinimum() };
    if bytes == 0 || smallest == 0 || size.bytes() % smallest != 0 || !*IS_ALLOWED.get(|| kept(enable_privilege)) {
        return Err(Errno::ENOTSUP);
    }
    match size {
        HugeSize::TwoMiB => allocate(ptr::without_provenance_mut(hint), bytes, Access::ReadWrite, MEM_LARGE_PAGES),
        HugeSize::OneGiB => map_gigabytes(bytes),
    }
}

/// `MEM_EXTENDED_PARAMETER_NONPAGED_HUGE`.
const HUGE: u64 = 0x10;

fn map_gigabytes(bytes: usize) -> Result<*mut u8, Errno> {
    // SAFETY: a union of numbers and addresses.
    let mut parameter: MEM_EXTENDED_PARAMETER = unsafe { zeroed() };
    parameter.Anonymous1._bitfield = MemExtendedParameterAttributeFlags as u64;
    parameter.Anonymous2.ULong64 = HUGE;
    aligned::allocate(bytes, MEM_RESERVE | MEM_COMMIT | MEM_LARGE_PAGES, PAGE_READWRITE, &mut parameter)
}

/// Turns the privilege on, if the account has it.
fn enable_privilege() -> bool {
    let (mut token, rights): (HANDLE, _) = (ptr::null_mut(), TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY);
    // SAFETY: a place for the result.
    if unsafe { OpenProcessToken(GetCurrentProcess(), rights, &mut token) } == 0 {
        return false;
    }
    // SAFETY: numbers: all zero is a value; places for the results; the token is closed once.
    unsafe {
        let mut wanted: TOKEN_PRIVILEGES = zeroed();
        wanted.PrivilegeCount = 1;
        wanted.Privileges[0].Attributes = SE_PRIVILEGE_ENABLED;
        let is_on = LookupPrivilegeValueW(ptr::null(), SE_LOCK_MEMORY_NAME, &mut wanted.Privileges[0].Luid) != 0
            && AdjustTokenPrivileges(token, 0, &wanted, 0, ptr::null_mut(), ptr::null_mut()) != 0
            // That not all were given is no failure of the call.
            && GetLastError() == ERROR_SUCCESS;
        CloseHandle(token);
        is_on
    }
}
