//! POSIX clocks.

/// The monotonic clock in nanoseconds.
pub(crate) fn fine_nanos() -> u64 {
    nanos_of(libc::CLOCK_MONOTONIC)
}

/// Since 1970.
pub(crate) fn epoch_nanos() -> u64 {
    nanos_of(libc::CLOCK_REALTIME)
}

/// Portable systems have one monotonic clock.
pub(crate) fn coarse_nanos() -> u64 {
    fine_nanos()
}

/// Reads a clock; 0 if there is no such clock.
pub(crate) fn nanos_of(clock: libc::clockid_t) -> u64 {
    // SAFETY: integers only: all zero is a value.
    let mut time: libc::timespec = unsafe { core::mem::zeroed() };
    // SAFETY: a place for the result.
    let _ = crate::errno::zero_or_errno(|| unsafe { libc::clock_gettime(clock, &mut time) });
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unknown_clock_reads_as_zero() {
        assert_eq!(super::nanos_of(9999), 0);
        assert!(super::coarse_nanos() > 0);
    }
}
