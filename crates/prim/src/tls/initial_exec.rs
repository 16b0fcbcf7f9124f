//! ELF, initial-exec: a word in `.tdata`, at a distance from the thread pointer that the dynamic loader writes to the global
//! offset table.
//!
//! What the machine's own file says are three macros: `offset!` loads that distance, which never changes, so that its asm
//! block is `pure, nomem` and can be shared by all reads of a function; `load!` is `pure, readonly`, so that repeated reads
//! are merged as long as nothing is written between; `store!` is neither.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_word_initial_exec {
    ($(#[$meta:meta])* $vis:vis mod $name:ident, init = $init:path $(,)?) => {
        $(#[$meta])*
        $vis mod $name {
            #[allow(unused_imports)]
            use super::*;

            // 16, not 8: see `thread::id`.
            ::core::arch::global_asm!(
                concat!(".pushsection .tdata.", $crate::__tls_symbol!($name), ",\"awT\",%progbits"),
                concat!(".globl ", $crate::__tls_symbol!($name)),
                concat!(".hidden ", $crate::__tls_symbol!($name)),
                concat!(".type ", $crate::__tls_symbol!($name), ",%tls_object"),
                concat!(".size ", $crate::__tls_symbol!($name), ",8"),
                ".balign 16",
                concat!($crate::__tls_symbol!($name), ":"),
                ".8byte {init}",
                ".popsection",
                init = sym $init,
            );

            /// The calling thread's word.
            #[inline(always)]
            pub fn get() -> *mut u8 {
                let value: *mut u8;
                // SAFETY: reads the word of the calling thread, which exists as long as the thread does.
                unsafe { $crate::__tls_load!(offset(), value) };
                value
            }

            /// Sets the calling thread's word.
            #[inline]
            pub fn set(value: *mut u8) {
                // SAFETY: writes the word of the calling thread, which nothing else refers to.
                unsafe { $crate::__tls_store!(offset(), value) };
            }

            /// Whether the word of the thread that is or was called `id` is still `value`. Its memory may have gone; a new
            /// thread there starts with another word than `value`.
            #[allow(dead_code, reason = "not every word is looked at from outside")]
            pub fn look(id: usize, value: usize) -> $crate::futex::Seen {
                // The kernel compares half a word.
                let initial = (&raw const $init).addr();
                match value as u32 == initial as u32 {
                    true => $crate::futex::Seen::Unknown,
                    false => $crate::futex::look(id.wrapping_add(offset()), value as u32),
                }
            }

            #[inline(always)]
            fn offset() -> usize {
                let offset: usize;
                // SAFETY: reads a constant of the process.
                unsafe { $crate::__tls_offset!($crate::__tls_symbol!($name), offset) };
                offset
            }
        }
    };
}
