//! Time that never goes back.

use crate::platform;

/// Milliseconds since some fixed moment; coarse (a few milliseconds) and cheap (no system call on Linux).
pub fn now_millis() -> u64 {
    platform::mem::replaced_millis().unwrap_or_else(|| platform::clock::coarse_nanos() / 1_000_000)
}

/// Nanoseconds since some fixed moment, as fine as the machine has it.
pub fn now_nanos() -> u64 {
    platform::clock::fine_nanos()
}

/// Nanoseconds since 1970, as the machine's clock has it.
pub fn nanos_since_epoch() -> u64 {
    platform::clock::epoch_nanos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn never_goes_back() {
        let mut last = (now_millis(), now_nanos());
        for _ in 0..10_000 {
            let now = (now_millis(), now_nanos());
            assert!(now.0 >= last.0 && now.1 >= last.1);
            last = now;
        }
    }

    #[test]
    fn counts_real_time() {
        let before = (now_millis(), now_nanos());
        std::thread::sleep(Duration::from_millis(60));
        let after = (now_millis(), now_nanos());
        assert!(after.0 - before.0 >= 40, "coarse clocks are off by a tick or two, no more");
        assert!(after.1 - before.1 >= 60_000_000);
    }
}
