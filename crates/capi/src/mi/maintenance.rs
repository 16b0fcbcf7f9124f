//! Process, thread, hooks, maintenance.

use core::ffi::{c_int, c_void};

use ferrimalloc_core::alloc::{self, DeferredFreeFn};
use ferrimalloc_core::arena;
use ferrimalloc_core::base::SLICE_BYTES;
use ferrimalloc_core::diag::{self, ErrorFn, OutputFn};
use ferrimalloc_core::os;
use ferrimalloc_core::runtime::{self, LimitFn};
use ferrimalloc_prim::process;
use ferrimalloc_report as report;

use super::args::{force, tell};
use super::export;
use super::stats::with_output;

export! {
    /// Calls `deferred_free(force, heartbeat, arg)` now and then from threads that allocate, for the program to free what
    /// it has put off; null ends that. It may allocate and free, and is not entered again by the same thread meanwhile.
    fn mi_register_deferred_free(deferred_free: Option<DeferredFreeFn>, arg: *mut c_void) {
        alloc::register_deferred_free(deferred_free, arg);
    }

    /// Sends everything that is printed to `out(line, arg)`; null brings standard error back. It must not allocate.
    fn mi_register_output(out: Option<OutputFn>, arg: *mut c_void) {
        diag::register_output(out, arg);
    }

    /// Calls `fun(code, arg)` on errors: `EAGAIN`, `EFAULT`, `EINVAL`, `ENOMEM`, `EOVERFLOW`; null ends that.
    fn mi_register_error(fun: Option<ErrorFn>, arg: *mut c_void) {
        diag::register_error(fun, arg);
    }

    /// Does what is due: deferred frees, empty pages, purging. With `force` everything that can be given back is.
    fn mi_collect(is_forced: bool) {
        alloc::collect(force(is_forced));
    }

    /// Collects, and gives this thread's pages up until it owns at most `target_thread_owned` bytes of them: others may
    /// take them then.
    fn mi_collect_reduce(target_thread_owned: usize) {
        alloc::collect_reduce(target_thread_owned);
    }

    /// The calling thread is about to wait: gives back what it holds without need, for event loops and thread pools. Called again and
    /// again it does so now and then, and else next to nothing. (Not in mimalloc.)
    fn mi_on_thread_idle() {
        alloc::idle();
    }

    /// Limits what the process may have committed to so many bytes, rounded down to 64 KiB; 0: no limit. The same as option
    /// `limit`. What is in use stays, if it is more. (Not in mimalloc.)
    fn mi_process_set_limit(bytes: usize) {
        arena::set_process_limit(bytes);
    }

    /// The limit on what the process may have committed, in bytes; 0: none. (Not in mimalloc.)
    fn mi_process_limit() -> usize {
        arena::process_limit().most().map_or(0, |slices| slices * SLICE_BYTES)
    }

    /// What counts against that limit now, in bytes; counted without a limit, too. (Not in mimalloc.)
    fn mi_process_charged() -> usize {
        arena::process_limit().charged() * SLICE_BYTES
    }

    /// Calls `fun(heap, size, arg)` when a limit refuses memory for `size` bytes, all that could be given back has been, and the
    /// request would fail: the limit of `heap`, or if that is null the process's. If it answers true the request is tried
    /// again, 8 times at most. It may allocate and free; null ends that. (Not in mimalloc.)
    fn mi_register_limit(fun: Option<LimitFn>, arg: *mut c_void) {
        runtime::register_limit_hook(fun, arg);
    }

    /// Starts the scavenger, whatever the option `scavenge` says: a thread that purges what is idle, so that no call that
    /// frees has to. True if there is one now. (Not in mimalloc.)
    fn mi_scavenger_start() -> bool {
        runtime::scavenger_start()
    }

    /// Ends the scavenger and waits until it is gone. None starts by itself from then on. (Not in mimalloc.)
    fn mi_scavenger_stop() {
        runtime::scavenger_stop();
    }

    /// Does what the scavenger does in a round, here and now: for event loops and thread pools without one. True if memory
    /// is left that waits to be purged. (Not in mimalloc.)
    fn mi_scavenger_step() -> bool {
        runtime::scavenger_step()
    }

    /// The version of mimalloc whose interface this is: 30602.
    fn mi_version() -> c_int {
        report::INTERFACE_VERSION
    }

    /// Prints what the process uses of the machine on the registered output.
    fn mi_process_info_print() {
        mi_process_info_print_out(None, core::ptr::null_mut());
    }

    /// The same to `out`.
    fn mi_process_info_print_out(out: Option<OutputFn>, arg: *mut c_void) {
        let committed = committed().peak;
        with_output(out, arg, |out| report::print_process(out, &process::info(), committed, os::numa_nodes()));
    }

    /// Times in milliseconds, memory in bytes, major page faults; each is written where it is wanted. The commit is
    /// this allocator's.
    fn mi_process_info(
        elapsed_msecs: *mut usize, user_msecs: *mut usize, system_msecs: *mut usize, current_rss: *mut usize, peak_rss: *mut usize,
        current_commit: *mut usize, peak_commit: *mut usize, page_faults: *mut usize,
    ) {
        let (info, committed) = (process::info(), committed());
        tell(elapsed_msecs, info.elapsed_msecs);
        tell(user_msecs, info.user_msecs);
        tell(system_msecs, info.system_msecs);
        tell(current_rss, info.current_rss);
        tell(peak_rss, info.peak_rss);
        tell(current_commit, committed.current.max(0) as usize);
        tell(peak_commit, committed.peak.max(0) as usize);
        tell(page_faults, info.page_faults);
    }

    /// Sets the process up. The first allocation does that anyway.
    fn mi_process_init() {
        runtime::live_theap();
    }

    /// Ends the process as far as the allocator is concerned: statistics are printed (`show_stats`), memory is released
    /// (`destroy_on_exit`). Happens at exit anyway, and only once. Allocation goes on working.
    fn mi_process_done() {
        runtime::process_done();
    }

    /// Sets this thread up. Its first allocation does that anyway.
    fn mi_thread_init() {
        runtime::live_theap();
    }

    /// Ends this thread as far as the allocator is concerned: its pages are left to others. It may go on allocating.
    fn mi_thread_done() {
        runtime::thread_done();
    }

    /// Tells that this thread is one of a pool. Has no effect: threads here hold no full pages in any case.
    fn mi_thread_set_in_threadpool() {}
}

fn committed() -> ferrimalloc_core::stats::RawCount {
    runtime::current_subproc().arenas().stats().committed.snapshot()
}
