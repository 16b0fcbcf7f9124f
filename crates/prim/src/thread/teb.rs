//! Windows: the address of the thread environment block, which is that of an OS page.

/// See [`IDS_COME_AGAIN`](crate::thread::IDS_COME_AGAIN).
pub const IDS_COME_AGAIN: bool = true;

/// One load without a memory dependency (aarch64: a register).
#[inline(always)]
pub fn id() -> usize {
    crate::platform::teb::address()
}
