//! What an address lies in, without the dynamic linker's lock: `_dl_find_object`, which glibc has from 2.35 on.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::{self, MaybeUninit};

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::modules::Module;
use crate::object::look_up;

/// The function's address; 0: nobody has asked, 1: there is none. (A word that the linker fills in would need that version of glibc.)
static FIND_OBJECT: AtomicUsize = AtomicUsize::new(0);
const ABSENT: usize = 1;

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
    let function = match FIND_OBJECT.load(Relaxed) {
        0 => resolve(),
        known => known,
    };
    if function == ABSENT {
        return false;
    }
    // SAFETY: the C library's function, of this type.
    let find: extern "C" fn(*const c_void, *mut Found) -> c_int = unsafe { mem::transmute(function) };
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

/// Where there is no such function the dynamic linker may allocate, to say so: it is not asked again meanwhile.
#[cold]
fn resolve() -> usize {
    FIND_OBJECT.store(ABSENT, Relaxed);
    let found = look_up(libc::RTLD_DEFAULT, c"_dl_find_object").max(ABSENT);
    FIND_OBJECT.store(found, Relaxed);
    found
}
