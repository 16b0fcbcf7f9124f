//! The functions of [`mem`](crate::mem) as the simulated system does them: the kernel decides, real memory follows.
//!
//! Decision and deed happen under the kernel's lock, so that what is on paper and what is real agree for all threads. The real
//! access of memory is never less than the one on paper; in [`Mode::Plain`] it may be more.

use super::kernel::{KERNEL, Kernel, Verdict};
use super::{Kind, Mode, os_page};
use crate::errno::Errno;
use crate::mem::{Access, HugeSize, MemConfig, Thp};
use crate::platform::real_mem;
use core::ffi::CStr;
use core::ops::Range;
use core::ptr;
use core::sync::atomic::Ordering;

/// What memory holds whose contents nobody may rely on.
const POISON: u8 = 0xDF;

/// Mappings of this size on are backed with large pages where the machine has them.
const LARGE_BYTES: usize = 4 << 20;

pub(crate) use crate::unsupported::mem::{CLOSING_CLEARS, close, map_aligned};

pub(crate) fn replaced_config() -> Option<&'static MemConfig> {
    // ORDERING: acquires the contents that `set_config` released.
    let config = super::CONFIG.load(Ordering::Acquire);
    // SAFETY: null or from a `&'static MemConfig`.
    unsafe { config.as_ref() }.or_else(|| Some(os_page::config()))
}

pub(crate) fn replaced_millis() -> Option<u64> {
    super::look_at_clock()
}

fn range(p: *mut u8, bytes: usize) -> Range<usize> {
    p.addr()..p.addr().saturating_add(bytes)
}

/// Runs a call under the lock; panics, the lock released, if it is misuse.
#[track_caller]
fn call(name: &str, p: *mut u8, bytes: usize, work: impl FnOnce(&mut Kernel) -> Verdict) -> Result<(), Errno> {
    match KERNEL.with(work) {
        Ok(result) => result,
        Err(misuse) => panic!("sim: {name} of {bytes:#x} bytes at {p:p}: {misuse:?}"),
    }
}

/// Goes on with `work` if the call was admitted.
fn then(verdict: Verdict, work: impl FnOnce() -> Result<(), Errno>) -> Verdict {
    verdict.map(|admitted| admitted.and_then(|()| work()))
}

pub(crate) fn map(hint: usize, bytes: usize, access: Access) -> Result<*mut u8, Errno> {
    KERNEL.with(|kernel| {
        kernel.admit_mapping(Kind::Map, bytes, access)?;
        let bytes = bytes.checked_next_multiple_of(os_page::bytes()).ok_or(Errno::ENOMEM)?;
        let p = map_real(kernel.place(hint, bytes), bytes, real_access(kernel.mode, access))?;
        // SAFETY: mapped just now.
        unsafe { back_cheaply(p, bytes) };
        Ok(book(kernel, p, bytes, access))
    })
}

/// Has the machine back large mappings with large pages, whatever the simulated system does: most of the time that a test
/// takes would go into faults of small ones.
///
/// # Safety
/// The range is mapped.
unsafe fn back_cheaply(p: *mut u8, bytes: usize) {
    if bytes >= LARGE_BYTES {
        // SAFETY: the caller's promise; advice does not change the contents.
        let _ = unsafe { real_mem::thp(p, bytes, Thp::Advise) };
    }
}

/// What inaccessible memory really is.
fn real_access(mode: Mode, access: Access) -> Access {
    if mode == Mode::Plain { Access::ReadWrite } else { access }
}

/// Books a new mapping, of whole pages.
fn book(kernel: &mut Kernel, p: *mut u8, bytes: usize, access: Access) -> *mut u8 {
    kernel.book(range(p, bytes), access);
    p
}

