//! The one thread's slot. The thread never ends, so that destructors are not called.

use crate::errno::Errno;
use core::ffi::c_void;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Destructor of a slot.
pub type Destructor = unsafe extern "C" fn(*mut c_void);

/// The slot, created or not.
pub struct Key {
    exists: AtomicBool,
    value: AtomicPtr<c_void>,
}

impl Key {
    /// A slot that is not created yet.
    #[allow(clippy::new_without_default, reason = "for statics")]
    pub const fn new() -> Key {
        Key { exists: AtomicBool::new(false), value: AtomicPtr::new(core::ptr::null_mut()) }
    }

    /// Creates the slot unless it exists.
    pub fn create(&self, _destructor: Option<Destructor>) -> Result<(), Errno> {
        self.exists.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// The value; null if there is none.
    #[inline]
    pub fn read(&self) -> *mut c_void {
        self.value.load(Ordering::Relaxed)
    }

    /// Writes the value; false if there is no slot.
    #[inline]
    pub fn write(&self, value: *mut c_void) -> bool {
        if self.exists() {
            self.value.store(value, Ordering::Relaxed);
        }
        self.exists()
    }

    /// Whether it has been created.
    pub fn exists(&self) -> bool {
        self.exists.load(Ordering::Relaxed)
    }
}
