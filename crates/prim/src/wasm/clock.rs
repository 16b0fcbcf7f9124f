//! The host's clocks. Without a host time stands still: nothing waits for it, as no memory is given back.

use crate::platform::wasm_host::{self, Clock};

pub(crate) fn fine_nanos() -> u64 {
    wasm_host::nanos(Clock::Monotonic)
}

pub(crate) fn coarse_nanos() -> u64 {
    fine_nanos()
}

/// Since 1970.
pub(crate) fn epoch_nanos() -> u64 {
    wasm_host::nanos(Clock::Real)
}
