//! mimalloc's interface, version 3.6.2, a file per group.
//!
//! What holds for all of them: they may be called from any thread, also before `main`; sizes are in bytes, alignments
//! powers of two; failure to get memory is null with `errno` set to `ENOMEM`, and is told to the error hook; a block
//! of more than 8 bytes is aligned to 16, a smaller one to 8; any block may be given to any function that takes one. A
//! null heap or theap stands for the main one. `copies` is for `libferrimalloc-checks.so` and in no header. The files
//! `args` and `types` hold what the groups share.

mod args;
mod types;

mod aligned;
mod arenas;
mod basic;
mod copies;
mod heaps;
mod maintenance;
mod names;
mod operators;
mod options;
mod profile;
mod rezalloc;
mod sized;
mod stats;
mod strings;
mod subprocs;
mod theaps;
mod visiting;

pub use names::reallocarr;

/// Defines exported functions; the body is one unsafe block, whose contract is that of the C function.
macro_rules! export {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the contract of the C function: pointers are null or what they are said to be.
            #[allow(unused_unsafe)]
            unsafe { $body }
        }
    )*};
}
use export;
