//! Statistics: as a table (`mi_stats_t`), as text, as JSON. They cost nothing until they are asked for; then all pages
//! are walked (`ferrimalloc_core::runtime`, `gather`).

use core::ffi::{c_char, c_void};
use core::{ptr, slice};

use ferrimalloc_core::alloc;
use ferrimalloc_core::diag::{DefaultOutput, HookOutput, Output, OutputFn};
use ferrimalloc_core::heap::{Heap, Subproc};
use ferrimalloc_core::os;
use ferrimalloc_core::runtime;
use ferrimalloc_core::stats::{RawStats, stats_bin_size};
use ferrimalloc_prim::process;
use ferrimalloc_report as report;

use super::export;
use super::subprocs::find;
use super::types::{HeapPtr, SubprocId};

/// Calls `print` with an output function, or with the registered output.
pub fn with_output(out: Option<OutputFn>, arg: *mut c_void, print: impl FnOnce(&mut dyn Output)) {
    match out {
        Some(out) => print(&mut HookOutput::new(out, arg)),
        None => print(&mut DefaultOutput),
    }
}

/// A heap's statistics. Null is no heap here: those of the main heap have to be asked for.
fn of_heap(heap: *const Heap) -> Option<RawStats> {
    runtime::with_heap(heap, runtime::heap_stats)
}

fn own() -> &'static Subproc {
    runtime::current_subproc()
}

fn print_process_of(out: &mut dyn Output, stats: &RawStats) {
    report::print_process(out, &process::info(), stats.committed.peak, os::numa_nodes());
}

fn print_subproc(out: &mut dyn Output, subproc: &Subproc) {
    let stats = runtime::subproc_stats(subproc);
    report::print_stats(out, "subproc", &stats);
    print_process_of(out, &stats);
}

fn print_heap(out: &mut dyn Output, heap: *const Heap) {
    let Some((is_main, stats)) = runtime::with_heap(heap, |heap| (heap.is_main(), runtime::heap_stats(heap))) else {
        return;
    };
    report::print_stats(out, if is_main { "heap (main)" } else { "heap" }, &stats);
}

/// Writes JSON to the caller's buffer, cut where that ends, or to a block of ours.
///
/// # Safety
/// `buf` is null or has `size` bytes.
unsafe fn json(stats: &RawStats, size: usize, buf: *mut c_char) -> *mut c_char {
    let process = process::info();
    let (size, buf) = match buf.is_null() {
        false => (size, buf),
        true => {
            let bytes = report::stats_json_bytes(stats, &process);
            (bytes, alloc::malloc(bytes).cast())
        }
    };
    if !buf.is_null() {
        // SAFETY: the precondition, or a block of that size; it is only written.
        let buffer = unsafe {
            ptr::write_bytes(buf, 0, size);
            slice::from_raw_parts_mut(buf.cast(), size)
        };
        report::stats_json_into(stats, &process, buffer);
    }
    buf
}

