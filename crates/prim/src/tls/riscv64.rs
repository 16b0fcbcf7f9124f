//! How riscv64 reaches an initial-exec word (`initial_exec`).
//!
//! `la.tls.ie` loads the offset from the global offset table; the thread pointer is a register of its own.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_offset {
    ($symbol:expr, $offset:ident) => {
        ::core::arch::asm!(
            concat!("la.tls.ie {offset}, ", $symbol),
            offset = lateout(reg) $offset,
            options(pure, nomem, nostack, preserves_flags),
        )
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_load {
    ($offset:expr, $value:ident) => {
        ::core::arch::asm!(
            "add {value}, {offset}, tp",
            "ld {value}, 0({value})",
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
            "add {place}, {offset}, tp",
            "sd {value}, 0({place})",
            place = out(reg) _,
            offset = in(reg) $offset,
            value = in(reg) $value,
            options(nostack, preserves_flags),
        )
    };
}
