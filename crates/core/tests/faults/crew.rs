//! As many tries at once as there are processors.
//!
//! All are children of the one thread of this process, so that a fork never catches another thread in the middle of
//! something.

use crate::child::{Child, Outcome, Try};
use std::num::NonZero;
use std::thread;

/// Runs all tries; the outcomes are in the tries' order.
pub fn run(tries: Vec<Try>) -> Vec<Outcome> {
    let jobs = thread::available_parallelism().map_or(1, NonZero::get);
    let mut waiting = tries.into_iter().enumerate();
    let mut running: Vec<(usize, Child)> = Vec::new();
    let mut outcomes = Vec::new();
    loop {
        running
            .extend(waiting.by_ref().take(jobs - running.len()).map(|(index, attempt)| (index, Child::start(attempt))));
        if running.is_empty() {
            break;
        }
        outcomes.push(wait_for_one(&mut running));
    }
    outcomes.sort_by_key(|(index, _)| *index);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Waits until any of the children has ended.
fn wait_for_one(running: &mut Vec<(usize, Child)>) -> (usize, Outcome) {
    let mut status = 0;
    // SAFETY: a local; all children of this process are in `running`.
    let pid = unsafe { libc::waitpid(-1, &mut status, 0) };
    let ended = running.iter().position(|(_, child)| child.pid == pid).expect("a child of ours");
    let (index, child) = running.swap_remove(ended);
    (index, child.ended(status))
}
