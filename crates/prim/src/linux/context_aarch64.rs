//! Where a signal has interrupted the program: aarch64.

use core::ffi::c_void;

use crate::stack::Registers;

/// Register x29 is the frame pointer.
const FP: usize = 29;

/// # Safety
/// What a signal handler was given.
pub(crate) unsafe fn registers(context: *const c_void) -> Option<Registers> {
    // SAFETY: the precondition.
    let machine = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    Some(Registers { pc: machine.pc as usize, sp: machine.sp as usize, fp: machine.regs[FP] as usize })
}
