//! What is printed when the process starts and ends.

use ferrimalloc_core::diag::DefaultOutput;
use ferrimalloc_core::os;
use ferrimalloc_core::runtime::{self, Reports};
use ferrimalloc_prim::process;

use super::{print_options, print_process, print_stats};

static REPORTS: Reports = Reports { at_start: || print_options(&mut DefaultOutput), at_end };

ferrimalloc_prim::at_load!(at_load);

#[cold]
extern "C" fn at_load() {
    runtime::register_reports(&REPORTS);
}

fn at_end() {
    let stats = runtime::subproc_stats(runtime::main_subproc());
    print_stats(&mut DefaultOutput, "subproc 0 (main)", &stats);
    print_process(&mut DefaultOutput, &process::info(), stats.committed.peak, os::numa_nodes());
}
