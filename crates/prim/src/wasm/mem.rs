//! Memory by `memory.grow`, in units of 64 KiB. None of it ever goes back to the host: what is unmapped is kept, and mapped again.
//!
//! Others may grow the memory too (a C library's `malloc`): what we get then lies apart from what we had.

use crate::errno::Errno;
use crate::mem::{Access, MemConfig, ThpMode};
use crate::ranges::Ranges;
pub(crate) use crate::unsupported::mem::{
    CLOSING_CLEARS, bind_numa, close, dont_dump, dump, map_aligned, map_huge, move_pages, populate, replaced_config,
    replaced_millis, set_name, thp, thp_disable_process,
};
use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr;

const PAGE_BYTES: usize = 64 << 10;

/// The most that a memory can have: 4 GiB, less the last page, which has no end that is an address.
const MOST_PAGES: usize = (1 << 16) - 1;

/// What was unmapped.
static UNMAPPED: Ranges = Ranges::new();

pub(crate) fn detect_config() -> MemConfig {
    MemConfig {
        os_page_bytes: PAGE_BYTES,
        map_unit_bytes: PAGE_BYTES,
        large_page_bytes: 0,
        physical_bytes: MOST_PAGES * PAGE_BYTES,
        va_bits: usize::BITS,
        overcommits: true,
        address_limit_bytes: usize::MAX,
        thp: ThpMode::Never,
        reserves_addresses: false,
    }
}

/// From what was unmapped: there, if `hint` lies in it, else anywhere; else new.
pub(crate) fn map(hint: usize, bytes: usize, _access: Access) -> Result<*mut u8, Errno> {
    let pages = match bytes.div_ceil(PAGE_BYTES) {
        0 => return Err(Errno::EINVAL),
        pages => pages,
    };
    match UNMAPPED.take(hint / PAGE_BYTES, pages) {
        Some(page) => {
            let start: *mut u8 = ptr::with_exposed_provenance_mut(page * PAGE_BYTES);
            // SAFETY: in the memory, and nobody's.
            unsafe { start.write_bytes(0, pages * PAGE_BYTES) };
            Ok(start)
        }
        None => grow(pages),
    }
}

fn grow(pages: usize) -> Result<*mut u8, Errno> {
    if memory_size::<0>() + pages > MOST_PAGES {
        return Err(Errno::ENOMEM);
    }
    match memory_grow::<0>(pages) {
        usize::MAX => Err(Errno::ENOMEM),
        page => Ok(ptr::with_exposed_provenance_mut(page * PAGE_BYTES)),
    }
}

pub(crate) unsafe fn unmap(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    match UNMAPPED.put(p.addr() / PAGE_BYTES, bytes.div_ceil(PAGE_BYTES)) {
        true => Ok(()),
        false => Err(Errno::ENOMEM),
    }
}

pub(crate) unsafe fn protect(_p: *mut u8, _bytes: usize, _access: Access) -> Result<(), Errno> {
    Ok(())
}

pub(crate) unsafe fn discard(_p: *mut u8, _bytes: usize) -> Result<(), Errno> {
    Err(Errno::ENOTSUP)
}

pub(crate) unsafe fn reset(_p: *mut u8, _bytes: usize) -> Result<(), Errno> {
    Err(Errno::ENOTSUP)
}

/// The host doesn't tell: all of it.
pub(crate) unsafe fn resident_bytes(_p: *const u8, bytes: usize) -> usize {
    bytes
}
