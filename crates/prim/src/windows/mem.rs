//! Memory by `VirtualAlloc`.
//!
//! Addresses are *reserved*, in allocations that begin at multiples of 64 KiB, and OS pages in them are *committed*: only these
//! are accessible, and each is charged to the machine's memory and page files from then on, touched or not. So this system never
//! overcommits; what is inaccessible is merely reserved.
//!
//! An allocation's addresses go back as a whole. When a part is unmapped its memory goes at once, and the addresses with the
//! allocation's first part, once nothing behind that is committed.
//!
//! Addresses are taken from the top down (at random, as "high entropy" images have it), so that regions lie below each other as
//! on other systems.

use super::last_error::kept;
use crate::errno::Errno;
use crate::mem::{Access, MemConfig, ThpMode};
pub(crate) use crate::unsupported::mem::{
    bind_numa, dont_dump, dump, move_pages, populate, replaced_config, replaced_millis, set_name, thp,
    thp_disable_process,
};
use core::ffi::c_void;
use core::mem::zeroed;
use core::ptr;
use windows_sys::Win32::System::Memory::{
    GetLargePageMinimum, MEM_COMMIT, MEM_DECOMMIT, MEM_RELEASE, MEM_RESERVE, MEM_RESET, MEMORY_BASIC_INFORMATION,
    PAGE_NOACCESS, PAGE_PROTECTION_FLAGS, PAGE_READONLY, PAGE_READWRITE, VirtualAlloc, VirtualFree, VirtualProtect,
    VirtualQuery, VirtualUnlock,
};
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, GlobalMemoryStatusEx, MEMORYSTATUSEX, SYSTEM_INFO};

pub(crate) use super::aligned::map_aligned;
pub(crate) use super::large_pages::map_huge;
pub(crate) use super::resident::resident_bytes;

/// What is closed is decommitted, and reads as zero when it is committed again.
pub(crate) const CLOSING_CLEARS: bool = true;

pub(crate) fn detect_config() -> MemConfig {
    let system = system();
    MemConfig {
        os_page_bytes: system.dwPageSize as usize,
        map_unit_bytes: system.dwAllocationGranularity as usize,
        // SAFETY: takes nothing, returns a number.
        large_page_bytes: unsafe { GetLargePageMinimum() },
        physical_bytes: physical_bytes(),
        va_bits: usize::BITS - system.lpMaximumApplicationAddress.addr().leading_zeros(),
        overcommits: false,
        address_limit_bytes: usize::MAX,
        thp: ThpMode::Never,
        reserves_addresses: true,
    }
}

fn system() -> SYSTEM_INFO {
    // SAFETY: numbers and addresses: all zero is a value; and a place for the result.
    unsafe {
        let mut system: SYSTEM_INFO = zeroed();
        GetSystemInfo(&mut system);
        system
    }
}

fn physical_bytes() -> usize {
    // SAFETY: integers only: all zero is a value, which an error leaves; and a place for the result.
    unsafe {
        let mut memory: MEMORYSTATUSEX = zeroed();
        memory.dwLength = size_of::<MEMORYSTATUSEX>() as u32;
        kept(|| GlobalMemoryStatusEx(&mut memory));
        usize::try_from(memory.ullTotalPhys).unwrap_or(usize::MAX)
    }
}

/// From the top of the address space downwards. (The bindings don't have it.)
pub(super) const MEM_TOP_DOWN: u32 = 0x10_0000;

fn protection(access: Access) -> PAGE_PROTECTION_FLAGS {
    match access {
        Access::None => PAGE_NOACCESS,
        Access::Read => PAGE_READONLY,
        Access::ReadWrite => PAGE_READWRITE,
    }
}

pub(super) fn allocation_type(access: Access) -> u32 {
    if access == Access::None { MEM_RESERVE } else { MEM_RESERVE | MEM_COMMIT }
}

pub(super) fn done(is_done: bool) -> Result<(), Errno> {
    if is_done { Ok(()) } else { Err(Errno::ENOMEM) }
}

pub(crate) fn map(hint: usize, bytes: usize, access: Access) -> Result<*mut u8, Errno> {
    if bytes == 0 {
        return Err(Errno::EINVAL);
    }
    let there = if hint == 0 { Err(Errno::EINVAL) } else { map_at(hint, bytes, access) };
    there.or_else(|_| allocate(ptr::null_mut(), bytes, access, MEM_TOP_DOWN))
}

