//! Threads that only free: they have no theap, and so nowhere to gather what they free for others.
//!
//! A thread's first such frees are pushed one by one: threads that free a block or two shall not cost a theap. After
//! [`ENOUGH`] of them it is a consumer, and gets a theap, without pages, to gather in. A thread that has ended is no
//! exception: whoever allocates after its end is looked after by [`late`](super::late).
//!
//! A file of its own, since it has a thread-local word of its own. How many there were is how far the thread's word is up the [`STEPS`], so that a thread begins at the first without doing
//! anything.

use core::ptr;

use super::{current_theap, start::live_theap};
use crate::theap::Theap;

/// So many frees of other threads' blocks make a thread worth a theap.
const ENOUGH: usize = 32;

static STEPS: [u8; ENOUGH + 1] = [0; ENOUGH + 1];

ferrimalloc_prim::tls_word!(mod step_word, init = super::STEPS);

/// The theap by which this thread frees a block of another thread's page: its own, or the empty one, which gathers nothing.
#[inline]
pub fn theap_to_free_by() -> &'static Theap {
    let theap = current_theap();
    if theap.is_empty_theap() { count_lone(theap) } else { theap }
}

#[cold]
#[inline(never)]
fn count_lone(empty: &'static Theap) -> &'static Theap {
    match step() {
        ENOUGH => {
            // Without memory, which these frees may bring, it is worth another try after as many.
            go_to(0);
            live_theap().unwrap_or(empty)
        }
        step => {
            go_to(step + 1);
            empty
        }
    }
}

fn step() -> usize {
    step_word::get().addr() - ptr::from_ref(&STEPS).addr()
}

fn go_to(step: usize) {
    step_word::set(ptr::from_ref(&STEPS[step]).cast_mut());
}
