//! The allocator of a whole program.

use core::alloc::{GlobalAlloc, Layout};

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{Force, Zero};
use ferrimalloc_core::runtime::live_theap;
use ferrimalloc_report::INTERFACE_VERSION;

use crate::configured::{Configured, Options};
use crate::request;

/// The allocator, to be put in a `static` with `#[global_allocator]`.
///
/// It has no state of its own: all values of the type are the same allocator.
///
/// ```
/// use ferrimalloc::MiMalloc;
///
/// #[global_allocator]
/// static GLOBAL: MiMalloc = MiMalloc;
///
/// assert_eq!(Box::new(7).to_string(), "7");
/// ```
#[derive(Clone, Copy, Default, Debug)]
pub struct MiMalloc;

// SAFETY: blocks are aligned and large enough (`request`), distinct, and live until they are freed. Nothing unwinds:
// the core does not panic.
unsafe impl GlobalAlloc for MiMalloc {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        request::allocate(layout, Zero::Any)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        request::allocate(layout, Zero::Zeroed)
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the contract of `GlobalAlloc`.
        unsafe { request::free(p, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the contract of `GlobalAlloc`: the new layout is valid, and `p` a block of ours with the alignment.
        unsafe {
            let layout = Layout::from_size_align_unchecked(new_size, layout.align());
            match live_theap() {
                Some(theap) => request::resize_in(theap, p, layout),
                None => core::ptr::null_mut(),
            }
        }
    }
}

impl MiMalloc {
    /// The allocator with options of the program's choice. See [`Options`].
    pub const fn with(options: Options) -> Configured {
        Configured::new(options)
    }

    /// The version of mimalloc whose interface this is: `major * 10000 + minor * 100 + patch`, so 30602 for 3.6.2.
    #[doc(alias = "mi_version")]
    pub fn version(&self) -> u32 {
        INTERFACE_VERSION.unsigned_abs()
    }

    /// How many bytes of the block at `p` may be used: at least as many as were asked for. 0 for null.
    ///
    /// ```
    /// use ferrimalloc::MiMalloc;
    /// use std::alloc::{GlobalAlloc, Layout};
    ///
    /// let layout = Layout::new::<[u8; 100]>();
    /// // SAFETY: the block is used while it lives, with its own layout.
    /// unsafe {
    ///     let p = MiMalloc.alloc(layout);
    ///     assert_eq!(MiMalloc.usable_size(p), MiMalloc.good_size(100));
    ///     MiMalloc.dealloc(p, layout);
    /// }
    /// ```
    ///
    /// # Safety
    /// `p` is null or a block of this allocator in use.
    #[doc(alias = "mi_usable_size")]
    #[inline]
    pub unsafe fn usable_size(&self, p: *const u8) -> usize {
        alloc::usable_size(p)
    }

    /// The usable size that a request of `size` bytes would get. Asking for just that wastes nothing.
    ///
    /// ```
    /// assert_eq!(ferrimalloc::MiMalloc.good_size(1000), 1024);
    /// ```
    #[doc(alias = "mi_good_size")]
    #[inline]
    pub fn good_size(&self, size: usize) -> usize {
        alloc::good_size(size)
    }

    /// This thread is about to wait: gives back what it holds without need, for event loops and thread pools. Called again and again
    /// it does so now and then, and else next to nothing. May call the OS.
    ///
    /// ```
    /// use ferrimalloc::MiMalloc;
    ///
    /// std::thread::spawn(|| {
    ///     drop(vec![1_u8; 100_000]);
    ///     MiMalloc.idle();
    ///     // Waits for work.
    /// });
    /// ```
    #[doc(alias = "mi_on_thread_idle")]
    pub fn idle(&self) {
        alloc::idle();
    }

    /// Takes over what other threads have freed of this thread's blocks, and gives empty pages and unused memory back:
    /// with [`Force::Routine`] what is due, with [`Force::All`] as much as can be. May call the OS.
    ///
    /// ```
    /// use ferrimalloc::{Force, MiMalloc};
    ///
    /// MiMalloc.collect(Force::All);
    /// ```
    #[doc(alias = "mi_collect")]
    pub fn collect(&self, force: Force) {
        // A thread that has allocated nothing yet may purge all the same.
        if live_theap().is_some() {
            alloc::collect(force);
        }
    }
}
