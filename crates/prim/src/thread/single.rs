//! Where there is one thread.

pub const IDS_COME_AGAIN: bool = false;

/// A constant of the program.
#[inline(always)]
pub fn id() -> usize {
    16
}
