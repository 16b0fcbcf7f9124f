//! x86: the thread environment block is where `fs` points.
//!
//! Its layout is that of `winternl.h` and of the debugger's symbols; compilers and runtimes rely on these offsets, so they stay.

use core::arch::asm;

/// Where the first 64 slots of `TlsAlloc` are.
pub(crate) const SLOTS: usize = 0xe10;
/// Where the address of the further slots is.
pub(crate) const MORE_SLOTS: usize = 0xf94;

/// The block's address, which never changes within a thread.
#[inline(always)]
pub(crate) fn address() -> usize {
    let address: usize;
    // SAFETY: the block has its own address there; nothing is written.
    unsafe { asm!("mov {}, dword ptr fs:[0x18]", out(reg) address, options(pure, nomem, nostack, preserves_flags)) }
    address
}

/// The word at `offset`, one of a slot.
#[inline(always)]
pub(crate) fn read(offset: usize) -> usize {
    let word: usize;
    // SAFETY: a word of the calling thread's own block.
    unsafe {
        asm!("mov {}, dword ptr fs:[{}]", lateout(reg) word, in(reg) offset, options(pure, readonly, nostack, preserves_flags));
    }
    word
}

/// Writes the word at `offset`, which is a slot's.
#[inline(always)]
pub(crate) fn write(offset: usize, word: usize) {
    // SAFETY: as in `read`; the slot is the caller's.
    unsafe { asm!("mov dword ptr fs:[{}], {}", in(reg) offset, in(reg) word, options(nostack, preserves_flags)) }
}
