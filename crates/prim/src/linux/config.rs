//! What this machine, this kernel and this process' limits are.

use super::file::{leading_number, read_line};
use crate::errno::quiet;
use crate::mem::{Access, MemConfig, ThpMode};
use crate::platform::USER_VA_BITS;
use crate::unix::mem::address_limit_bytes;

#[cold]
pub(crate) fn detect() -> MemConfig {
    let os_page_bytes = os_page_bytes();
    MemConfig {
        os_page_bytes,
        map_unit_bytes: os_page_bytes,
        large_page_bytes: large_page_bytes(os_page_bytes),
        physical_bytes: physical_bytes(),
        va_bits: va_bits(),
        overcommits: overcommits(),
        address_limit_bytes: address_limit_bytes(),
        thp: thp_mode(),
        reserves_addresses: true,
    }
}

/// As the kernel told at the start. `sysconf` says the same, but its table is two OS pages of the C library that nothing else
/// at a program's start touches.
fn os_page_bytes() -> usize {
    // SAFETY: takes and returns a number.
    match quiet(|| unsafe { libc::getauxval(libc::AT_PAGESZ) }) {
        0 => crate::unix::mem::os_page_bytes(),
        bytes => bytes as usize,
    }
}

/// What one entry of the second level of page tables spans: a table is one OS page of 8-byte entries.
/// 32-bit machines differ among each other.
fn large_page_bytes(os_page_bytes: usize) -> usize {
    if usize::BITS == 64 { os_page_bytes * (os_page_bytes / 8) } else { 0 }
}

/// By the system call: the C library's `sysconf` may read `/proc` through allocating streams.
fn physical_bytes() -> usize {
    // SAFETY: integers only: all zero is a value.
    let mut info: libc::sysinfo = unsafe { core::mem::zeroed() };
    // SAFETY: a place for the result, which stays zero in case of an error.
    quiet(|| unsafe { libc::sysinfo(&mut info) });
    (info.totalram as usize).saturating_mul(info.mem_unit as usize)
}

fn overcommits() -> bool {
    let mut buf = [0; 16];
    let mode = leading_number(read_line(c"/proc/sys/vm/overcommit_memory", &mut buf));
    !matches!(mode, Some((2, _)))
}

fn thp_mode() -> ThpMode {
    let mut buf = [0; 64];
    parse_thp_mode(read_line(c"/sys/kernel/mm/transparent_hugepage/enabled", &mut buf))
}

/// The choice in brackets, of `always [madvise] never`.
fn parse_thp_mode(text: &[u8]) -> ThpMode {
    match text.split(|byte| matches!(byte, b'[' | b']')).nth(1) {
        Some(b"always") => ThpMode::Always,
        Some(b"madvise") => ThpMode::Madvise,
        _ => ThpMode::Never,
    }
}

/// x86-64 has 47 bits for every process that does not ask for more. Other kernels are built for one of several widths: the
/// initial stack lies at the top of the address space, which tells; where it does not (emulators), try a high address.
fn va_bits() -> u32 {
    if cfg!(target_arch = "x86_64") || usize::BITS < 64 {
        return USER_VA_BITS;
    }
    let by_stack = width_of(stack_address());
    if by_stack >= USER_VA_BITS || !reaches(USER_VA_BITS) { by_stack.min(USER_VA_BITS) } else { USER_VA_BITS }
}

fn width_of(address: usize) -> u32 {
    usize::BITS - address.leading_zeros()
}

/// An address in the initial stack, from the auxiliary vector.
fn stack_address() -> usize {
    // SAFETY: takes and returns numbers.
    quiet(|| unsafe { libc::getauxval(libc::AT_RANDOM) }) as usize
}

/// Whether the kernel maps something in the upper half of a space of that width when asked to.
fn reaches(bits: u32) -> bool {
    let bytes = os_page_bytes();
    let Ok(p) = super::mem::map(1 << (bits - 1), bytes, Access::None) else {
        return false;
    };
    // SAFETY: mapped just now, used by nobody.
    let _ = unsafe { super::mem::unmap(p, bytes) };
    width_of(p.addr()) == bits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thp_modes() {
        assert_eq!(parse_thp_mode(b"[always] madvise never\n"), ThpMode::Always);
        assert_eq!(parse_thp_mode(b"always [madvise] never\n"), ThpMode::Madvise);
        assert_eq!(parse_thp_mode(b"always madvise [never]\n"), ThpMode::Never);
        assert_eq!(parse_thp_mode(b""), ThpMode::Never);
    }

    #[test]
    fn the_width_of_addresses_is_measured() {
        assert_eq!(width_of(0), 0);
        assert_eq!(width_of(usize::MAX >> 17), usize::BITS - 17);
        assert!(width_of(stack_address()) <= USER_VA_BITS);
        assert!(usize::BITS < 64 || reaches(46) && !reaches(49) || !cfg!(target_arch = "x86_64"));
    }

    #[test]
    fn facts_are_plausible() {
        let config = detect();
        assert!(config.os_page_bytes.is_power_of_two() && config.os_page_bytes >= 4096);
        assert!(config.physical_bytes > 64 << 20);
        assert!(config.address_limit_bytes > 16 << 20);
        assert_eq!(config, detect(), "detection repeats");
    }
}
