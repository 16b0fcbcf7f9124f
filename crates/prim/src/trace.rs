//! Probes: places in slow paths at which `bpftrace`, `perf` and SystemTap can look (USDT, "statically defined tracing").
//!
//! Each is one `nop`, and a note in a section that is not loaded, which tells where that is and where the arguments are. Who
//! traces has the kernel put a breakpoint there; otherwise it costs the `nop`. `docs/TRACING.md` says what they are good for.
//!
//! The notes name no base, an address by which tracers see that a file was prelinked: nobody prelinks any more, and it would be a
//! byte that is loaded.
//!
//! Source: SystemTap wiki, "UserSpaceProbeImplementation": the notes' layout, version 3. OpenTelemetry eBPF profiler, design document
//! 00003, "Memory Profiling": the two probes of the provider `otel_memory`.

/// A `nop`, and the note on it: whose probe, its name, where its arguments are, and the operands that put them there.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
macro_rules! note {
    ($provider:literal, $name:expr, $arguments:expr, $($operands:tt)*) => {
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
                concat!(".asciz \"", $provider, "\""),
                concat!(".asciz \"", $name, "\""),
                concat!(".asciz \"", $arguments, "\""),
                "994: .balign 4",
                ".popsection",
                $($operands)*
                options(readonly, nostack, preserves_flags),
            )
        }
    };
}

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
    (@code $name:ident, $sign:literal, $first:ident, $second:ident, $third:ident) => {
        note!(
            "ferrimalloc",
            stringify!($name),
            concat!("8@", $sign, "{0} 8@", $sign, "{1} 8@", $sign, "{2}"),
            in(reg) $first,
            in(reg) $second,
            in(reg) $third,
        )
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

/// The heap profiler has taken a sample: `otel_memory:alloc` of the OpenTelemetry eBPF profiler. Where the block is, how many bytes it
/// has, and how many bytes allocated it stands for.
///
/// The arguments of both these probes are where those of a function are: that profiler's first version reads the registers, not the
/// note.
#[inline(always)]
pub fn sample_allocated(block: usize, bytes: usize, weighted_bytes: usize) {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    note!("otel_memory", "alloc", "8@%rdi 8@%rsi 8@%rdx", in("rdi") block, in("rsi") bytes, in("rdx") weighted_bytes,);
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    note!("otel_memory", "alloc", "8@x0 8@x1 8@x2", in("x0") block, in("x1") bytes, in("x2") weighted_bytes,);
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = (block, bytes, weighted_bytes);
}

/// A sample has been freed: `otel_memory:free`. Where its block was.
#[inline(always)]
pub fn sample_freed(block: usize) {
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    note!("otel_memory", "free", "8@%rdi", in("rdi") block,);
    #[cfg(all(target_os = "linux", target_arch = "aarch64"))]
    note!("otel_memory", "free", "8@x0", in("x0") block,);
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = block;
}

#[cfg(test)]
mod tests {
    #[test]
    fn probes_do_nothing() {
        super::page_made(1, 2, 3);
        super::arena_reserved(usize::MAX, 0, 1);
        super::sample_allocated(1, 2, 3);
        super::sample_freed(1);
    }
}
