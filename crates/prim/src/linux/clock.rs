//! Linux clocks: the coarse one reads a variable that the kernel updates at every tick, without a system call.

pub(crate) use crate::unix::clock::{epoch_nanos, fine_nanos};

pub(crate) fn coarse_nanos() -> u64 {
    crate::unix::clock::nanos_of(libc::CLOCK_MONOTONIC_COARSE)
}

/// Since the machine started, sleeping or not: what the start times of processes count from.
pub(crate) fn nanos_since_boot() -> u64 {
    crate::unix::clock::nanos_of(libc::CLOCK_BOOTTIME)
}
