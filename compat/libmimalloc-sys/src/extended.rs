//! What the feature `extended` adds: the rest of `mimalloc.h`, as far as the original declares it.
#![allow(nonstandard_style)]

use core::ffi::{c_char, c_int, c_long, c_ulonglong, c_void};

/// The largest size that the functions named `…_small` take.
pub const MI_SMALL_SIZE_MAX: usize = 128 * size_of::<*mut c_void>();

/// Is given text, a piece at a time.
pub type mi_output_fun = Option<unsafe extern "C" fn(msg: *const c_char, arg: *mut c_void)>;
/// Is called now and then in slow paths; `force` asks to free everything that was deferred.
pub type mi_deferred_free_fun = Option<unsafe extern "C" fn(force: bool, heartbeat: c_ulonglong, arg: *mut c_void)>;
/// Is given `errno`'s numbers.
pub type mi_error_fun = Option<unsafe extern "C" fn(code: c_int, arg: *mut c_void)>;
/// Is shown areas (`block` is null) and blocks until it answers false.
pub type mi_block_visit_fun = Option<
    unsafe extern "C" fn(
        heap: *const mi_heap_t,
        area: *const mi_heap_area_t,
        block: *mut c_void,
        block_size: usize,
        arg: *mut c_void,
    ) -> bool,
>;

/// A heap.
pub enum mi_heap_t {}
/// A thread's part of a heap.
#[cfg(not(feature = "v2"))]
pub enum mi_theap_t {}

/// Blocks of one size, side by side. `used` counts blocks, the other numbers are bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct mi_heap_area_t {
    pub blocks: *mut c_void,
    pub reserved: usize,
    pub committed: usize,
    pub used: usize,
    pub block_size: usize,
    pub full_block_size: usize,
    /// Always 0.
    #[cfg(feature = "v2")]
    pub heap_tag: i32,
    /// Always null.
    #[cfg(not(feature = "v2"))]
    pub reserved1: *mut c_void,
}

/// An arena.
#[cfg(all(feature = "arena", feature = "v2"))]
pub type mi_arena_id_t = c_int;
/// An arena.
#[cfg(all(feature = "arena", not(feature = "v2")))]
pub type mi_arena_id_t = *mut c_void;

/// An option's number.
pub type mi_option_t = c_int;

pub const mi_option_show_errors: mi_option_t = 0;
pub const mi_option_show_stats: mi_option_t = 1;
pub const mi_option_verbose: mi_option_t = 2;
pub const mi_option_large_os_pages: mi_option_t = 6;
pub const mi_option_reserve_huge_os_pages: mi_option_t = 7;
pub const mi_option_reserve_huge_os_pages_at: mi_option_t = 8;
pub const mi_option_reserve_os_memory: mi_option_t = 9;
#[cfg(feature = "v2")]
pub const mi_option_eager_commit_delay: mi_option_t = 14;
pub const mi_option_use_numa_nodes: mi_option_t = 16;
pub const mi_option_limit_os_alloc: mi_option_t = 17;
pub const mi_option_os_tag: mi_option_t = 18;
pub const mi_option_max_errors: mi_option_t = 19;
pub const mi_option_max_warnings: mi_option_t = 20;
#[cfg(feature = "v2")]
pub const mi_option_max_segment_reclaim: mi_option_t = 21;
#[cfg(feature = "v2")]
pub const _mi_option_last: mi_option_t = 38;
#[cfg(not(feature = "v2"))]
pub const _mi_option_last: mi_option_t = 47;

