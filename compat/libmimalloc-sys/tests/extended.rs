//! What the functions do, for both versions of the interface.

use core::ffi::{CStr, c_void};
use core::ptr;
use libmimalloc_sys::*;

const ARENA_BYTES: usize = 64 << 20;

fn new_heap() -> *mut mi_heap_t {
    // SAFETY: it has no preconditions.
    let heap = unsafe { mi_heap_new() };
    assert!(!heap.is_null());
    heap
}

#[test]
fn blocks_are_what_was_asked_for() {
    // SAFETY: blocks are used while they live, with their sizes.
    unsafe {
        let p = mi_malloc_aligned_at(100, 64, 8).cast::<u8>();
        assert_eq!(p.addr() % 64, 56);
        let p = mi_recalloc(mi_zalloc(8), 100, 8).cast::<u8>();
        assert!((0..800).all(|i| *p.add(i) == 0));
        assert!(mi_usable_size(p.cast()) >= 800 && mi_is_in_heap_region(p.cast()) && mi_check_owned(p.cast()));
        mi_free_size(p.cast(), 800);
        assert!(mi_mallocn(usize::MAX / 2, 3).is_null());
        let copy = mi_strdup(c"seven".as_ptr());
        assert_eq!(CStr::from_ptr(copy), c"seven");
        mi_cfree(copy.cast());
        let outside = 0;
        assert!(!mi_is_in_heap_region((&raw const outside).cast()));
        mi_cfree((&raw const outside).cast_mut().cast());
    }
}

#[test]
fn options_are_mimallocs() {
    // SAFETY: these functions have no preconditions.
    unsafe {
        mi_option_set(mi_option_max_errors, 7);
        assert_eq!(mi_option_get(mi_option_max_errors), 7);
        mi_option_set_default(mi_option_max_errors, 8);
        assert_eq!(mi_option_get(mi_option_max_errors), 7);
        mi_option_set_enabled(mi_option_show_stats, false);
        assert!(!mi_option_is_enabled(mi_option_show_stats));
        assert!(mi_version() >= 30000);
    }
}

/// Counts areas and blocks, in an array of two.
unsafe extern "C" fn count(
    _heap: *const mi_heap_t,
    area: *const mi_heap_area_t,
    block: *mut c_void,
    _size: usize,
    counts: *mut c_void,
) -> bool {
    // SAFETY: the visitor is given the array, and areas that live during the call.
    unsafe {
        assert!((*area).used <= (*area).reserved / (*area).full_block_size);
        (*counts.cast::<[usize; 2]>())[usize::from(!block.is_null())] += 1;
    }
    true
}

#[test]
fn heaps_are_visited_and_end() {
    let heap = new_heap();
    let mut counts = [0_usize; 2];
    // SAFETY: the heap and its blocks live until it is destroyed.
    unsafe {
        assert!((0..10).all(|_| !mi_heap_malloc(heap, 100).is_null()));
        assert!(mi_heap_visit_blocks(heap, true, Some(count), (&raw mut counts).cast()));
        mi_heap_destroy(heap);
    }
    assert_eq!(counts, [1, 10]);
}

#[cfg(not(feature = "v2"))]
#[test]
fn statistics_are_json() {
    // SAFETY: the text is a block that ends with a null.
    unsafe {
        let text = mi_stats_get_json(0, ptr::null_mut());
        assert!(CStr::from_ptr(text).to_bytes().starts_with(b"{"));
        mi_free(text.cast());
    }
}

#[test]
fn a_heap_stays_in_its_arena() {
    // SAFETY: the arena lives as long as the process.
    unsafe {
        let mut arena = core::mem::zeroed::<mi_arena_id_t>();
        assert_eq!(mi_reserve_os_memory_ex(ARENA_BYTES, false, false, true, &mut arena), 0);
        let heap = mi_heap_new_in_arena(arena);
        let in_arena = mi_heap_malloc(heap, 1 << 20).addr();
        let elsewhere = mi_malloc(1 << 20).addr();
        assert!(in_arena.abs_diff(elsewhere) > 1 << 20);
        mi_heap_destroy(heap);
    }
}

#[cfg(feature = "v2")]
#[test]
fn arenas_of_version_2_have_small_numbers() {
    // SAFETY: the arenas live as long as the process; 0 and -1 are none.
    unsafe {
        let mut arenas = [0; 2];
        for arena in &mut arenas {
            assert_eq!(mi_reserve_os_memory_ex(ARENA_BYTES, false, false, true, arena), 0);
        }
        assert!(arenas[0] > 0 && arenas[1] > 0 && arenas[0] != arenas[1]);
        assert!([0, -1, 1 << 20].iter().all(|none| mi_heap_new_in_arena(*none).is_null()));
        assert_eq!(mi_reserve_os_memory_ex(ARENA_BYTES, false, false, false, ptr::null_mut()), 0);
    }
}

#[cfg(feature = "v2")]
#[test]
fn a_thread_has_a_default_heap() {
    let heap = new_heap();
    // SAFETY: the heap lives until it is deleted, which leaves its blocks to the main heap.
    unsafe {
        let backing = mi_heap_get_backing();
        assert_eq!(mi_heap_set_default(heap), backing);
        assert_eq!(mi_heap_get_default(), heap);
        let block = mi_malloc(100);
        assert!(mi_heap_contains_block(heap, block) && !mi_heap_check_owned(backing, block));
        assert!(std::thread::spawn(|| mi_heap_get_default() == mi_heap_get_backing()).join().unwrap());
        mi_heap_delete(heap);
        assert_eq!(mi_heap_get_default(), backing);
        assert!(mi_heap_check_owned(backing, block));
        mi_free(block);
        mi_stats_merge();
    }
}

/// Option `allow_thp`, which the crate gives no name.
const ALLOW_THP: mi_option_t = 43;

#[test]
fn the_feature_no_thp_is_an_options_default() {
    // SAFETY: it has no preconditions.
    assert_eq!(unsafe { mi_option_get(ALLOW_THP) } == 0, cfg!(feature = "no_thp"));
}
