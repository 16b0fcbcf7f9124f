//! The scavenger: a thread of the allocator's own that gives idle memory back, so that no call that frees has to.
//!
//! By default it starts by itself in a process with threads that has something to give back. The option
//! [`Scavenge`](crate::options::Option::Scavenge) (`MIMALLOC_SCAVENGE=0`, `1`, `auto`) decides; here a program does
//! it by hand. It sleeps without a timer while there is nothing to do, blocks all signals, and ends with the process.
//!
//! ```
//! use ferrimalloc::scavenger;
//!
//! assert!(scavenger::start() && scavenger::runs());
//! scavenger::stop();
//! assert!(!scavenger::runs());
//! ```

use ferrimalloc_core::runtime;

/// Starts it, whatever the option says. True if there is one now; false if no thread can be had.
#[doc(alias = "mi_scavenger_start")]
pub fn start() -> bool {
    runtime::scavenger_start()
}

/// Ends it and waits until it is gone. None starts by itself from then on.
#[doc(alias = "mi_scavenger_stop")]
pub fn stop() {
    runtime::scavenger_stop();
}

/// Whether there is one.
pub fn runs() -> bool {
    runtime::scavenger_runs()
}

/// Does one of its rounds, here and now: for event loops and thread pools without a scavenger. True if memory is left
/// that waits to be given back.
///
/// ```
/// drop(vec![1_u8; 64 << 20]);
/// ferrimalloc::scavenger::step();
/// ```
#[doc(alias = "mi_scavenger_step")]
pub fn step() -> bool {
    runtime::scavenger_step()
}
