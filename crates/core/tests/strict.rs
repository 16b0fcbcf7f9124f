//! Strict accounting of memory (`overcommit_memory=2`), simulated: only what is used is charged for.

#[path = "support/maps.rs"]
mod maps;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::{Bin, Force, SLICE_BYTES, Zero};
use ferrimalloc_core::options::{self, Hardening, OptionId};
use ferrimalloc_core::runtime;
use ferrimalloc_prim::mem::{self, Access};
use ferrimalloc_prim::sim::{self, Limits, Mode};
use ferrimalloc_prim::{Errno, errno};
use maps::is_inaccessible;

const MIB: usize = 1 << 20;

/// Makes the simulated system account strictly, with so much memory to give.
fn account_strictly(accessible_bytes: usize) {
    let config = mem::MemConfig { overcommits: false, ..*mem::config() };
    sim::set_config(Some(Box::leak(Box::new(config))));
    sim::set_limits(Limits { accessible_bytes, ..Limits::NONE });
    sim::set_mode(Mode::Poison);
}

fn touched(bytes: usize) -> *mut u8 {
    let p = alloc::malloc(bytes);
    assert!(!p.is_null(), "{bytes}");
    // SAFETY: a block of that size.
    unsafe { p.write_bytes(7, bytes) };
    p
}

/// One test: the allocator is one per process.
#[test]
fn only_what_is_used_is_charged() {
    let _session = sim::session();
    account_strictly(200 * MIB);
    let small = touched(100);
    // An arena has been reserved, and its part of the page map: neither is charged for.
    assert!(sim::mapped_bytes() > 4 * MIB, "{}", sim::mapped_bytes());
    assert!(sim::accessible_bytes() < MIB, "{}", sim::accessible_bytes());

    let large = touched(100 * MIB);
    assert!(sim::accessible_bytes() < 110 * MIB);
    errno::set(Errno(0));
    assert!(alloc::malloc(150 * MIB).is_null(), "beyond what there is");
    assert!(errno::get() == Errno::ENOMEM);
    let other = touched(10 * MIB);

    // SAFETY: blocks that nobody uses any more.
    unsafe { [small, large, other].into_iter().for_each(|p| alloc::free(p)) };
    alloc::collect(Force::All);
    assert!(sim::accessible_bytes() < 8 * MIB, "given back: {}", sim::accessible_bytes());
    touched(150 * MIB);

    // A mapping that can only be read is not charged for either.
    assert!(mem::map(0, 1 << 30, Access::Read).is_ok());

    guards_stand_while_pages_fill();
}

/// Pages of several slices can be committed as they fill. At level 5 each ends with a guard, which must not be opened by that.
fn guards_stand_while_pages_fill() {
    options::set_hardening(Hardening { secure: 5, debug: 0 });
    options::set(OptionId::PageCommitOnDemand, 2);
    let sizes = [5_000, 20_000, 100_000];
    std::thread::spawn(move || sizes.into_iter().for_each(fill_guarded_page)).join().expect("no panic");
    options::set_hardening(Hardening::NONE);
    options::set(OptionId::PageCommitOnDemand, 0);
}

fn fill_guarded_page(size: usize) {
    let heap = runtime::heap_new().expect("memory");
    let theap = runtime::theap_for(heap).expect("memory");
    // Pages of several slices lie at multiples of their own size.
    let bin = Bin::of(size + size_of::<usize>());
    let page_bytes = bin.page_slices() * SLICE_BYTES;
    assert!(page_bytes > SLICE_BYTES);
    let page_of = |p: *mut u8| p as usize / page_bytes;
    let alloc = || alloc::alloc_in(theap, size, Zero::Any);
    let first = alloc();
    let guard = (page_of(first) + 1) * page_bytes - 1;
    let mut blocks = 0;
    let mut block = first;
    while page_of(block) == page_of(first) {
        // SAFETY: a block of that size.
        unsafe { block.write_bytes(7, size) };
        assert!(is_inaccessible(guard), "after {blocks} blocks of {size}");
        assert!(block as usize + size <= guard - mem::config().os_page_bytes);
        blocks += 1;
        block = alloc();
    }
    // But for the guard, which is a slice at most, and what the first block's place in a cache line's set costs: less than a block.
    assert!((blocks + 2) * bin.block_bytes() > page_bytes - SLICE_BYTES, "{blocks} blocks of {size} fill a page");
    // SAFETY: nobody uses the heap or its blocks any more.
    assert!(unsafe { runtime::heap_destroy(heap) });
}
