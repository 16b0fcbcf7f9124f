//! Arenas that the program asks for.

use std::alloc::Layout;
use std::mem::MaybeUninit;

use ferrimalloc::arena::{Arena, Refusal, Sharing};
use ferrimalloc::{Heap, MiMalloc};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

const MIB: usize = 1 << 20;

fn block(heap: &Heap, size: usize) -> Option<*const u8> {
    heap.alloc(Layout::from_size_align(size, 1).unwrap()).map(|block| block.as_ptr().cast_const())
}

#[test]
fn heaps_in_an_exclusive_arena_have_it_alone_and_to_the_end() {
    let arena = Arena::reserve(32 * MIB, Sharing::Exclusive).unwrap();
    assert_eq!(arena.bytes(), 32 * MIB);
    let heap = Heap::new_in(arena).unwrap();
    let mut blocks = 0;
    while let Some(block) = block(&heap, 100_000) {
        assert!(arena.contains(block));
        blocks += 1;
    }
    assert!(blocks > 200 && blocks < 330, "{blocks}");
    assert!(!arena.contains(vec![1u8; 100_000].as_ptr()));
    drop(heap);
    assert!(block(&Heap::new_in(arena).unwrap(), 16 * MIB).is_some());
}

#[test]
fn memory_of_the_program_becomes_an_arena() {
    let memory: &'static mut [MaybeUninit<u8>] = Box::leak(Box::new_uninit_slice(8 * MIB));
    let range = memory.as_ptr_range();
    let arena = Arena::manage(memory, Sharing::Exclusive).unwrap();
    let heap = Heap::new_in(arena).unwrap();
    let block = heap.alloc_zeroed(Layout::new::<[u8; 3000]>()).unwrap();
    assert!(range.contains(&block.as_ptr().cast_const().cast()));
    // SAFETY: a block of that size.
    assert_eq!(unsafe { block.cast::<[u8; 3000]>().read() }, [0; 3000]);
}

#[test]
fn small_memory_is_refused() {
    let memory = Box::leak(Box::new_uninit_slice(100_000));
    assert_eq!(Arena::manage(memory, Sharing::Shared), Err(Refusal::TooSmall));
    assert!(Arena::reserve(MIB, Sharing::Shared).is_none());
    assert!(Arena::reserve(usize::MAX, Sharing::Shared).is_none());
}
