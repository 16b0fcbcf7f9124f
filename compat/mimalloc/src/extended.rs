//! What the feature `extended` adds.

use crate::{ALLOCATOR, MiMalloc};

impl MiMalloc {
    /// The version of mimalloc whose interface this is: `major * 10000 + minor * 100 + patch`.
    pub fn version(&self) -> u32 {
        ALLOCATOR.version()
    }

    /// How many bytes of the block at `ptr` may be used; 0 for null.
    ///
    /// # Safety
    /// `ptr` is null or a block of this allocator in use.
    #[inline]
    pub unsafe fn usable_size(&self, ptr: *const u8) -> usize {
        // SAFETY: the precondition.
        unsafe { ALLOCATOR.usable_size(ptr) }
    }
}

#[cfg(not(feature = "v2"))]
pub use json::StatsJson;

#[cfg(not(feature = "v2"))]
mod json {
    use core::ffi::{CStr, c_char};
    use core::ops::Deref;
    use core::ptr::{self, NonNull};

    use libmimalloc_sys::{mi_free, mi_stats_get_json};

    use crate::MiMalloc;

    impl MiMalloc {
        /// The statistics of the process, in JSON. The text is a block of this allocator.
        ///
        /// # Errors
        /// There is no memory for the text.
        pub fn stats_json() -> Result<StatsJson, &'static str> {
            // SAFETY: no buffer is given.
            let text = unsafe { mi_stats_get_json(0, ptr::null_mut()) };
            NonNull::new(text).map(|text| StatsJson { text }).ok_or("no memory for the statistics")
        }
    }

    /// What [`MiMalloc::stats_json`] answers: a C string.
    pub struct StatsJson {
        text: NonNull<c_char>,
    }

    impl Deref for StatsJson {
        type Target = CStr;

        fn deref(&self) -> &CStr {
            // SAFETY: the text ends with a null, and lives as long as this.
            unsafe { CStr::from_ptr(self.text.as_ptr()) }
        }
    }

    impl Drop for StatsJson {
        fn drop(&mut self) {
            // SAFETY: the block is ours, and not used any more.
            unsafe { mi_free(self.text.as_ptr().cast()) }
        }
    }
}
