//! The OS page size of the simulated system: the machine's, or a multiple of it that the environment names.
//!
//! Processors other than x86-64 have kernels with OS pages of 16 and 64 KiB. What would go wrong there goes wrong here: the
//! kernel takes no range that is not whole OS pages of this size, and memory comes and goes by them.

use crate::env;
use crate::mem::MemConfig;
use crate::once::Detected;
use crate::platform::real_mem;

/// The variable that names the size, in bytes.
const VARIABLE: &str = "FERRIMALLOC_SIM_OS_PAGE";

/// The same for the life of the process, as on any machine.
pub(crate) fn bytes() -> usize {
    config().os_page_bytes
}

/// The machine's facts, with OS pages of that size.
pub(crate) fn config() -> &'static MemConfig {
    static CONFIG: Detected<MemConfig> = Detected::new();
    CONFIG.get(detect)
}

#[cold]
fn detect() -> MemConfig {
    let machine = real_mem::detect_config();
    let mut buf = [0; 16];
    match env::get(VARIABLE, &mut buf) {
        Some(text) => with_os_pages(machine, parse(text)),
        None => machine,
    }
}

/// 0, which no machine has, for what is no number.
fn parse(text: &[u8]) -> usize {
    core::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The facts of a machine that differs in the size of its OS pages. A page table is one of them, so what one spans grows by the square.
fn with_os_pages(machine: MemConfig, bytes: usize) -> MemConfig {
    let real = machine.os_page_bytes;
    assert!(bytes.is_power_of_two() && bytes >= real, "{VARIABLE} is a power of two, and {real} at least");
    let times = bytes / real;
    MemConfig {
        os_page_bytes: bytes,
        map_unit_bytes: machine.map_unit_bytes.max(bytes),
        large_page_bytes: machine.large_page_bytes * times * times,
        ..machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_os_pages_make_larger_large_pages() {
        let machine = real_mem::detect_config();
        let larger = with_os_pages(machine, 4 * machine.os_page_bytes);
        assert_eq!(larger.os_page_bytes, 4 * machine.os_page_bytes);
        assert_eq!(larger.large_page_bytes, 16 * machine.large_page_bytes);
        assert_eq!(larger.map_unit_bytes, larger.os_page_bytes);
        assert_eq!(with_os_pages(machine, machine.os_page_bytes), machine);
    }

    #[test]
    fn sizes_are_numbers() {
        assert_eq!((parse(b"16384"), parse(b"16k"), parse(b"")), (16384, 0, 0));
    }
}
