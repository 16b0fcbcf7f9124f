//! The process: what it has used so far, its end, its forks.

use crate::platform;
use core::ffi::c_char;
use core::sync::atomic::{AtomicUsize, Ordering};

/// What the process has used since it started. Fields that the system does not tell are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Wall time since the process started; on systems that do not tell, since the first call of [`info`].
    pub elapsed_msecs: usize,
    /// Processor time in the program.
    pub user_msecs: usize,
    /// Processor time in the kernel.
    pub system_msecs: usize,
    /// Resident memory now, in bytes.
    pub current_rss: usize,
    /// The most resident memory so far, in bytes.
    pub peak_rss: usize,
    /// Page faults that had to read from a device.
    pub page_faults: usize,
    /// Page faults that did not.
    pub minor_page_faults: usize,
}

/// Asks the kernel; a few system calls.
pub fn info() -> ProcessInfo {
    platform::process::info()
}

/// Bytes; [`NOT_READ`], or [`UNLIMITED`].
static LIMIT: AtomicUsize = AtomicUsize::new(NOT_READ);
const NOT_READ: usize = 0;
const UNLIMITED: usize = usize::MAX;

/// How many bytes of memory the process and those in its control group may have together before the kernel kills one of
/// them, or slows it down; `None` without a limit (and on the simulated system). Read at the first call.
pub fn memory_limit() -> Option<usize> {
    let known = LIMIT.load(Ordering::Relaxed);
    let bytes = if known == NOT_READ { read_memory_limit() } else { known };
    (bytes != UNLIMITED).then_some(bytes)
}

/// Reads [`memory_limit`] again, which can change while the process runs. Opens files. True if it is another one.
pub fn memory_limit_has_changed() -> bool {
    let before = LIMIT.load(Ordering::Relaxed);
    read_memory_limit() != before
}

#[cold]
fn read_memory_limit() -> usize {
    let limit = if cfg!(feature = "sim") { None } else { platform::process::memory_limit() };
    let bytes = limit.map_or(UNLIMITED, |bytes| bytes.max(1));
    LIMIT.store(bytes, Ordering::Relaxed);
    bytes
}

/// Finds out now what the allocator will want to know of the machine and of the process, all that it reads files for. Later a
/// sandbox may forbid that, under pain of death.
#[cold]
pub fn learn() {
    let _ = (crate::mem::config(), crate::numa::node_count(), memory_limit());
}

/// Runs `f` when the process exits in an orderly way (or, in a library loaded by `dlopen`, when it is unloaded).
pub fn at_exit(f: extern "C" fn()) {
    platform::process::at_exit(f);
}

/// Runs `prepare` before every `fork`, then `parent` in the parent and `child` in the child, all in the forking thread.
/// Handlers of later registrations prepare earlier. The C library may allocate here: not to be called with a lock held.
pub fn at_fork(prepare: extern "C" fn(), parent: extern "C" fn(), child: extern "C" fn()) {
    platform::process::at_fork(prepare, parent, child);
}

/// Writes out what the C library's streams hold back.
pub fn flush_streams() {
    platform::process::flush_streams();
}

/// The process's number.
pub fn id() -> u32 {
    platform::process::id()
}

/// Room for any path that [`real_path`] gives.
pub const PATH_BYTES: usize = 4096;

/// The absolute path of a file in `buf`, without links where the system has any; false where there is no such file, or no such
/// function. Sets `errno`.
///
/// # Safety
/// `name` is null or a string; `buf` has [`PATH_BYTES`] bytes.
pub unsafe fn real_path(name: *const c_char, buf: *mut c_char) -> bool {
    // SAFETY: the caller's promise.
    unsafe { platform::process::real_path(name, buf) }
}

/// Ends the process with `SIGABRT`.
pub fn abort() -> ! {
    platform::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_limit_is_read_again_when_asked_for() {
        let limit = memory_limit();
        LIMIT.store(12345, Ordering::Relaxed);
        assert_eq!(memory_limit(), Some(12345), "known");
        assert!(memory_limit_has_changed());
        assert_eq!(memory_limit(), limit);
    }

    #[test]
    fn usage_grows_with_use() {
        let before = info();
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(120) {
            core::hint::spin_loop();
        }
        let after = info();
        assert!(after.user_msecs + after.system_msecs >= before.user_msecs + before.system_msecs + 30);
        assert!(after.elapsed_msecs >= before.elapsed_msecs + 100);
        assert!(after.elapsed_msecs < 3_600_000);
        assert!(after.current_rss > 100 << 10 && after.peak_rss >= after.current_rss);
        assert!(after.minor_page_faults > 0 || cfg!(windows), "wine counts none");
    }

    #[cfg(unix)]
    mod forks {
        use super::*;
        use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

        static PREPARED: AtomicUsize = AtomicUsize::new(0);
        static PARENT: AtomicUsize = AtomicUsize::new(0);
        static CHILD: AtomicUsize = AtomicUsize::new(0);

        extern "C" fn prepare() {
            PREPARED.fetch_add(1, Relaxed);
        }
        extern "C" fn parent() {
            PARENT.fetch_add(1, Relaxed);
        }
        extern "C" fn child() {
            CHILD.fetch_add(1, Relaxed);
        }

        #[test]
        fn fork_handlers_run_on_their_side() {
            at_fork(prepare, parent, child);
            // SAFETY: the child calls nothing but `_exit`.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                let right = PREPARED.load(Relaxed) > 0 && CHILD.load(Relaxed) == 1;
                // SAFETY: ends the child at once.
                unsafe { libc::_exit(if right { 0 } else { 1 }) }
            }
            let mut status = -1;
            // SAFETY: our own child and a place for its status.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert_eq!(status, 0, "the child saw its handlers run once");
            // Other tests fork, too.
            assert!(PREPARED.load(Relaxed) > 0 && PARENT.load(Relaxed) > 0);
            assert_eq!(CHILD.load(Relaxed), 0);
        }

        extern "C" fn say_goodbye() {
            // SAFETY: ends the process with a status that tells that this ran.
            unsafe { libc::_exit(42) }
        }

        #[test]
        fn exit_handlers_run_at_exit() {
            // SAFETY: the child registers a handler and exits, without returning to the test harness.
            let pid = unsafe { libc::fork() };
            if pid == 0 {
                at_exit(say_goodbye);
                // SAFETY: an orderly exit of the child; our handler, the last registered, runs first and ends it.
                unsafe { libc::exit(0) }
            }
            let mut status = -1;
            // SAFETY: our own child and a place for its status.
            assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
            assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 42);
        }
    }
}
