//! The choice of a backend, and nothing else: the one place that asks for the target.
//!
//! A port adds a folder beside `unix/` with the modules named below, and a line per module here.

#[cfg(not(any(unix, windows, target_family = "wasm")))]
compile_error!("ferrimalloc-prim has no backend for this operating system: see crates/prim/src/platform.rs");
#[cfg(all(target_family = "wasm", target_feature = "atomics"))]
compile_error!("WebAssembly with threads is not supported: see docs/PORTING.md");
#[cfg(all(windows, feature = "sim"))]
compile_error!("the simulated system of the tests is built upon Unix");

// Operating system.

#[cfg(target_os = "linux")]
pub(crate) use crate::linux::{clock, entropy, futex, mem as real_mem, modules, numa, pin, process, stack};
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use crate::unix::{clock, entropy, futex, mem as real_mem, modules, process};
#[cfg(unix)]
pub(crate) use crate::unix::{environ, errno, fault, key, output, service};
#[cfg(not(target_os = "linux"))]
pub(crate) use crate::unsupported::stack;
#[cfg(any(windows, target_family = "wasm"))]
pub(crate) use crate::unsupported::{fault, modules};
#[cfg(not(any(windows, target_os = "linux")))]
pub(crate) use crate::unsupported::{numa, pin};
#[cfg(target_family = "wasm")]
pub(crate) use crate::wasm::{clock, entropy, environ, errno, futex, key, mem as real_mem, output, process, service};
#[cfg(windows)]
pub(crate) use crate::windows::{
    clock, entropy, environ, errno, futex, key, mem as real_mem, numa, output, pin, process, service,
};

// A Windows thread's own block.

#[cfg(all(windows, target_arch = "aarch64"))]
pub(crate) use crate::windows::teb_aarch64 as teb;
#[cfg(all(windows, target_arch = "x86"))]
pub(crate) use crate::windows::teb_x86 as teb;
#[cfg(all(windows, target_arch = "x86_64"))]
pub(crate) use crate::windows::teb_x86_64 as teb;

// What a WebAssembly program may ask its host for.

#[cfg(all(target_family = "wasm", not(target_os = "wasi")))]
pub(crate) use crate::wasm::nobody as wasm_host;
#[cfg(all(target_family = "wasm", target_os = "wasi"))]
pub(crate) use crate::wasm::wasi as wasm_host;

// The memory that the allocator gets: the machine's, or the simulated one.

#[cfg(feature = "sim")]
pub(crate) use crate::sim::backend as mem;
#[cfg(not(feature = "sim"))]
pub(crate) use real_mem as mem;

// Where the C library keeps `errno`.

#[cfg(any(target_os = "solaris", target_os = "illumos"))]
pub(crate) use libc::___errno as errno_location;
#[cfg(any(target_os = "android", target_os = "netbsd", target_os = "openbsd"))]
pub(crate) use libc::__errno as errno_location;
#[cfg(any(target_os = "linux", target_os = "dragonfly"))]
pub(crate) use libc::__errno_location as errno_location;
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
pub(crate) use libc::__error as errno_location;

// Processor: the thread id.

#[cfg(all(
    unix,
    not(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
        target_pointer_width = "64"
    ))
))]
pub(crate) use crate::thread::numbered as thread_id;
#[cfg(all(target_os = "linux", target_arch = "aarch64", target_pointer_width = "64"))]
pub(crate) use crate::thread::pointer_aarch64 as thread_id;
#[cfg(all(target_os = "linux", target_arch = "riscv64", target_pointer_width = "64"))]
pub(crate) use crate::thread::pointer_riscv64 as thread_id;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))]
pub(crate) use crate::thread::pointer_x86_64 as thread_id;
#[cfg(target_family = "wasm")]
pub(crate) use crate::thread::single as thread_id;
#[cfg(windows)]
pub(crate) use crate::thread::teb as thread_id;

