//! Messages.

/// Writes all of `bytes` to standard error, without buffering and without the C library's streams. What cannot be written is
/// dropped.
pub fn write_stderr(bytes: &[u8]) {
    crate::unix::output::write(libc::STDERR_FILENO, bytes);
}
