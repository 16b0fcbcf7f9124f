//! How x86-64 reaches an initial-exec word (`initial_exec`).
//!
//! `mov off, [rip + word@GOTTPOFF]` loads the offset (the linker turns it into `mov off, constant` in an executable),
//! `mov value, fs:[off]` loads the word.

#[doc(hidden)]
#[macro_export]
macro_rules! __tls_offset {
    ($symbol:expr, $offset:ident) => {
        ::core::arch::asm!(
            concat!("mov {offset}, qword ptr [rip + ", $symbol, "@GOTTPOFF]"),
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
            "mov {value}, qword ptr fs:[{offset}]",
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
            "mov qword ptr fs:[{offset}], {value}",
            offset = in(reg) $offset,
            value = in(reg) $value,
            options(nostack, preserves_flags),
        )
    };
}
