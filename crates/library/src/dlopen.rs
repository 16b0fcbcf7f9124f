//! The shared library's `dlopen`. All it does of its own is done before the first call with `RTLD_DEEPBIND`: a library that is opened
//! so prefers the C library's functions to ours, and would free our blocks by the C library's `free`.

use core::ffi::CStr;
use ferrimalloc_prim::{deepbind, dlopen_forward};

/// What the C library and we have. `free` decides whether the process's functions are ours.
const NAMES: &[&CStr] = &[
    c"free",
    c"malloc",
    c"calloc",
    c"realloc",
    c"memalign",
    c"aligned_alloc",
    c"posix_memalign",
    c"valloc",
    c"pvalloc",
    c"cfree",
    c"malloc_usable_size",
    c"malloc_trim",
    c"malloc_info",
    c"malloc_stats",
    c"mallinfo",
    c"mallinfo2",
    c"mallopt",
    c"free_sized",
    c"free_aligned_sized",
    c"__libc_malloc",
    c"__libc_calloc",
    c"__libc_realloc",
    c"__libc_free",
    c"__libc_cfree",
    c"__libc_memalign",
    c"__libc_valloc",
    c"__libc_pvalloc",
    c"__posix_memalign",
];

dlopen_forward!(deep);

extern "C" fn deep() {
    deepbind::redirect(NAMES);
}