// Processor: registers. Windows unwinds by tables of its own, which nothing here reads.

#[cfg(all(target_arch = "aarch64", not(windows)))]
pub(crate) use crate::stack::registers_aarch64 as registers;
#[cfg(any(windows, not(any(target_arch = "aarch64", target_arch = "x86_64"))))]
pub(crate) use crate::stack::registers_unknown as registers;
#[cfg(all(target_arch = "x86_64", not(windows)))]
pub(crate) use crate::stack::registers_x86_64 as registers;

// Processor: words that the linker fills in.

#[cfg(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64")))]
pub(crate) use crate::linux::find_object;
#[cfg(not(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64"))))]
pub(crate) use crate::unsupported::find_object;

// How ELF is written.

#[cfg(all(target_os = "linux", target_arch = "x86"))]
pub(crate) use crate::linux::elf32 as elf;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
pub(crate) use crate::linux::elf64 as elf;

// Processor: registers that a signal has interrupted.

#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
pub(crate) use crate::linux::context_aarch64 as context;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(crate) use crate::linux::context_x86_64 as context;
#[cfg(not(all(target_os = "linux", any(target_arch = "aarch64", target_arch = "x86_64"))))]
#[allow(unused_imports, reason = "without signals there is nobody to ask")]
pub(crate) use crate::unsupported::context;

// Processor: the thread-local word.

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
    target_pointer_width = "64"
))]
pub use crate::__tls_word_initial_exec as tls_word;
#[cfg(not(any(
    all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"),
        target_pointer_width = "64"
    ),
    target_family = "wasm"
)))]
pub use crate::__tls_word_key as tls_word;
#[cfg(target_family = "wasm")]
pub use crate::__tls_word_single as tls_word;

// Processor: the table of the fast path.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64")))]
pub use crate::__range_table_portable as range_table;
#[cfg(all(target_os = "linux", target_arch = "x86_64", target_pointer_width = "64"))]
pub use crate::__range_table_x86_64 as range_table;

// Being called when we are loaded.

#[cfg(target_vendor = "apple")]
pub use crate::__at_load_apple as at_load;
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_os = "netbsd"))]
pub use crate::__at_load_elf as at_load;
#[cfg(not(any(
    windows,
    target_vendor = "apple",
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
)))]
pub use crate::__at_load_never as at_load;
#[cfg(windows)]
pub use crate::__at_load_windows as at_load;

pub(crate) const CALLS_AT_LOAD: bool = cfg!(any(
    windows,
    target_vendor = "apple",
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "netbsd"
));

// Facts that the headers of the platforms disagree on.

/// The unit of `ru_maxrss`.
#[cfg(target_vendor = "apple")]
pub(crate) const MAXRSS_UNIT_BYTES: usize = 1;
#[cfg(all(unix, not(target_vendor = "apple")))]
pub(crate) const MAXRSS_UNIT_BYTES: usize = 1024;

/// Asks for a mapping without a promise of memory; some systems never promise.
#[cfg(any(target_os = "freebsd", target_os = "dragonfly", target_os = "openbsd"))]
pub(crate) const MAP_NORESERVE: libc::c_int = 0;
#[cfg(all(unix, not(any(target_os = "freebsd", target_os = "dragonfly", target_os = "openbsd"))))]
pub(crate) const MAP_NORESERVE: libc::c_int = libc::MAP_NORESERVE;

/// Width of user addresses where it cannot be asked for.
#[cfg(all(unix, target_pointer_width = "64", any(target_arch = "x86_64", target_vendor = "apple")))]
pub(crate) const USER_VA_BITS: u32 = 47;
#[cfg(all(unix, target_pointer_width = "64", not(any(target_arch = "x86_64", target_vendor = "apple"))))]
pub(crate) const USER_VA_BITS: u32 = 48;
#[cfg(all(unix, not(target_pointer_width = "64")))]
pub(crate) const USER_VA_BITS: u32 = usize::BITS;
