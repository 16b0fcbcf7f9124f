//! What version 2 has and version 3 has not: heaps of one thread, one of which is its default, and arenas known by small numbers.
//! Here a heap serves any thread all the same.

use core::ffi::c_void;
use core::ptr;

use ferrimalloc_core::runtime;

use crate::extended::mi_heap_t;

unsafe extern "C" {
    fn mi_heap_main() -> *mut mi_heap_t;
    fn mi_heap_contains(heap: *const mi_heap_t, p: *const c_void) -> bool;
    fn mi_heap_theap(heap: *mut mi_heap_t) -> *mut c_void;
    fn mi_theap_set_default(theap: *mut c_void) -> *mut c_void;
}

/// Makes `heap` the one that plain allocation uses on this thread; answers the one before. Null without memory, which changes
/// nothing.
pub unsafe extern "C" fn mi_heap_set_default(heap: *mut mi_heap_t) -> *mut mi_heap_t {
    // SAFETY: the contract of the C functions: the heap lives.
    unsafe {
        let theap = mi_heap_theap(heap);
        if theap.is_null() {
            return ptr::null_mut();
        }
        let before = mi_heap_get_default();
        mi_theap_set_default(theap);
        before
    }
}

/// The heap that plain allocation uses on this thread; null without memory.
pub unsafe extern "C" fn mi_heap_get_default() -> *mut mi_heap_t {
    runtime::live_theap().map_or(ptr::null_mut(), |theap| ptr::from_ref(theap.heap()).cast_mut().cast())
}

/// The heap that lives as long as the process.
pub unsafe extern "C" fn mi_heap_get_backing() -> *mut mi_heap_t {
    // SAFETY: it has no preconditions.
    unsafe { mi_heap_main() }
}

/// Whether the block at `p` is one of `heap`'s.
pub unsafe extern "C" fn mi_heap_contains_block(heap: *mut mi_heap_t, p: *const c_void) -> bool {
    // SAFETY: the contract of the C function.
    unsafe { mi_heap_contains(heap, p) }
}

/// Whether `p`, which may be any address, points into `heap`. As fast as [`mi_heap_contains_block`].
pub unsafe extern "C" fn mi_heap_check_owned(heap: *mut mi_heap_t, p: *const c_void) -> bool {
    // SAFETY: the contract of the C function: no address is followed.
    unsafe { mi_heap_contains(heap, p) }
}

#[cfg(feature = "arena")]
pub use arenas::*;

#[cfg(feature = "arena")]
mod arenas {
    use core::ffi::{c_int, c_void};
    use core::ptr;
    use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

    use crate::extended::{mi_arena_id_t, mi_heap_t};

    /// No arena.
    const NONE: mi_arena_id_t = 0;
    /// More than a process has of its own making.
    const MAX: usize = 1024;

    /// The arena with the number `i + 1`; null in places that are free. An arena is never removed, and what is at its address was
    /// written by whoever made it, before it learned the number.
    static ARENAS: [AtomicPtr<c_void>; MAX] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX];

    unsafe extern "C" {
        #[link_name = "mi_heap_new_in_arena"]
        fn heap_new_in_arena(arena: *mut c_void) -> *mut mi_heap_t;
        #[link_name = "mi_reserve_os_memory_ex"]
        fn reserve_os_memory(size: usize, commit: bool, large: bool, exclusive: bool, arena: *mut *mut c_void)
        -> c_int;
        #[link_name = "mi_manage_os_memory_ex"]
        fn manage_os_memory(
            start: *const c_void,
            size: usize,
            is_committed: bool,
            is_large: bool,
            is_zero: bool,
            numa_node: c_int,
            exclusive: bool,
            arena: *mut *mut c_void,
        ) -> bool;
    }

    /// The number of a new arena; 0 for null, and when there are too many to be numbered.
    fn number_of(arena: *mut c_void) -> mi_arena_id_t {
        if arena.is_null() {
            return NONE;
        }
        let place =
            ARENAS.iter().position(|place| place.compare_exchange(ptr::null_mut(), arena, Relaxed, Relaxed).is_ok());
        place.map_or(NONE, |i| i as mi_arena_id_t + 1)
    }

    fn arena_of(id: mi_arena_id_t) -> *mut c_void {
        let place = usize::try_from(id).ok().and_then(|id| ARENAS.get(id.checked_sub(1)?));
        place.map_or(ptr::null_mut(), |place| place.load(Relaxed))
    }

    /// # Safety
    /// `id` is null or may be written.
    unsafe fn tell(id: *mut mi_arena_id_t, arena: *mut c_void) {
        if !id.is_null() {
            // SAFETY: the precondition.
            unsafe { id.write(number_of(arena)) }
        }
    }

    /// A heap that takes memory from one arena only; null if there is no such arena.
    pub unsafe extern "C" fn mi_heap_new_in_arena(arena_id: mi_arena_id_t) -> *mut mi_heap_t {
        let arena = arena_of(arena_id);
        if arena.is_null() {
            return ptr::null_mut();
        }
        // SAFETY: arenas live as long as the process.
        unsafe { heap_new_in_arena(arena) }
    }

    /// Reserves an arena; 0, or an error number.
    pub unsafe extern "C" fn mi_reserve_os_memory_ex(
        size: usize,
        commit: bool,
        allow_large: bool,
        exclusive: bool,
        arena_id: *mut mi_arena_id_t,
    ) -> c_int {
        let mut arena = ptr::null_mut();
        // SAFETY: the contract of the C function.
        unsafe {
            let code = reserve_os_memory(size, commit, allow_large, exclusive, &mut arena);
            tell(arena_id, arena);
            code
        }
    }

    /// Makes an arena of the program's memory; false if it can't be one.
    #[allow(clippy::too_many_arguments)]
    pub unsafe extern "C" fn mi_manage_os_memory_ex(
        start: *const c_void,
        size: usize,
        is_committed: bool,
        is_large: bool,
        is_zero: bool,
        numa_node: c_int,
        exclusive: bool,
        arena_id: *mut mi_arena_id_t,
    ) -> bool {
        let mut arena = ptr::null_mut();
        // SAFETY: the contract of the C function.
        unsafe {
            let done = manage_os_memory(start, size, is_committed, is_large, is_zero, numa_node, exclusive, &mut arena);
            tell(arena_id, arena);
            done
        }
    }
}
