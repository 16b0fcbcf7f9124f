//! A block keeps the alignment that it was asked for, over every way to resize it, at every level, with and without
//! guards.
//!
//! Levels are those of the process, and are taken by threads that start, so each mode has a thread of its own.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;
use std::sync::Mutex;
use std::thread;

use ferrimalloc::{Heap, HeapRef, MiMalloc};
use ferrimalloc_core::alloc::{self, Alignment};
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::options::{self, Hardening, OptionId};
use ferrimalloc_core::runtime;

static TURN: Mutex<()> = Mutex::new(());

#[derive(Clone, Copy, Debug)]
struct Mode {
    secure: u8,
    debug: u8,
    /// One of so many blocks is guarded; 0: none.
    rate: i64,
    /// Guarded blocks end where the guard begins, to the byte.
    precise: bool,
}

/// Every level of either kind, alone and with guards.
fn modes() -> impl Iterator<Item = Mode> {
    let levels = (0..=5).map(|secure| (secure, 0)).chain((1..=3).map(|debug| (0, debug)));
    levels.flat_map(|(secure, debug)| {
        [(0, false), (1, false), (1, true), (3, true)].map(|(rate, precise)| Mode { secure, debug, rate, precise })
    })
}

fn in_mode(mode: Mode, test: impl FnOnce() + Send) {
    options::set_hardening(Hardening { secure: mode.secure, debug: mode.debug });
    options::set(OptionId::GuardedSampleRate, mode.rate);
    options::set(OptionId::UnsafeGuardedPrecise, i64::from(mode.precise));
    thread::scope(|scope| scope.spawn(test).join().unwrap_or_else(|_| panic!("in {mode:?}")));
    options::set(OptionId::UnsafeGuardedPrecise, 0);
    options::set(OptionId::GuardedSampleRate, 0);
    options::set_hardening(Hardening::NONE);
}

/// Numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }

    /// Every order of magnitude up to 4 MiB as likely, and the sizes at which blocks get pages of their own.
    fn size(&mut self) -> usize {
        match self.below(4) {
            0 => 400_000 + self.below(400_000),
            _ => {
                let bits = self.below(23);
                1 + self.below(1 << bits)
            }
        }
    }

    /// Up to 2 MiB, mostly what a page's blocks can have.
    fn align(&mut self) -> usize {
        let most_bits = if self.below(8) == 0 { 22 } else { 17 };
        1 << self.below(most_bits)
    }
}

/// A block in use, its size and alignment, and the byte that fills its first [`CHECKED`] bytes.
struct Held {
    p: *mut u8,
    size: usize,
    at: Alignment,
    byte: u8,
}

const CHECKED: usize = 6000;

impl Held {
    fn new(p: *mut u8, size: usize, at: Alignment, byte: u8) -> Held {
        let held = Held { p, size, at, byte };
        held.check_place("allocated");
        // SAFETY: a block of that size.
        unsafe { p.write_bytes(byte, size.min(CHECKED)) };
        held
    }

    fn check_place(&self, how: &str) {
        let Alignment { align, offset } = self.at;
        assert!(!self.p.is_null(), "{how} {} {:?}", self.size, self.at);
        assert_eq!(
            (self.p as usize).wrapping_add(offset) % align,
            0,
            "{how} {} {:?}: {:p}",
            self.size,
            self.at,
            self.p
        );
    }

    /// The block has become one of `size` bytes at `p`.
    fn go_on(&mut self, p: *mut u8, size: usize, at: Alignment, zero: Zero, how: &str) {
        let kept = self.size.min(size).min(CHECKED);
        (self.p, self.size, self.at) = (p, size, at);
        self.check_place(how);
        // SAFETY: a block of that size.
        unsafe {
            let held = std::slice::from_raw_parts(p, size);
            assert!(held[..kept].iter().all(|&byte| byte == self.byte), "{how} {size} {at:?}");
            assert!(zero == Zero::Any || alloc::usable_size(p) >= size);
            self.byte = self.byte.wrapping_add(1);
            p.write_bytes(self.byte, size.min(CHECKED));
        }
    }
}

fn release(held: Held) {
    // SAFETY: the test's block, used no more.
    unsafe { alloc::free(held.p) };
}

