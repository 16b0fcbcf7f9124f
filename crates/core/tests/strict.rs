//! Strict accounting of memory (`overcommit_memory=2`), simulated: only what is used is charged for.

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Force;
use ferrimalloc_prim::mem::{self, Access};
use ferrimalloc_prim::sim::{self, Limits, Mode};
use ferrimalloc_prim::{Errno, errno};

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
    // The page map covers all addresses, and an arena has been reserved: neither is charged for.
    assert!(sim::mapped_bytes() > 1 << 30, "{}", sim::mapped_bytes());
    assert!(sim::accessible_bytes() < 4 * MIB, "{}", sim::accessible_bytes());

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
}
