//! Where a signal has interrupted the program is not known.

use core::ffi::c_void;

use crate::stack::Registers;

/// # Safety
/// None is needed; elsewhere it must be what a signal handler was given.
pub(crate) unsafe fn registers(_context: *const c_void) -> Option<Registers> {
    None
}
