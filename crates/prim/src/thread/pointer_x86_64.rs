//! x86-64, System V: the word at `fs:0` holds the address of the thread control block, that is, itself.

use core::arch::asm;

/// See [`IDS_COME_AGAIN`](crate::thread::IDS_COME_AGAIN).
#[allow(dead_code, reason = "where another way is chosen")]
pub const IDS_COME_AGAIN: bool = true;

/// One load without a memory dependency: the value never changes within a thread, so the compiler may reuse it at will.
#[inline(always)]
pub fn id() -> usize {
    let pointer: usize;
    // SAFETY: the ABI puts the thread pointer there for every thread; nothing is written.
    unsafe { asm!("mov {}, qword ptr fs:[0]", out(reg) pointer, options(pure, nomem, nostack, preserves_flags)) }
    pointer
}
