//! Functions that a runtime may define for quiescent state based reclamation (mimalloc's `qsbr.h`), looked for by weak references:
//! few processes have them.

/// The functions, by what they are called with: a heap's state; a page's; a page's, its heap's, and the page's bytes.
#[derive(Clone, Copy)]
pub struct Functions {
    /// Makes the state of a new heap.
    pub heap_init: unsafe extern "C" fn(*mut u8),
    /// Forgets what is noted for a page.
    pub page_clear: unsafe extern "C" fn(*mut u8),
    /// Whether an empty page must wait, since some thread may still read it.
    pub should_delay: unsafe extern "C" fn(*mut u8, *mut u8, usize) -> bool,
}

/// Those of this process; `None` unless it has all of them.
pub fn functions() -> Option<Functions> {
    weak::functions()
}

/// There are no weak references.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod weak {
    pub(super) fn functions() -> Option<super::Functions> {
        None
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod weak {
    use super::Functions;

    weak_word!(HEAP_INIT, "mi_heap_qsbr_init", "ferrimalloc_qsbr_heap_init");
    weak_word!(PAGE_CLEAR, "mi_page_qsbr_clear", "ferrimalloc_qsbr_page_clear");
    weak_word!(SHOULD_DELAY, "mi_page_qsbr_should_delay", "ferrimalloc_qsbr_should_delay");

    /// `None` unless the process has all of them.
    pub(super) fn functions() -> Option<Functions> {
        // SAFETY: a word is 0 or the address of a function of this type, as the interface declares it.
        unsafe {
            Some(Functions {
                heap_init: core::mem::transmute::<usize, Option<unsafe extern "C" fn(*mut u8)>>(HEAP_INIT)?,
                page_clear: core::mem::transmute::<usize, Option<unsafe extern "C" fn(*mut u8)>>(PAGE_CLEAR)?,
                should_delay: core::mem::transmute::<
                    usize,
                    Option<unsafe extern "C" fn(*mut u8, *mut u8, usize) -> bool>,
                >(SHOULD_DELAY)?,
            })
        }
    }
}
