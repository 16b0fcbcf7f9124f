//! Being called when the program or library that contains us is loaded.
//!
//! `at_load!(f)` has `f`, an `extern "C" fn()`, called once, before the constructors that a program writes itself
//! (priority 101 and later) in the same program or library. [`CALLS`] tells whether the system has a way to do that; then
//! nothing else needs to call `f`. The C library may not have read the environment yet, and the thread may not have
//! allocated yet.
//!
//! * ELF: an entry in `.init_array.00000`, which every linker sorts before those without a priority.
//! * Apple: an entry in `__mod_init_func`.
//! * Windows: an entry in the image's table of thread-local storage, whose functions the loader calls before the C runtime
//!   begins; also for threads, which is not passed on.

#[doc(hidden)]
#[macro_export]
macro_rules! __at_load_entry {
    ($section:literal, $f:path) => {
        const _: () = {
            #[used]
            // SAFETY: the loader takes each word of this section for a function to call without arguments that it needs.
            #[unsafe(link_section = $section)]
            static ENTRY: extern "C" fn() = $f;
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __at_load_elf {
    ($f:path) => {
        $crate::__at_load_entry!(".init_array.00000", $f);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __at_load_apple {
    ($f:path) => {
        $crate::__at_load_entry!("__DATA,__mod_init_func", $f);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __at_load_windows {
    ($f:path) => {
        const _: () = {
            type Callback = unsafe extern "system" fn(*mut ::core::ffi::c_void, u32, *mut ::core::ffi::c_void);

            const DLL_PROCESS_ATTACH: u32 = 1;

            unsafe extern "system" fn on_event(
                _module: *mut ::core::ffi::c_void,
                reason: u32,
                _reserved: *mut ::core::ffi::c_void,
            ) {
                let load: extern "C" fn() = $f;
                if reason == DLL_PROCESS_ATTACH {
                    load();
                }
            }

            #[used]
            // SAFETY: the loader takes each word of this section for a function of this type.
            #[unsafe(link_section = ".CRT$XLB")]
            static ENTRY: Callback = on_event;
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __at_load_never {
    ($f:path) => {
        const _: extern "C" fn() = $f;
    };
}

/// Whether `at_load!` does anything here.
pub const CALLS: bool = crate::platform::CALLS_AT_LOAD;

#[cfg(test)]
mod tests {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    static LOADED: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn note() {
        LOADED.fetch_add(1, Relaxed);
    }

    crate::at_load!(note);

    #[test]
    fn it_is_called_once_where_the_system_calls() {
        assert_eq!(LOADED.load(Relaxed), usize::from(super::CALLS));
    }
}
