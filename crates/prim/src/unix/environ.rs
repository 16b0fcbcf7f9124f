//! Where the C library keeps the environment: a null-terminated array of `name=value`.

use core::ffi::c_char;

/// By the variable that POSIX names.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn by_symbol() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: reads a variable of the C library; who calls this accepts that nobody may change the environment meanwhile.
    unsafe { (&raw const environ).read_volatile() }
}

/// By Apple's function.
#[cfg(target_vendor = "apple")]
pub(crate) fn by_call() -> *const *const c_char {
    // SAFETY: returns the address of the variable, which always exists.
    unsafe { (*libc::_NSGetEnviron()).cast() }
}
