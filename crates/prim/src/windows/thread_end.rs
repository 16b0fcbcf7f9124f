//! What happens when a thread ends: the loader calls the functions in the image's table of thread-local storage, and ours calls
//! the destructors of slots, as pthreads do.
//!
//! The table is made of sections `.CRT$XLA` to `.CRT$XLZ`, sorted by name, by the linkers of mingw and Microsoft alike. Ours
//! comes late, behind the destructors of Rust's and C++'s thread-local variables of the same image, which may free. In a
//! program, which the loader tells last, nothing comes after it. (Callbacks of `FlsAlloc` would come first of all.)

use super::key::{Destructor, Place};
use crate::errno::Errno;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

type Callback = unsafe extern "system" fn(*mut c_void, u32, *mut c_void);

#[used]
// SAFETY: the loader takes each word of this section for a function of this type.
#[unsafe(link_section = ".CRT$XLY")]
static CALLBACK: Callback = on_event;

unsafe extern "C" {
    /// The C runtime's directory of the table; who names it gets it linked.
    static _tls_used: u8;
}

const DLL_THREAD_DETACH: u32 = 3;
/// As many as pthreads give.
const ROUNDS: usize = 4;

struct End {
    place: AtomicUsize,
    /// A [`Destructor`], as an address. Written before `place`.
    destructor: AtomicUsize,
}

static ENDS: [End; 32] = [const { End { place: AtomicUsize::new(0), destructor: AtomicUsize::new(0) } }; 32];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Has `destructor` called in threads that end with a value in the slot. `EAGAIN` if there is no room for it.
pub(super) fn register(place: Place, destructor: Destructor) -> Result<(), Errno> {
    // SAFETY: both are there: these reads are what makes the linker keep them.
    unsafe { ((&raw const CALLBACK).read_volatile(), (&raw const _tls_used).read_volatile()) };
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let Some(end) = ENDS.get(number) else {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        return Err(Errno::EAGAIN);
    };
    end.destructor.store(destructor as usize, Ordering::Relaxed);
    // ORDERING: releases the destructor to `End::run`.
    end.place.store(place.0, Ordering::Release);
    Ok(())
}

unsafe extern "system" fn on_event(_module: *mut c_void, reason: u32, _reserved: *mut c_void) {
    if reason == DLL_THREAD_DETACH {
        let _ = (0..ROUNDS).take_while(|_| run_all()).count();
    }
}

/// Whether there was anything to run.
fn run_all() -> bool {
    ENDS.iter().filter(|end| end.run()).count() > 0
}

impl End {
    fn run(&self) -> bool {
        // ORDERING: acquires what `register` released.
        let place = Place(self.place.load(Ordering::Acquire));
        let value = place.read();
        if value.is_null() {
            return false;
        }
        place.write(ptr::null_mut());
        let destructor: *const () = ptr::with_exposed_provenance(self.destructor.load(Ordering::Relaxed));
        // SAFETY: what `register` was given, for values of this slot.
        unsafe { core::mem::transmute::<*const (), Destructor>(destructor)(value) };
        true
    }
}
