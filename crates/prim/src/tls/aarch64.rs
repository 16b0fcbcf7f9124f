//! How aarch64 reaches an initial-exec word (`initial_exec`).
//!
//! `adrp` and `ldr` load the word's offset (the linker turns them into two moves of a constant in an executable); the word
//! lies at that distance above `tpidr_el0`.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_offset {
    ($symbol:expr, $offset:ident) => {
        ::core::arch::asm!(
            concat!("adrp {offset}, :gottprel:", $symbol),
            concat!("ldr {offset}, [{offset}, :gottprel_lo12:", $symbol, "]"),
            offset = out(reg) $offset,
            options(pure, nomem, nostack, preserves_flags),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_load {
    ($offset:expr, $value:ident) => {
        ::core::arch::asm!(
            "ldr {value}, [{thread}, {offset}]",
            thread = in(reg) $crate::thread::id(),
            offset = in(reg) $offset,
            value = lateout(reg) $value,
            options(pure, readonly, nostack, preserves_flags),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_store {
    ($offset:expr, $value:ident) => {
        ::core::arch::asm!(
            "str {value}, [{thread}, {offset}]",
            thread = in(reg) $crate::thread::id(),
            offset = in(reg) $offset,
            value = in(reg) $value,
            options(nostack, preserves_flags),
        )
    };
}
