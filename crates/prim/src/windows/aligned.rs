//! Reservations at multiples of more than the system's unit: by `VirtualAlloc2`, since Windows 10, 1803. Before that, where a
//! larger region has room for one that is given back first, and somebody else may take the place in between.

use super::last_error::kept;
use super::mem::{MEM_TOP_DOWN, allocation_type, map, map_at, unmap};
use crate::errno::Errno;
use crate::mem::Access;
use crate::once::Detected;
use core::ffi::{CStr, c_void};
use core::mem::{transmute, zeroed};
use core::ptr;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    MEM_ADDRESS_REQUIREMENTS, MEM_EXTENDED_PARAMETER, MemExtendedParameterAddressRequirements, PAGE_NOACCESS,
    PAGE_READWRITE,
};

/// How often a place that was free may be lost.
const ATTEMPTS: usize = 16;

pub(crate) fn map_aligned(bytes: usize, align: usize, access: Access) -> Result<*mut u8, Errno> {
    // SAFETY: addresses and numbers: all zero is a value, which is no bound.
    let mut requirements: MEM_ADDRESS_REQUIREMENTS = unsafe { zeroed() };
    requirements.Alignment = align;
    // SAFETY: a union of numbers and addresses.
    let mut parameter: MEM_EXTENDED_PARAMETER = unsafe { zeroed() };
    parameter.Anonymous1._bitfield = MemExtendedParameterAddressRequirements as u64;
    parameter.Anonymous2.Pointer = (&raw mut requirements).cast();
    let protection = if access == Access::None { PAGE_NOACCESS } else { PAGE_READWRITE };
    match allocate(bytes, allocation_type(access) | MEM_TOP_DOWN, protection, &mut parameter) {
        Err(Errno::ENOTSUP) => in_a_larger_one(bytes, align, access),
        mapped => mapped,
    }
}

type VirtualAlloc2 =
    unsafe extern "system" fn(HANDLE, *const c_void, usize, u32, u32, *mut MEM_EXTENDED_PARAMETER, u32) -> *mut c_void;

/// `VirtualAlloc2` with one parameter; `ENOTSUP` where there is none.
pub(super) fn allocate(
    bytes: usize,
    kind: u32,
    protection: u32,
    parameter: &mut MEM_EXTENDED_PARAMETER,
) -> Result<*mut u8, Errno> {
    let (call, anywhere) = (function().ok_or(Errno::ENOTSUP)?, ptr::null());
    // SAFETY: a new allocation at a place where there is none; the parameter lives during the call.
    let start = kept(|| unsafe { call(ptr::null_mut(), anywhere, bytes, kind, protection, parameter, 1) });
    if start.is_null() { Err(Errno::ENOMEM) } else { Ok(start.cast()) }
}

fn function() -> Option<VirtualAlloc2> {
    static FUNCTION: Detected<usize> = Detected::new();
    let address = *FUNCTION.get(|| kept(|| find(c"kernelbase.dll", c"VirtualAlloc2")));
    // SAFETY: the address of a function of this type, or zero.
    (address != 0).then(|| unsafe { transmute::<usize, VirtualAlloc2>(address) })
}

/// The address of a function in an image that is loaded; 0 if there is none.
fn find(module: &CStr, name: &CStr) -> usize {
    // SAFETY: texts.
    unsafe {
        match GetModuleHandleA(module.as_ptr().cast()) {
            module if module.is_null() => 0,
            module => GetProcAddress(module, name.as_ptr().cast()).map_or(0, |function| function as usize),
        }
    }
}

fn in_a_larger_one(bytes: usize, align: usize, access: Access) -> Result<*mut u8, Errno> {
    let larger_bytes = bytes.checked_add(align).ok_or(Errno::ENOMEM)?;
    for _ in 0..ATTEMPTS {
        let larger = map(0, larger_bytes, Access::None)?;
        // SAFETY: mapped just now, used by nobody.
        unsafe { unmap(larger, larger_bytes) }?;
        if let Ok(p) = map_at(larger.addr().next_multiple_of(align), bytes, access) {
            return Ok(p);
        }
    }
    Err(Errno::ENOMEM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_align() {
        for (bytes, align) in [(64 << 10, 64 << 10), (1 << 20, 32 << 20), (40 << 20, 1 << 30)] {
            for map in [map_aligned, in_a_larger_one] {
                let p = map(bytes, align, Access::ReadWrite).unwrap();
                assert_eq!(p.addr() % align, 0);
                // SAFETY: mapped just now.
                unsafe {
                    p.add(bytes - 1).write(1);
                    unmap(p, bytes).unwrap();
                }
            }
        }
        assert!(map_aligned(usize::MAX << 20, 1 << 20, Access::None).is_err());
    }
}
