//! AArch64. Return addresses may be signed in their upper bits.

use super::{Numbers, Registers};
use core::arch::asm;

pub const CAN_BE_WALKED: bool = true;
pub const NUMBERS: Numbers = Numbers { sp: 31, fp: 29, return_address: 30 };
pub const ADDRESS_MASK: usize = (1 << 48) - 1;

#[inline(always)]
pub fn here() -> Registers {
    let (pc, sp, fp): (usize, usize, usize);
    // SAFETY: reads registers only.
    unsafe {
        asm!(
            "adr {pc}, .",
            "mov {sp}, sp",
            "mov {fp}, x29",
            pc = out(reg) pc,
            sp = out(reg) sp,
            fp = out(reg) fp,
            options(nomem, nostack, preserves_flags),
        );
    }
    Registers { pc, sp, fp }
}