/// At `place`, rounded down to the unit of mapping, or nowhere.
pub(super) fn map_at(place: usize, bytes: usize, access: Access) -> Result<*mut u8, Errno> {
    allocate(ptr::without_provenance_mut(place), bytes, access, 0)
}

pub(super) fn allocate(place: *mut c_void, bytes: usize, access: Access, flags: u32) -> Result<*mut u8, Errno> {
    // SAFETY: a new allocation at a place where there is none.
    let start = kept(|| unsafe { VirtualAlloc(place, bytes, allocation_type(access) | flags, protection(access)) });
    if start.is_null() { Err(Errno::ENOMEM) } else { Ok(start.cast()) }
}

/// A stretch of one allocation.
#[derive(Clone, Copy)]
struct Part {
    start: *mut u8,
    bytes: usize,
}

/// The part of a range that lies in the allocation at its beginning; and the whole of that allocation's rest behind the range.
fn first_part(p: *mut u8, bytes: usize) -> (Part, Option<Rest>) {
    let Some(first) = query(p) else { return (Part { start: p, bytes }, None) };
    let mut rest = Rest { base: first.AllocationBase.cast(), has_memory: false, bytes: 0 };
    let mut at = p.addr();
    while let Some(run) = query(p.with_addr(at)).filter(|run| run.AllocationBase == first.AllocationBase) {
        let (end, range_end) = (run.BaseAddress.addr() + run.RegionSize, p.addr() + bytes);
        rest.bytes += end - at.max(range_end).min(end);
        rest.has_memory |= end > range_end && run.State == MEM_COMMIT;
        at = end;
    }
    (Part { start: p, bytes: (at - p.addr() - rest.bytes).max(1).min(bytes) }, Some(rest))
}

/// What an allocation has behind a part.
struct Rest {
    /// Where the allocation begins.
    base: *mut u8,
    bytes: usize,
    has_memory: bool,
}

/// What the system says about the OS pages from `p` on that are alike; `None` if nothing is allocated there.
fn query(p: *mut u8) -> Option<MEMORY_BASIC_INFORMATION> {
    // SAFETY: numbers and addresses: all zero is a value; asks about any address.
    let (found, info) = kept(|| unsafe {
        let mut info: MEMORY_BASIC_INFORMATION = zeroed();
        (VirtualQuery(p.cast(), &mut info, size_of::<MEMORY_BASIC_INFORMATION>()), info)
    });
    (found != 0 && !info.AllocationBase.is_null()).then_some(info)
}

/// Calls `call` for the range, or, if that fails and it lies in several allocations, for its part in each.
fn for_each_allocation(p: *mut u8, bytes: usize, call: impl Fn(Part) -> bool) -> Result<(), Errno> {
    if kept(|| call(Part { start: p, bytes })) {
        return Ok(());
    }
    let (mut part, _) = first_part(p, bytes);
    done(part.bytes < bytes)?;
    let mut behind = 0;
    loop {
        done(kept(|| call(part)))?;
        behind += part.bytes;
        if behind >= bytes {
            return Ok(());
        }
        part = first_part(p.wrapping_add(behind), bytes - behind).0;
    }
}

pub(crate) unsafe fn unmap(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    let mut behind = 0;
    while behind < bytes {
        let start = p.wrapping_add(behind);
        let (part, rest) = first_part(start, bytes - behind);
        let goes = rest.is_some_and(|rest| rest.base == start && !rest.has_memory);
        // SAFETY: the caller's promise (`mem::unmap`).
        done(if goes { unsafe { free(Part { bytes: 0, ..part }, MEM_RELEASE) } } else { unsafe { decommit(part) } })?;
        behind += part.bytes;
    }
    Ok(())
}

/// # Safety
/// The part is the caller's, who does not need its contents.
unsafe fn free(part: Part, how: u32) -> bool {
    // SAFETY: the caller's promise.
    kept(|| unsafe { VirtualFree(part.start.cast(), part.bytes, how) }) != 0
}

/// # Safety
/// As for `free`.
unsafe fn decommit(part: Part) -> bool {
    // SAFETY: the caller's promise.
    unsafe { free(part, MEM_DECOMMIT) }
}

/// Commits what is not; contents of the rest stay.
fn commit(part: Part, access: Access) -> bool {
    let (start, bytes, protection) = (part.start.cast(), part.bytes, protection(access));
    let mut before = 0;
    // SAFETY: changes no contents; what is committed already keeps its protection, by what is documented.
    unsafe {
        !VirtualAlloc(start, bytes, MEM_COMMIT, protection).is_null()
            && VirtualProtect(start, bytes, protection, &mut before) != 0
    }
}

