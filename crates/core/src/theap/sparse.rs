//! Pages of large blocks that are nearly all free again: their memory goes at once.
//!
//! A thread that goes to sleep does not say so, and its pages are its own: nobody else may punch them. So frees of large blocks
//! look: beside the rest of what they cost, a look is cheap. The owner looks after each eighth of a page, and punches it. Another
//! thread, into whose hands blocks come one by one, gives back the inside of each that it frees once much waits for the owner
//! (`remote_free`).
//!
//! The program may need it all again at once. What that can cost is bounded: [`ArenaSet::may_purge_early`](crate::arena::ArenaSet).
//! A file of its own, beside what idling and ticks do: those know that the memory was not needed for some time.

use super::theap::Theap;
use crate::page::{Flag, Owned};

impl Theap {
    /// The thread has freed a block of a page of large ones, and a look is due.
    #[cold]
    pub fn see_to_sparse(&self, page: &'static Owned) {
        let Some(early) = page.early() else { return };
        if early.used == 0 {
            return self.see_to_empty(page);
        }
        let may_go = self.may_punch() && page.is_private();
        if may_go && self.heap().subproc().arenas().may_purge_early(early.free_bytes) {
            self.queues.end_lifo(page);
            self.forget_retired(page);
            self.release_or(page, Owned::punch_early);
        } else {
            page.keep_early(&early);
        }
    }

    /// With [`Flag::Lifo`] nobody has seen it become empty.
    fn see_to_empty(&self, page: &'static Owned) {
        if page.is(Flag::Retired) {
            return;
        }
        self.queues.end_lifo(page);
        if page.collect_is_empty() {
            self.page_emptied(page);
        }
    }
}
