//! The table that the fast path enters by a masked offset.
//!
//! `masked_table!(mod name: Type<T>, init = STATIC)` declares a pair of words, a table's address and a mask, which start as
//! that of `STATIC` and 0, with the functions `name::words() -> &'static Type<T>` and `name::entry(offset) -> *mut T`. `Type` is
//! the caller's own: two atomic words in this order, with `new(*mut T)` and `entry(&self, usize) -> *mut T`.
//!
//! One way to do it per target:
//! * x86-64 ELF: two operations with an operand in memory, which no compiler makes of atomic loads. Processors of this kind
//!   load in the order of the program, so that the table is the mask's or a later one. The words are declared in assembly,
//!   too: only there can a symbol be hidden from other libraries, which an operand of this kind needs.
//! * anywhere else: `Type::entry`.

#[doc(hidden)]
#[macro_export]
macro_rules! __masked_table_x86_64 {
    (mod $name:ident: $words:ident<$entry:ty>, init = $init:path $(,)?) => {
        mod $name {
            use super::*;

            ::core::arch::global_asm!(
                concat!(".pushsection .data.", $crate::__tls_symbol!($name), ",\"aw\",@progbits"),
                concat!(".globl ", $crate::__tls_symbol!($name)),
                concat!(".hidden ", $crate::__tls_symbol!($name)),
                concat!(".type ", $crate::__tls_symbol!($name), ",@object"),
                concat!(".size ", $crate::__tls_symbol!($name), ",16"),
                ".balign 16",
                concat!($crate::__tls_symbol!($name), ":"),
                ".quad {init}",
                ".quad 0",
                ".popsection",
                init = sym $init,
            );

            /// The words.
            #[inline]
            pub fn words() -> &'static $words<$entry> {
                let words: *const $words<$entry>;
                // SAFETY: computes the address of a static.
                unsafe {
                    ::core::arch::asm!(
                        concat!("lea {words}, [rip + ", $crate::__tls_symbol!($name), "]"),
                        words = lateout(reg) words,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                    &*words
                }
            }

            /// The entry at the offset's masked bits.
            #[inline(always)]
            pub fn entry(offset: usize) -> *mut $entry {
                let entry;
                // SAFETY: reads two aligned words of a static, as atomic loads do.
                unsafe {
                    ::core::arch::asm!(
                        concat!("and {entry}, qword ptr [rip + ", $crate::__tls_symbol!($name), " + 8]"),
                        concat!("add {entry}, qword ptr [rip + ", $crate::__tls_symbol!($name), "]"),
                        entry = inout(reg) offset => entry,
                        options(pure, readonly, nostack),
                    );
                }
                entry
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __masked_table_portable {
    (mod $name:ident: $words:ident<$entry:ty>, init = $init:path $(,)?) => {
        mod $name {
            use super::*;

            static WORDS: $words<$entry> = $words::new((&raw const $init).cast_mut().cast());

            /// The words.
            #[inline]
            pub fn words() -> &'static $words<$entry> {
                &WORDS
            }

            /// The entry at the offset's masked bits.
            #[inline(always)]
            pub fn entry(offset: usize) -> *mut $entry {
                WORDS.entry(offset)
            }
        }
    };
}
