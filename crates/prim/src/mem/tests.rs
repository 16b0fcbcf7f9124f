//! The contract of memory, run over whatever backend is chosen (the machine's, or with `sim` the simulated one).

use super::*;
use crate::errno;

const MIB: usize = 1 << 20;

/// The simulated system has one state for all tests.
#[cfg(feature = "sim")]
fn alone() -> crate::sim::Session {
    crate::sim::session()
}

#[cfg(not(feature = "sim"))]
fn alone() -> impl Drop {
    Range(core::ptr::null_mut(), 0)
}

/// A mapping that is unmapped at the end of a test.
struct Range(*mut u8, usize);

impl Range {
    fn new(bytes: usize, access: Access) -> Range {
        Range(map(0, bytes, access).unwrap(), bytes)
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped by us for as long as `self` lives; every test that calls this made it accessible.
        unsafe { core::slice::from_raw_parts_mut(self.0, self.1) }
    }

    fn resident(&self) -> usize {
        // SAFETY: mapped by us.
        unsafe { resident_bytes(self.0, self.1) }
    }
}

impl Drop for Range {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody has a reference into it any more.
        let unmapped = unsafe { unmap(self.0, self.1) };
        assert!(unmapped.is_ok() || self.0.is_null());
    }
}

fn all_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[test]
fn config_fits_the_machine() {
    let _alone = alone();
    let config = config();
    let stack_address = &raw const config as usize;
    assert!(usize::BITS - stack_address.leading_zeros() <= config.va_bits);
    assert!(config.large_page_bytes == 0 || config.large_page_bytes.is_multiple_of(config.os_page_bytes));
    assert!(core::ptr::eq(config, super::config()));
    #[cfg(all(target_os = "linux", target_arch = "x86_64", not(feature = "sim")))]
    assert_eq!((config.os_page_bytes, config.large_page_bytes, config.va_bits), (4096, 2 * MIB, 47));
}

#[test]
fn fresh_memory_is_zero_and_untouched() {
    let _alone = alone();
    let mut range = Range::new(MIB, Access::ReadWrite);
    assert_eq!(range.0.addr() % config().os_page_bytes, 0);
    assert_eq!(range.resident(), 0);
    assert!(all_zero(range.bytes()));
    range.bytes().fill(7);
    assert_eq!(range.resident(), MIB);
}

#[test]
fn reserving_much_costs_nothing() {
    let _alone = alone();
    if config().overcommits && config().address_limit_bytes == usize::MAX {
        let range = Range::new(if usize::BITS < 64 { 1 << 30 } else { 256 << 30 }, Access::ReadWrite);
        // SAFETY: mapped by us.
        assert_eq!(unsafe { resident_bytes(range.0, 4 * MIB) }, 0);
    }
}

#[test]
fn a_free_hint_is_followed() {
    let _alone = alone();
    // Another test may take the place in between.
    let follows = |_| {
        let place = { Range::new(4 * MIB, Access::None).0 };
        Range(map(place.addr(), 4 * MIB, Access::None).unwrap(), 4 * MIB).0 == place
    };
    assert!((0..100).any(follows));
}

#[test]
fn impossible_requests_are_refused_and_errno_stays() {
    let _alone = alone();
    errno::set(Errno::EAGAIN);
    assert_eq!(map(0, 0, Access::None), Err(Errno::EINVAL));
    assert_eq!(map(0, !0 << 20, Access::None), Err(Errno::ENOMEM));
    assert_eq!(errno::get(), Errno::EAGAIN);
}

#[test]
fn protecting_keeps_the_contents() {
    let _alone = alone();
    let mut range = Range::new(MIB, Access::None);
    // SAFETY: ours.
    unsafe { protect(range.0, range.1, Access::ReadWrite) }.unwrap();
    range.bytes().fill(9);
    // SAFETY: ours; nobody touches it until the next call.
    unsafe { protect(range.0, range.1, Access::None) }.unwrap();
    // SAFETY: ours.
    unsafe { protect(range.0, range.1, Access::ReadWrite) }.unwrap();
    assert!(range.bytes().iter().all(|&byte| byte == 9));
}

#[test]
fn closed_memory_can_be_opened_again() {
    let _alone = alone();
    let mut range = Range::new(MIB, Access::ReadWrite);
    range.bytes().fill(9);
    // SAFETY: ours; nobody touches the half until it is opened.
    unsafe {
        close(range.0, MIB / 2).unwrap();
        assert!(!CLOSING_CLEARS || range.resident() == MIB / 2);
        protect(range.0, range.1, Access::ReadWrite).unwrap();
    }
    let (closed, open) = range.bytes().split_at(MIB / 2);
    assert!(open.iter().all(|&byte| byte == 9));
    assert!(closed.iter().all(|&byte| byte == if CLOSING_CLEARS { 0 } else { 9 }));
}