unsafe extern "C" {
    // Allocating: arrays whose size overflows are null.
    pub fn mi_calloc(count: usize, size: usize) -> *mut c_void;
    pub fn mi_mallocn(count: usize, size: usize) -> *mut c_void;
    pub fn mi_strdup(s: *const c_char) -> *mut c_char;
    pub fn mi_strndup(s: *const c_char, n: usize) -> *mut c_char;
    pub fn mi_realpath(fname: *const c_char, resolved_name: *mut c_char) -> *mut c_char;
    pub fn mi_malloc_small(size: usize) -> *mut c_void;
    pub fn mi_zalloc_small(size: usize) -> *mut c_void;

    // Resizing. `mi_expand` never moves, `mi_reallocf` frees what it can't resize, `mi_re(z|c)alloc…` clear what a block gains.
    pub fn mi_reallocn(p: *mut c_void, count: usize, size: usize) -> *mut c_void;
    pub fn mi_expand(p: *mut c_void, newsize: usize) -> *mut c_void;
    pub fn mi_reallocf(p: *mut c_void, newsize: usize) -> *mut c_void;
    pub fn mi_rezalloc(p: *mut c_void, newsize: usize) -> *mut c_void;
    pub fn mi_recalloc(p: *mut c_void, newcount: usize, size: usize) -> *mut c_void;

    // With an alignment, also of the address `offset` bytes behind the block's beginning.
    pub fn mi_calloc_aligned(count: usize, size: usize, alignment: usize) -> *mut c_void;
    pub fn mi_malloc_aligned_at(size: usize, alignment: usize, offset: usize) -> *mut c_void;
    pub fn mi_zalloc_aligned_at(size: usize, alignment: usize, offset: usize) -> *mut c_void;
    pub fn mi_posix_memalign(ptr: *mut *mut c_void, alignment: usize, size: usize) -> c_int;
    pub fn mi_aligned_alloc(alignment: usize, size: usize) -> *mut c_void;
    pub fn mi_calloc_aligned_at(count: usize, size: usize, alignment: usize, offset: usize) -> *mut c_void;
    pub fn mi_realloc_aligned_at(p: *mut c_void, newsize: usize, alignment: usize, offset: usize) -> *mut c_void;
    pub fn mi_rezalloc_aligned(p: *mut c_void, newsize: usize, alignment: usize) -> *mut c_void;
    pub fn mi_rezalloc_aligned_at(p: *mut c_void, newsize: usize, alignment: usize, offset: usize) -> *mut c_void;
    pub fn mi_recalloc_aligned(p: *mut c_void, newcount: usize, size: usize, alignment: usize) -> *mut c_void;
    pub fn mi_recalloc_aligned_at(
        p: *mut c_void,
        newcount: usize,
        size: usize,
        alignment: usize,
        offset: usize,
    ) -> *mut c_void;

    // Freeing; with a size or an alignment that hardened blocks are checked for. `mi_cfree` ignores what is not ours.
    pub fn mi_free_small(p: *mut c_void);
    pub fn mi_cfree(p: *mut c_void);
    pub fn mi_free_size_aligned(p: *mut c_void, size: usize, alignment: usize);
    pub fn mi_free_size(p: *mut c_void, size: usize);
    pub fn mi_free_aligned(p: *mut c_void, alignment: usize);

    // Asking about blocks and addresses.
    pub fn mi_usable_size(p: *const c_void) -> usize;
    pub fn mi_good_size(size: usize) -> usize;
    pub fn mi_is_in_heap_region(p: *const c_void) -> bool;
    pub fn mi_check_owned(p: *const c_void) -> bool;

    // Giving memory back, threads, the process.
    pub fn mi_collect(force: bool);
    pub fn mi_version() -> c_int;
    pub fn mi_thread_init();
    pub fn mi_process_init();
    pub fn mi_process_info(
        elapsed_msecs: *mut usize,
        user_msecs: *mut usize,
        system_msecs: *mut usize,
        current_rss: *mut usize,
        peak_rss: *mut usize,
        current_commit: *mut usize,
        peak_commit: *mut usize,
        page_faults: *mut usize,
    );
    pub fn mi_thread_done();

    // Statistics. The JSON text is a block, to be freed, unless a buffer is given.
    pub fn mi_stats_print(unused: *mut c_void);
    pub fn mi_stats_print_out(out: mi_output_fun, arg: *mut c_void);
    pub fn mi_stats_reset();
    #[cfg(feature = "v2")]
    pub fn mi_stats_merge();
    pub fn mi_thread_stats_print_out(out: mi_output_fun, arg: *mut c_void);
    #[cfg(not(feature = "v2"))]
    pub fn mi_stats_get_json(buf_size: usize, buf: *mut c_char) -> *mut c_char;

    // Being called: for output, when frees are deferred, on errors.
    pub fn mi_register_output(out: mi_output_fun, arg: *mut c_void);
    pub fn mi_register_deferred_free(out: mi_deferred_free_fun, arg: *mut c_void);
    pub fn mi_register_error(out: mi_error_fun, arg: *mut c_void);

    // Options; a size is in KiB.
    pub fn mi_option_is_enabled(option: mi_option_t) -> bool;
    pub fn mi_option_set_enabled(option: mi_option_t, enable: bool);
    pub fn mi_option_set_enabled_default(option: mi_option_t, enable: bool);
    pub fn mi_option_get(option: mi_option_t) -> c_long;
    pub fn mi_option_set(option: mi_option_t, value: c_long);
    pub fn mi_option_set_default(option: mi_option_t, value: c_long);

    // Heaps. `mi_heap_delete` leaves the blocks to the main heap, `mi_heap_destroy` takes them along.
    pub fn mi_heap_new() -> *mut mi_heap_t;
    pub fn mi_heap_delete(heap: *mut mi_heap_t);
    pub fn mi_heap_destroy(heap: *mut mi_heap_t);
    pub fn mi_heap_collect(heap: *mut mi_heap_t, force: bool);
    #[cfg(feature = "v2")]
    pub fn mi_heap_visit_blocks(
        heap: *const mi_heap_t,
        visit_all_blocks: bool,
        visitor: mi_block_visit_fun,
        arg: *mut c_void,
    ) -> bool;
    #[cfg(not(feature = "v2"))]
    pub fn mi_heap_visit_blocks(
        heap: *mut mi_heap_t,
        visit_all_blocks: bool,
        visitor: mi_block_visit_fun,
        arg: *mut c_void,
    ) -> bool;
    pub fn mi_unsafe_heap_page_is_under_utilized(heap: *mut mi_heap_t, p: *mut c_void, perc_threshold: usize) -> bool;

    // The above in a heap.
    pub fn mi_heap_malloc(heap: *mut mi_heap_t, size: usize) -> *mut c_void;
    pub fn mi_heap_zalloc(heap: *mut mi_heap_t, size: usize) -> *mut c_void;
    pub fn mi_heap_calloc(heap: *mut mi_heap_t, count: usize, size: usize) -> *mut c_void;
    pub fn mi_heap_mallocn(heap: *mut mi_heap_t, count: usize, size: usize) -> *mut c_void;
    pub fn mi_heap_malloc_small(heap: *mut mi_heap_t, size: usize) -> *mut c_void;
    pub fn mi_heap_zalloc_small(heap: *mut mi_heap_t, size: usize) -> *mut c_void;
    pub fn mi_heap_realloc(heap: *mut mi_heap_t, p: *mut c_void, newsize: usize) -> *mut c_void;
    pub fn mi_heap_reallocn(heap: *mut mi_heap_t, p: *mut c_void, count: usize, size: usize) -> *mut c_void;
    pub fn mi_heap_reallocf(heap: *mut mi_heap_t, p: *mut c_void, newsize: usize) -> *mut c_void;
    pub fn mi_heap_strdup(heap: *mut mi_heap_t, s: *const c_char) -> *mut c_char;
    pub fn mi_heap_strndup(heap: *mut mi_heap_t, s: *const c_char, n: usize) -> *mut c_char;
    pub fn mi_heap_realpath(heap: *mut mi_heap_t, fname: *const c_char, resolved_name: *mut c_char) -> *mut c_char;
    pub fn mi_heap_malloc_aligned(heap: *mut mi_heap_t, size: usize, alignment: usize) -> *mut c_void;
    pub fn mi_heap_malloc_aligned_at(heap: *mut mi_heap_t, size: usize, alignment: usize, offset: usize)
    -> *mut c_void;
    pub fn mi_heap_zalloc_aligned(heap: *mut mi_heap_t, size: usize, alignment: usize) -> *mut c_void;
    pub fn mi_heap_zalloc_aligned_at(heap: *mut mi_heap_t, size: usize, alignment: usize, offset: usize)
    -> *mut c_void;
    pub fn mi_heap_calloc_aligned(heap: *mut mi_heap_t, count: usize, size: usize, alignment: usize) -> *mut c_void;
    pub fn mi_heap_calloc_aligned_at(
        heap: *mut mi_heap_t,
        count: usize,
        size: usize,
        alignment: usize,
        offset: usize,
    ) -> *mut c_void;
    pub fn mi_heap_realloc_aligned(
        heap: *mut mi_heap_t,
        p: *mut c_void,
        newsize: usize,
        alignment: usize,
    ) -> *mut c_void;
    pub fn mi_heap_realloc_aligned_at(
        heap: *mut mi_heap_t,
        p: *mut c_void,
        newsize: usize,
        alignment: usize,
        offset: usize,
    ) -> *mut c_void;
    pub fn mi_heap_rezalloc(heap: *mut mi_heap_t, p: *mut c_void, newsize: usize) -> *mut c_void;
    pub fn mi_heap_recalloc(heap: *mut mi_heap_t, p: *mut c_void, newcount: usize, size: usize) -> *mut c_void;
    pub fn mi_heap_rezalloc_aligned(
        heap: *mut mi_heap_t,
        p: *mut c_void,
        newsize: usize,
        alignment: usize,
    ) -> *mut c_void;
    pub fn mi_heap_rezalloc_aligned_at(
        heap: *mut mi_heap_t,
        p: *mut c_void,
        newsize: usize,
        alignment: usize,
        offset: usize,
    ) -> *mut c_void;
    pub fn mi_heap_recalloc_aligned(
        heap: *mut mi_heap_t,
        p: *mut c_void,
        newcount: usize,
        size: usize,
        alignment: usize,
    ) -> *mut c_void;
    pub fn mi_heap_recalloc_aligned_at(
        heap: *mut mi_heap_t,
        p: *mut c_void,
        newcount: usize,
        size: usize,
        alignment: usize,
        offset: usize,
    ) -> *mut c_void;

    // Arenas and a thread's part of a heap.
    #[cfg(all(feature = "arena", not(feature = "v2")))]
    pub fn mi_heap_new_in_arena(arena_id: mi_arena_id_t) -> *mut mi_heap_t;
    #[cfg(all(feature = "arena", not(feature = "v2")))]
    pub fn mi_reserve_os_memory_ex(
        size: usize,
        commit: bool,
        allow_large: bool,
        exclusive: bool,
        arena_id: *mut mi_arena_id_t,
    ) -> c_int;
    #[cfg(not(feature = "v2"))]
    pub fn mi_arena_min_size() -> usize;
    #[cfg(not(feature = "v2"))]
    pub fn mi_theap_zalloc_small(theap: *mut mi_theap_t, size: usize) -> *mut c_void;
    #[cfg(all(feature = "arena", not(feature = "v2")))]
    pub fn mi_manage_os_memory_ex(
        start: *const c_void,
        size: usize,
        is_committed: bool,
        is_large: bool,
        is_zero: bool,
        numa_node: c_int,
        exclusive: bool,
        arena_id: *mut mi_arena_id_t,
    ) -> bool;
}
