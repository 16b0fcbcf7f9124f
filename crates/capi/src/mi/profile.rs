//! mimalloc 3.6's `mimalloc-profile.h`: the profiler.
//!
//! There is one profiler, which is built in; a handle of `mi_pprof_profiler_new` names a set of settings for it. A profiler that a
//! program writes itself, with callbacks, is refused.

use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char, c_void};
use core::ptr;

use ferrimalloc_core::diag;
use ferrimalloc_core::profile;
use ferrimalloc_core::sync::{AtomicBool, AtomicPtr, Lock, Ordering};
use ferrimalloc_profile as session;
use ferrimalloc_profile::{Intervals, Settings};

use super::args::heap_or_main;
use super::export;
use super::types::{HeapPtr, SubprocId};

/// As in the header. The callbacks of the built-in profiler are null.
#[repr(C)]
pub struct Profiler {
    reserved: *mut c_void,
    sample_data_size: usize,
    initial_sample_rate: usize,
    callbacks: [*const c_void; 4],
}

const NAME_BYTES: usize = 1024;
/// How many there can be at a time.
const HANDLES: usize = 8;

/// A profiler of ours, and its settings.
#[repr(C)]
struct BuiltIn {
    head: UnsafeCell<Profiler>,
    settings: Lock<Chosen>,
}

// SAFETY: nobody writes to the head, which is there for its address.
unsafe impl Sync for BuiltIn {}

#[derive(Clone, Copy)]
struct Chosen {
    is_taken: bool,
    name: [u8; NAME_BYTES],
    length: usize,
    rate_bytes: usize,
    intervals: Intervals,
}

static BUILT_IN: [BuiltIn; HANDLES] = [const {
    let head = Profiler {
        reserved: ptr::null_mut(),
        sample_data_size: 0,
        initial_sample_rate: 0,
        callbacks: [ptr::null(); 4],
    };
    let intervals = Intervals { allocated_bytes: 0, in_use_bytes: 0, seconds: 0 };
    let chosen = Chosen { is_taken: false, name: [0; NAME_BYTES], length: 0, rate_bytes: 0, intervals };
    BuiltIn { head: UnsafeCell::new(head), settings: Lock::new(chosen) }
}; HANDLES];
/// The one that is attached.
static ATTACHED: AtomicPtr<Profiler> = AtomicPtr::new(ptr::null_mut());
/// Whether it has been started. It runs once both are so.
static IS_STARTED: AtomicBool = AtomicBool::new(false);

fn find(profiler: *mut Profiler) -> Option<&'static BuiltIn> {
    let found = BUILT_IN.iter().find(|built_in| ptr::eq(built_in.head.get(), profiler));
    if found.is_none() && !profiler.is_null() {
        diag::warning(|line| _ = line.text("a profiler with callbacks of its own is not supported"));
    }
    found.filter(|built_in| built_in.settings.lock().is_taken)
}

fn take(settings: &Settings<'_>) -> Option<*mut Profiler> {
    let name = settings.name.unwrap_or(b"");
    profile::in_child(after_fork);
    BUILT_IN.iter().find_map(|built_in| {
        let mut chosen = built_in.settings.lock();
        if chosen.is_taken || name.len() > NAME_BYTES {
            return None;
        }
        chosen.is_taken = true;
        chosen.name[..name.len()].copy_from_slice(name);
        chosen.length = name.len();
        (chosen.rate_bytes, chosen.intervals) = (settings.rate_bytes, settings.intervals);
        Some(built_in.head.get())
    })
}

/// In the child of a fork: another thread may have been looking at settings.
fn after_fork() {
    // SAFETY: there is no other thread. Settings that a thread was just making are those of a profiler that nobody has.
    BUILT_IN.iter().for_each(|built_in| unsafe { built_in.settings.reinit() });
}

/// Runs what is attached and started.
fn run(built_in: &BuiltIn) {
    // Held for no longer than it takes to read: others start a session of their own meanwhile, and the process forks.
    let chosen = *built_in.settings.lock();
    let name = Some(&chosen.name[..chosen.length]).filter(|name| !name.is_empty());
    session::start(&Settings { name, rate_bytes: chosen.rate_bytes, intervals: chosen.intervals });
}

