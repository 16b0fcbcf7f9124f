//! POSIX has no list of what is loaded.

use crate::modules::Module;

pub(crate) fn for_each(_visit: &mut dyn FnMut(&Module<'_>) -> bool) {}

pub(crate) fn program_path(_buf: &mut [u8]) -> usize {
    0
}
