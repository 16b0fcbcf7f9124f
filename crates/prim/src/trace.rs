//! Probes: places in slow paths at which `bpftrace`, `perf` and SystemTap can look (USDT, "statically defined tracing").
//!
//! Each is one `nop`, and a note in a section that is not loaded, which tells where that is and where the arguments are. Who
//! traces has the kernel put a breakpoint there; otherwise it costs the `nop`. `docs/TRACING.md` says what they are good for.
//!
//! The notes name no base, an address by which tracers see that a file was prelinked: nobody prelinks any more, and it would be a
//! byte that is loaded.
//!
//! Source: SystemTap wiki, "UserSpaceProbeImplementation": the notes' layout, version 3.

/// Makes a function of a probe of three words. What stands before a register's name is how the machine's assembler writes one.
macro_rules! probe {
    ($(#[$what:meta])* $name:ident($first:ident, $second:ident, $third:ident)) => {
        $(#[$what])*
        #[inline(always)]
        pub fn $name($first: usize, $second: usize, $third: usize) {
            #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
            probe!(@code $name, "%", $first, $second, $third);
            #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
            probe!(@code $name, "", $first, $second, $third);
            #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
            let _ = ($first, $second, $third);
        }
    };
    (@code $name:ident, $register:literal, $first:ident, $second:ident, $third:ident) => {
        // SAFETY: a `nop`; the rest is of sections that are not executed.
        unsafe {
            core::arch::asm!(
                "990: nop",
                ".pushsection .note.stapsdt, \"\", \"note\"",
                ".balign 4",
                ".4byte 992f - 991f, 994f - 993f, 3",
                "991: .asciz \"stapsdt\"",
                "992: .balign 4",
                "993: .8byte 990b, 0, 0",
                ".asciz \"ferrimalloc\"",
                concat!(".asciz \"", stringify!($name), "\""),
                concat!(".asciz \"8@", $register, "{0} 8@", $register, "{1} 8@", $register, "{2}\""),
                "994: .balign 4",
                ".popsection",
                in(reg) $first,
                in(reg) $second,
                in(reg) $third,
                options(readonly, nostack, preserves_flags),
            )
        }
    };
}

probe! {
    /// A page was made: where its memory is, how many bytes that are, and how many its blocks have.
    page_made(memory, bytes, block_bytes)
}
probe! {
    /// A page that nobody owned became a thread's: where its memory is, how many bytes its blocks have, and how many of
    /// them are lent: in use, or ready to be allocated.
    page_stolen(memory, block_bytes, blocks)
}
probe! {
    /// Memory was given back to the system: where, how many bytes, and how many of them had been waiting for it.
    purged(memory, bytes, waiting_bytes)
}
probe! {
    /// Addresses were reserved for an arena: where, how many bytes, and how many of them can be touched already.
    arena_reserved(memory, bytes, accessible_bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn probes_do_nothing() {
        super::page_made(1, 2, 3);
        super::arena_reserved(usize::MAX, 0, 1);
    }
}