/// With [`Access::None`] memory stays committed, as its contents stay: [`close`] gives it back.
pub(crate) unsafe fn protect(p: *mut u8, bytes: usize, access: Access) -> Result<(), Errno> {
    let forbid = |part: Part| {
        let mut before = 0;
        // SAFETY: the caller's promise (`mem::protect`). What is merely reserved is inaccessible, and refused.
        unsafe { VirtualProtect(part.start.cast(), part.bytes, PAGE_NOACCESS, &mut before) != 0 }
    };
    match access {
        Access::None => for_each_allocation(p, bytes, forbid),
        _ => for_each_allocation(p, bytes, |part| commit(part, access)),
    }
}

pub(crate) unsafe fn close(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::close`).
    for_each_allocation(p, bytes, |part| unsafe { decommit(part) })
}

/// Decommits and commits again. That this is charged for again can fail only if somebody else takes just what was given back:
/// the charge is tried to be had for a while.
pub(crate) unsafe fn discard(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::discard`).
    unsafe { close(p, bytes) }?;
    let open = |_| for_each_allocation(p, bytes, |part| commit(part, Access::ReadWrite));
    let is_open = |tries| {
        open(tries).is_ok() || {
            crate::thread::yield_now();
            false
        }
    };
    done((0..1000).any(is_open))
}

/// `MEM_RESET`: the memory stays committed, and is not written to the page file when the system takes it. Unlocking what is not
/// locked has it leave the working set at once (VirtualUnlock).
pub(crate) unsafe fn reset(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    for_each_allocation(p, bytes, |part| {
        let start = part.start.cast();
        // SAFETY: the caller's promise (`mem::reset`).
        let is_done = unsafe { !VirtualAlloc(start, part.bytes, MEM_RESET, PAGE_READWRITE).is_null() };
        // SAFETY: does not change the contents.
        let _ = is_done && unsafe { VirtualUnlock(start, part.bytes) } != 0;
        is_done
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: usize = 64 << 10;

    fn is_there(p: *mut u8) -> bool {
        query(p).is_some()
    }

    #[test]
    fn a_range_over_two_allocations_is_treated_as_one() {
        // Somebody else may take the place in between.
        let two = (0..100).find_map(|_| {
            let both = map(0, 4 * UNIT, Access::None).unwrap();
            // SAFETY: ours, unused.
            unsafe { unmap(both, 4 * UNIT) }.unwrap();
            let first = map_at(both.addr(), UNIT, Access::None).ok()?;
            map_at(both.addr() + UNIT, 3 * UNIT, Access::None).ok().map(|_| first)
        });
        let p = two.expect("room for two neighbours");
        // SAFETY: both are ours.
        unsafe {
            protect(p, 4 * UNIT, Access::ReadWrite).unwrap();
            p.write_bytes(1, 4 * UNIT);
            discard(p, 4 * UNIT).unwrap();
            assert_eq!(p.add(3 * UNIT).read(), 0);
            unmap(p, 4 * UNIT).unwrap();
        }
        assert!(!is_there(p) && !is_there(p.wrapping_add(UNIT)));
    }

    #[test]
    fn addresses_go_with_the_first_part() {
        let p = map(0, 4 * UNIT, Access::ReadWrite).unwrap();
        // SAFETY: ours, unused.
        unsafe {
            unmap(p.add(2 * UNIT), 2 * UNIT).unwrap();
            assert!(is_there(p.add(2 * UNIT)), "the addresses are kept");
            p.add(UNIT).write(1);
            unmap(p, 2 * UNIT).unwrap();
        }
        assert!(!is_there(p) && !is_there(p.wrapping_add(3 * UNIT)));
    }

    #[test]
    fn what_is_closed_reads_as_zero_when_it_is_opened() {
        let p = map(0, UNIT, Access::ReadWrite).unwrap();
        // SAFETY: ours.
        unsafe {
            p.write(1);
            close(p, UNIT).unwrap();
            assert_eq!(query(p).unwrap().State, MEM_RESERVE);
            protect(p, UNIT, Access::ReadWrite).unwrap();
            assert_eq!(p.read(), 0);
            unmap(p, UNIT).unwrap();
        }
    }
}
