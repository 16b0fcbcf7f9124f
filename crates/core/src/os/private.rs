//! Memory of our own: private, anonymous, of ordinary OS pages, reserved by us.
//!
//! Only such memory reads as zero once it has been dropped, may move by its page tables, become inaccessible, or be
//! advised about huge pages. Memory that somebody handed us may be shared with others, or be a file, a device, or
//! locked: dropping it makes no zeros, and moving it leaves one piece of memory at two addresses. Huge OS pages of ours
//! can't be dropped or moved in part.
//!
//! So provenance is a value: what drops, moves, closes or advises is a method of [`PrivateMemory`], which [`reserve`]
//! makes. The value tells where memory comes from, not who may use it; that is the precondition of each method.

use core::ffi::CStr;

use ferrimalloc_prim::mem::{self, Access, Thp, ThpMode};

use super::Region;
use super::region;
use crate::options::{self, OptionId};

/// As what our memory is listed in `/proc/PID/maps`, if it is.
const MAP_NAME: &CStr = c"ferrimalloc";

/// Some of our own private memory: whole OS pages. Can be copied, since it is no right to use the memory.
///
/// ```compile_fail,E0451
/// use ferrimalloc_core::os::PrivateMemory;
/// let foreign = PrivateMemory { start: std::ptr::null_mut(), bytes: 4096, is_left_out: false };
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrivateMemory {
    start: *mut u8,
    bytes: usize,
    is_left_out: bool,
}

/// Reserves `bytes` aligned to `align` (a power of two) such that `admits(start)`; `None` when there is no such address
/// space. `hints` gives addresses to try after the system's own choice.
pub fn reserve(
    bytes: usize,
    align: usize,
    access: Access,
    admits: impl Fn(usize) -> bool,
    hints: impl Iterator<Item = usize>,
) -> Option<PrivateMemory> {
    region::reserve(bytes, align, access, admits, hints).map(PrivateMemory::new)
}

/// Reserves `bytes`, whole OS pages: at `hint` if they can be had there.
pub fn reserve_near(hint: usize, bytes: usize, access: Access) -> Option<PrivateMemory> {
    let start = mem::map(hint, bytes, access).ok()?;
    Some(PrivateMemory::new(Region { start, bytes }))
}

/// Reserves the `bytes` at `place`, whole OS pages, or nothing.
pub fn reserve_exactly(place: usize, bytes: usize, access: Access) -> Option<PrivateMemory> {
    region::map_exactly(place, bytes, access).map(PrivateMemory::new)
}

impl PrivateMemory {
    /// Reserved just now. Named, if that is wanted.
    fn new(region: Region) -> PrivateMemory {
        let Region { start, bytes } = region;
        if options::is_enabled(OptionId::NameMaps) {
            // SAFETY: mapped just now.
            unsafe { mem::set_name(start, bytes, MAP_NAME) };
        }
        PrivateMemory { start, bytes, is_left_out: false }
    }

    /// Of memory whose provenance is recorded in another form.
    ///
    /// # Safety
    /// The range is a part of what [`reserve`] has answered.
    pub const unsafe fn assume(start: *mut u8, bytes: usize) -> PrivateMemory {
        PrivateMemory { start, bytes, is_left_out: false }
    }

    /// The addresses, without the provenance.
    pub fn region(self) -> Region {
        Region { start: self.start, bytes: self.bytes }
    }

    /// `bytes` of it from `offset` on.
    pub fn part(self, offset: usize, bytes: usize) -> PrivateMemory {
        debug_assert!(offset <= self.bytes && bytes <= self.bytes - offset);
        PrivateMemory { start: self.start.wrapping_add(offset), bytes, ..self }
    }

    /// Gives the memory back, so that it reads as zero; false if the system refuses.
    ///
    /// # Safety
    /// The caller has the memory to itself, and nobody needs its contents.
    pub unsafe fn discard(self) -> bool {
        // SAFETY: the precondition; mapped by `reserve`.
        unsafe { mem::discard(self.start, self.bytes) }.is_ok()
    }

    /// Lets the system take the memory when it needs some: from now on the contents are undefined. False if it refuses.
    ///
    /// # Safety
    /// As for [`PrivateMemory::discard`].
    pub unsafe fn reset(self) -> bool {
        // SAFETY: the precondition; mapped by `reserve`.
        unsafe { mem::reset(self.start, self.bytes) }.is_ok()
    }

    /// Makes the memory inaccessible; false if the system refuses. Where [`mem::CLOSING_CLEARS`], it reads as zero from then on.
    ///
    /// # Safety
    /// The caller has the memory to itself, and nobody needs its contents, nor touches it before it is opened.
    pub unsafe fn close(self) -> bool {
        // SAFETY: the precondition; mapped by `reserve`.
        unsafe { mem::close(self.start, self.bytes) }.is_ok()
    }

    /// Makes closed memory accessible again; false if the system refuses.
    pub fn open(self) -> bool {
        // SAFETY: mapped by `reserve`; contents stay.
        unsafe { mem::protect(self.start, self.bytes, Access::ReadWrite) }.is_ok()
    }

    /// Moves the contents to `to`, as large as this, by moving OS pages: this reads as zero afterwards. False if the
    /// system refuses: nothing has moved then, and the contents of `to` are undefined.
    ///
    /// # Safety
    /// The caller has both to itself, and they don't overlap; nobody needs what `to` holds.
    pub unsafe fn move_to(self, to: PrivateMemory) -> bool {
        debug_assert_eq!(self.bytes, to.bytes);
        // SAFETY: the precondition; both mapped by `reserve`.
        unsafe { mem::move_pages(self.start, to.start, self.bytes) }.is_ok()
    }

    /// Leaves memory of more than `most_bytes` out of core files until it is [`dump`](Self::dump)ed. Debuggers that write such
    /// files read even what is inaccessible. Less than that is little, and programs that allow only certain system calls, and
    /// no advice, can have it; so can those that set option `allow_thp` to 0.
    #[must_use]
    pub fn leave_out_above(self, most_bytes: usize) -> PrivateMemory {
        if self.bytes <= most_bytes || !options::is_enabled(OptionId::AllowThp) {
            return self;
        }
        // SAFETY: mapped by `reserve`; contents stay.
        unsafe { mem::dont_dump(self.start, self.bytes) };
        PrivateMemory { is_left_out: true, ..self }
    }

    /// Whether core files don't have it.
    pub fn is_left_out(self) -> bool {
        self.is_left_out
    }

    /// From now on core files have it.
    pub fn dump(self) {
        if self.is_left_out {
            // SAFETY: mapped by `reserve`; contents stay.
            unsafe { mem::dump(self.start, self.bytes) };
        }
    }

    /// Has memory that is to be touched bit by bit begin without huge pages, which the system would use by itself under
    /// `THP=always`.
    pub fn refuse_huge_at_first(self) {
        if mem::config().thp == ThpMode::Always && options::is_enabled(OptionId::AllowThp) {
            self.advise(Thp::Refuse);
        }
    }

    /// Advises the system about huge pages. It may not listen.
    pub fn advise(self, advice: Thp) {
        // SAFETY: mapped by `reserve`; contents stay.
        let _ = unsafe { mem::thp(self.start, self.bytes, advice) };
    }
}
