//! Words to valgrind, when the process runs under it: *client requests*.
//!
//! A request is a sequence of instructions that does nothing on a processor (a register is rotated by 128 bits in four steps,
//! then exchanged with itself) and that valgrind's translator knows. The address of six words goes along: the request's
//! number and five arguments. Without valgrind a request costs some ten instructions; on processors that are not named
//! here it is nothing at all.
//!
//! Sequences and numbers are a stable interface, meant to be compiled into programs: valgrind 3.19, `valgrind.h`
//! ("The client requests", `VALGRIND_DO_CLIENT_REQUEST_EXPR`) and `memcheck.h`; explained in the Valgrind User Manual, "The
//! Client Request mechanism", and "Memcheck: a memory error detector", section "Client Requests".

/// `VG_USERREQ__*` of `valgrind.h`.
const MALLOCLIKE_BLOCK: usize = 0x1301;
const FREELIKE_BLOCK: usize = 0x1302;
const RESIZEINPLACE_BLOCK: usize = 0x130b;
const CHANGE_ERR_DISABLEMENT: usize = 0x1801;

/// `VG_USERREQ__*` of `memcheck.h`; each tool's numbers begin at its two letters.
const MAKE_MEM_NOACCESS: usize = TOOL_MC;
const MAKE_MEM_DEFINED: usize = TOOL_MC + 2;
const TOOL_MC: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16;

/// Bytes around a block that valgrind closes by itself: none, the allocator closes more.
const RED_ZONE_BYTES: usize = 0;

/// What a new block holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contents {
    /// Nothing that may be relied on.
    Undefined,
    /// Zeros, which may be read.
    Zeros,
}

/// From now on there is a block of `bytes` bytes at `p`, allocated here.
#[inline]
pub fn block_allocated(p: *const u8, bytes: usize, contents: Contents) {
    request(MALLOCLIKE_BLOCK, [p.addr(), bytes, RED_ZONE_BYTES, usize::from(contents == Contents::Zeros), 0]);
}

/// The block at `p` is freed here. If there is none, that is an error of the program.
#[inline]
pub fn block_freed(p: *const u8) {
    request(FREELIKE_BLOCK, [p.addr(), RED_ZONE_BYTES, 0, 0, 0]);
}

/// The block at `p` has another size.
#[inline]
pub fn block_resized(p: *const u8, old_bytes: usize, new_bytes: usize) {
    request(RESIZEINPLACE_BLOCK, [p.addr(), old_bytes, new_bytes, RED_ZONE_BYTES, 0]);
}

/// Nobody may access this memory.
#[inline]
pub fn memory_closed(p: *const u8, bytes: usize) {
    request(MAKE_MEM_NOACCESS, [p.addr(), bytes, 0, 0, 0]);
}

/// This memory may be accessed, and what it holds is as meant.
#[inline]
pub fn memory_open(p: *const u8, bytes: usize) {
    request(MAKE_MEM_DEFINED, [p.addr(), bytes, 0, 0, 0]);
}

/// Errors of this thread are not reported until [`loud`] has been called as often.
#[inline]
pub fn quiet() {
    request(CHANGE_ERR_DISABLEMENT, [1, 0, 0, 0, 0]);
}

/// Ends what [`quiet`] began.
#[inline]
pub fn loud() {
    request(CHANGE_ERR_DISABLEMENT, [usize::MAX, 0, 0, 0, 0]);
}

/// Makes a request and answers its result, 0 without valgrind.
#[inline]
fn request(number: usize, arguments: [usize; 5]) -> usize {
    let [first, second, third, fourth, fifth] = arguments;
    ask(&[number, first, second, third, fourth, fifth])
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn ask(words: &[usize; 6]) -> usize {
    let mut answer = 0;
    // SAFETY: no instruction changes anything but the flags: `rdi` is rotated by twice its width. Valgrind reads the
    // words, writes `rdx`, and otherwise changes what it knows about memory, not memory.
    unsafe {
        core::arch::asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") words,
            inout("rdx") answer,
            options(nostack),
        );
    }
    answer
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn ask(words: &[usize; 6]) -> usize {
    let mut answer = 0;
    // SAFETY: as for x86-64; `x12` is rotated by twice its width, the answer is written to `x3`.
    unsafe {
        core::arch::asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            inout("x3") answer,
            in("x4") words,
            options(nostack),
        );
    }
    answer
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline]
fn ask(_words: &[usize; 6]) -> usize {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `VG_USERREQ__RUNNING_ON_VALGRIND`.
    const RUNNING_ON_VALGRIND: usize = 0x1001;

    #[test]
    fn requests_do_nothing_on_a_processor() {
        let memory = [7u8; 64];
        block_allocated(memory.as_ptr(), 32, Contents::Zeros);
        block_resized(memory.as_ptr(), 32, 40);
        block_freed(memory.as_ptr());
        memory_closed(memory.as_ptr(), 64);
        memory_open(memory.as_ptr(), 64);
        quiet();
        loud();
        assert_eq!(memory, [7; 64]);
    }

    #[test]
    fn valgrind_answers_if_it_is_there() {
        let is_there = std::env::var_os("LD_PRELOAD").is_some_and(|list| list.to_string_lossy().contains("vgpreload"));
        assert_eq!(request(RUNNING_ON_VALGRIND, [0; 5]) > 0, is_there);
    }

    #[test]
    fn tools_have_their_own_numbers() {
        assert_eq!(MAKE_MEM_NOACCESS, 0x4d43_0000);
    }
}
