//! A thread of the allocator's own, by pthreads.

use crate::errno::{Errno, quiet};
use core::ffi::{c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;
use libc::{pthread_attr_t, pthread_t, sigset_t};

/// Enough for a few frames, and for the thread-local variables of most programs, which lie there too.
const STACK_BYTES: usize = 128 << 10;

/// Starts a thread; its `pthread_t` as a number.
pub(crate) fn start(work: extern "C" fn()) -> Result<usize, Errno> {
    // A thread inherits its maker's mask.
    let before = change_mask(&all_signals());
    let started = create_small(work).or_else(|_| create(ptr::null(), work));
    change_mask(&before);
    started.map(|pthread| pthread as usize)
}

pub(crate) fn yield_now() {
    // SAFETY: takes nothing; never fails.
    quiet(|| unsafe { libc::sched_yield() });
}

pub(crate) fn join(pthread: usize) {
    // SAFETY: made by `start` and not waited for before (`ServiceThread`).
    quiet(|| unsafe { libc::pthread_join(pthread as pthread_t, ptr::null_mut()) });
}

fn all_signals() -> sigset_t {
    let mut all = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: integers only: all zero is a value; the function fills it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        all.assume_init()
    }
}

/// Sets the calling thread's mask; the one before.
fn change_mask(mask: &sigset_t) -> sigset_t {
    let mut before = MaybeUninit::<sigset_t>::zeroed();
    // SAFETY: integers only, and places for them.
    unsafe {
        libc::pthread_sigmask(libc::SIG_SETMASK, mask, before.as_mut_ptr());
        before.assume_init()
    }
}

fn create_small(work: extern "C" fn()) -> Result<pthread_t, Errno> {
    let mut attributes = MaybeUninit::<pthread_attr_t>::uninit();
    let attr = attributes.as_mut_ptr();
    // SAFETY: initialised before use, and destroyed after it.
    unsafe {
        ok(libc::pthread_attr_init(attr))?;
        libc::pthread_attr_setstacksize(attr, STACK_BYTES);
        let started = create(attr, work);
        libc::pthread_attr_destroy(attr);
        started
    }
}

/// `attr` is null or initialised.
fn create(attr: *const pthread_attr_t, work: extern "C" fn()) -> Result<pthread_t, Errno> {
    let mut pthread = MaybeUninit::<pthread_t>::zeroed();
    // SAFETY: `run` takes a function as its argument; numbers come back.
    unsafe {
        ok(libc::pthread_create(pthread.as_mut_ptr(), attr, run, work as *mut c_void))?;
        Ok(pthread.assume_init())
    }
}

extern "C" fn run(work: *mut c_void) -> *mut c_void {
    // SAFETY: what `create` gave.
    let work: extern "C" fn() = unsafe { mem::transmute(work) };
    work();
    ptr::null_mut()
}

fn ok(code: c_int) -> Result<(), Errno> {
    if code == 0 { Ok(()) } else { Err(Errno(code)) }
}
