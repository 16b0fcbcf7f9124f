//! Memory on Linux.

use crate::errno::{Errno, quiet, zero_or_errno};
use crate::mem::{Access, HugeSize, Thp};
use crate::unix::mem::{advise, map_with};
use core::ffi::CStr;
use core::sync::atomic::{AtomicUsize, Ordering};
use libc::{c_int, c_ulong};

pub(crate) use super::config::detect as detect_config;
pub(crate) use crate::unix::mem::{
    CLOSING_CLEARS, close, map, map_aligned, protect, replaced_config, replaced_millis, resident_bytes, unmap,
};

/// `MADV_DONTNEED` drops private anonymous memory at once; the next read sees zero.
pub(crate) unsafe fn discard(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::discard`).
    unsafe { advise(p, bytes, libc::MADV_DONTNEED) }
}

/// `MADV_FREE` since Linux 4.5.
pub(crate) unsafe fn reset(p: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: the caller's promise (`mem::reset`); discarding is one way to keep it.
    unsafe { advise(p, bytes, libc::MADV_FREE).or_else(|_| discard(p, bytes)) }
}

pub(crate) unsafe fn thp(p: *mut u8, bytes: usize, mode: Thp) -> Result<(), Errno> {
    let advice = match mode {
        Thp::Advise => libc::MADV_HUGEPAGE,
        Thp::Refuse => libc::MADV_NOHUGEPAGE,
    };
    // SAFETY: does not change the contents.
    unsafe { advise(p, bytes, advice) }
}

pub(crate) fn thp_disable_process() {
    let (on, unused) = (1 as c_ulong, 0 as c_ulong);
    // SAFETY: takes numbers.
    quiet(|| unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, unused, unused, unused) });
}

pub(crate) unsafe fn dont_dump(p: *mut u8, bytes: usize) {
    // SAFETY: does not change the contents. A kernel that does not know it writes bigger core dumps, and that is all.
    let _ = unsafe { advise(p, bytes, libc::MADV_DONTDUMP) };
}

pub(crate) unsafe fn dump(p: *mut u8, bytes: usize) {
    // SAFETY: does not change the contents. A kernel that does not know it does not know the opposite.
    let _ = unsafe { advise(p, bytes, libc::MADV_DODUMP) };
}

/// Since Linux 5.17, if the kernel was built for it.
pub(crate) unsafe fn set_name(p: *mut u8, bytes: usize, name: &'static CStr) {
    let what = libc::PR_SET_VMA_ANON_NAME as c_ulong;
    // SAFETY: does not change the contents; the name is a text.
    quiet(|| unsafe { libc::prctl(libc::PR_SET_VMA, what, p, bytes, name.as_ptr()) });
}

/// `mremap` with `MREMAP_DONTUNMAP`, since Linux 5.7.
///
/// The kernel first removes what lies at `to` and may then still fail, leaving a hole that another thread's `mmap` may fill
/// before we do. So `to` is marked: after a failure it is a hole, which we close; or has the mark, and is still ours; or is
/// lost, while the caller believes it is not, and then only the end of the process prevents corruption.
pub(crate) unsafe fn move_pages(from: *mut u8, to: *mut u8, bytes: usize) -> Result<(), Errno> {
    // SAFETY: readable, writable, aligned to an OS page, and the caller's alone (`mem::move_pages`).
    let mark = unsafe { AtomicUsize::from_ptr(to.cast()) };
    let before = mark.swap(MARK, Ordering::Relaxed);
    // SAFETY: the caller's promise.
    let moved = unsafe { remap(from, to, bytes) };
    if moved.is_err() {
        match close_hole(to, bytes) {
            Hole::Closed => {}
            Hole::None if mark.load(Ordering::Relaxed) == MARK => mark.store(before, Ordering::Relaxed),
            Hole::None => crate::process::abort(),
        }
    }
    moved
}

/// A word that nobody has at the beginning of a mapping.
const MARK: usize = 0x6d6f_7665_u32 as usize ^ usize::MAX << 7;

/// # Safety
/// Both ranges are the caller's, who gives up the contents of `to`.
unsafe fn remap(from: *mut u8, to: *mut u8, bytes: usize) -> Result<(), Errno> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    // SAFETY: the caller's promise.
    let moved = || unsafe { libc::mremap(from.cast(), bytes, bytes, flags, to) };
    zero_or_errno(|| if moved() == libc::MAP_FAILED { -1 } else { 0 })
}

enum Hole {
    None,
    Closed,
}

/// Maps fresh memory at `to` if nothing lies there.
#[cold]
fn close_hole(to: *mut u8, bytes: usize) -> Hole {
    match map_with(to.addr(), bytes, Access::ReadWrite, libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE) {
        Ok(p) if p == to => Hole::Closed,
        // A kernel that does not know the flag (before 4.17) takes the address for a hint. It does not know `MREMAP_DONTUNMAP`
        // either, so that there is no hole.
        Ok(p) => {
            // SAFETY: mapped just now, used by nobody.
            let _ = unsafe { unmap(p, bytes) };
            Hole::None
        }
        Err(Errno(libc::EEXIST)) => Hole::None,
        Err(_) => crate::process::abort(),
    }
}

/// Without `MAP_NORESERVE`: huge pages that run out at a touch kill the process.
pub(crate) fn map_huge(hint: usize, bytes: usize, size: HugeSize) -> Result<*mut u8, Errno> {
    let size_flag = (size.bytes().trailing_zeros() as c_int) << libc::MAP_HUGE_SHIFT;
    map_with(hint, bytes, Access::ReadWrite, libc::MAP_HUGETLB | size_flag)
}

const NODE_MASK_WORDS: usize = 1024 / c_ulong::BITS as usize;

pub(crate) unsafe fn bind_numa(p: *mut u8, bytes: usize, node: usize) -> Result<(), Errno> {
    let mut mask = [0 as c_ulong; NODE_MASK_WORDS];
    let word = mask.get_mut(node / c_ulong::BITS as usize).ok_or(Errno::EINVAL)?;
    *word = 1 << (node % c_ulong::BITS as usize);
    // One more than there are: the kernel subtracts one.
    let bits = NODE_MASK_WORDS * c_ulong::BITS as usize + 1;
    let (policy, flags) = (libc::MPOL_PREFERRED as c_ulong, 0);
    // SAFETY: reads the mask; does not change the contents of the range.
    zero_or_errno(|| unsafe { libc::syscall(libc::SYS_mbind, p, bytes, policy, mask.as_ptr(), bits, flags) } as c_int)
}

/// `MADV_POPULATE_WRITE`, since Linux 5.14.
pub(crate) unsafe fn populate(p: *mut u8, bytes: usize) {
    // SAFETY: does not change the contents.
    let _ = unsafe { advise(p, bytes, libc::MADV_POPULATE_WRITE) };
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 1 << 20;

    fn map_filled(byte: u8) -> *mut u8 {
        let p = map(0, BYTES, Access::ReadWrite).unwrap();
        // SAFETY: mapped just now.
        unsafe { p.write_bytes(byte, BYTES) };
        p
    }

    /// # Safety
    /// Mapped and accessible.
    unsafe fn holds(p: *mut u8, byte: u8) -> bool {
        // SAFETY: the caller's promise.
        unsafe { core::slice::from_raw_parts(p, BYTES) }.iter().all(|&b| b == byte)
    }

    /// # Safety
    /// Mapped by `map_filled`, used by nobody.
    unsafe fn release(p: *mut u8) {
        // SAFETY: the caller's promise.
        unsafe { unmap(p, BYTES) }.unwrap();
    }

    #[test]
    fn moves_whole_mappings() {
        let (from, to) = (map_filled(1), map_filled(2));
        // SAFETY: both are ours.
        unsafe {
            move_pages(from, to, BYTES).expect("the kernels that we test on can");
            assert!(holds(to, 1) && holds(from, 0));
            release(from);
            release(to);
        }
    }

    #[test]
    fn a_failed_move_leaves_the_target_usable() {
        let to = map_filled(2);
        // SAFETY: `to` is ours; at the other address the kernel finds nothing to move: the middle of a hole of a terabyte,
        // where it puts nothing that is small. (Of addresses of 32 bits half a gigabyte must do.)
        unsafe {
            let hole_bytes = 1 << if usize::BITS < 64 { 29 } else { 40 };
            let place = map(0, hole_bytes, Access::None).unwrap();
            unmap(place, hole_bytes).unwrap();
            assert!(move_pages(place.add(hole_bytes / 2), to, BYTES).is_err());
            assert!(holds(to, 0) || holds(to, 2), "mapped, accessible, without the mark");
            to.write_bytes(3, BYTES);
            release(to);
        }
    }

    #[test]
    fn several_mappings_move_together_or_not_at_all() {
        let (from, to) = (map_filled(1), map_filled(2));
        // SAFETY: both are ours.
        unsafe {
            let _ = thp(from, BYTES / 2, Thp::Refuse);
            match move_pages(from, to, BYTES) {
                Ok(()) => assert!(holds(to, 1) && holds(from, 0)),
                Err(_) => assert!(holds(from, 1) && (holds(to, 0) || holds(to, 2))),
            }
            release(from);
            release(to);
        }
    }

    #[test]
    fn holes_are_closed_and_mappings_left_alone() {
        let p = map_filled(4);
        assert!(matches!(close_hole(p, BYTES), Hole::None));
        // SAFETY: ours until released; then only if the hole was still there to be closed.
        unsafe {
            assert!(holds(p, 4));
            release(p);
            if let Hole::Closed = close_hole(p, BYTES) {
                assert!(holds(p, 0));
                release(p);
            }
        }
    }
}
