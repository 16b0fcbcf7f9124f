//! `Allocator`, of the crate `allocator-api2` and of nightly `core`: the same trait twice, so written once.
//!
//! A reference to an allocator is one too, so that collections take `&heap`. Sizes of 0 get a block like any other.

use core::alloc::Layout;
use core::ptr::NonNull;

use ferrimalloc_core::base::Zero;

use crate::global::MiMalloc;
use crate::heap::{Heap, HeapRef};
use crate::request;

use ferrimalloc_core::runtime;

/// What both traits need of an allocator.
trait Blocks {
    fn get(&self, layout: Layout, zero: Zero) -> Option<NonNull<u8>>;

    /// # Safety
    /// As for [`HeapRef::realloc`].
    unsafe fn resize(&self, block: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>>;
}

impl Blocks for MiMalloc {
    #[inline]
    fn get(&self, layout: Layout, zero: Zero) -> Option<NonNull<u8>> {
        NonNull::new(request::allocate(layout, zero))
    }

    #[inline]
    unsafe fn resize(&self, block: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        let theap = runtime::live_theap()?;
        // SAFETY: the precondition.
        NonNull::new(unsafe { request::resize_in(theap, block.as_ptr(), layout) })
    }
}

impl Blocks for HeapRef {
    #[inline]
    fn get(&self, layout: Layout, zero: Zero) -> Option<NonNull<u8>> {
        match zero {
            Zero::Any => self.alloc(layout),
            Zero::Zeroed => self.alloc_zeroed(layout),
        }
    }

    #[inline]
    unsafe fn resize(&self, block: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the precondition.
        unsafe { self.realloc(block, layout) }
    }
}

impl Blocks for Heap {
    #[inline]
    fn get(&self, layout: Layout, zero: Zero) -> Option<NonNull<u8>> {
        (**self).get(layout, zero)
    }

    #[inline]
    unsafe fn resize(&self, block: NonNull<u8>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the precondition.
        unsafe { self.realloc(block, layout) }
    }
}

/// Implements the `Allocator` of a crate for one type.
macro_rules! implement {
    ($api:path, $type:ty) => {
        const _: () = {
            use $api as api;

            fn sized(block: Option<NonNull<u8>>, layout: Layout) -> Result<NonNull<[u8]>, api::AllocError> {
                match block {
                    Some(block) => Ok(NonNull::slice_from_raw_parts(block, layout.size())),
                    None => Err(api::AllocError),
                }
            }

            // SAFETY: blocks fit their layouts and live until they are freed or the allocator is dropped. Moving the
            // allocator leaves them where they are; none of these types can be cloned into one that outlives a heap.
            unsafe impl api::Allocator for $type {
                #[inline]
                fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, api::AllocError> {
                    sized(self.get(layout, Zero::Any), layout)
                }

                #[inline]
                fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, api::AllocError> {
                    sized(self.get(layout, Zero::Zeroed), layout)
                }

                #[inline]
                unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                    // SAFETY: the contract of the trait: a block of this allocator.
                    unsafe { request::free(block.as_ptr(), layout) }
                }

                #[inline]
                unsafe fn grow(
                    &self,
                    block: NonNull<u8>,
                    _old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, api::AllocError> {
                    // SAFETY: the contract of the trait: a block of this allocator.
                    sized(unsafe { self.resize(block, new) }, new)
                }

                #[inline]
                unsafe fn shrink(
                    &self,
                    block: NonNull<u8>,
                    _old: Layout,
                    new: Layout,
                ) -> Result<NonNull<[u8]>, api::AllocError> {
                    // SAFETY: the contract of the trait: a block of this allocator.
                    sized(unsafe { self.resize(block, new) }, new)
                }
            }
        };
    };
}

#[cfg(feature = "allocator-api2")]
mod api2 {
    use super::*;

    implement!(allocator_api2::alloc, MiMalloc);
    implement!(allocator_api2::alloc, HeapRef);
    implement!(allocator_api2::alloc, Heap);
}

#[cfg(feature = "nightly")]
mod native {
    use super::*;

    implement!(core::alloc, MiMalloc);
    implement!(core::alloc, HeapRef);
    implement!(core::alloc, Heap);
}
