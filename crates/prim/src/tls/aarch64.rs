//! aarch64 ELF, initial-exec.
//!
//! `adrp` and `ldr` load the word's offset from the global offset table (the linker turns them into two moves of a constant in
//! an executable); the word lies at that distance above `tpidr_el0`. Which reads may be merged: as in `x86_64.rs`.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_word_aarch64 {
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
                ".xword {init}",
                ".popsection",
                init = sym $init,
            );

            /// The calling thread's word.
            #[inline(always)]
            pub fn get() -> *mut u8 {
                let value: *mut u8;
                // SAFETY: reads the word of the calling thread, which exists as long as the thread does.
                unsafe {
                    ::core::arch::asm!(
                        "ldr {value}, [{thread}, {offset}]",
                        thread = in(reg) $crate::thread::id(),
                        offset = in(reg) offset(),
                        value = lateout(reg) value,
                        options(pure, readonly, nostack, preserves_flags),
                    );
                }
                value
            }

            /// Sets the calling thread's word.
            #[inline]
            pub fn set(value: *mut u8) {
                // SAFETY: writes the word of the calling thread, which nothing else refers to.
                unsafe {
                    ::core::arch::asm!(
                        "str {value}, [{thread}, {offset}]",
                        thread = in(reg) $crate::thread::id(),
                        offset = in(reg) offset(),
                        value = in(reg) value,
                        options(nostack, preserves_flags),
                    );
                }
            }

            #[inline(always)]
            fn offset() -> usize {
                let offset: usize;
                // SAFETY: reads a constant of the process.
                unsafe {
                    ::core::arch::asm!(
                        concat!("adrp {offset}, :gottprel:", $crate::__tls_symbol!($name)),
                        concat!("ldr {offset}, [{offset}, :gottprel_lo12:", $crate::__tls_symbol!($name), "]"),
                        offset = out(reg) offset,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
                offset
            }
        }
    };
}