#[test]
fn what_can_be_aligned_is() {
    let _alone = alone();
    match map_aligned(MIB, 32 * MIB, Access::ReadWrite) {
        Ok(p) => {
            assert_eq!(p.addr() % (32 * MIB), 0);
            assert!(all_zero(Range(p, MIB).bytes()));
        }
        Err(error) => assert_eq!(error, Errno::ENOTSUP),
    }
}

#[test]
fn discarding_zeroes_the_range_and_nothing_else() {
    let _alone = alone();
    let mut range = Range::new(MIB, Access::ReadWrite);
    range.bytes().fill(1);
    let (start, length) = (256 << 10, 512 << 10);
    errno::set(Errno::EAGAIN);
    // SAFETY: ours, contents not needed.
    unsafe { discard(range.0.add(start), length) }.unwrap();
    assert_eq!(errno::get(), Errno::EAGAIN);
    assert_eq!(range.resident(), MIB - length);
    let (head, rest) = range.bytes().split_at(start);
    let (middle, tail) = rest.split_at(length);
    assert!(all_zero(middle));
    assert!(head.iter().chain(tail.iter()).all(|&byte| byte == 1));
}

#[test]
fn reset_memory_can_be_used_again() {
    let _alone = alone();
    let mut range = Range::new(MIB, Access::ReadWrite);
    range.bytes().fill(1);
    // SAFETY: ours, contents not needed.
    unsafe { reset(range.0, range.1) }.unwrap();
    range.bytes().fill(2);
    assert!(range.bytes().iter().all(|&byte| byte == 2));
}

#[test]
fn parts_can_be_unmapped() {
    let _alone = alone();
    let page = config().os_page_bytes;
    let p = map(0, 3 * page, Access::ReadWrite).unwrap();
    // SAFETY: the outer two of three pages are ours and unused.
    unsafe {
        unmap(p, page).unwrap();
        unmap(p.add(2 * page), page).unwrap();
    }
    let mut middle = Range(p.wrapping_add(page), page);
    middle.bytes().fill(3);
    assert_eq!(middle.resident(), page);
}

#[test]
fn moving_carries_contents_and_leaves_zero() {
    let _alone = alone();
    let (mut from, mut to) = (Range::new(4 * MIB, Access::ReadWrite), Range::new(4 * MIB, Access::ReadWrite));
    from.bytes().fill(5);
    to.bytes().fill(6);
    // SAFETY: both are ours alone.
    match unsafe { move_pages(from.0, to.0, from.1) } {
        Ok(()) => {
            assert!(to.bytes().iter().all(|&byte| byte == 5));
            assert!(all_zero(from.bytes()));
        }
        Err(_) => assert!(from.bytes().iter().all(|&byte| byte == 5)),
    }
    from.bytes().fill(8);
    assert_eq!(from.resident(), from.1);
}

#[test]
fn advice_leaves_contents_and_errno() {
    let _alone = alone();
    let mut range = Range::new(4 * MIB, Access::ReadWrite);
    range.bytes().fill(4);
    errno::set(Errno::EAGAIN);
    // SAFETY: ours.
    unsafe {
        let _ = thp(range.0, range.1, Thp::Advise);
        let _ = thp(range.0, range.1, Thp::Refuse);
        dont_dump(range.0, range.1);
        dump(range.0, range.1);
        set_name(range.0, range.1, c"advised");
        let _ = bind_numa(range.0, range.1, 0);
        assert!(bind_numa(range.0, range.1, 100_000).is_err());
    }
    assert_eq!(errno::get(), Errno::EAGAIN);
    assert!(range.bytes().iter().all(|&byte| byte == 4));
}

#[test]
fn populating_brings_memory() {
    let _alone = alone();
    let range = Range::new(2 * MIB, Access::ReadWrite);
    // SAFETY: ours.
    unsafe { populate(range.0, MIB) };
    assert!(matches!(range.resident(), 0 | MIB), "all that was asked for, or an old kernel");
}

#[test]
fn huge_pages_are_there_or_refused() {
    let _alone = alone();
    assert!(HugeSize::OneGiB.bytes() == 512 * HugeSize::TwoMiB.bytes());
    match map_huge(0, HugeSize::TwoMiB.bytes(), HugeSize::TwoMiB) {
        Ok(p) => {
            assert_eq!(p.addr() % HugeSize::TwoMiB.bytes(), 0);
            let mut range = Range(p, HugeSize::TwoMiB.bytes());
            assert!(all_zero(range.bytes()));
        }
        Err(error) => assert_ne!(error, Errno::EINVAL),
    }
}
