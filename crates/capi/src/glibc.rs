//! What glibc's `<malloc.h>` has besides: statistics and tuning. The numbers are ours; fields that describe glibc's own
//! structures are 0.

use core::ffi::{c_char, c_int};

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{Force, SLICE_BYTES};
use ferrimalloc_core::runtime::main_subproc;

/// What glibc's header has under these names, whose ever header the program has: the functions are there for all.
#[repr(C)]
pub struct Mallinfo<N> {
    arena: N,
    ordblks: N,
    smblks: N,
    hblks: N,
    hblkhd: N,
    usmblks: N,
    fsmblks: N,
    uordblks: N,
    fordblks: N,
    keepcost: N,
}

/// Memory of the main sub-process, in bytes.
struct Usage {
    reserved: usize,
    in_use: usize,
    unused: usize,
}

fn usage() -> Usage {
    let arenas = main_subproc().arenas();
    Usage {
        reserved: arenas.arenas().map(|arena| arena.bytes()).sum(),
        in_use: arenas.in_use_slices() * SLICE_BYTES,
        unused: arenas.unused_slices() * SLICE_BYTES,
    }
}

/// `struct mallinfo2`: `arena` is what has memory behind it, `ordblks` 1, `uordblks` what is in use (in whole slices),
/// `fordblks` what is free but not yet given back.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo2() -> Mallinfo<usize> {
    let usage = usage();
    Mallinfo {
        arena: usage.in_use + usage.unused,
        ordblks: 1,
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: 0,
        fsmblks: 0,
        uordblks: usage.in_use,
        fordblks: usage.unused,
        keepcost: usage.unused,
    }
}

/// The same in `int`s, which stick at their largest value.
#[unsafe(no_mangle)]
pub extern "C" fn mallinfo() -> Mallinfo<c_int> {
    let int = |bytes: usize| c_int::try_from(bytes).unwrap_or(c_int::MAX);
    let info = mallinfo2();
    Mallinfo {
        arena: int(info.arena),
        ordblks: 1,
        smblks: 0,
        hblks: 0,
        hblkhd: 0,
        usmblks: 0,
        fsmblks: 0,
        uordblks: int(info.uordblks),
        fordblks: int(info.fordblks),
        keepcost: int(info.keepcost),
    }
}

/// Gives back what can be given back; 1 if there was anything.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_trim(_pad: usize) -> c_int {
    let purged = || main_subproc().arenas().stats().purged.get();
    let before = purged();
    alloc::collect(Force::All);
    c_int::from(purged() > before)
}

/// Writes an XML summary to `stream`; -1 with `EINVAL` unless `options` is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc_info(options: c_int, stream: *mut libc::FILE) -> c_int {
    if options != 0 || stream.is_null() {
        ferrimalloc_prim::errno::set(ferrimalloc_prim::Errno::EINVAL);
        return -1;
    }
    let usage = usage();
    const FORMAT: &core::ffi::CStr = c"<malloc version=\"1\">\n<heap nr=\"0\">\n<system type=\"reserved\" size=\"%zu\"/>\n<system type=\"current\" size=\"%zu\"/>\n<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n</heap>\n</malloc>\n";
    // SAFETY: `stream` is the caller's; the format takes three sizes.
    let written =
        unsafe { libc::fprintf(stream, FORMAT.as_ptr(), usage.reserved, usage.in_use + usage.unused, usage.unused) };
    if written < 0 { -1 } else { 0 }
}

/// Prints the statistics to standard error.
#[unsafe(no_mangle)]
pub extern "C" fn malloc_stats() {
    let usage = usage();
    const FORMAT: &core::ffi::CStr = c"ferrimalloc:\nsystem bytes     = %10zu\nin use bytes     = %10zu\n";
    let mut line = [0 as c_char; 160];
    // SAFETY: the buffer's size is given, and the format takes two sizes.
    let length = unsafe {
        libc::snprintf(line.as_mut_ptr(), line.len(), FORMAT.as_ptr(), usage.in_use + usage.unused, usage.in_use)
    };
    let length = usize::try_from(length).unwrap_or(0).min(line.len() - 1);
    // SAFETY: `snprintf` has initialised that many bytes.
    let text = unsafe { core::slice::from_raw_parts(line.as_ptr().cast(), length) };
    ferrimalloc_prim::output::write_stderr(text);
}

/// glibc's tuning parameters describe its own structures: known ones are accepted (1) and have no effect, since nothing
/// here corresponds to them; others are refused (0).
#[unsafe(no_mangle)]
pub extern "C" fn mallopt(param: c_int, _value: c_int) -> c_int {
    const M_ARENA_MAX: c_int = -8;
    const M_MXFAST: c_int = 1;
    c_int::from((M_ARENA_MAX..=M_MXFAST).contains(&param))
}
