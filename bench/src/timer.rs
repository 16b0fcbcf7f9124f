//! Times one call: the monotonic clock, less what reading it costs.

use std::time::Instant;

pub struct Timer {
    /// The least that an empty measurement took.
    own_nanos: u64,
}

const CALIBRATIONS: usize = 10_000;

impl Timer {
    pub fn calibrated() -> Self {
        let raw = Timer { own_nanos: 0 };
        let least = (0..CALIBRATIONS).map(|_| raw.time(|| ()).0).min();
        Timer { own_nanos: least.unwrap_or(0) }
    }

    /// Nanoseconds that `call` took, and its result.
    #[inline(always)]
    pub fn time<T>(&self, call: impl FnOnce() -> T) -> (u64, T) {
        let start = Instant::now();
        let result = call();
        let nanos = start.elapsed().as_nanos() as u64;
        (nanos.saturating_sub(self.own_nanos), result)
    }
}
