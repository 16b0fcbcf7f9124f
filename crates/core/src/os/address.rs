//! What a stretch of address space is.

/// Address space of ours.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    pub start: *mut u8,
    pub bytes: usize,
}
