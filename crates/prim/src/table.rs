//! The table that the fast path enters by an address.
//!
//! `range_table!(mod name: Type<T, SHIFT>)` declares a static of the caller's type, which has three words in this order:
//! the top of a range of addresses, the end of a table of `T`, and the distance from the top that an address must be
//! above (as an unsigned number) to be in the range; with `const fn new()`, `entry(&self, usize) -> Option<NonNull<T>>`
//! and `offset(distance) -> isize`. The functions are `name::words() -> &'static Type<T, SHIFT>` and
//! `name::entry(address) -> Option<NonNull<T>>`.
//!
//! One way to do it per target:
//! * x86-64 ELF: operations with an operand in memory, which no compiler makes of atomic loads. Processors of this kind
//!   load in the order of the program. The top is read before the length: who meets the table's beginning between the
//!   two takes an address for its distance, and is in the range for the highest addresses of all, whose entries are the
//!   table's last: a wrong answer about an address that nobody has, from memory that is there. The words are declared in
//!   assembly, too: only there can a symbol be hidden from other libraries, which an operand of this kind needs.
//! * anywhere else: `Type::entry`.

#[doc(hidden)]
#[macro_export]
macro_rules! __range_table_x86_64 {
    (mod $name:ident: $words:ident<$entry:ty, $shift:path> $(,)?) => {
        mod $name {
            use super::*;

            ::core::arch::global_asm!(
                concat!(".pushsection .data.", $crate::__tls_symbol!($name), ",\"aw\",@progbits"),
                concat!(".globl ", $crate::__tls_symbol!($name)),
                concat!(".hidden ", $crate::__tls_symbol!($name)),
                concat!(".type ", $crate::__tls_symbol!($name), ",@object"),
                concat!(".size ", $crate::__tls_symbol!($name), ",24"),
                ".balign 32",
                concat!($crate::__tls_symbol!($name), ":"),
                ".quad 0",
                ".quad 0",
                ".quad -1",
                ".popsection",
            );

            /// The words.
            #[inline]
            pub fn words() -> &'static $words<$entry, { $shift }> {
                let words: *const $words<$entry, { $shift }>;
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

            /// The entry of an address; `None` outside of the range.
            #[inline(always)]
            pub fn entry(address: usize) -> Option<::core::ptr::NonNull<$entry>> {
                let mut distance = address;
                // SAFETY: reads an aligned word of a static, as an atomic load does.
                unsafe {
                    ::core::arch::asm!(
                        concat!("sub {distance}, qword ptr [rip + ", $crate::__tls_symbol!($name), "]"),
                        distance = inout(reg) distance,
                        options(readonly, nostack),
                    );
                }
                // SAFETY: as above; the label is in this function.
                unsafe {
                    ::core::arch::asm!(
                        concat!("cmp {distance}, qword ptr [rip + ", $crate::__tls_symbol!($name), " + 16]"),
                        "jbe {outside}",
                        distance = in(reg) distance,
                        outside = label { return None },
                        options(readonly, nostack),
                    );
                }
                let mut entry = $words::<$entry, { $shift }>::offset(distance);
                // SAFETY: as the first.
                unsafe {
                    ::core::arch::asm!(
                        concat!("add {entry}, qword ptr [rip + ", $crate::__tls_symbol!($name), " + 8]"),
                        entry = inout(reg) entry,
                        options(readonly, nostack),
                    );
                }
                let entry = ::core::ptr::with_exposed_provenance_mut(entry as usize);
                // SAFETY: an entry of the table, which is not at address 0.
                Some(unsafe { ::core::ptr::NonNull::new_unchecked(entry) })
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __range_table_portable {
    (mod $name:ident: $words:ident<$entry:ty, $shift:path> $(,)?) => {
        mod $name {
            use super::*;

            static WORDS: $words<$entry, { $shift }> = $words::new();

            /// The words.
            #[inline]
            pub fn words() -> &'static $words<$entry, { $shift }> {
                &WORDS
            }

            /// The entry of an address; `None` outside of the range.
            #[inline(always)]
            pub fn entry(address: usize) -> Option<::core::ptr::NonNull<$entry>> {
                WORDS.entry(address)
            }
        }
    };
}