export! {
    /// Prints this thread's sub-process's statistics; a thread has none of its own here.
    fn mi_thread_stats_print_out(out: Option<OutputFn>, arg: *mut c_void) {
        mi_stats_print_out(out, arg);
    }

    /// Counts from here: totals and peaks become what there is now.
    fn mi_stats_reset() {
        runtime::reset_stats(own());
    }

    /// Hands over what this thread has counted for itself, so that others see it.
    fn mi_stats_merge() {
        runtime::hand_over_counts();
    }

    /// Prints statistics on the registered output. `out` is ignored.
    fn mi_stats_print(out: *mut c_void) {
        let _ = out;
        mi_stats_print_out(None, ptr::null_mut());
    }

    /// Gives the statistics of this thread's sub-process, with all its heaps, to `out` line by line; null means the
    /// registered output.
    fn mi_stats_print_out(out: Option<OutputFn>, arg: *mut c_void) {
        with_output(out, arg, |out| print_subproc(out, own()));
    }

    /// A heap's own statistics. False, and nothing is written, for a null or unknown heap, or a table of another
    /// version.
    fn mi_heap_stats_get(of: HeapPtr, stats: *mut RawStats) -> bool {
        of_heap(of).is_some_and(|found| found.write_to(stats))
    }

    /// A heap's own statistics as JSON: in `buf`, cut where it ends, or in a block to be freed if that is null. Null for
    /// a null or unknown heap, or without memory.
    fn mi_heap_stats_get_json(of: HeapPtr, buf_size: usize, buf: *mut c_char) -> *mut c_char {
        of_heap(of).map_or(ptr::null_mut(), |found| json(&found, buf_size, buf))
    }

    /// Gives a heap's own statistics to `out`.
    fn mi_heap_stats_print_out(of: HeapPtr, out: Option<OutputFn>, arg: *mut c_void) {
        with_output(out, arg, |out| print_heap(out, of));
    }

    /// A sub-process's statistics with those of its heaps. False as for [`mi_heap_stats_get`].
    fn mi_subproc_stats_get(subproc_id: SubprocId, stats: *mut RawStats) -> bool {
        find(subproc_id).is_some_and(|subproc| runtime::subproc_stats(subproc).write_to(stats))
    }

    /// The same as JSON, as for [`mi_heap_stats_get_json`].
    fn mi_subproc_stats_get_json(subproc_id: SubprocId, buf_size: usize, buf: *mut c_char) -> *mut c_char {
        find(subproc_id).map_or(ptr::null_mut(), |subproc| json(&runtime::subproc_stats(subproc), buf_size, buf))
    }

    /// Gives a sub-process's statistics, with those of its heaps, to `out`.
    fn mi_subproc_stats_print_out(subproc_id: SubprocId, out: Option<OutputFn>, arg: *mut c_void) {
        if let Some(subproc) = find(subproc_id) {
            with_output(out, arg, |out| print_subproc(out, subproc));
        }
    }

    /// Gives a sub-process's statistics to `out`, and then those of each of its heaps.
    fn mi_subproc_heap_stats_print_out(subproc_id: SubprocId, out: Option<OutputFn>, arg: *mut c_void) {
        if let Some(subproc) = find(subproc_id) {
            with_output(out, arg, |out| {
                print_subproc(out, subproc);
                runtime::visit_heaps(subproc, |heap| {
                    print_heap(out, heap);
                    true
                });
            });
        }
    }

    /// The statistics of this thread's sub-process with those of its heaps. False for a table of another version.
    fn mi_stats_get(stats: *mut RawStats) -> bool {
        runtime::subproc_stats(own()).write_to(stats)
    }

    /// The same as JSON, as for [`mi_heap_stats_get_json`].
    fn mi_stats_get_json(buf_size: usize, buf: *mut c_char) -> *mut c_char {
        json(&runtime::subproc_stats(own()), buf_size, buf)
    }

    /// Moves what a heap has counted so far to its sub-process.
    fn mi_heap_stats_merge_to_subproc(of: HeapPtr) {
        runtime::with_heap(of, |heap| runtime::merge_heap_stats(heap, heap.subproc().arenas().stats()));
    }

    /// A sub-process's statistics without those of its heaps.
    fn mi_subproc_stats_get_exclusive(subproc_id: SubprocId, stats: *mut RawStats) -> bool {
        find(subproc_id).is_some_and(|subproc| runtime::subproc_stats_exclusive(subproc).write_to(stats))
    }

    /// A table as JSON, as for [`mi_heap_stats_get_json`]; null for one of another version.
    fn mi_stats_as_json(stats: *mut RawStats, buf_size: usize, buf: *mut c_char) -> *mut c_char {
        RawStats::read_from(stats).map_or(ptr::null_mut(), |stats| json(&stats, buf_size, buf))
    }

    /// The largest block that a bin of the table counts; 0 for numbers that are no bin.
    fn mi_stats_get_bin_size(bin: usize) -> usize {
        stats_bin_size(bin)
    }
}
