//! x86-64, System V.

use super::{Numbers, Registers};
use core::arch::asm;

pub const CAN_BE_WALKED: bool = true;
pub const NUMBERS: Numbers = Numbers { sp: 7, fp: 6, return_address: 16 };
pub const ADDRESS_MASK: usize = !0;

#[inline(always)]
pub fn here() -> Registers {
    let (pc, sp, fp): (usize, usize, usize);
    // SAFETY: reads registers only.
    unsafe {
        asm!(
            "lea {pc}, [rip]",
            "mov {sp}, rsp",
            "mov {fp}, rbp",
            pc = out(reg) pc,
            sp = out(reg) sp,
            fp = out(reg) fp,
            options(nomem, nostack, preserves_flags),
        );
    }
    Registers { pc, sp, fp }
}
