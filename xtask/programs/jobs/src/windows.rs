//! The working set as Windows tells it.

use std::ffi::c_void;

/// `PROCESS_MEMORY_COUNTERS`.
#[repr(C)]
#[derive(Default)]
struct Counters {
    bytes: u32,
    page_faults: u32,
    peak_working_set: usize,
    working_set: usize,
    others: [usize; 6],
}

#[link(name = "kernel32")]
unsafe extern "system" {
    fn GetCurrentProcess() -> *mut c_void;
    fn K32GetProcessMemoryInfo(process: *mut c_void, counters: *mut Counters, bytes: u32) -> i32;
}

pub fn working_set_kib() -> usize {
    let (mut counters, bytes) = (Counters::default(), size_of::<Counters>() as u32);
    // SAFETY: a place for the result, with its size.
    assert!(unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, bytes) } != 0);
    counters.working_set / 1024
}
