//! The calling thread's stack and registers, for those who walk it: where execution is, what memory may be read, and which
//! addresses are certainly stack.
//!
//! A walk must never fault. [`is_readable`] asks the kernel about an address (one system call, which reads eight bytes there);
//! [`top`] tells how far up from the stack pointer memory is that stays mapped as long as the thread runs.

use crate::platform;

// One file per processor; `platform.rs` chooses.
#[cfg(all(target_arch = "aarch64", not(windows)))]
pub(crate) mod registers_aarch64;
#[allow(dead_code, reason = "only where the processor is none that we know")]
pub(crate) mod registers_unknown;
#[cfg(all(target_arch = "x86_64", not(windows)))]
pub(crate) mod registers_x86_64;

/// What a walk starts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    /// The address of the instruction.
    pub pc: usize,
    /// The stack pointer.
    pub sp: usize,
    /// The frame pointer, where the function that runs keeps one.
    pub fp: usize,
}

/// How unwind tables number the registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// The stack pointer's number.
    pub sp: u64,
    /// The frame pointer's.
    pub fp: u64,
    /// That of the column for return addresses.
    pub return_address: u64,
}

/// Of this processor.
pub const NUMBERS: Numbers = platform::registers::NUMBERS;

/// Whether this processor's registers are known here, without which there is nothing to begin a walk with.
pub const CAN_BE_WALKED: bool = platform::registers::CAN_BE_WALKED;

/// Bits of a return address that are not address, such as a signature, removed.
#[inline(always)]
pub fn plain(address: usize) -> usize {
    address & platform::registers::ADDRESS_MASK
}

/// Those of the function that this is inlined into.
#[inline(always)]
pub fn registers() -> Registers {
    platform::registers::here()
}

/// Whether the eight bytes at `address` can be read. One system call; false where the system can't be asked.
pub fn is_readable(address: usize) -> bool {
    platform::stack::is_readable(address)
}

/// The end of the stack that `sp` is in, if it is the one that the thread was started with: all that lies between the two is
/// the thread's stack, or (on a stack of another kind that happens to lie below) memory that has to be asked about.
pub fn top(sp: usize) -> Option<usize> {
    let within = |top: &usize| top.wrapping_sub(sp) < MAX_BYTES;
    platform::stack::main_top().filter(within).or(platform::stack::thread_top().filter(within))
}

/// No stack that is walked is larger. The kernel keeps twice as much free of mappings below the main thread's.
const MAX_BYTES: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_those_of_the_caller() {
        if !CAN_BE_WALKED {
            return;
        }
        let local = 0u64;
        let registers = registers();
        let distance = (&raw const local as usize).abs_diff(registers.sp);
        assert!(distance < 1 << 16, "a variable is {distance} bytes from the stack pointer");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_can_be_read_is_known() {
        let local = 0u64;
        crate::errno::set(crate::Errno::EAGAIN);
        assert!(is_readable(&raw const local as usize));
        assert!(!is_readable(8) && !is_readable(usize::MAX - 7));
        let closed = crate::mem::map(0, 1 << 16, crate::mem::Access::None).unwrap();
        assert!(!is_readable(closed as usize) || cfg!(feature = "sim"));
        assert_eq!(crate::errno::get(), crate::Errno::EAGAIN);
    }

    #[test]
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn stacks_end_above_the_stack_pointer() {
        let check = || {
            let sp = registers().sp;
            let top = top(sp).expect("a stack of the usual kind");
            assert!((sp..top).step_by(4096).all(is_readable), "{sp:x} to {top:x}");
        };
        check();
        std::thread::spawn(check).join().unwrap();
    }
}
