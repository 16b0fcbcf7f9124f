//! Being called when the program or library that contains us is loaded.
//!
//! `at_load!(f)` has `f`, an `extern "C" fn()`, called once, before the constructors that a program writes itself
//! (priority 101 and later) in the same program or library. [`CALLS`] tells whether the system has a way to do that; then
//! nothing else needs to call `f`. The C library may not have read the environment yet, and the thread may not have
//! allocated yet.
//!
//! * ELF: an entry in `.init_array.00000`, which every linker sorts before those without a priority.
//! * Apple: an entry in `__mod_init_func`.

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
macro_rules! __at_load_never {
    ($f:path) => {
        const _: extern "C" fn() = $f;
    };
}

/// Whether `at_load!` does anything here.
pub const CALLS: bool = crate::platform::CALLS_AT_LOAD;
