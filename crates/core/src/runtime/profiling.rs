//! Starting and stopping the profiler. A file of its own, as neither threads nor the profiler's floor know both.

use super::thread::{Thread, current_theap};
use crate::profile;
use crate::theap::Theap;

/// Takes a sample per `rate_bytes` bytes from now on; 0 stops. This thread follows at once, others when they next see to
/// their theaps. Answers the rate before.
pub fn profile_at(rate_bytes: usize) -> usize {
    let before = profile::set_rate(rate_bytes);
    let theap = current_theap();
    if !theap.is_empty_theap() {
        Thread::of(theap).for_each_theap(Theap::follow_profiler);
    }
    before
}
