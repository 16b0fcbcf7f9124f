//! `ferrimalloc_redirect.dll`: when it is loaded into a Windows program, what the program and its libraries import as `malloc`, `free`, … from a
//! C runtime is ours from then on. `ferrimalloc-run` starts a program with it. Nothing else is needed, and nothing of
//! the program's files changes.
//!
//! * `runtimes`: the C runtimes, and what their functions are.
//! * `functions`: ours, which give a block that isn't ours to the runtime's.
//! * `lookup`: `GetProcAddress`, which answers with ours, too.
//! * `modules`: who is given them, and when.
//! * `run`: the program that starts others; it has nothing of the allocator.
//!
//! The technique, changing tables of imports, is as old as these tables (M. Pietrek, "Peering Inside the PE", 1994; J. Richter, "Programming Applications for
//! Microsoft Windows", chapter 22). mimalloc comes with a module for the purpose whose source is not published; nothing is taken
//! from it. `docs/PORTING.md` says what can't be reached so.
#![cfg(windows)]
#![no_std]

mod functions;
mod lookup;
mod modules;
mod runtimes;

use core::ffi::c_void;
use core::sync::atomic::Ordering;
// The `mi_…` functions are exported, too.
use ferrimalloc_capi as capi;
use ferrimalloc_prim::{output, pin, process};

const DLL_PROCESS_ATTACH: u32 = 1;

/// Called by the loader, with its lock held.
#[unsafe(no_mangle)]
extern "system" fn DllMain(_module: *mut c_void, reason: u32, _reserved: *mut c_void) -> i32 {
    if reason == DLL_PROCESS_ATTACH {
        // Functions of ours are about to be everywhere.
        pin::stay_loaded();
        capi::REDIRECTED.store(true, Ordering::Relaxed);
        modules::redirect();
    }
    1
}

/// In how many places functions of a runtime were replaced by ours, until now.
#[unsafe(no_mangle)]
extern "C" fn ferrimalloc_redirected_imports() -> usize {
    modules::count()
}

/// Nothing here panics; a bug that does must not unwind into C.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    output::write_stderr(b"ferrimalloc: error: internal invariant violated\n");
    process::abort()
}