/// Ordinary memory, aligned like huge pages.
pub(crate) fn map_huge(hint: usize, bytes: usize, size: HugeSize) -> Result<*mut u8, Errno> {
    if bytes == 0 || !bytes.is_multiple_of(size.bytes()) {
        return Err(Errno::EINVAL);
    }
    KERNEL.with(|kernel| {
        kernel.admit_mapping(Kind::MapHuge, bytes, Access::ReadWrite)?;
        let p = map_real_aligned(hint, bytes, size.bytes(), Access::ReadWrite)?;
        Ok(book(kernel, p, bytes, Access::ReadWrite))
    })
}

/// Whole OS pages of the simulated system, which may be larger than the machine's.
fn map_real(hint: usize, bytes: usize, access: Access) -> Result<*mut u8, Errno> {
    let page = os_page::bytes();
    let p = real_mem::map(hint, bytes, access)?;
    if p.addr().is_multiple_of(page) {
        return Ok(p);
    }
    // SAFETY: mapped just now.
    unsafe { unmap_real(p, bytes)? };
    map_real_aligned(hint, bytes, page, access)
}

fn map_real_aligned(hint: usize, bytes: usize, alignment: usize, access: Access) -> Result<*mut u8, Errno> {
    let all = real_mem::map(hint, bytes.checked_add(alignment).ok_or(Errno::ENOMEM)?, access)?;
    let before = all.addr().next_multiple_of(alignment) - all.addr();
    let p = all.wrapping_add(before);
    // SAFETY: the ends of a mapping made just now.
    unsafe { (unmap_real(all, before)?, unmap_real(p.wrapping_add(bytes), alignment - before)?) };
    Ok(p)
}

/// # Safety
/// As for `mem::unmap`, but may be empty.
unsafe fn unmap_real(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    match bytes {
        0 => Ok(()),
        // SAFETY: the caller's promise.
        bytes => unsafe { real_mem::unmap(p, bytes) },
    }
}

pub(crate) unsafe fn unmap(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    call("unmap", p, bytes, |kernel| {
        let mode = kernel.mode;
        // SAFETY: the caller's promise (`mem::unmap`), and the kernel knows the range as mapped.
        let verdict = then(kernel.admit_on(Kind::Unmap, &range(p, bytes)), || unsafe { vacate(p, bytes, mode) });
        if verdict == Ok(Ok(())) {
            kernel.regions.remove(range(p, bytes));
        }
        verdict
    })
}

/// Gives memory back; the addresses too, or else keeps them as a trap.
///
/// # Safety
/// As for `mem::unmap`.
unsafe fn vacate(p: *mut u8, bytes: usize, mode: Mode) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    unsafe {
        match mode {
            Mode::Plain => real_mem::unmap(p, bytes),
            Mode::Poison | Mode::PoisonDiscarded => {
                real_mem::discard(p, bytes)?;
                real_mem::protect(p, bytes, Access::None)
            }
        }
    }
}

pub(crate) unsafe fn protect(p: *mut u8, bytes: usize, access: Access) -> Result<(), Errno> {
    call("protect", p, bytes, |kernel| {
        let real = real_access(kernel.mode, access);
        // SAFETY: the caller's promise (`mem::protect`), and the kernel knows the range as mapped.
        then(kernel.protect(range(p, bytes), access), || unsafe { real_mem::protect(p, bytes, real) })
    })
}

pub(crate) unsafe fn discard(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    call("discard", p, bytes, |kernel| {
        let verdict = kernel.admit_on(Kind::Discard, &range(p, bytes));
        then(verdict, || match kernel.mode {
            // SAFETY: the caller does not need the contents (`mem::discard`).
            Mode::Plain | Mode::Poison => unsafe { real_mem::discard(p, bytes) },
            // SAFETY: as above.
            Mode::PoisonDiscarded => unsafe { poison(kernel, p, bytes) },
        })
    })
}

pub(crate) unsafe fn reset(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    call("reset", p, bytes, |kernel| {
        let verdict = kernel.admit_on(Kind::Reset, &range(p, bytes));
        then(verdict, || match kernel.mode {
            // SAFETY: the caller does not need the contents (`mem::reset`).
            Mode::Plain => unsafe { real_mem::reset(p, bytes) },
            // SAFETY: as above.
            Mode::Poison | Mode::PoisonDiscarded => unsafe { poison(kernel, p, bytes) },
        })
    })
}

