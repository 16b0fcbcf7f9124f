//! Accesses to memory that is inaccessible, as they happen.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::platform;
use crate::stack::Registers;

/// Looks at a fault: the address that was accessed, and where the program was, if that is known. Runs in a signal handler.
pub type Look = fn(address: usize, at: Option<Registers>);

/// Calls `look` at each access that faults from now on. What would have happened without us happens then: the program's handler is
/// called, if it had one, or the process ends by the signal. A handler that the program installs later takes our place.
///
/// The first call counts, and the others do nothing. Does nothing where the system has no signals.
pub fn watch(look: Look) {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if !IS_WATCHED.load(Ordering::Relaxed) && !IS_WATCHED.swap(true, Ordering::Relaxed) {
        platform::fault::watch(look);
    }
}
