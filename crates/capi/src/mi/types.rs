//! The C types of the interface.

use core::ffi::c_void;

use ferrimalloc_core::heap::{Heap, Subproc};
use ferrimalloc_core::theap::Theap;

/// `mi_heap_t*`.
pub type HeapPtr = *mut Heap;
/// `mi_theap_t*`.
pub type TheapPtr = *mut Theap;
/// `mi_arena_id_t`: the arena's description, or null.
pub type ArenaId = *mut c_void;

/// `mi_subproc_id_t`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct SubprocId {
    pub subproc: *mut c_void,
}

impl SubprocId {
    pub const NONE: SubprocId = SubprocId { subproc: core::ptr::null_mut() };

    pub fn of(subproc: &Subproc) -> SubprocId {
        SubprocId { subproc: core::ptr::from_ref(subproc).cast_mut().cast() }
    }
}

/// `mi_heap_area_t`: `used` counts blocks, the other numbers are bytes.
#[repr(C)]
pub struct HeapArea {
    pub blocks: *mut c_void,
    pub reserved: usize,
    pub committed: usize,
    pub used: usize,
    pub block_size: usize,
    pub full_block_size: usize,
    pub reserved1: *mut c_void,
}

/// `mi_block_visit_fun`: heap, area, block (null: the area itself), block size, argument.
pub type BlockVisitFn = unsafe extern "C" fn(*const c_void, *const HeapArea, *mut c_void, usize, *mut c_void) -> bool;
/// `mi_heap_visit_fun`.
pub type HeapVisitFn = unsafe extern "C" fn(*mut c_void, *mut c_void) -> bool;
