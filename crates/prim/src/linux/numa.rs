//! NUMA nodes, from `/sys` and `getcpu`.

use super::file::{leading_number, read_line};
use crate::errno::quiet;
use core::ptr;

pub(crate) fn detect_node_count() -> usize {
    let mut buf = [0; 512];
    highest_in_list(read_line(c"/sys/devices/system/node/online", &mut buf)) + 1
}

/// The highest number in a list such as `0-3,7`; 0 if it is empty.
fn highest_in_list(list: &[u8]) -> usize {
    let numbers = list.split(|byte| !byte.is_ascii_digit()).filter_map(leading_number);
    numbers.map(|(number, _)| number).max().unwrap_or(0)
}

pub(crate) fn current_node() -> usize {
    let (mut cpu, mut node) = (0u32, 0u32);
    // SAFETY: places for two numbers; the third argument is unused since Linux 2.6.24.
    quiet(|| unsafe { libc::syscall(libc::SYS_getcpu, &mut cpu, &mut node, ptr::null_mut::<u8>()) });
    node as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(highest_in_list(b"0\n"), 0);
        assert_eq!(highest_in_list(b"0-3\n"), 3);
        assert_eq!(highest_in_list(b"0,2-11,5\n"), 11);
        assert_eq!(highest_in_list(b""), 0);
    }
}
