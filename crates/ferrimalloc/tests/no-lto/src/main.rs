//! Functions whose listing `../no_lto.rs` reads.

use std::alloc::{GlobalAlloc, Layout};

use ferrimalloc::MiMalloc;

#[global_allocator]
static GLOBAL: MiMalloc = MiMalloc;

type Block = [u64; 4];

#[unsafe(no_mangle)]
#[inline(never)]
fn allocate_block() -> *mut u8 {
    // SAFETY: the layout is not empty.
    unsafe { MiMalloc.alloc(Layout::new::<Block>()) }
}

#[unsafe(no_mangle)]
#[inline(never)]
fn drop_box(block: Box<Block>) {
    drop(block);
}

fn main() {
    let block = allocate_block().cast::<Block>();
    // SAFETY: a fresh block for that type from the global allocator.
    drop_box(unsafe {
        block.write([7; 4]);
        Box::from_raw(block)
    });
}
