//! A slot of `TlsAlloc`: one pointer per thread, with an optional destructor.
//!
//! The first 64 slots of a process are words of the thread environment block, where a read is one instruction; further ones
//! are in a table that a thread gets when it first writes one of them. Destructors are called by `thread_end`.

use super::last_error::kept;
use super::thread_end;
use crate::errno::Errno;
use crate::platform::teb;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use windows_sys::Win32::System::Threading::{TLS_OUT_OF_INDEXES, TlsAlloc, TlsFree, TlsSetValue};

/// Destructor of a slot: called with the value that a thread leaves behind, unless that is null.
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// The slot, created or not.
pub struct Key {
    /// A [`Place`]; goes from [`Place::NONE`] to its value once.
    place: AtomicUsize,
}

/// Where a slot is: the offset in the thread environment block, or behind all of these a number in the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(pub(crate) usize);

const NEAR_SLOTS: u32 = 64;
const NEAR_END: usize = teb::SLOTS + NEAR_SLOTS as usize * size_of::<usize>();

impl Place {
    pub(crate) const NONE: Place = Place(0);

    fn of_index(index: u32) -> Place {
        match index {
            ..NEAR_SLOTS => Place(teb::SLOTS + index as usize * size_of::<usize>()),
            _ => Place(NEAR_END + (index - NEAR_SLOTS) as usize),
        }
    }

    fn index(self) -> u32 {
        match self.0 {
            ..NEAR_END => ((self.0 - teb::SLOTS) / size_of::<usize>()) as u32,
            far => (far - NEAR_END) as u32 + NEAR_SLOTS,
        }
    }

    #[inline(always)]
    pub(crate) fn read(self) -> *mut c_void {
        // One comparison for both.
        match self.0.wrapping_sub(1) < NEAR_END - 1 {
            true => ptr::with_exposed_provenance_mut(teb::read(self.0)),
            false => self.read_far(),
        }
    }

    #[cold]
    fn read_far(self) -> *mut c_void {
        let table: *const *mut c_void = ptr::with_exposed_provenance(teb::read(teb::MORE_SLOTS));
        if self == Place::NONE || table.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: the thread's table has all slots that there are.
        unsafe { table.add(self.0 - NEAR_END).read() }
    }

    #[inline]
    pub(crate) fn write(self, value: *mut c_void) -> bool {
        match self.0 {
            0 => false,
            ..NEAR_END => {
                teb::write(self.0, value.expose_provenance());
                true
            }
            // SAFETY: a slot that exists and is never freed.
            _ => kept(|| unsafe { TlsSetValue(self.index(), value) }) != 0,
        }
    }
}

impl Key {
    /// A slot that is not created yet.
    #[allow(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Key {
        Key { place: AtomicUsize::new(Place::NONE.0) }
    }

    /// Creates the slot unless it exists. `EAGAIN` if the system has none left, or no room for its destructor.
    pub fn create(&self, destructor: Option<Destructor>) -> Result<(), Errno> {
        if self.exists() {
            return Ok(());
        }
        // SAFETY: takes nothing, returns a number.
        match kept(|| unsafe { TlsAlloc() }) {
            TLS_OUT_OF_INDEXES => Err(Errno::EAGAIN),
            index => self.keep(Place::of_index(index), destructor),
        }
    }

    /// Keeps the slot if this thread is the first, else returns it to the system.
    fn keep(&self, place: Place, destructor: Option<Destructor>) -> Result<(), Errno> {
        // Relaxed: the place is all there is; the system orders its own tables.
        match self.place.compare_exchange(Place::NONE.0, place.0, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => destructor.map_or(Ok(()), |destructor| thread_end::register(place, destructor)),
            Err(_) => {
                // SAFETY: nobody but this thread has seen the slot.
                kept(|| unsafe { TlsFree(place.index()) });
                Ok(())
            }
        }
    }

    /// The calling thread's value; null if it never wrote one, or if there is no slot.
    #[inline(always)]
    pub fn read(&self) -> *mut c_void {
        self.place().read()
    }

    /// Writes the calling thread's value; false if there is no slot, or no memory for it.
    #[allow(
        clippy::not_unsafe_ptr_arg_deref,
        reason = "kept, not followed: what the destructor does with it is the destructor's promise"
    )]
    #[inline]
    pub fn write(&self, value: *mut c_void) -> bool {
        self.place().write(value)
    }

    /// Whether it has been created.
    pub fn exists(&self) -> bool {
        self.place() != Place::NONE
    }

    #[inline(always)]
    fn place(&self) -> Place {
        Place(self.place.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_from_indexes_and_back() {
        for index in [0, 1, 63, 64, 1000] {
            assert_eq!(Place::of_index(index).index(), index);
            assert!(Place::of_index(index) != Place::NONE);
        }
        assert!(Place::NONE.read().is_null() && !Place::NONE.write(ptr::dangling_mut()));
    }

    #[test]
    fn slots_outside_of_the_block_work_too() {
        // SAFETY: takes nothing, returns numbers.
        let indexes: std::vec::Vec<u32> = (0..80).map(|_| unsafe { TlsAlloc() }).collect();
        let far = Place::of_index(*indexes.iter().max().unwrap());
        assert!(far.0 >= NEAR_END);
        let check = move || {
            assert!(far.read().is_null());
            assert!(far.write(ptr::without_provenance_mut(77)));
            assert_eq!(far.read().addr(), 77);
        };
        check();
        std::thread::spawn(check).join().unwrap();
        // SAFETY: made above, used by nobody else.
        indexes.into_iter().for_each(|index| unsafe { _ = TlsFree(index) });
    }
}
