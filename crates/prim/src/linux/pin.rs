//! By `dlopen` of what is open already, as a program would do it (dlopen(3): `RTLD_NOLOAD`, `RTLD_NODELETE`).
//!
//! Whether there is anything to be done is in our object's own dynamic section, so that programs and `libferrimalloc.so`, which
//! is linked with `-z nodelete`, are not looked up.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "x86"))]
pub(crate) use by_dlopen::stay_loaded;

/// There are no weak references to ask for `dlopen`.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "x86")))]
pub(crate) fn stay_loaded() {}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "x86"))]
mod by_dlopen {
    use crate::errno::quiet;
    use core::ffi::{c_char, c_int, c_void};
    use core::mem::transmute;
    use core::ptr;

    // Our own object's; a static program has none.
    core::arch::global_asm!(".hidden _DYNAMIC");
    weak_word!(DYNAMIC, "_DYNAMIC", "ferrimalloc_dynamic");
    // A static program shall not be made to have them by us.
    weak_word!(DLADDR, "dladdr", "ferrimalloc_dladdr");
    weak_word!(DLOPEN, "dlopen", "ferrimalloc_dlopen");

    /// An entry of the dynamic section (elf(5), `ElfN_Dyn`).
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub(super) struct Entry {
        pub(super) tag: isize,
        pub(super) value: usize,
    }

    const DT_NULL: isize = 0;
    /// Only programs have it.
    pub(super) const DT_DEBUG: isize = 21;
    pub(super) const DT_FLAGS_1: isize = 0x6fff_fffb;
    pub(super) const DF_1_NODELETE: usize = 0x8;
    pub(super) const DF_1_PIE: usize = 0x0800_0000;

    pub(crate) fn stay_loaded() {
        // SAFETY: words that the linker has filled in.
        let (dynamic, dladdr, dlopen) = unsafe { (DYNAMIC, DLADDR, DLOPEN) };
        if dynamic == 0 || dladdr == 0 || dlopen == 0 || stays(entries(dynamic)) {
            return;
        }
        type Dladdr = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info) -> c_int;
        type Dlopen = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
        // SAFETY: the addresses of functions of these types; the name that the one gives is the other's own. The handle is kept
        // for ever, with what it refers to.
        quiet(|| unsafe {
            let mut info: libc::Dl_info = core::mem::zeroed();
            let found = transmute::<usize, Dladdr>(dladdr)(ptr::with_exposed_provenance(dynamic), &mut info);
            if found != 0 && !info.dli_fname.is_null() {
                let flags = libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
                transmute::<usize, Dlopen>(dlopen)(info.dli_fname, flags);
            }
        });
    }

    /// The entries at the address of a dynamic section.
    fn entries(dynamic: usize) -> impl Iterator<Item = Entry> {
        let start: *const Entry = ptr::with_exposed_provenance(dynamic);
        // SAFETY: a null entry ends the section.
        (0..).map(move |index| unsafe { start.add(index).read() }).take_while(|entry| entry.tag != DT_NULL)
    }

    /// Whether an object with these entries is never unloaded.
    pub(super) fn stays(mut entries: impl Iterator<Item = Entry>) -> bool {
        entries.any(|entry| match entry.tag {
            DT_DEBUG => true,
            DT_FLAGS_1 => entry.value & (DF_1_NODELETE | DF_1_PIE) != 0,
            _ => false,
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn programs_and_marked_libraries_stay() {
            let entry = |tag, value| Entry { tag, value };
            assert!(stays([entry(1, 7), entry(DT_DEBUG, 0)].into_iter()));
            assert!(stays([entry(DT_FLAGS_1, DF_1_NODELETE | 1)].into_iter()));
            assert!(stays([entry(DT_FLAGS_1, DF_1_PIE)].into_iter()));
            assert!(!stays([entry(1, 7), entry(DT_FLAGS_1, 1)].into_iter()));
        }

        #[test]
        fn this_program_stays() {
            // SAFETY: a word that the linker has filled in.
            assert!(stays(entries(unsafe { DYNAMIC })));
            stay_loaded();
        }
    }
}