/// Attaches a profiler where `choose` says; null detaches the one that is. False if another is attached.
fn attach(profiler: *mut Profiler, choose: impl FnOnce() -> bool) -> bool {
    if profiler.is_null() {
        session::stop();
        IS_STARTED.store(false, Ordering::Relaxed);
        ATTACHED.store(ptr::null_mut(), Ordering::Relaxed);
        return true;
    }
    let before = ATTACHED.load(Ordering::Relaxed);
    if find(profiler).is_none() || !before.is_null() && before != profiler || !choose() {
        return false;
    }
    ATTACHED.store(profiler, Ordering::Relaxed);
    true
}

export! {
    /// A profiler that writes files named after `base_file_name` (null: none), at intervals in bytes allocated, in bytes in use, and in
    /// seconds (0: never). One sample per `initial_threshold` bytes; 0: as option `profile_sample_rate` says. Null if there are too many.
    fn mi_pprof_profiler_new(initial_threshold: usize, base_file_name: *const c_char, alloc_interval_size: usize, inuse_interval_size: usize, time_interval_secs: usize) -> *mut Profiler {
        let name = (!base_file_name.is_null()).then(|| CStr::from_ptr(base_file_name).to_bytes());
        let intervals = Intervals {
            allocated_bytes: alloc_interval_size as u64,
            in_use_bytes: inuse_interval_size as u64,
            seconds: time_interval_secs as u64,
        };
        take(&Settings { name, rate_bytes: initial_threshold, intervals }).unwrap_or(ptr::null_mut())
    }

    /// Ends a profiler, which is stopped and detached if need be.
    fn mi_pprof_profiler_delete(profiler: *mut Profiler) {
        if let Some(built_in) = find(profiler) {
            if ATTACHED.load(Ordering::Relaxed) == profiler {
                attach(ptr::null_mut(), || true);
            }
            built_in.settings.lock().is_taken = false;
        }
    }

    /// Attaches a profiler to all heaps of the process; null detaches.
    fn mi_profile(profiler: *mut Profiler) -> bool {
        attach(profiler, || {
            profile::choose_all();
            true
        })
    }

    /// As [`mi_profile`]: the profiler is the process's.
    fn mi_subproc_profile(subproc_id: SubprocId, profiler: *mut Profiler) -> bool {
        !subproc_id.subproc.is_null() && mi_profile(profiler)
    }

    /// Attaches a profiler to one heap, and others for which that is said.
    fn mi_heap_profile(heap: HeapPtr, profiler: *mut Profiler) -> bool {
        attach(profiler, || heap_or_main(heap).is_some_and(|heap| heap.profiling().choose()))
    }

    /// No profiler looks at the heap from now on.
    fn mi_heap_profile_disable(heap: HeapPtr) {
        if let Some(heap) = heap_or_main(heap) {
            heap.profiling().refuse();
        }
    }

    /// Starts sampling, if the profiler is attached; tells whether it was started before.
    fn mi_profiler_start(profiler: *mut Profiler) -> bool {
        let Some(built_in) = find(profiler).filter(|_| ATTACHED.load(Ordering::Relaxed) == profiler) else { return false };
        let was_started = IS_STARTED.swap(true, Ordering::Relaxed);
        if !was_started {
            run(built_in);
        }
        was_started
    }

    /// Ends sampling; tells whether the profiler was running.
    fn mi_profiler_stop(profiler: *mut Profiler) -> bool {
        let is_ours = find(profiler).is_some() && ATTACHED.load(Ordering::Relaxed) == profiler;
        is_ours && IS_STARTED.swap(false, Ordering::Relaxed) && session::stop()
    }

    /// Writes the next file. One thread at a time does; others return.
    fn mi_profiler_snapshot(profiler: *mut Profiler) {
        if find(profiler).is_some() && ATTACHED.load(Ordering::Relaxed) == profiler {
            session::snapshot();
        }
    }
}
