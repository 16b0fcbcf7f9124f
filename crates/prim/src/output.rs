//! Messages, and files that are written from one end to the other.

use crate::platform;
use core::ffi::CStr;

/// Writes all of `bytes` to standard error, without buffering and without the C library's streams. What cannot be written is
/// dropped.
pub fn write_stderr(bytes: &[u8]) {
    platform::output::write_stderr(bytes);
}

/// A new file.
pub struct NewFile {
    descriptor: i32,
}

impl NewFile {
    /// Makes the file, or empties the one that is there. `None` if that is refused.
    pub fn create(path: &CStr) -> Option<NewFile> {
        platform::output::create(path).map(|descriptor| NewFile { descriptor })
    }

    /// Writes all of `bytes`; what cannot be written is dropped.
    pub fn write(&mut self, bytes: &[u8]) {
        platform::output::write(self.descriptor, bytes);
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        platform::output::close(self.descriptor);
    }
}
