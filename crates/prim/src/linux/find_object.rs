//! What an address lies in, without the dynamic linker's lock: `_dl_find_object`, which glibc has from 2.35 on.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{self, MaybeUninit};

use crate::modules::Module;

crate::weak_word!(FIND_OBJECT, "_dl_find_object", "ferrimalloc_dl_find_object");

/// `struct dl_find_object` of `<dlfcn.h>`.
#[repr(C)]
struct Found {
    flags: u64,
    start: *const c_void,
    end: *const c_void,
    object: *const LinkMap,
    unwind_table: *const c_void,
    reserved: [u64; 7],
}

/// How `struct link_map` begins.
#[repr(C)]
struct LinkMap {
    base: usize,
    name: *const c_char,
}

/// Calls `visit` with what the address lies in, if it lies in anything; false if that can't be found out here.
pub(crate) fn find(address: usize, visit: &mut dyn FnMut(&Module<'_>)) -> bool {
    // SAFETY: filled in by the linker.
    let word = unsafe { FIND_OBJECT };
    if word == 0 {
        return false;
    }
    // SAFETY: the C library's function, of this type.
    let find: extern "C" fn(*const c_void, *mut Found) -> c_int = unsafe { mem::transmute(word) };
    let mut found = MaybeUninit::<Found>::zeroed();
    if find(core::ptr::without_provenance(address), found.as_mut_ptr()) == 0 {
        // SAFETY: all zero is a value, and the function has filled it. The object stays while code in it is on the stack.
        let (found, object) = unsafe { (found.assume_init_ref(), &*found.assume_init_ref().object) };
        // SAFETY: a C string, unless null.
        let name = if object.name.is_null() { c"" } else { unsafe { CStr::from_ptr(object.name) } };
        visit(&Module {
            base: object.base,
            start: found.start as usize,
            end: found.end as usize,
            file_offset: 0,
            name,
            unwind_table: found.unwind_table as usize,
            build_id: &[],
        });
    }
    true
}
