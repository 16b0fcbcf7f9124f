//! Staying in memory: the C library calls us at thread ends, forks and exit, and blocks of ours may be in use, whatever becomes
//! of the plugin that has a copy of us. So the object that contains us is marked to stay.

use crate::platform;

/// Marks the shared library that contains us never to be unloaded, unless it is marked so or is the program itself. To be called
/// where the dynamic linker may be called: when we are loaded, and not from inside an allocation, which may happen with
/// the dynamic linker's lock held by another thread.
pub fn stay_loaded() {
    platform::pin::stay_loaded();
}
