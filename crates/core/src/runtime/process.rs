//! The process: set up by the first allocation, in two steps.
//!
//! The first needs nothing of the C library that could allocate: the page map, the main sub-process, its main heap.
//! The second tells the C library to call us at thread ends, forks and exit; that may allocate, so it happens when the
//! first thread already has its theap.

use ferrimalloc_prim::{mem, process, thread};

use crate::arena::page_map;
use crate::heap::Subproc;
use crate::options::{self, OptionId};
use crate::sync::Once;

static MAIN: Subproc = Subproc::new();
static SETUP: Once = Once::new();
static HOOKS: Once = Once::new();

/// The sub-process of everything that has not been put into another one.
pub fn main_subproc() -> &'static Subproc {
    &MAIN
}

/// Sets the process up if that has not been done. False if there was no memory for it.
pub fn ensure_process() -> bool {
    if MAIN.main_heap().is_none() {
        SETUP.call(setup);
    }
    MAIN.main_heap().is_some()
}

#[cold]
fn setup() {
    let bits = options::get(OptionId::MaxVabits).clamp(0, 64) as u32;
    if !page_map::init(bits) {
        return;
    }
    if options::get(OptionId::AllowThp) == 0 {
        mem::thp_disable_process();
    }
    MAIN.open();
}

/// Tells the C library about us, once. May allocate.
pub(super) fn ensure_hooks() {
    HOOKS.call(|| {
        let _ = thread::register_exit_hook(super::thread::on_thread_exit);
        process::at_fork(super::fork::prepare, super::fork::parent, super::fork::child);
    });
}