/// Fills what is accessible of the range and has memory behind it; the rest reads as zero, or not at all.
///
/// # Safety
/// Nobody needs the contents.
unsafe fn poison(kernel: &Kernel, p: *mut u8, bytes: usize) -> Result<(), Errno> {
    let page = os_page::bytes();
    for part in kernel.regions.parts(range(p, bytes)).filter(|part| part.access == Access::ReadWrite) {
        for address in (part.start..part.end).step_by(page) {
            // SAFETY: a mapped, accessible page of the range, which the caller gives up.
            unsafe { poison_page(p.with_addr(address), page) };
        }
    }
    Ok(())
}

/// # Safety
/// The page is accessible and nobody needs its contents.
unsafe fn poison_page(p: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if real_mem::resident_bytes(p, bytes) > 0 {
            ptr::write_bytes(p, POISON, bytes);
        }
    }
}

/// Cannot be refused.
pub(crate) unsafe fn populate(p: *mut u8, bytes: usize) {
    let _ = call("populate", p, bytes, |kernel| {
        kernel.check_mapped(&range(p, bytes))?;
        // SAFETY: the caller's promise (`mem::populate`), and the kernel knows the range as mapped.
        unsafe { real_mem::populate(p, bytes) };
        Ok(Ok(()))
    });
}

/// An OS page is there if any of the machine's in it is.
pub(crate) unsafe fn resident_bytes(p: *const u8, bytes: usize) -> usize {
    let page = os_page::bytes();
    // SAFETY: the caller's promise (`mem::resident_bytes`).
    let is_there = |at: &usize| unsafe { real_mem::resident_bytes(p.wrapping_add(*at), page.min(bytes - at)) } > 0;
    (0..bytes).step_by(page).filter(is_there).count() * page
}

/// Huge pages change nothing that a program could see.
pub(crate) unsafe fn thp(p: *mut u8, bytes: usize, _mode: Thp) -> Result<(), Errno> {
    call("thp", p, bytes, |kernel| kernel.admit_on(Kind::Thp, &range(p, bytes)))
}

/// Would outlive the test.
pub(crate) fn thp_disable_process() {}

pub(crate) unsafe fn dont_dump(p: *mut u8, bytes: usize) {
    let _ = call("dont_dump", p, bytes, |kernel| kernel.admit_on(Kind::DontDump, &range(p, bytes)));
}

/// Counted with its opposite.
pub(crate) unsafe fn dump(p: *mut u8, bytes: usize) {
    let _ = call("dump", p, bytes, |kernel| kernel.admit_on(Kind::DontDump, &range(p, bytes)));
}

pub(crate) unsafe fn set_name(p: *mut u8, bytes: usize, _name: &'static CStr) {
    let _ = call("set_name", p, bytes, |kernel| kernel.admit_on(Kind::SetName, &range(p, bytes)));
}

/// By copying.
pub(crate) unsafe fn move_pages(from: *mut u8, to: *mut u8, bytes: usize) -> Result<(), Errno> {
    call("move_pages", from, bytes, |kernel| {
        // SAFETY: the kernel knows both ranges as accessible and apart; they are the caller's (`mem::move_pages`).
        then(kernel.admit_move(&range(from, bytes), &range(to, bytes)), || unsafe {
            ptr::copy_nonoverlapping(from, to, bytes);
            real_mem::discard(from, bytes)
        })
    })
}

pub(crate) unsafe fn bind_numa(p: *mut u8, bytes: usize, node: usize) -> Result<(), Errno> {
    let exists = if node < crate::numa::node_count() { Ok(()) } else { Err(Errno::EINVAL) };
    call("bind_numa", p, bytes, |kernel| then(kernel.admit_on(Kind::BindNuma, &range(p, bytes)), || exists))
}
