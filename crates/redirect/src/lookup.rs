//! `GetProcAddress`: who asks for a runtime's function gets ours. Else somebody who has looked up `free` would give our blocks to the
//! runtime; a library that is loaded when it is first needed does so, for one.

use crate::runtimes::instead as instead_of_runtimes;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use ferrimalloc_prim::imports::Module;

type Lookup = unsafe extern "system" fn(*mut c_void, *const u8) -> *const c_void;

/// In `kernelbase.dll`, where programs that ask for a set (`api-ms-win-core-libraryloader-…`) find it, and in `kernel32.dll`, which calls that.
static BASE: AtomicUsize = AtomicUsize::new(0);
static KERNEL: AtomicUsize = AtomicUsize::new(0);

/// Learns where the system's are. By one thread at a time.
pub fn learn() {
    for (file, place) in [(c"kernelbase.dll", &BASE), (c"kernel32.dll", &KERNEL)] {
        let address = Module::kept_by_name(file).and_then(|module| module.export(c"GetProcAddress"));
        place.store(address.unwrap_or(0), Ordering::Relaxed);
    }
}

/// Ours for the system's at an address, and for a runtime's function. For 0, which stands for what isn't known, nothing.
pub fn instead(address: usize) -> Option<usize> {
    if address == 0 {
        return None;
    }
    let is_lookup = [&BASE, &KERNEL].iter().any(|place| place.load(Ordering::Relaxed) == address);
    let ours: Lookup = look_up;
    if is_lookup { Some(ours as usize) } else { instead_of_runtimes(address) }
}

unsafe extern "system" fn look_up(module: *mut c_void, name: *const u8) -> *const c_void {
    // (The one in `kernel32.dll` may come back here, by an import that is ours by now.)
    let known = [&BASE, &KERNEL].map(|place| place.load(Ordering::Relaxed)).into_iter().find(|&address| address != 0);
    let system: *const () = ptr::with_exposed_provenance(known.unwrap_or(0));
    // SAFETY: the functions of that name have this type; one was found, or nobody would get here.
    let found = unsafe { core::mem::transmute::<*const (), Lookup>(system)(module, name) };
    instead(found.expose_provenance()).map_or(found, ptr::with_exposed_provenance)
}
