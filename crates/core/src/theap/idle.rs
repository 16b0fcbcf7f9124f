//! A thread that is about to wait gives back what it holds without need, since nobody else can: its pages are its own.
//!
//! All of it costs what the thread needs next: its pages have to be made anew, and their memory has to be touched again. So a
//! thread does it when it idles, but if it idles again and again, only a few times in a while; beyond that, idling is a tick. A file of
//! its own: the program asks for it, and no slow path does.

use ferrimalloc_prim::clock;

use super::theap::Theap;
use crate::base::Force;

/// How often per purge delay all is given back.
const PER_DELAY: u64 = 16;
/// The least time between two of these, on average, in milliseconds.
const LEAST_MILLIS: u64 = 4;

/// What a shortage of memory makes a thread give back costs so many times the milliseconds that it takes.
const SHORTAGE_COST: u64 = 3;
/// And so much may be taken ahead of time.
const SHORTAGE_MILLIS_AT_ONCE: u64 = 3000;

/// How many more than one may come at once, after a while without any.
const BURST: u64 = 15;

/// What a thread did that idles.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idled {
    /// Nothing but a tick's work.
    Ticked,
    /// It has given back what it could.
    GaveBack,
}

impl Theap {
    /// Where the process has come near the kernel's limit on its memory since the last time, the same is done as when the thread idles.
    #[inline]
    pub fn economise(&self) {
        let shortages = self.heap().subproc().arenas().shortages();
        if shortages != self.shortages.get() {
            self.give_back_for_shortage(shortages);
        }
    }

    /// Takes a second at once at most, and a quarter of the thread's time.
    #[cold]
    fn give_back_for_shortage(&self, shortages: usize) {
        let start = clock::now_millis();
        let may = self.heap().subproc().arenas().purge_delay().is_some();
        if may && self.for_shortages.take(start, 1, SHORTAGE_MILLIS_AT_ONCE) {
            self.shortages.set(shortages);
            self.give_back();
            self.for_shortages.charge(SHORTAGE_COST * clock::now_millis().saturating_sub(start));
        }
    }

    /// The thread is about to wait: what it has gathered for others is handed over, its empty pages go, and what is empty of
    /// sparse ones.
    pub fn idle(&self) -> Idled {
        let Some(delay) = self.heap().subproc().arenas().purge_delay() else { return self.tick_idly() };
        let between = (delay / PER_DELAY).max(LEAST_MILLIS);
        if !self.allowance.take(clock::now_millis(), between, BURST * between) {
            return self.tick_idly();
        }
        self.give_back();
        Idled::GaveBack
    }

    fn tick_idly(&self) -> Idled {
        self.flush_remote();
        self.upkeep();
        Idled::Ticked
    }

    /// Releases every page that is empty, and gives back what is empty of those that are sparse.
    fn give_back(&self) {
        self.batch.flush();
        self.expire_retired(Force::All);
        self.for_each_page(|page| self.release_or_punch(page, Force::Routine));
        self.heap().ask_again();
        self.hand_over_counts();
    }
}
