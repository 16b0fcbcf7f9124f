//! Threads: who am I, and tell me when I end.

use crate::errno::Errno;
use crate::platform;
use crate::platform::key::Key;
use core::ffi::{CStr, c_void};

// One file per way to name a thread; `platform.rs` chooses.
#[allow(dead_code, reason = "only where the target has no thread pointer that we know; tested everywhere")]
pub(crate) mod numbered;
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
pub(crate) mod pointer_aarch64;
#[cfg(all(target_os = "linux", target_arch = "riscv64"))]
pub(crate) mod pointer_riscv64;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) mod pointer_x86_64;
#[cfg(target_family = "wasm")]
pub(crate) mod single;
#[cfg(windows)]
pub(crate) mod teb;

/// A number of the calling thread: never 0, unique among the threads that live, with the low four bits zero.
///
/// It may be used again after the thread has ended. One instruction on x86-64 and aarch64 Linux: the address of the thread
/// control block, which the C library aligns at least as strictly as any thread-local variable; [`tls_word!`](crate::tls_word)
/// is aligned to 16 to that end.
#[inline(always)]
pub fn id() -> usize {
    platform::thread_id::id()
}

/// Whether an id may be given to another thread when its thread has ended.
pub const IDS_COME_AGAIN: bool = platform::thread_id::IDS_COME_AGAIN;

/// Lets other threads run.
pub fn yield_now() {
    platform::service::yield_now();
}

/// A thread of the allocator's own, which must be waited for ([`join`](Self::join)) before the code that it runs goes.
pub struct ServiceThread {
    handle: usize,
}

impl ServiceThread {
    /// Starts a thread that runs `work` with all signals blocked, on a small stack. The C library may allocate here: not to
    /// be called with a lock held that allocation takes.
    ///
    /// Fails where the system has no room for another thread, and always with the feature `sim`.
    pub fn start(work: extern "C" fn()) -> Result<ServiceThread, Errno> {
        if cfg!(feature = "sim") {
            return Err(Errno::EAGAIN);
        }
        platform::service::start(work).map(|handle| ServiceThread { handle })
    }

    /// Waits until it has ended.
    pub fn join(self) {
        platform::service::join(self.handle);
    }
}

/// Names the calling thread, where threads have names; of 15 bytes at most.
pub fn name_current(name: &CStr) {
    platform::process::name_thread(name);
}

/// The calling thread's name, as much of it as the kernel keeps; empty where threads have none. One system call.
pub fn current_name() -> [u8; NAME_BYTES] {
    platform::process::thread_name()
}

/// Room for a thread's name.
pub const NAME_BYTES: usize = 16;

static EXIT: Key = Key::new();

/// Makes `hook(value)` run at the end of every thread that has armed it with a value that is not null.
///
/// Once per process: later calls are `Ok` and change nothing. `EAGAIN` if the C library has no thread slot left. Call it early:
/// the C library keeps the first few slots in the thread's own block and allocates memory for the others.
pub fn register_exit_hook(hook: unsafe extern "C" fn(*mut c_void)) -> Result<(), Errno> {
    EXIT.create(Some(hook))
}

/// Arms the exit hook of the calling thread with `value`; null disarms it. Does nothing if there is no hook.
///
/// The hook starts disarmed. If it is armed again from inside itself or from a later destructor, it runs once more; the C
/// library gives up after a few rounds (4 at least), and what is then armed is lost.
pub fn arm_exit_hook(value: *mut c_void) {
    EXIT.write(value);
}

/// Whether there is a hook to arm.
pub fn has_exit_hook() -> bool {
    EXIT.exists()
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::collections::HashSet;
    use std::sync::{Arc, Barrier};
    use std::vec::Vec;

    /// Checks `id` on threads that all live at the same time.
    fn check_ids(id: fn() -> usize) {
        let everybody = Arc::new(Barrier::new(20));
        let ask = move |everybody: Arc<Barrier>| {
            let mine = id();
            everybody.wait();
            assert_eq!(id(), mine, "an id does not change");
            mine
        };
        let threads: Vec<_> = (0..20)
            .map(|_| {
                let e = everybody.clone();
                std::thread::spawn(move || ask(e))
            })
            .collect();
        let ids: HashSet<usize> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(ids.len(), 20);
        assert!(ids.iter().all(|id| *id != 0 && id % 16 == 0));
    }

    #[cfg(all(unix, not(feature = "sim")))]
    static SEEN: AtomicUsize = AtomicUsize::new(0);

    /// Notes which signals are blocked: bit 0 if `SIGTERM` is, bit 1 that it ran at all, bit 2 its name on Linux.
    #[cfg(all(unix, not(feature = "sim")))]
    extern "C" fn serve() {
        name_current(c"service");
        // SAFETY: integers only, and a question.
        let is_blocked = unsafe {
            let mut mask: libc::sigset_t = core::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, core::ptr::null(), &mut mask);
            libc::sigismember(&mask, libc::SIGTERM) == 1 && libc::sigismember(&mask, libc::SIGPROF) == 1
        };
        let name = std::fs::read_to_string("/proc/thread-self/comm").unwrap_or_default();
        SEEN.store(2 | usize::from(is_blocked) | usize::from(name.trim() == "service") << 2, SeqCst);
    }

    #[test]
    #[cfg(all(unix, not(feature = "sim")))]
    fn a_service_has_all_signals_blocked_and_can_be_waited_for() {
        ServiceThread::start(serve).unwrap().join();
        assert_eq!(SEEN.load(SeqCst), if cfg!(target_os = "linux") { 7 } else { 3 });
        // SAFETY: integers only, and a question.
        let is_blocked_here = unsafe {
            let mut mask: libc::sigset_t = core::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, core::ptr::null(), &mut mask);
            libc::sigismember(&mask, libc::SIGTERM) == 1
        };
        assert!(!is_blocked_here, "the starter's own signals are as they were");
    }

    #[test]
    fn ids_are_unique_aligned_and_stable() {
        check_ids(id);
    }

    #[test]
    fn portable_ids_are_unique_aligned_and_stable() {
        check_ids(numbered::id);
    }

    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static LAST: AtomicUsize = AtomicUsize::new(0);

    /// Records its value and arms itself again with one less.
    unsafe extern "C" fn hook(value: *mut c_void) {
        RUNS.fetch_add(1, SeqCst);
        LAST.store(value as usize, SeqCst);
        arm_exit_hook((value as usize - 1) as *mut c_void);
    }

    fn run(value: usize) -> (usize, usize) {
        RUNS.store(0, SeqCst);
        LAST.store(0, SeqCst);
        std::thread::spawn(move || arm_exit_hook(value as *mut c_void)).join().unwrap();
        (RUNS.load(SeqCst), LAST.load(SeqCst))
    }

    #[test]
    fn the_hook_runs_for_armed_threads_only_and_can_arm_itself() {
        arm_exit_hook(core::ptr::without_provenance_mut(7));
        register_exit_hook(hook).unwrap();
        register_exit_hook(hook).unwrap();
        assert_eq!(run(0), (0, 0));
        assert_eq!(run(1), (1, 1));
        assert_eq!(run(3), (3, 1));
        std::thread::spawn(|| {
            arm_exit_hook(core::ptr::without_provenance_mut(5));
            arm_exit_hook(core::ptr::null_mut())
        })
        .join()
        .unwrap();
        assert_eq!(RUNS.load(SeqCst), 3, "disarmed");
    }
}
