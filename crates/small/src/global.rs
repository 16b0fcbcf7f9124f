//! Rust's interface.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::ptr;

use crate::pages::Pages;
use crate::runs::{Runs, Want};
use crate::sizes::*;
use crate::source::Source;

/// Up to so many bytes are copied by words.
const WORDWISE_MAX: usize = 256;

/// The allocator, to be put in a `static` with `#[global_allocator]`, with memory from a source.
#[derive(Debug)]
pub struct Small<S> {
    heap: UnsafeCell<Heap>,
    source: S,
}

struct Heap {
    pages: Pages,
    runs: Runs,
}

impl core::fmt::Debug for Heap {
    fn fmt(&self, to: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        to.write_str("Heap")
    }
}

// SAFETY: who made it has promised that there is one thread.
unsafe impl<S> Sync for Small<S> {}

impl<S: Source> Small<S> {
    /// Nothing is taken from the source before the first allocation.
    ///
    /// # Safety
    /// It is never used by two threads at the same time, nor by an interrupt or signal handler while it is used; and it never moves once it
    /// is used, so it is a `static`.
    pub const unsafe fn single_threaded(source: S) -> Self {
        Small { heap: UnsafeCell::new(Heap { pages: Pages::new(), runs: Runs::new() }), source }
    }

    #[inline(always)]
    #[allow(clippy::mut_from_ref, reason = "one thread, and nobody keeps it")]
    fn heap(&self) -> &mut Heap {
        // SAFETY: nobody else uses it at the same time; sources don't allocate.
        unsafe { &mut *self.heap.get() }
    }

    /// Resizes a block that is made of granules, and will be; null if that can't be without moving it.
    fn resize_run(&self, p: *mut u8, old: usize, new: usize) -> *mut u8 {
        let runs = &mut self.heap().runs;
        let first = runs.granule_at(p.addr());
        if new <= old {
            runs.shrink(first, old, new);
            return p;
        }
        if runs.grow_in_place(first, old, new) {
            return p;
        }
        ptr::null_mut()
    }

    /// Where nothing else has room for it, the last block takes what is added.
    fn extend_run(&self, p: *mut u8, old: usize, new: usize) -> bool {
        let runs = &mut self.heap().runs;
        let first = runs.granule_at(p.addr());
        runs.is_last(first + old) && runs.extend(new - old, &self.source) && runs.grow_in_place(first, old, new)
    }

    #[inline(never)]
    fn take_run(&self, bytes: usize, align: usize) -> *mut u8 {
        let runs = &mut self.heap().runs;
        runs.take(want(bytes, align), &self.source).map_or(ptr::null_mut(), |first| runs.start_of(first))
    }

    #[inline(never)]
    fn put_run(&self, p: *mut u8, bytes: usize) {
        let runs = &mut self.heap().runs;
        runs.put(runs.granule_at(p.addr()), granules_of(bytes));
    }

    /// # Safety
    /// As for `realloc`.
    #[inline(never)]
    unsafe fn resize(&self, p: *mut u8, layout: Layout, new: Layout) -> *mut u8 {
        let (old, bytes) = (sealed(layout), sealed(new));
        if old <= SMALL_MAX && bytes <= SMALL_MAX && class_of(old) == class_of(bytes) {
            return p;
        }
        let mut to: *mut u8 = ptr::null_mut();
        if old > SMALL_MAX && bytes > SMALL_MAX {
            let (old, want) = (granules_of(old), want(bytes, new.align()));
            if !self.resize_run(p, old, want.granules).is_null() {
                return p;
            }
            let runs = &mut self.heap().runs;
            to = runs.take_present(want).map_or(ptr::null_mut(), |first| runs.start_of(first));
            if to.is_null() && self.extend_run(p, old, want.granules) {
                return p;
            }
        }
        // SAFETY: the precondition.
        unsafe {
            if to.is_null() {
                to = self.alloc(new);
            }
            if !to.is_null() {
                copy(to, p, old.min(bytes));
                self.dealloc(p, layout);
            }
        }
        to
    }
}

/// Copies what two blocks have in common. Small ones by words, since their classes have whole words: where copying is an instruction of the machine's, as on
/// WebAssembly, that takes longer than a few words do. (Volatile, or the compiler would make that instruction of it.)
///
/// # Safety
/// Two blocks with so many bytes, or a word more.
#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) {
    if bytes > WORDWISE_MAX {
        // SAFETY: the precondition.
        return unsafe { to.copy_from_nonoverlapping(from, bytes) };
    }
    // (What a block holds need not be numbers: it may be pointers, or nothing yet.)
    let (to, from): (*mut MaybeUninit<u64>, *const MaybeUninit<u64>) = (to.cast(), from.cast());
    for word in 0..bytes.div_ceil(size_of::<u64>()) {
        // SAFETY: the precondition; blocks are aligned to words.
        unsafe { to.add(word).write_volatile(from.add(word).read_volatile()) };
    }
}

/// A layout's size, as a multiple of its alignment: classes and runs for that are aligned so.
#[inline(always)]
fn sealed(layout: Layout) -> usize {
    layout.size().max(1).wrapping_add(layout.align() - 1) & !(layout.align() - 1)
}

fn want(bytes: usize, align: usize) -> Want {
    Want { granules: granules_of(bytes), align: align.div_ceil(GRANULE_BYTES) }
}

// SAFETY: blocks are large enough and aligned (`sizes`), distinct, and live until they are freed. Nothing unwinds.
unsafe impl<S: Source> GlobalAlloc for Small<S> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let bytes = sealed(layout);
        if bytes > SMALL_MAX {
            return self.take_run(bytes, layout.align());
        }
        let Heap { pages, runs } = self.heap();
        pages.take(class_of(bytes), runs, &self.source)
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        let bytes = sealed(layout);
        if bytes > SMALL_MAX {
            return self.put_run(p, bytes);
        }
        let Heap { pages, runs } = self.heap();
        // SAFETY: the contract of `GlobalAlloc`.
        unsafe { pages.put(p, class_of(bytes), runs) }
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the contract of `GlobalAlloc`.
        unsafe { self.resize(p, layout, Layout::from_size_align_unchecked(new_size, layout.align())) }
    }
}

#[cfg(test)]
mod tests;
