//! Any other processor: no walk gets anywhere.

use super::{Numbers, Registers};

pub const CAN_BE_WALKED: bool = false;
pub const NUMBERS: Numbers = Numbers { sp: 0, fp: 0, return_address: 0 };
pub const ADDRESS_MASK: usize = !0;

#[inline(always)]
pub fn here() -> Registers {
    Registers { pc: 0, sp: 0, fp: 0 }
}