fn at(align: usize) -> Alignment {
    Alignment { align, offset: 0 }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// As a `Vec` does: the alignment stays, the size changes.
fn by_global_alloc(numbers: &mut Numbers) {
    for _ in 0..60 {
        let (size, align) = (numbers.size(), numbers.align());
        // SAFETY: blocks are used within their sizes, with their own layouts.
        unsafe {
            let p = if numbers.below(2) == 0 {
                MiMalloc.alloc(layout(size, align))
            } else {
                MiMalloc.alloc_zeroed(layout(size, align))
            };
            let mut held = Held::new(p, size, at(align), 1);
            for _ in 0..6 {
                let size = numbers.size();
                let p = MiMalloc.realloc(held.p, layout(held.size, align), size);
                held.go_on(p, size, at(align), Zero::Any, "MiMalloc::realloc");
            }
            MiMalloc.dealloc(held.p, layout(held.size, align));
        }
    }
}

/// As `Allocator` does: the alignment may change, too.
fn by_heap(heap: &HeapRef, numbers: &mut Numbers) {
    for _ in 0..40 {
        let (size, align) = (numbers.size(), numbers.align());
        let p = heap.alloc(layout(size, align)).unwrap().as_ptr();
        let mut held = Held::new(p, size, at(align), 1);
        for _ in 0..6 {
            let (size, align) = (numbers.size(), numbers.align());
            // SAFETY: a block of the heap's.
            let p = unsafe { heap.realloc(NonNull::new(held.p).unwrap(), layout(size, align)) };
            held.go_on(p.unwrap().as_ptr(), size, at(align), Zero::Any, "HeapRef::realloc");
        }
        release(held);
    }
}

/// What `mi_realloc_aligned_at`, `mi_rezalloc_aligned_at`, `mi_heap_realloc_aligned`, `mi_expand` and
/// `mi_malloc_aligned` call.
fn by_core(heap: &HeapRef, numbers: &mut Numbers) {
    let theap = runtime::live_theap().unwrap();
    let other = runtime::theap_for(alloc::heap_of(heap.alloc(layout(8, 8)).unwrap().as_ptr()).unwrap()).unwrap();
    for _ in 0..60 {
        let (size, align) = (numbers.size(), numbers.align());
        let p = alloc::malloc_aligned(size, align, Zero::Any);
        let mut held = Held::new(p, size, at(align), 1);
        for _ in 0..6 {
            let (size, align) = (numbers.size(), numbers.align());
            let offset = if numbers.below(3) == 0 { numbers.below(2 * align) & !7 } else { 0 };
            let place = Alignment { align, offset };
            let zero = if numbers.below(2) == 0 { Zero::Any } else { Zero::Zeroed };
            // SAFETY: the test's block.
            unsafe {
                match numbers.below(3) {
                    0 => {
                        let p = alloc::realloc_aligned_at_in(theap, held.p, size, align, offset, zero);
                        held.go_on(p, size, place, zero, "realloc_aligned_at_in");
                    }
                    1 => {
                        let p = alloc::realloc_into(other, held.p, size, place, zero);
                        held.go_on(p, size, place, zero, "realloc_into");
                    }
                    _ => {
                        let p = alloc::expand(held.p, size);
                        assert!(p.is_null() || p == held.p);
                        if !p.is_null() {
                            held.go_on(p, size, held.at, Zero::Any, "expand");
                        }
                    }
                }
            }
        }
        release(held);
    }
}

fn over_all_modes(test: impl Fn(&mut Numbers) + Sync) {
    let _alone = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    for (index, mode) in modes().enumerate() {
        in_mode(mode, || test(&mut Numbers(0x9E37_79B9_7F4A_7C15 ^ index as u64)));
    }
}

#[test]
fn a_rust_realloc_keeps_its_layouts_alignment() {
    over_all_modes(by_global_alloc);
}

#[test]
fn blocks_of_a_heap_keep_their_layouts_alignment() {
    over_all_modes(|numbers| by_heap(&Heap::new().unwrap(), numbers));
}

#[test]
fn aligned_blocks_of_c_keep_their_alignment() {
    over_all_modes(|numbers| by_core(&Heap::new().unwrap(), numbers));
}
