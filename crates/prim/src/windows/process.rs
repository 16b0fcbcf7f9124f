//! The process: what it has used, what its job grants it, its end.

use super::clock::units;
use super::last_error::kept;
use crate::process::ProcessInfo;
use crate::thread::NAME_BYTES;
use core::ffi::{CStr, c_char};
use core::mem::zeroed;
use core::ptr;
use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::JobObjects::{
    JOB_OBJECT_LIMIT_JOB_MEMORY, JOB_OBJECT_LIMIT_PROCESS_MEMORY, JOBOBJECT_EXTENDED_LIMIT_INFORMATION,
    JobObjectExtendedLimitInformation, QueryInformationJobObject,
};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::SystemInformation::GetSystemTimePreciseAsFileTime;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetCurrentProcessId, GetProcessTimes};

const UNITS_PER_MILLI: u64 = 10_000;
const NEVER: FILETIME = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };

/// The system counts page faults of both kinds together: all of them are minor ones here.
pub(crate) fn info() -> ProcessInfo {
    let (memory, times) = kept(|| (memory(), times()));
    ProcessInfo {
        elapsed_msecs: times.elapsed,
        user_msecs: times.user,
        system_msecs: times.system,
        current_rss: memory.WorkingSetSize,
        peak_rss: memory.PeakWorkingSetSize.max(memory.WorkingSetSize),
        page_faults: 0,
        minor_page_faults: memory.PageFaultCount as usize,
    }
}

fn memory() -> PROCESS_MEMORY_COUNTERS {
    let bytes = size_of::<PROCESS_MEMORY_COUNTERS>() as u32;
    // SAFETY: integers only: all zero is a value, which an error leaves; and a place for the result.
    unsafe {
        let mut memory: PROCESS_MEMORY_COUNTERS = zeroed();
        K32GetProcessMemoryInfo(GetCurrentProcess(), &mut memory, bytes);
        memory
    }
}

/// In milliseconds.
struct Times {
    elapsed: usize,
    user: usize,
    system: usize,
}

fn times() -> Times {
    let (mut made, mut ended, mut system, mut user, mut now) = (NEVER, NEVER, NEVER, NEVER, NEVER);
    // SAFETY: places for the results, which an error leaves.
    unsafe {
        GetProcessTimes(GetCurrentProcess(), &mut made, &mut ended, &mut system, &mut user);
        GetSystemTimePreciseAsFileTime(&mut now);
    }
    let millis = |units: u64| (units / UNITS_PER_MILLI) as usize;
    Times {
        elapsed: millis(units(now).saturating_sub(units(made))),
        user: millis(units(user)),
        system: millis(units(system)),
    }
}

/// What the job that the process is in, such as a container, lets it commit.
pub(crate) fn memory_limit() -> Option<usize> {
    let bytes = size_of::<JOBOBJECT_EXTENDED_LIMIT_INFORMATION>() as u32;
    // SAFETY: integers only: all zero is a value; and a place for the result.
    let (limits, found) = kept(|| unsafe {
        let mut limits: JOBOBJECT_EXTENDED_LIMIT_INFORMATION = zeroed();
        let (place, kind) = ((&raw mut limits).cast(), JobObjectExtendedLimitInformation);
        let found = QueryInformationJobObject(ptr::null_mut(), kind, place, bytes, ptr::null_mut());
        (limits, found)
    });
    let flags = limits.BasicLimitInformation.LimitFlags;
    let limit = |flag, bytes| (found != 0 && flags & flag != 0).then_some(bytes);
    let process = limit(JOB_OBJECT_LIMIT_PROCESS_MEMORY, limits.ProcessMemoryLimit);
    let job = limit(JOB_OBJECT_LIMIT_JOB_MEMORY, limits.JobMemoryLimit);
    process.into_iter().chain(job).min()
}

/// Names of threads are of UTF-16 and allocated, so ours have none.
pub(crate) fn name_thread(_name: &CStr) {}

pub(crate) fn thread_name() -> [u8; NAME_BYTES] {
    [0; NAME_BYTES]
}

/// No program gets rights by its file.
pub(crate) fn is_privileged() -> bool {
    false
}

/// By the C runtime, whose handlers run while other threads still do; the loader's run when these have been ended.
pub(crate) fn at_exit(f: extern "C" fn()) {
    // SAFETY: a function that stays as long as this image does; the runtime ties the two together.
    unsafe { libc::atexit(f) };
}

/// There are no forks.
pub(crate) fn at_fork(_prepare: extern "C" fn(), _parent: extern "C" fn(), _child: extern "C" fn()) {}

pub(crate) fn flush_streams() {
    // SAFETY: null stands for all streams.
    unsafe { libc::fflush(ptr::null_mut()) };
}

pub(crate) fn id() -> u32 {
    // SAFETY: takes nothing, returns a number.
    unsafe { GetCurrentProcessId() }
}

/// What callers' buffers have at least: `_MAX_PATH`.
const PATH_BYTES: usize = 260;

/// By the C runtime, in the code page of the process; the file need not exist.
pub(crate) unsafe fn real_path(name: *const c_char, buf: *mut c_char) -> bool {
    unsafe extern "C" {
        fn _fullpath(buf: *mut c_char, name: *const c_char, bytes: usize) -> *mut c_char;
    }
    // SAFETY: the caller's promise (`process::real_path`).
    !name.is_null() && !unsafe { _fullpath(buf, name, PATH_BYTES) }.is_null()
}

pub(crate) fn abort() -> ! {
    // SAFETY: takes nothing and never returns.
    unsafe { libc::abort() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const IN_CHILD: &str = "FERRIMALLOC_TEST_ENDS";

    extern "C" fn say_goodbye() {
        // SAFETY: ends the process with a status that tells that this ran.
        unsafe { windows_sys::Win32::System::Threading::ExitProcess(42) }
    }

    #[test]
    fn exit_handlers_run_at_exit() {
        if std::env::var_os(IN_CHILD).is_some() {
            at_exit(say_goodbye);
            // SAFETY: an orderly end.
            unsafe { libc::exit(0) }
        }
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "windows::process::tests::exit_handlers_run_at_exit"]).env(IN_CHILD, "1");
        assert_eq!(child.status().unwrap().code(), Some(42));
    }

    #[test]
    fn without_a_job_there_is_no_limit() {
        let _ = memory_limit();
        assert!(memory_limit().is_none_or(|bytes| bytes > 1 << 20));
        assert!(id() != 0 && !is_privileged());
    }
}
