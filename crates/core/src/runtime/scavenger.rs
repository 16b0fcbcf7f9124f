//! The scavenger: a thread of our own that purges what is idle, so that nobody's `free` has to.
//!
//! Option `scavenge` decides: never, by default; as soon as there is something to purge; or only in a process that has
//! more than one thread by then and no limit on its addresses. It is started by a tick of a thread that allocates, and has its rounds while there
//! is more unused memory than the floor; then it sleeps without a timer until a release rings for it (`sync::Bell`).
//! While there is one, releases purge only what a limit on memory forbids to keep, or if it does not keep up.
//!
//! A process lives until its last thread ends, and ours is one: where the others end by `pthread_exit`, nobody calls `exit`. So the last
//! of the threads that use us has it leave, and waits until it is gone: then that thread ends the process, as it would have
//! without us. A thread that has been told to end (`late`) starts none.
//!
//! It is not the default, for what can't be known: a filter of system calls may kill for `clone`, and for the question
//! whether there is a filter. And some things can only be done by a process with one thread (user namespaces; CPython warns at
//! `fork`), which may be one again after it has had more.
//!
//! It holds no lock for which another thread's exit, fork or allocation waits, but `WORKING` while it works, for which
//! only `fork` and a step by hand wait. So it can be waited for anywhere. It never allocates. The child of a fork has
//! none until a tick there starts one.

use ferrimalloc_prim::thread::{ServiceThread, name_current};
use ferrimalloc_prim::{mem, process};

use super::main_subproc;
use super::subprocs::each_subproc_unless_locked;
use crate::arena::{ArenaSet, scavenger_bell};
use crate::heap::unlock;
use crate::options::{self, OptionId};
use crate::sync::Lock;

/// How long it waits between rounds, in milliseconds: memory that comes and goes more quickly is left alone.
const ROUND_MILLIS: u32 = 60;
/// After so many rounds it looks whether the kernel's limit on memory has changed: a second.
const ROUNDS_PER_LOOK: usize = 16;
/// After so many rounds in which nothing could be purged it waits to be called.
const VAIN_ROUNDS: u32 = 100;

struct State {
    thread: Option<ServiceThread>,
    /// Nobody is to start one unasked.
    is_closed: bool,
}

/// Held while it is started or stopped.
static CONTROL: Lock<State> = Lock::new(State { thread: None, is_closed: false });
/// Held while somebody scavenges, so that no slices are between two hands when the process forks.
static WORKING: Lock<()> = Lock::new(());

/// By the way: starts the scavenger if it is wanted and not there. Two loads when there is nothing to do.
#[inline]
pub fn consider_scavenger(arenas: &ArenaSet) {
    if !scavenger_bell().is_attended() && arenas.wants_scavenger() {
        start_if_wished(arenas);
    }
}

#[cold]
fn start_if_wished(arenas: &ArenaSet) {
    let (is_wished, life): (bool, extern "C" fn()) = match options::get(OptionId::Scavenge) {
        0 => (false, serve),
        1 => (true, serve_by_name),
        _ => (arenas.stats().threads.current() > 1 && has_room(), serve),
    };
    // Held: by a thread that starts or stops one, or forks; or by this one, which comes here from inside of that.
    if is_wished
        && let Some(mut state) = CONTROL.try_lock()
        && !state.is_closed
    {
        // Where no thread can be had, releases purge, as in a process without one.
        state.is_closed = !start(&mut state, life);
    }
}

/// Where addresses are limited, the program may need those of a stack itself.
fn has_room() -> bool {
    mem::config().address_limit_bytes == usize::MAX
}

fn start(state: &mut State, life: extern "C" fn()) -> bool {
    if !scavenger_bell().attend() {
        return true;
    }
    state.thread = ServiceThread::start(life).ok();
    if state.thread.is_none() {
        scavenger_bell().leave();
    }
    state.thread.is_some()
}

fn dismiss(state: &mut State) {
    scavenger_bell().dismiss();
    if let Some(thread) = state.thread.take() {
        thread.join();
    }
}

/// The last of the threads that use us ends. Whoever has started a scavenger was one of them.
pub(super) fn leave() {
    if scavenger_bell().is_attended() {
        dismiss(&mut CONTROL.lock());
    }
}

/// Starts the scavenger, whatever the option says. True if there is one now.
pub(super) fn start_asked() -> bool {
    let mut state = CONTROL.lock();
    state.is_closed = false;
    start(&mut state, serve_by_name)
}

/// Ends the scavenger and waits until it is gone; there will be none until somebody asks for one.
pub fn scavenger_stop() {
    let mut state = CONTROL.lock();
    state.is_closed = true;
    dismiss(&mut state);
}

/// Whether there is a scavenger.
pub fn scavenger_runs() -> bool {
    scavenger_bell().is_attended()
}

/// What the scavenger does in a round, done here and now: purges what is due and what exceeds the bound. True if
/// memory is left that waits to be purged.
pub fn scavenger_step() -> bool {
    let _alone = WORKING.lock();
    let mut is_left = false;
    each_subproc_unless_locked(|subproc| is_left |= subproc.arenas().scavenge());
    is_left
}

fn has_work() -> bool {
    let mut is_there = false;
    each_subproc_unless_locked(|subproc| is_there |= subproc.arenas().has_much_unused());
    is_there
}

fn purged() -> i64 {
    let stats = main_subproc().arenas().stats();
    stats.purged.get() + stats.reset.get()
}

/// The life of a scavenger that was asked for.
extern "C" fn serve_by_name() {
    name_current(c"ferri-scavenger");
    serve_with(follow_limit);
}

/// The kernel's limit may have been changed. Opens files, which a sandbox may forbid, under pain of death; whoever asks for a scavenger
/// has one that does so.
fn follow_limit() {
    if process::memory_limit_has_changed() {
        let _alone = WORKING.lock();
        each_subproc_unless_locked(|subproc| subproc.arenas().forget_granted());
    }
}

/// The scavenger's life. Of one that nobody asked for, a program that allows only certain system calls may not know: it makes
/// those that the program's own threads make.
extern "C" fn serve() {
    serve_with(|| {});
}

fn serve_with(look_around: fn()) {
    let bell = scavenger_bell();
    let (mut rounds, mut vain_rounds) = (0_usize, 0);
    while !bell.is_dismissed() {
        bell.doze(ROUND_MILLIS);
        if rounds.is_multiple_of(ROUNDS_PER_LOOK) {
            look_around();
        }
        rounds = rounds.wrapping_add(1);
        let before = purged();
        let is_left = scavenger_step();
        vain_rounds = if purged() == before { vain_rounds + 1 } else { 0 };
        if !is_left || vain_rounds > VAIN_ROUNDS {
            bell.sleep_unless(|| vain_rounds <= VAIN_ROUNDS && has_work());
            vain_rounds = 0;
        }
    }
    bell.leave();
}

/// Before a fork.
pub(super) fn lock_all() {
    CONTROL.lock_raw();
    WORKING.lock_raw();
}

/// After it; see [`unlock`].
///
/// # Safety
/// As for that: [`lock_all`] took the locks.
pub(super) unsafe fn unlock_all(child: bool) {
    // SAFETY: the precondition.
    unsafe {
        unlock(&WORKING, child);
        unlock(&CONTROL, child);
    }
}

/// In the child of a fork, which has no scavenger: the thread to be joined is the parent's.
pub(super) fn after_fork() {
    scavenger_bell().leave();
    CONTROL.lock().thread = None;
}
