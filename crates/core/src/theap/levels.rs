//! A theap's levels, and what follows from them: which pages it makes, and whether `malloc` has to ask.

use super::queue::Direct;
use super::theap::Theap;
use crate::diag::ErrorKind;
use crate::heap::{adopt_orphans_first, check_page, preserved};
use crate::options::{self, Hardening};
use crate::os::tool_hooks;
use crate::page::{Owned, Page};

impl Theap {
    /// What `malloc`'s table has.
    pub(super) fn direct(&self) -> Direct {
        match () {
            () if !self.is_instrumented() => Direct::Plain,
            () if !self.is_only_hardened() => Direct::Hidden,
            () if self.style().pads => Direct::Padded,
            () => Direct::Plain,
        }
    }

    /// What the table has may have changed.
    pub(super) fn show_direct(&self) {
        self.queues.show(self.direct());
    }

    /// Starts or stops as the profiler has.
    #[inline]
    pub fn follow_profiler(&self) {
        if self.sampling.is_behind() {
            self.change_sampling();
        }
    }

    #[cold]
    #[inline(never)]
    fn change_sampling(&self) {
        // Visiting ends `Flag::Lifo`: such a page would not come to the slow path. None begins it while the own countdown is 0.
        self.for_each_page(|_| {});
        self.sampling.follow(self.heap().profiling().rate());
        self.instrumentation.set_profiled(self.is_profiled());
        if self.is_hardened() {
            self.show_direct();
        }
        self.until_tick.set(0);
        self.sampling.set_until_tick(0);
    }

    /// Makes a fresh page what the theap's pages are; false without memory for its table.
    pub(super) fn prepare_page(&self, page: &Owned) -> bool {
        !self.is_hardened() || check_page(page, self.instrumentation.draw_secrets(), self.style(), self.levels())
    }

    /// Asks once more what holds, if that was not known. Pages that don't suit are abandoned.
    #[inline]
    pub fn decide_levels(&'static self) {
        if self.instrumentation.is_undecided()
            && let Some(levels) = options::hardening()
        {
            self.decided(levels);
        }
    }

    #[cold]
    fn decided(&'static self, levels: Hardening) {
        if levels.checks() {
            adopt_orphans_first();
            self.abandon_all();
        }
        self.instrumentation.instrument_at(levels, self.heap());
        self.show_direct();
    }

    /// Guards one of `rate` eligible allocations from now on (0: none); `seed` determines which, 0 leaves that to chance.
    pub fn sample_guarded(&self, rate: usize, seed: usize) {
        self.instrumentation.sample_guarded(rate, seed);
        self.show_direct();
    }

    /// Verifies that nobody has written to the free blocks of its pages, where the levels want that.
    pub fn audit(&self) {
        if !self.levels().audits() {
            return;
        }
        let _quiet = tool_hooks::quiet();
        self.for_each_page(|page| {
            let table = page.has_block_table().then(|| page.block_table());
            if table.is_some_and(|table| table.style().verifies && !table.is_void()) {
                page.for_each_free_hardened(|block| audit_free(page, block));
            }
        });
    }
}

fn audit_free(page: &Page, block: *mut u8) {
    tool_hooks::reached(block, page.block_bytes());
    // SAFETY: the block is free, and its page the theap's.
    let damage = unsafe { page.filled(block, preserved(page).1).verify() };
    if let Some(at) = damage {
        page.report(ErrorKind::WriteAfterFree, block, at);
    }
    tool_hooks::put_away(block, page.block_bytes());
}
