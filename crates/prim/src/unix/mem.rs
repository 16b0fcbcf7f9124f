//! Memory by `mmap` and what POSIX says about it. Kernels differ in whether advice clears memory, so discarding maps afresh.

use crate::errno::{Errno, get, quiet, zero_or_errno};
use crate::mem::{Access, MemConfig, ThpMode};
use crate::platform::{MAP_NORESERVE, USER_VA_BITS};
pub(crate) use crate::unsupported::mem::{
    CLOSING_CLEARS, bind_numa, close, dont_dump, dump, map_aligned, map_huge, move_pages, populate, replaced_config,
    replaced_millis, set_name, thp, thp_disable_process,
};
use core::ptr;
use libc::c_int;

const ANONYMOUS: c_int = libc::MAP_PRIVATE | libc::MAP_ANON;

pub(crate) fn detect_config() -> MemConfig {
    let os_page_bytes = os_page_bytes();
    MemConfig {
        os_page_bytes,
        map_unit_bytes: os_page_bytes,
        large_page_bytes: 0,
        physical_bytes: system_value(libc::_SC_PHYS_PAGES).unwrap_or(0).saturating_mul(os_page_bytes),
        va_bits: USER_VA_BITS,
        overcommits: true,
        address_limit_bytes: address_limit_bytes(),
        thp: ThpMode::Never,
        reserves_addresses: true,
    }
}

pub(crate) fn os_page_bytes() -> usize {
    system_value(libc::_SC_PAGESIZE).unwrap_or(4096)
}

fn system_value(name: c_int) -> Option<usize> {
    // SAFETY: takes and returns numbers.
    usize::try_from(quiet(|| unsafe { libc::sysconf(name) })).ok()
}

pub(crate) fn address_limit_bytes() -> usize {
    // SAFETY: each writes to the place it is given.
    let space = limit_bytes(|limit| unsafe { libc::getrlimit(libc::RLIMIT_AS, limit) });
    // SAFETY: as above.
    let data = limit_bytes(|limit| unsafe { libc::getrlimit(libc::RLIMIT_DATA, limit) });
    space.min(data)
}

/// A resource limit; "infinity" and what is beyond the address space are `usize::MAX`.
fn limit_bytes(read: impl FnOnce(&mut libc::rlimit) -> c_int) -> usize {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    let _ = zero_or_errno(|| read(&mut limit));
    match limit.rlim_cur {
        libc::RLIM_INFINITY => usize::MAX,
        bytes => usize::try_from(bytes).unwrap_or(usize::MAX),
    }
}

fn protection(access: Access) -> c_int {
    match access {
        Access::None => libc::PROT_NONE,
        Access::Read => libc::PROT_READ,
        Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
    }
}

pub(crate) fn map(hint: usize, bytes: usize, access: Access) -> Result<*mut u8, Errno> {
    map_with(hint, bytes, access, MAP_NORESERVE)
}

/// [`map`] with more flags. Not with `MAP_FIXED`, which is not safe: it may replace what is there.
pub(crate) fn map_with(hint: usize, bytes: usize, access: Access, flags: c_int) -> Result<*mut u8, Errno> {
    debug_assert_eq!(flags & libc::MAP_FIXED, 0);
    // SAFETY: a new mapping at a place where there is none.
    unsafe { map_at(ptr::without_provenance_mut(hint), bytes, access, flags) }
}

/// # Safety
/// With `MAP_FIXED` in `flags`, what lies at `place` must be the caller's and no longer needed.
unsafe fn map_at(place: *mut u8, bytes: usize, access: Access, flags: c_int) -> Result<*mut u8, Errno> {
    quiet(|| {
        // SAFETY: the caller's promise; no file is involved.
        let p = unsafe { libc::mmap(place.cast(), bytes, protection(access), ANONYMOUS | flags, -1, 0) };
        if p == libc::MAP_FAILED { Err(get()) } else { Ok(p.cast()) }
    })
}

pub(crate) unsafe fn unmap(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::unmap`).
    zero_or_errno(|| unsafe { libc::munmap(p.cast(), bytes) })
}

pub(crate) unsafe fn protect(p: *mut u8, bytes: usize, access: Access) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::protect`).
    zero_or_errno(|| unsafe { libc::mprotect(p.cast(), bytes, protection(access)) })
}

/// Maps fresh memory over the range. It comes out accessible, whatever it was before.
pub(crate) unsafe fn discard(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the range is the caller's (`mem::discard`), who does not need its contents.
    unsafe { map_at(p, bytes, Access::ReadWrite, libc::MAP_FIXED | MAP_NORESERVE) }.map(drop)
}

pub(crate) unsafe fn reset(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::reset`).
    unsafe { advise(p, bytes, libc::MADV_FREE) }
}

/// # Safety
/// The range is the caller's, and the advice does to its contents nothing that the caller does not want.
pub(crate) unsafe fn advise(p: *mut u8, bytes: usize, advice: c_int) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    zero_or_errno(|| unsafe { libc::madvise(p.cast(), bytes, advice) })
}

/// OS pages that one `mincore` call is asked about.
const PAGES_PER_QUESTION: usize = 256;

pub(crate) unsafe fn resident_bytes(p: *const u8, bytes: usize) -> usize {
    let step_bytes = PAGES_PER_QUESTION * os_page_bytes();
    let part = |start: usize| resident_pages(p.wrapping_add(start), step_bytes.min(bytes - start));
    (0..bytes).step_by(step_bytes).map(part).sum::<usize>() * os_page_bytes()
}

/// Counts the pages in memory among at most [`PAGES_PER_QUESTION`]; none if the range is not mapped.
fn resident_pages(p: *const u8, bytes: usize) -> usize {
    let mut states = [0u8; PAGES_PER_QUESTION];
    // SAFETY: writes a byte per OS page, for which there is room. Asks about any address.
    let asked = zero_or_errno(|| unsafe { libc::mincore(p.cast_mut().cast(), bytes, states.as_mut_ptr().cast()) });
    match asked {
        Ok(()) => states.iter().filter(|&state| state & 1 == 1).count(),
        Err(_) => 0,
    }
}
