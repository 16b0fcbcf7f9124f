//! What the C library is told about us, and what we do when it calls: when we are loaded, and at the process's end. (For
//! threads' ends see `thread`, for forks `fork`.)
//!
//! At the end the statistics are printed and all memory is released, if the options say so.

use ferrimalloc_prim::{load, pin, process as prim_process, thread as prim_thread};

use super::{fork, gather, process, scavenger, subprocs, thread};
use crate::diag::{self, DefaultOutput, Level};
use crate::options::{self, OptionId};
use crate::os;
use crate::profile;
use crate::report;
use crate::sync::Ordering;

ferrimalloc_prim::at_load!(at_load);

/// Tells the C library about us, once, and the user about the options. May allocate.
pub(super) fn ensure_hooks() {
    process::hooks().call(|| {
        let _ = prim_thread::register_exit_hook(thread::on_thread_exit);
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
    if !process::handles_forks().swap(true, Ordering::Relaxed) {
        prim_process::at_fork(fork::prepare, fork::parent, fork::child);
    }
}

fn announce() {
    let mut is_verbose = false;
    diag::verbose(Level::Events, |line| {
        is_verbose = true;
        line.text("process started, ").size(os::numa_nodes()).text(" NUMA nodes");
    });
    if is_verbose {
        report::print_options(&mut DefaultOutput);
    }
}

extern "C" fn at_exit() {
    process_done();
}

/// Ends the process as far as the allocator is concerned, once: prints statistics (`show_stats`), releases all memory
/// (`destroy_on_exit`). Allocation goes on working; the blocks that there were are gone in the second case.
pub fn process_done() {
    process::end().call(|| {
        scavenger::close();
        profile::finish();
        if options::is_enabled(OptionId::ShowStats) {
            print_process_stats();
        }
        if options::is_enabled(OptionId::DestroyOnExit) {
            destroy_all();
        }
    });
}

fn print_process_stats() {
    let stats = gather::subproc_stats(process::main_subproc());
    report::print_stats(&mut DefaultOutput, "subproc 0 (main)", &stats);
    report::print_process(&mut DefaultOutput, &prim_process::info(), stats.committed.peak, os::numa_nodes());
}

/// Gives all memory back. What the C library's streams keep in blocks of ours is written out before.
fn destroy_all() {
    prim_process::flush_streams();
    thread::forget_threads();
    // SAFETY: what the option asks for: no block is used from here on, and no other thread runs.
    unsafe { subprocs::release_all() };
}
