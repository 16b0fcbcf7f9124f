//! Collections in heaps, by `allocator-api2`.
#![cfg(feature = "allocator-api2")]

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use ferrimalloc::{Heap, HeapRef, MiMalloc};
use std::alloc::Layout;
use std::thread;

#[test]
fn vectors_grow_and_shrink_in_a_heap() {
    let heap = Heap::new().unwrap();
    let mut numbers = Vec::new_in(&heap);
    numbers.extend(0..300_000u64);
    assert!(heap.contains(numbers.as_ptr().cast()));
    numbers.truncate(10);
    numbers.shrink_to_fit();
    assert!(heap.contains(numbers.as_ptr().cast()));
    assert_eq!(numbers.iter().sum::<u64>(), 45);
}

#[test]
fn boxes_are_dropped_by_other_threads() {
    let heap = Heap::new().unwrap();
    thread::scope(|scope| {
        for n in 0..4u64 {
            let boxed = Box::new_in([n; 50], &heap);
            scope.spawn(move || assert_eq!(boxed[49], n));
        }
    });
}

#[test]
fn a_collection_may_own_its_heap() {
    let mut numbers = Vec::new_in(Heap::new().unwrap());
    numbers.extend(0..1000);
    let moved = thread::spawn(move || numbers).join().unwrap();
    assert_eq!(moved[999], 999);
}

#[test]
fn leaked_heaps_and_the_global_allocator_last() {
    let heap: &'static HeapRef = Heap::new().unwrap().leak();
    let kept: &'static mut [u8; 100] = Box::leak(Box::new_in([1u8; 100], heap));
    let others = Box::leak(Box::new_in([1u8; 100], MiMalloc));
    assert_eq!(kept, others);
}

#[test]
fn zeroed_growth_is_zero_and_absurd_requests_fail() {
    let heap = Heap::new().unwrap();
    let (small, large) = (Layout::new::<[u8; 20]>(), Layout::new::<[u8; 9000]>());
    let allocator = &heap;
    let block = allocator.allocate(small).unwrap().cast::<u8>();
    // SAFETY: a block of the heap, with its own layouts.
    unsafe {
        block.write_bytes(1, 20);
        let grown = allocator.grow_zeroed(block, small, large).unwrap();
        let bytes = grown.as_ref();
        assert!(bytes[..20].iter().all(|&byte| byte == 1) && bytes[20..].iter().all(|&byte| byte == 0));
        allocator.deallocate(grown.cast(), large);
    }
    assert!(allocator.allocate(Layout::from_size_align(isize::MAX as usize, 1).unwrap()).is_err());
}
