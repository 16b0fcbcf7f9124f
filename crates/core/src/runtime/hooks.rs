//! What the C library is told about us, and what we do when it calls: when we are loaded, and at the process's end. (For
//! threads' ends see `thread`, for forks `fork`.)
//!
//! At the end the statistics are printed and all memory is released, if the options say so. How statistics and options look
//! is not known here: the crate `ferrimalloc-report` registers what prints them.

use core::ffi::c_void;

use ferrimalloc_prim::{load, pin, process as prim_process, thread as prim_thread};

use super::{fork, process, scavenger, subprocs, thread};
use crate::diag;
use crate::options::{self, OptionId};
use crate::os;
use crate::profile;
use crate::sync::{AtomicBool, Left, Ordering, Published};

ferrimalloc_prim::at_load!(at_load);

/// What prints the options and the statistics.
pub struct Reports {
    /// Called when the process has started, where option `verbose` asks for it.
    pub at_start: fn(),
    /// Called when it ends, where option `show_stats` asks for it.
    pub at_end: fn(),
}

static REPORTS: Published<Reports> = Published::new();
/// Whether the process had started before anybody registered `REPORTS`.
static IS_START_UNREPORTED: AtomicBool = AtomicBool::new(false);

/// Has `reports` called from now on: at once, if the process has started and is verbose. When we are loaded.
pub fn register_reports(reports: &'static Reports) {
    REPORTS.publish(reports);
    if IS_START_UNREPORTED.swap(false, Ordering::Relaxed) {
        (reports.at_start)();
    }
}

fn reports() -> Option<&'static Reports> {
    // SAFETY: null, or what `register_reports` was given.
    unsafe { REPORTS.get().as_ref() }
}

/// Tells the C library about us, once, and the user about the options. May allocate.
pub(super) fn ensure_hooks() {
    process::HOOKS.call(|| {
        let _ = prim_thread::register_exit_hook(on_thread_exit);
        if !load::CALLS {
            handle_forks();
        }
        prim_process::at_exit(at_exit);
        announce();
    });
}

/// We have been loaded: the one moment at which no thread is inside of us, no sandbox has been entered yet, and nobody else
/// holds the dynamic linker's lock. Whoever registers fork handlers later has them called outside of ours (see `fork`).
///
/// The first allocation may come earlier (from the dynamic linker, from other libraries' constructors), and then does
/// itself what it needs.
#[cold]
extern "C" fn at_load() {
    handle_forks();
    pin::stay_loaded();
    prim_process::learn();
    process::settle_huge_pages();
}

/// Not from inside an allocation where `at_load` does it: the C library allocates while it registers others' handlers, with a
/// lock held.
fn handle_forks() {
    if !process::HANDLES_FORKS.swap(true, Ordering::Relaxed) {
        prim_process::at_fork(fork::prepare, fork::parent, fork::child);
    }
}

/// Called by the C library when a thread ends that has armed it.
unsafe extern "C" fn on_thread_exit(_armed: *mut c_void) {
    see_to_the_last(thread::end_at_exit());
}

/// Ends this thread as far as the allocator is concerned: its pages are abandoned. It may allocate again.
pub fn thread_done() {
    see_to_the_last(thread::end_current());
}

/// A process lives until its last thread ends: it must not live on for one of ours.
fn see_to_the_last(left: Left) {
    if left == Left::Last {
        scavenger::leave();
    }
}

fn announce() {
    let mut is_verbose = false;
    diag::verbose(|line| {
        is_verbose = true;
        line.text("process started, ").size(os::numa_nodes()).text(" NUMA nodes");
    });
    match reports() {
        Some(reports) if is_verbose => (reports.at_start)(),
        Some(_) => {}
        None => IS_START_UNREPORTED.store(is_verbose, Ordering::Relaxed),
    }
}

extern "C" fn at_exit() {
    process_done();
}

/// Ends the process as far as the allocator is concerned, once: prints statistics (`show_stats`), releases all memory
/// (`destroy_on_exit`). Allocation goes on working; the blocks that there were are gone in the second case.
pub fn process_done() {
    process::DONE.call(|| {
        scavenger::scavenger_stop();
        profile::finish();
        if let Some(reports) = reports().filter(|_| options::is_enabled(OptionId::ShowStats)) {
            (reports.at_end)();
        }
        if options::is_enabled(OptionId::DestroyOnExit) {
            destroy_all();
        }
    });
}

/// Gives all memory back. What the C library's streams keep in blocks of ours is written out before.
fn destroy_all() {
    prim_process::flush_streams();
    thread::forget_threads();
    // SAFETY: what the option asks for: no block is used from here on, and no other thread runs.
    unsafe { subprocs::release_all() };
}
