//! riscv64: the thread pointer is a register of its own.

use core::arch::asm;

/// See [`IDS_COME_AGAIN`](crate::thread::IDS_COME_AGAIN).
#[allow(dead_code, reason = "where another way is chosen")]
pub const IDS_COME_AGAIN: bool = true;

/// One register move: the value never changes within a thread, so the compiler may reuse it at will.
#[inline(always)]
pub fn id() -> usize {
    let pointer: usize;
    // SAFETY: reads a register that the ABI sets for every thread.
    unsafe { asm!("mv {}, tp", out(reg) pointer, options(pure, nomem, nostack, preserves_flags)) }
    pointer
}
