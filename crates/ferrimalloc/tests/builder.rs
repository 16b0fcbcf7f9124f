//! Heaps with properties of their own, beside ordinary ones.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ferrimalloc::arena::{Arena, Sharing};
use ferrimalloc::hooks::{self, ErrorCode};
use ferrimalloc::{Heap, HeapRef, MiMalloc};

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

static DOUBLE_FREES: AtomicUsize = AtomicUsize::new(0);
static OVERFLOWS: AtomicUsize = AtomicUsize::new(0);

fn count(error: ErrorCode) {
    match error {
        ErrorCode::DoubleFree => DOUBLE_FREES.fetch_add(1, Relaxed),
        ErrorCode::Corruption => OVERFLOWS.fetch_add(1, Relaxed),
        _ => panic!("{error:?}"),
    };
}

fn block(heap: &HeapRef, bytes: usize) -> NonNull<u8> {
    heap.alloc(Layout::from_size_align(bytes, 1).unwrap()).unwrap()
}

/// One double free, and one byte behind a block.
fn misuse(heap: &HeapRef) {
    let (twice, short) = (block(heap, 100), block(heap, 101));
    // SAFETY: that is misuse, which a hardened heap survives; the byte behind is still its page's.
    unsafe {
        heap.free(twice);
        heap.free(twice);
        short.add(101).write(1);
        heap.free(short);
    }
}

/// One process, so one after the other.
#[test]
fn heaps_are_as_they_were_built() {
    hooks::on_output(Some(|_line| {}));
    hooks::on_error(Some(count));
    let hardened = Heap::builder().secure(4).name(c"hardened").build().unwrap();
    misuse(&hardened);
    assert_eq!((DOUBLE_FREES.load(Relaxed), OVERFLOWS.load(Relaxed)), (1, 1));
    std::thread::scope(|scope| scope.spawn(|| misuse(&hardened)).join().unwrap());
    assert_eq!((DOUBLE_FREES.load(Relaxed), OVERFLOWS.load(Relaxed)), (2, 2));
    hooks::on_error(None);
    hooks::on_output(None);
    assert!(format!("{hardened:?}").ends_with("(hardened)"));

    let plain = Heap::new().unwrap();
    assert_eq!(plain.name(), None);
    // The size class's whole block may be used: there is no canary in it.
    // SAFETY: the block is in use.
    assert_eq!(unsafe { MiMalloc.usable_size(block(&plain, 101).as_ptr()) }, 112);
    // SAFETY: the same.
    assert_eq!(unsafe { MiMalloc.usable_size(block(&hardened, 101).as_ptr()) }, 101);

    let arena = Arena::reserve(64 << 20, Sharing::Exclusive).unwrap();
    let placed = Heap::builder().arena(arena).numa_node(0).build().unwrap();
    assert!(arena.contains(block(&placed, 1000).as_ptr()));

    // What a hardened heap leaves behind, the main heap frees.
    let left = block(&hardened, 50);
    hardened.delete();
    // SAFETY: the block lives on, and is freed once.
    unsafe { HeapRef::main().unwrap().free(left) };
}
