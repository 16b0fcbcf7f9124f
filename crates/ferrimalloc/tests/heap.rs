//! Heaps: any thread, any end.

use std::alloc::{GlobalAlloc, Layout};
use std::ops::ControlFlow;
use std::ptr::NonNull;
use std::sync::Barrier;
use std::thread;

use ferrimalloc::{Force, Heap, HeapRef, MiMalloc};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

/// A block filled with `byte`.
fn filled(heap: &HeapRef, size: usize, byte: u8) -> &[u8] {
    let block = heap.alloc(bytes(size)).unwrap();
    // SAFETY: a fresh block of that size, which the test does not free while the slice is used.
    unsafe {
        block.write_bytes(byte, size);
        NonNull::slice_from_raw_parts(block, size).as_ref()
    }
}

#[test]
fn heaps_are_apart() {
    let (one, other) = (Heap::new().unwrap(), Heap::new().unwrap());
    let (mine, yours) = (filled(&one, 100, 1), filled(&other, 100, 2));
    assert!(one.contains(mine.as_ptr()) && !one.contains(yours.as_ptr()));
    assert!(other.contains(yours.as_ptr()) && !HeapRef::main().unwrap().contains(yours.as_ptr()));
    assert_ne!(one.id(), other.id());
    assert_ne!(*one, *other);
    assert!(one.stats().pages.current > 0);
}

#[test]
fn resizing_and_zeroing() {
    let heap = Heap::new().unwrap();
    for size in [1usize, 24, 500, 30_000, 2 << 20] {
        let block = heap.alloc_zeroed(bytes(size)).unwrap();
        // SAFETY: blocks of the heap, used within their sizes and freed once.
        unsafe {
            assert!(NonNull::slice_from_raw_parts(block, size).as_ref().iter().all(|&byte| byte == 0));
            block.add(size - 1).write(9);
            let larger = heap.realloc(block, Layout::from_size_align(size * 3, 128).unwrap()).unwrap();
            assert_eq!(larger.addr().get() % 128, 0);
            assert_eq!(larger.add(size - 1).read(), 9);
            heap.free(larger);
        }
    }
}

#[test]
fn threads_share_a_heap_and_it_ends_when_they_are_done() {
    for round in 0..300usize {
        let heap = Heap::new().unwrap();
        thread::scope(|scope| {
            for n in 0..4u8 {
                let heap = &heap;
                scope.spawn(move || {
                    let blocks: Vec<_> = (0..100).map(|k| filled(heap, (k * round) % 3000 + 1, n)).collect();
                    assert!(blocks.iter().all(|block| block.iter().all(|&byte| byte == n)));
                });
            }
        });
        // The threads may still be on their way out.
        drop(heap);
    }
}

/// Frees of others' blocks are gathered; none may be left over when a heap goes.
#[test]
fn blocks_freed_by_another_thread_do_not_outlive_their_heap() {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        let (sender, blocks) = std::sync::mpsc::channel::<usize>();
        let barrier = &barrier;
        scope.spawn(move || {
            for block in blocks {
                if block == 0 {
                    barrier.wait();
                    continue;
                }
                // SAFETY: a block that the other thread has given away, freed once.
                unsafe { MiMalloc.dealloc(block as *mut u8, bytes(64)) };
            }
        });
        for _ in 0..300 {
            let heap = Heap::new().unwrap();
            for _ in 0..10 {
                sender.send(heap.alloc(bytes(64)).unwrap().addr().get()).unwrap();
            }
            sender.send(0).unwrap();
            barrier.wait();
            drop(heap);
            // Takes the place of the heap's pages.
            let other = Heap::new().unwrap();
            let blocks: Vec<_> = (0..1000).map(|_| filled(&other, 64, 3).as_ptr().cast_mut()).collect();
            other.delete();
            for block in blocks {
                // SAFETY: blocks of the main heap now, in use and freed once.
                unsafe {
                    assert_eq!(block.cast::<[u8; 64]>().read(), [3; 64]);
                    MiMalloc.dealloc(block, bytes(64));
                }
            }
        }
    });
}

/// Threads that have used a heap go on working while it is dropped.
#[test]
fn threads_outlive_heaps_that_they_have_used() {
    for _ in 0..100 {
        let heap = Heap::new().unwrap();
        let used = Barrier::new(3);
        thread::scope(|scope| {
            let (heap, used) = (&heap, &used);
            for n in 0..2u8 {
                scope.spawn(move || {
                    filled(heap, 100, n);
                    used.wait();
                });
            }
            used.wait();
        });
        drop(heap);
    }
    thread::scope(|scope| {
        let (sender, heaps) = std::sync::mpsc::channel::<&'static HeapRef>();
        scope.spawn(move || {
            for heap in heaps {
                filled(heap, 10, 1);
                MiMalloc.collect(Force::All);
            }
        });
        for _ in 0..20 {
            sender.send(Heap::new().unwrap().leak()).unwrap();
        }
    });
}

#[test]
fn deleted_heaps_leave_their_blocks_to_the_main_heap() {
    let heap = Heap::new().unwrap();
    let blocks: Vec<usize> = thread::scope(|scope| {
        let fill = |n: u8| {
            let heap = &heap;
            move || (1..500).map(|size| filled(heap, size * 20, n).as_ptr().cast_mut().addr()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..3).map(|n| scope.spawn(fill(n))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    heap.delete();
    let main = HeapRef::main().unwrap();
    for block in blocks {
        let block = block as *mut u8;
        assert!(main.contains(block));
        // SAFETY: a block of the main heap now, in use and freed once.
        unsafe {
            assert!(block.read() < 3);
            main.free(NonNull::new_unchecked(block));
        }
    }
}

#[test]
fn leaked_heaps_stay() {
    let heap: &'static HeapRef = Heap::new().unwrap().leak();
    let block = filled(heap, 1000, 5);
    thread::spawn(move || assert!(heap.contains(block.as_ptr()) && block[999] == 5)).join().unwrap();
}

#[test]
fn visitors_see_every_block_in_use_and_may_stop() {
    let heap = Heap::new().unwrap();
    let blocks: Vec<_> = (0..2000usize).map(|n| filled(&heap, n * 50 + 1, 1).as_ptr()).collect();
    for block in blocks.iter().skip(1).step_by(2) {
        // SAFETY: a block of the heap, freed once.
        unsafe { heap.free(NonNull::new(block.cast_mut()).unwrap()) };
    }
    let mut expected: Vec<_> = blocks.into_iter().step_by(2).collect();
    let mut seen = Vec::new();
    let end: ControlFlow<()> = heap.for_each_block(|area, block| {
        assert!(block.addr().get() >= area.start.addr() && area.used <= area.touched && area.touched <= area.capacity);
        seen.push(block.as_ptr().cast_const());
        ControlFlow::Continue(())
    });
    assert_eq!(end, ControlFlow::Continue(()));
    expected.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, expected);
    assert_eq!(heap.for_each_area(|area| ControlFlow::Break(area.block_bytes > 0)), ControlFlow::Break(true));
}

#[test]
fn sizes_of_nothing_are_blocks_too() {
    let heap = Heap::new().unwrap();
    let empty = Layout::from_size_align(0, 64).unwrap();
    let block = heap.alloc(empty).unwrap();
    assert_eq!(block.addr().get() % 64, 0);
    // SAFETY: a block of the heap, freed once.
    unsafe { heap.free(block) };
}
