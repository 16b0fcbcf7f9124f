//! Random bytes from the kernel.

use crate::platform;

/// Fills `buf` with random bytes. False, with `buf` in any state, if the kernel has none to give without waiting (early in the
/// boot of a machine) or without opening a file: the caller makes do with addresses and clocks.
pub fn fill(buf: &mut [u8]) -> bool {
    platform::entropy::fill(buf)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ_everywhere() {
        let (mut a, mut b) = ([0u8; 1000], [0u8; 1000]);
        assert!(super::fill(&mut a) && super::fill(&mut b));
        let equal = a.iter().zip(&b).filter(|(x, y)| x == y).count();
        assert!(equal < 40, "expected about 4 of 1000 equal bytes, got {equal}");
        assert!(super::fill(&mut []));
    }

    #[test]
    #[cfg(unix)]
    fn the_portable_source_works_too() {
        let mut buf = [0u8; 600];
        assert!(crate::unix::entropy::fill(&mut buf));
        assert!(buf.chunks(100).all(|part| part.iter().any(|&byte| byte != 0)));
    }
}
