//! Faults, by signal handlers that call those that were there.

use core::cell::UnsafeCell;
use core::ffi::{c_int, c_void};
use core::mem::{self, MaybeUninit};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use libc::{SIG_DFL, SIG_IGN, sigaction, siginfo_t};

use crate::errno::quiet;
use crate::fault::Look;
use crate::platform::context;

/// Linux sends the first for inaccessible memory, others the second.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
/// What a program's handler has asked for, and ours therefore has, too.
const KEPT_FLAGS: c_int = libc::SA_NODEFER | libc::SA_RESTART;

/// What there was before, for each signal.
struct Earlier(UnsafeCell<[MaybeUninit<sigaction>; SIGNALS.len()]>);

// SAFETY: written by the only call of `watch`, before the handler is installed that reads it.
unsafe impl Sync for Earlier {}

static EARLIER: Earlier = Earlier(UnsafeCell::new([const { MaybeUninit::uninit() }; SIGNALS.len()]));
static LOOK: AtomicPtr<()> = AtomicPtr::new(ptr::null_mut());

/// Called once.
pub(crate) fn watch(look: Look) {
    LOOK.store(look as *mut (), Ordering::Relaxed);
    quiet(|| (0..SIGNALS.len()).for_each(install));
}

fn install(index: usize) {
    let mut earlier = MaybeUninit::<sigaction>::zeroed();
    // SAFETY: integers only, and a place for them; the place in `EARLIER` is written before anybody reads it.
    unsafe {
        if libc::sigaction(SIGNALS[index], ptr::null(), earlier.as_mut_ptr()) != 0 {
            return;
        }
        let mut ours = earlier.assume_init();
        (*EARLIER.0.get())[index] = earlier;
        ours.sa_sigaction = handle as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
        ours.sa_flags = ours.sa_flags & KEPT_FLAGS | libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(SIGNALS[index], &ours, ptr::null_mut());
    }
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: a signal handler's arguments.
    let (is_fault, address) = unsafe { ((*info).si_code > 0, (*info).si_addr() as usize) };
    if is_fault {
        // SAFETY: what `watch` was given.
        let look: Look = unsafe { mem::transmute(LOOK.load(Ordering::Relaxed)) };
        // SAFETY: as above.
        quiet(|| look(address, unsafe { context::registers(context) }));
    }
    pass_on(signal, info, context, is_fault);
}

/// Does what would have been done without us.
fn pass_on(signal: c_int, info: *mut siginfo_t, context: *mut c_void, is_fault: bool) {
    let Some(index) = SIGNALS.iter().position(|&known| known == signal) else { return };
    // SAFETY: written before this handler was installed.
    let earlier = unsafe { (*EARLIER.0.get())[index].assume_init() };
    match earlier.sa_sigaction {
        SIG_IGN if !is_fault => (),
        SIG_DFL | SIG_IGN => end_by(signal, is_fault),
        handler if earlier.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the program's handler, of this type.
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = unsafe { mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: as above.
            let handler: extern "C" fn(c_int) = unsafe { mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// The default, as soon as the handler returns: the instruction faults again, or the signal that somebody sent comes again.
fn end_by(signal: c_int, is_fault: bool) {
    // SAFETY: an action that is all zero is the default one.
    unsafe {
        libc::sigaction(signal, &mem::zeroed(), ptr::null_mut());
        if !is_fault {
            libc::raise(signal);
        }
    }
}
