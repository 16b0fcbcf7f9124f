//! x86-64 ELF, initial-exec.
//!
//! `mov off, [rip + word@GOTTPOFF]` loads the offset that the dynamic loader wrote to the global offset table (the linker
//! turns it into `mov off, constant` in an executable), `mov value, fs:[off]` loads the word. The offset never changes: its
//! asm block is `pure, nomem` and can be shared by all reads of a function. The load is `pure, readonly`: repeated reads are
//! merged as long as nothing is written between.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_word_x86_64 {
    ($(#[$meta:meta])* $vis:vis mod $name:ident, init = $init:path $(,)?) => {
        $(#[$meta])*
        $vis mod $name {
            #[allow(unused_imports)]
            use super::*;

            // 16, not 8: see `thread::id`.
            ::core::arch::global_asm!(
                concat!(".pushsection .tdata.", $crate::__tls_symbol!($name), ",\"awT\",@progbits"),
                concat!(".globl ", $crate::__tls_symbol!($name)),
                concat!(".hidden ", $crate::__tls_symbol!($name)),
                concat!(".type ", $crate::__tls_symbol!($name), ",@tls_object"),
                concat!(".size ", $crate::__tls_symbol!($name), ",8"),
                ".balign 16",
                concat!($crate::__tls_symbol!($name), ":"),
                ".quad {init}",
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
                        "mov {value}, qword ptr fs:[{offset}]",
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
                        "mov qword ptr fs:[{offset}], {value}",
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
                        concat!("mov {offset}, qword ptr [rip + ", $crate::__tls_symbol!($name), "@GOTTPOFF]"),
                        offset = lateout(reg) offset,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
                offset
            }
        }
    };
}
