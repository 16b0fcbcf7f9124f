//! The functions of the crate `libmimalloc-sys` 0.1.49 and their types: each must be here, and be what it is there.

use core::ffi::{c_char, c_int, c_long, c_void};
use libmimalloc_sys::*;

/// Takes the address of each function as one of that type; linking shows that there is one.
macro_rules! functions {
    ($($name:ident: fn($($arg:ty),*) $(-> $ret:ty)?;)*) => {
        [$({
            let function: unsafe extern "C" fn($($arg),*) $(-> $ret)? = $name;
            (stringify!($name), function as usize)
        }),*]
    };
}

fn check(functions: &[(&str, usize)]) {
    for (i, (name, address)) in functions.iter().enumerate() {
        assert_ne!(*address, 0, "{name}");
        assert!(functions[..i].iter().all(|(other, _)| other != name), "{name} twice");
    }
}

#[test]
fn functions_of_both_versions() {
    check(&functions! {
        mi_zalloc: fn(usize) -> *mut c_void;
        mi_malloc: fn(usize) -> *mut c_void;
        mi_realloc: fn(*mut c_void, usize) -> *mut c_void;
        mi_zalloc_aligned: fn(usize, usize) -> *mut c_void;
        mi_malloc_aligned: fn(usize, usize) -> *mut c_void;
        mi_realloc_aligned: fn(*mut c_void, usize, usize) -> *mut c_void;
        mi_free: fn(*mut c_void);
        mi_calloc: fn(usize, usize) -> *mut c_void;
        mi_mallocn: fn(usize, usize) -> *mut c_void;
        mi_reallocn: fn(*mut c_void, usize, usize) -> *mut c_void;
        mi_expand: fn(*mut c_void, usize) -> *mut c_void;
        mi_reallocf: fn(*mut c_void, usize) -> *mut c_void;
        mi_strdup: fn(*const c_char) -> *mut c_char;
        mi_strndup: fn(*const c_char, usize) -> *mut c_char;
        mi_realpath: fn(*const c_char, *mut c_char) -> *mut c_char;
        mi_calloc_aligned: fn(usize, usize, usize) -> *mut c_void;
        mi_malloc_aligned_at: fn(usize, usize, usize) -> *mut c_void;
        mi_zalloc_aligned_at: fn(usize, usize, usize) -> *mut c_void;
        mi_posix_memalign: fn(*mut *mut c_void, usize, usize) -> c_int;
        mi_aligned_alloc: fn(usize, usize) -> *mut c_void;
        mi_calloc_aligned_at: fn(usize, usize, usize, usize) -> *mut c_void;
        mi_realloc_aligned_at: fn(*mut c_void, usize, usize, usize) -> *mut c_void;
        mi_rezalloc: fn(*mut c_void, usize) -> *mut c_void;
        mi_recalloc: fn(*mut c_void, usize, usize) -> *mut c_void;
        mi_rezalloc_aligned: fn(*mut c_void, usize, usize) -> *mut c_void;
        mi_rezalloc_aligned_at: fn(*mut c_void, usize, usize, usize) -> *mut c_void;
        mi_recalloc_aligned: fn(*mut c_void, usize, usize, usize) -> *mut c_void;
        mi_recalloc_aligned_at: fn(*mut c_void, usize, usize, usize, usize) -> *mut c_void;
        mi_malloc_small: fn(usize) -> *mut c_void;
        mi_zalloc_small: fn(usize) -> *mut c_void;
        mi_free_small: fn(*mut c_void);
        mi_usable_size: fn(*const c_void) -> usize;
        mi_good_size: fn(usize) -> usize;
        mi_collect: fn(bool);
        mi_cfree: fn(*mut c_void);
        mi_is_in_heap_region: fn(*const c_void) -> bool;
        mi_free_size_aligned: fn(*mut c_void, usize, usize);
        mi_free_size: fn(*mut c_void, usize);
        mi_free_aligned: fn(*mut c_void, usize);
        mi_stats_print: fn(*mut c_void);
        mi_stats_print_out: fn(mi_output_fun, *mut c_void);
        mi_stats_reset: fn();
        mi_version: fn() -> c_int;
        mi_thread_init: fn();
        mi_process_init: fn();
        mi_process_info: fn(*mut usize, *mut usize, *mut usize, *mut usize, *mut usize, *mut usize, *mut usize, *mut usize);
        mi_thread_done: fn();
        mi_thread_stats_print_out: fn(mi_output_fun, *mut c_void);
        mi_register_output: fn(mi_output_fun, *mut c_void);
        mi_register_deferred_free: fn(mi_deferred_free_fun, *mut c_void);
        mi_register_error: fn(mi_error_fun, *mut c_void);
        mi_option_is_enabled: fn(mi_option_t) -> bool;
        mi_option_set_enabled: fn(mi_option_t, bool);
        mi_option_set_enabled_default: fn(mi_option_t, bool);
        mi_option_get: fn(mi_option_t) -> c_long;
        mi_option_set: fn(mi_option_t, c_long);
        mi_option_set_default: fn(mi_option_t, c_long);
        mi_heap_new: fn() -> *mut mi_heap_t;
        mi_heap_delete: fn(*mut mi_heap_t);
        mi_heap_destroy: fn(*mut mi_heap_t);
        mi_heap_collect: fn(*mut mi_heap_t, bool);
        mi_heap_malloc: fn(*mut mi_heap_t, usize) -> *mut c_void;
        mi_heap_zalloc: fn(*mut mi_heap_t, usize) -> *mut c_void;
        mi_heap_calloc: fn(*mut mi_heap_t, usize, usize) -> *mut c_void;
        mi_heap_mallocn: fn(*mut mi_heap_t, usize, usize) -> *mut c_void;
        mi_heap_malloc_small: fn(*mut mi_heap_t, usize) -> *mut c_void;
        mi_heap_zalloc_small: fn(*mut mi_heap_t, usize) -> *mut c_void;
        mi_heap_realloc: fn(*mut mi_heap_t, *mut c_void, usize) -> *mut c_void;
        mi_heap_reallocn: fn(*mut mi_heap_t, *mut c_void, usize, usize) -> *mut c_void;
        mi_heap_reallocf: fn(*mut mi_heap_t, *mut c_void, usize) -> *mut c_void;
        mi_heap_strdup: fn(*mut mi_heap_t, *const c_char) -> *mut c_char;
        mi_heap_strndup: fn(*mut mi_heap_t, *const c_char, usize) -> *mut c_char;
        mi_heap_realpath: fn(*mut mi_heap_t, *const c_char, *mut c_char) -> *mut c_char;
        mi_heap_malloc_aligned: fn(*mut mi_heap_t, usize, usize) -> *mut c_void;
        mi_heap_malloc_aligned_at: fn(*mut mi_heap_t, usize, usize, usize) -> *mut c_void;
        mi_heap_zalloc_aligned: fn(*mut mi_heap_t, usize, usize) -> *mut c_void;
        mi_heap_zalloc_aligned_at: fn(*mut mi_heap_t, usize, usize, usize) -> *mut c_void;
        mi_heap_calloc_aligned: fn(*mut mi_heap_t, usize, usize, usize) -> *mut c_void;
        mi_heap_calloc_aligned_at: fn(*mut mi_heap_t, usize, usize, usize, usize) -> *mut c_void;
        mi_heap_realloc_aligned: fn(*mut mi_heap_t, *mut c_void, usize, usize) -> *mut c_void;
        mi_heap_realloc_aligned_at: fn(*mut mi_heap_t, *mut c_void, usize, usize, usize) -> *mut c_void;
        mi_heap_rezalloc: fn(*mut mi_heap_t, *mut c_void, usize) -> *mut c_void;
        mi_heap_recalloc: fn(*mut mi_heap_t, *mut c_void, usize, usize) -> *mut c_void;
        mi_heap_rezalloc_aligned: fn(*mut mi_heap_t, *mut c_void, usize, usize) -> *mut c_void;
        mi_heap_rezalloc_aligned_at: fn(*mut mi_heap_t, *mut c_void, usize, usize, usize) -> *mut c_void;
        mi_heap_recalloc_aligned: fn(*mut mi_heap_t, *mut c_void, usize, usize, usize) -> *mut c_void;
        mi_heap_recalloc_aligned_at: fn(*mut mi_heap_t, *mut c_void, usize, usize, usize, usize) -> *mut c_void;
        mi_check_owned: fn(*const c_void) -> bool;
        mi_heap_new_in_arena: fn(mi_arena_id_t) -> *mut mi_heap_t;
        mi_reserve_os_memory_ex: fn(usize, bool, bool, bool, *mut mi_arena_id_t) -> c_int;
        mi_unsafe_heap_page_is_under_utilized: fn(*mut mi_heap_t, *mut c_void, usize) -> bool;
        mi_manage_os_memory_ex: fn(*const c_void, usize, bool, bool, bool, c_int, bool, *mut mi_arena_id_t) -> bool;
    });
}

#[cfg(not(feature = "v2"))]
#[test]
fn functions_of_version_3() {
    check(&functions! {
        mi_stats_get_json: fn(usize, *mut c_char) -> *mut c_char;
        mi_heap_visit_blocks: fn(*mut mi_heap_t, bool, mi_block_visit_fun, *mut c_void) -> bool;
        mi_arena_min_size: fn() -> usize;
        mi_theap_zalloc_small: fn(*mut mi_theap_t, usize) -> *mut c_void;
    });
}

#[cfg(feature = "v2")]
#[test]
fn functions_of_version_2() {
    check(&functions! {
        mi_stats_merge: fn();
        mi_heap_set_default: fn(*mut mi_heap_t) -> *mut mi_heap_t;
        mi_heap_get_default: fn() -> *mut mi_heap_t;
        mi_heap_get_backing: fn() -> *mut mi_heap_t;
        mi_heap_contains_block: fn(*mut mi_heap_t, *const c_void) -> bool;
        mi_heap_check_owned: fn(*mut mi_heap_t, *const c_void) -> bool;
        mi_heap_visit_blocks: fn(*const mi_heap_t, bool, mi_block_visit_fun, *mut c_void) -> bool;
    });
}
