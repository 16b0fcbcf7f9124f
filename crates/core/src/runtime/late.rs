//! Threads that allocate though nobody will tell us of their end any more.
//!
//! The C library runs the destructors of a thread's slots in a few rounds. One that comes behind ours in the last round, and
//! allocates, makes a theap that nobody would end. So a thread that starts again after its end is *late*: it is on a list
//! here, and ended by somebody else who finds that it has gone. Threads are late, too, where the C library had no slot for us.
//!
//! # How it is seen that a thread has gone
//! Its word (`theap_word`) is no longer the one that is noted here: the C library has given its memory to another thread, or
//! unmapped it. A late thread that lives changes the note with the word, under the lock. Until then, what it left stays: no
//! more of it than there are stacks kept for threads to come.
//!
//! A late thread owns pages by a number that is no thread's id. So a thread that is given the same id never takes them for its
//! own, and there is nobody to disturb when they are seen to.

use core::cell::Cell;
use core::ptr;

use super::theap_word;
use crate::base::{Linked, Links, List};
use crate::sync::{AtomicUsize, Lock, Ordering, fence};
use ferrimalloc_prim::futex::Seen;

/// Numbers that are no thread's id, neither an address nor counted from 1.
const FIRST_NUMBER: usize = 1 << (usize::BITS - 2);
const NUMBER_STEP: usize = 16;
/// How many threads are looked at at a time.
const LOOKS: usize = 8;

static FRESH: u64 = 1;
static ENDED: u64 = 2;
static NUMBERS: AtomicUsize = AtomicUsize::new(0);
/// Those who were looked at least recently come first. Held over `fork`.
pub(super) static LIST: Lock<List<Entry>> = Lock::new(List::new());
static LISTED: AtomicUsize = AtomicUsize::new(0);

// Whether the thread has ended once: `FRESH` or `ENDED`.
ferrimalloc_prim::tls_word!(mod phase_word, init = super::FRESH);

/// What a thread has here.
pub(super) struct Entry {
    tid: Cell<usize>,
    /// Its word, as long as it lives.
    word: Cell<*const ()>,
    /// Whose it is, for the caller.
    handle: Cell<*const ()>,
    links: Links,
    is_listed: Cell<bool>,
}

// SAFETY: an entry is written by its thread, or under the list's lock.
unsafe impl Sync for Entry {}

impl Linked for Entry {
    fn links(&self) -> &Links {
        &self.links
    }
}

/// From now on this thread is late.
pub(super) fn note_ended() {
    phase_word::set((&raw const ENDED).cast_mut().cast());
}

/// Whether this thread has ended already.
pub(super) fn has_ended() -> bool {
    ptr::eq(phase_word::get(), (&raw const ENDED).cast())
}

/// For a late thread to own pages by.
pub(super) fn number() -> usize {
    FIRST_NUMBER + NUMBERS.fetch_add(NUMBER_STEP, Ordering::Relaxed) % FIRST_NUMBER
}

impl Entry {
    pub fn reset(&self) {
        self.is_listed.set(false);
    }

    /// By the thread that is called `tid` and whose word is `word` now.
    pub fn enter(&'static self, tid: usize, word: *const (), handle: *const ()) {
        self.tid.set(tid);
        self.word.set(word);
        self.handle.set(handle);
        self.is_listed.set(true);
        LIST.lock().push_back(self);
        LISTED.fetch_add(1, Ordering::Relaxed);
    }

    /// By the thread, before its word changes for good.
    pub fn leave(&'static self) {
        if self.is_listed.replace(false) {
            LIST.lock().remove(self);
            LISTED.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Changes the thread's word to `word` by `set`; by the thread.
    pub fn change_word(&self, word: *const (), set: impl FnOnce()) {
        if !self.is_listed.get() {
            return set();
        }
        let _nobody_looks = LIST.lock();
        self.word.set(word);
        set();
    }
}

/// A late thread that has gone, by its handle: to be ended by the caller, who alone is given it.
pub(super) fn take_gone() -> Option<*const ()> {
    if LISTED.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let list = LIST.lock();
    for _ in 0..LOOKS {
        let entry = list.first()?;
        list.remove(entry);
        if has_gone(entry) {
            entry.is_listed.set(false);
            LISTED.fetch_sub(1, Ordering::Relaxed);
            // ORDERING: acquire: what the thread wrote came before its end, which we have seen.
            fence(Ordering::Acquire);
            return Some(entry.handle.get());
        }
        list.push_back(entry);
    }
    None
}

fn has_gone(entry: &Entry) -> bool {
    matches!(theap_word::look(entry.tid.get(), entry.word.get().addr()), Seen::Other | Seen::Gone)
}

/// After all memory has been released: no thread has ever been late.
pub(super) fn forget() {
    LIST.lock().clear();
    LISTED.store(0, Ordering::Relaxed);
}

/// In the child of a fork: nobody is late but this thread, if it is (`mine`).
pub(super) fn after_fork(mine: Option<&'static Entry>) {
    let list = LIST.lock();
    list.clear();
    let mine = mine.filter(|mine| mine.is_listed.get());
    mine.into_iter().for_each(|mine| list.push_back(mine));
    LISTED.store(usize::from(mine.is_some()), Ordering::Relaxed);
}
