//! Where a signal has interrupted the program: x86-64.

use core::ffi::c_void;

use crate::stack::Registers;

/// # Safety
/// What a signal handler was given.
pub(crate) unsafe fn registers(context: *const c_void) -> Option<Registers> {
    // SAFETY: the precondition.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let of = |number: libc::c_int| registers[number as usize] as usize;
    Some(Registers { pc: of(libc::REG_RIP), sp: of(libc::REG_RSP), fp: of(libc::REG_RBP) })
}
