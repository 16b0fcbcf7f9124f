//! NUMA nodes, from `get_mempolicy` (or `/sys` where that is forbidden) and `getcpu`.

use super::file::{leading_number, read_line};
use crate::errno::{quiet, zero_or_errno};
use core::ptr;
use libc::{c_int, c_ulong};

/// More nodes than any kernel is built for.
const NODE_MASK_WORDS: usize = 1024 / c_ulong::BITS as usize;

/// `MPOL_F_MEMS_ALLOWED`: the nodes, and not a policy.
const MEMS_ALLOWED: c_ulong = 1 << 2;

/// Counts the nodes that this process may have memory of: a tenth of the time that it takes to read a file.
#[cold]
pub(crate) fn detect_node_count() -> usize {
    let mut mask = [0 as c_ulong; NODE_MASK_WORDS];
    let bits = NODE_MASK_WORDS * c_ulong::BITS as usize;
    let (no_policy, no_address) = (ptr::null_mut::<c_int>(), ptr::null_mut::<u8>());
    // SAFETY: writes to the mask, of that many bits.
    let asked = zero_or_errno(|| unsafe {
        libc::syscall(libc::SYS_get_mempolicy, no_policy, mask.as_mut_ptr(), bits, no_address, MEMS_ALLOWED) as c_int
    });
    let highest = match asked {
        Ok(()) => highest_in_mask(&mask),
        Err(_) => highest_in_list(read_line(c"/sys/devices/system/node/online", &mut [0; 512])),
    };
    highest + 1
}

/// The number of the highest bit that is set; 0 if none is.
fn highest_in_mask(mask: &[c_ulong]) -> usize {
    let word = mask.iter().rposition(|&word| word != 0);
    word.map_or(0, |index| index * c_ulong::BITS as usize + mask[index].ilog2() as usize)
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
    fn masks() {
        assert_eq!(highest_in_mask(&[0, 0]), 0);
        assert_eq!(highest_in_mask(&[1, 0]), 0);
        assert_eq!(highest_in_mask(&[0b1011, 0]), 3);
        assert_eq!(highest_in_mask(&[1, 0b100]), c_ulong::BITS as usize + 2);
    }

    #[test]
    fn both_ways_to_count_agree() {
        let online = highest_in_list(read_line(c"/sys/devices/system/node/online", &mut [0; 512])) + 1;
        assert!((1..=online).contains(&detect_node_count()), "a process may be kept from some nodes");
    }

    #[test]
    fn lists() {
        assert_eq!(highest_in_list(b"0\n"), 0);
        assert_eq!(highest_in_list(b"0-3\n"), 3);
        assert_eq!(highest_in_list(b"0,2-11,5\n"), 11);
        assert_eq!(highest_in_list(b""), 0);
    }
}
