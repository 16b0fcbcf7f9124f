//! The simulated system itself; that it keeps the contract of memory is tested by `mem`'s own tests, which run over it.

use super::*;
use crate::errno::Errno;
use crate::mem::{self, Access, HugeSize};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::vec::Vec;

const PAGE: usize = 1 << 16;

fn map(access: Access) -> *mut u8 {
    mem::map(0, 4 * PAGE, access).unwrap()
}

fn unmap(p: *mut u8) {
    // SAFETY: every test gives here what `map` gave it, at its end.
    unsafe { mem::unmap(p, 4 * PAGE) }.unwrap();
}

/// The message of the panic that `misuse` ends with.
fn panic_message(misuse: impl FnOnce() -> Result<(), Errno>) -> String {
    let panic = catch_unwind(AssertUnwindSafe(misuse)).expect_err("misuse must not go unnoticed");
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn counts_and_refuses_by_kind() {
    let _session = session();
    let p = map(Access::None);
    refuse(Kind::Commit, Fault::At(2));
    // SAFETY: ours; None memory is not touched.
    let results: Vec<_> = (0..3).map(|_| unsafe { mem::protect(p, PAGE, Access::ReadWrite) }).collect();
    assert_eq!(results, [Ok(()), Err(Errno::ENOMEM), Ok(())]);
    assert_eq!((calls(Kind::Commit), refusals(Kind::Commit)), (3, 1));
    assert_eq!((calls(Kind::Map), calls(Kind::Protect)), (1, 0));
    unmap(p);
}

#[test]
fn a_refused_call_changes_nothing() {
    let _session = session();
    let p = map(Access::ReadWrite);
    // SAFETY: ours, accessible.
    unsafe { p.write(1) };
    for kind in [Kind::Unmap, Kind::Discard, Kind::Reset, Kind::Protect, Kind::MovePages] {
        refuse(kind, Fault::From(1));
    }
    let before = (mapped_bytes(), accessible_bytes());
    // SAFETY: ours; all of these fail.
    unsafe {
        assert!(mem::unmap(p, PAGE).is_err());
        assert!(mem::discard(p, PAGE).is_err());
        assert!(mem::reset(p, PAGE).is_err());
        assert!(mem::protect(p, PAGE, Access::None).is_err());
        assert!(mem::move_pages(p, p.add(PAGE), PAGE).is_err());
        assert_eq!(p.read(), 1);
    }
    assert_eq!((mapped_bytes(), accessible_bytes()), before);
    reset();
    unmap(p);
}

#[test]
fn books_what_is_mapped_and_accessible() {
    let _session = session();
    let (mapped, accessible) = (mapped_bytes(), accessible_bytes());
    let p = map(Access::None);
    // SAFETY: ours.
    unsafe { mem::protect(p.add(PAGE), PAGE, Access::ReadWrite) }.unwrap();
    assert_eq!((mapped_bytes() - mapped, accessible_bytes() - accessible), (4 * PAGE, PAGE));
    unmap(p);
    assert_eq!((mapped_bytes(), accessible_bytes()), (mapped, accessible));
}

#[test]
fn limits_hold() {
    let _session = session();
    let (mapped, accessible) = (mapped_bytes(), accessible_bytes());
    set_limits(Limits { mapped_bytes: mapped + 4 * PAGE, accessible_bytes: accessible + 2 * PAGE });
    assert_eq!(mem::map(0, 4 * PAGE, Access::ReadWrite), Err(Errno::ENOMEM));
    let p = map(Access::None);
    assert_eq!(mem::map(0, PAGE, Access::None), Err(Errno::ENOMEM));
    // SAFETY: ours.
    unsafe {
        assert_eq!(mem::protect(p, 3 * PAGE, Access::ReadWrite), Err(Errno::ENOMEM));
        assert_eq!(mem::protect(p, 2 * PAGE, Access::ReadWrite), Ok(()));
        assert_eq!(mem::protect(p, 2 * PAGE, Access::ReadWrite), Ok(()), "what is accessible already costs nothing");
    }
    unmap(p);
}

#[test]
fn misuse_is_found() {
    let _session = session();
    let p = map(Access::None);
    unmap(p);
    let q = map(Access::ReadWrite);
    // SAFETY: none of these reaches memory: the simulated kernel refuses them.
    unsafe {
        let elsewhere = PAGE as *mut u8;
        assert!(panic_message(|| mem::unmap(elsewhere, PAGE)).contains("NotMapped"));
        assert!(panic_message(|| mem::discard(q, PAGE << 24)).contains("NotMapped"));
        assert!(panic_message(|| mem::protect(q.add(1), PAGE, Access::None)).contains("NotWholePages"));
        assert!(panic_message(|| mem::reset(q, 0)).contains("NotWholePages"));
        assert!(panic_message(|| mem::move_pages(q, q.add(PAGE), 2 * PAGE)).contains("Overlap"));
        mem::protect(q, PAGE, Access::None).unwrap();
        assert!(panic_message(|| mem::move_pages(q, q.add(2 * PAGE), PAGE)).contains("NotAccessible"));
    }
    unmap(q);
}

/// Whether reading at `p` ends the process with a fault: tried in a child.
fn traps(p: *const u8) -> bool {
    // SAFETY: the child reads one byte and calls nothing but `signal` and `_exit`.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
            p.read_volatile();
            libc::_exit(0);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
        libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV
    }
}

#[test]
fn poison_makes_inaccessible_and_unmapped_memory_trap() {
    let _session = session();
    set_mode(Mode::Poison);
    let p = map(Access::None);
    assert!(traps(p));
    // SAFETY: ours.
    unsafe { mem::protect(p, PAGE, Access::ReadWrite) }.unwrap();
    assert!(!traps(p) && traps(p.wrapping_add(PAGE)));
    unmap(p);
    assert!(traps(p));
    assert_ne!(map(Access::ReadWrite), p, "addresses do not come back");
}

#[test]
fn plain_inaccessible_memory_becomes_accessible_after_poison() {
    let _session = session();
    set_mode(Mode::Poison);
    let p = map(Access::None);
    set_mode(Mode::Plain);
    // SAFETY: ours.
    unsafe {
        mem::protect(p, PAGE, Access::ReadWrite).unwrap();
        p.write(3);
    }
    unmap(p);
}

#[test]
fn poison_destroys_what_was_reset_and_zeroes_what_was_discarded() {
    let _session = session();
    set_mode(Mode::Poison);
    let p = map(Access::ReadWrite);
    // SAFETY: ours, accessible.
    unsafe {
        p.write(1);
        mem::reset(p, PAGE).unwrap();
        assert_eq!(p.read(), 0xDF);
        mem::discard(p, PAGE).unwrap();
        assert_eq!(p.read(), 0);
        set_mode(Mode::PoisonDiscarded);
        mem::discard(p, PAGE).unwrap();
        assert_eq!(p.read(), 0xDF);
    }
    unmap(p);
}

#[test]
fn huge_pages_are_aligned() {
    let _session = session();
    let bytes = HugeSize::TwoMiB.bytes();
    let p = mem::map_huge(0, bytes, HugeSize::TwoMiB).unwrap();
    assert_eq!(p.addr() % bytes, 0);
    assert_eq!(mem::map_huge(0, bytes + 1, HugeSize::TwoMiB), Err(Errno::EINVAL));
    // SAFETY: ours.
    unsafe { mem::unmap(p, bytes) }.unwrap();
}

#[test]
fn the_configuration_can_be_replaced() {
    static STRICT: MemConfig = MemConfig {
        os_page_bytes: 16384,
        map_unit_bytes: 16384,
        large_page_bytes: 0,
        physical_bytes: 1 << 30,
        va_bits: 39,
        overcommits: false,
        address_limit_bytes: 1 << 31,
        thp: mem::ThpMode::Always,
        reserves_addresses: true,
    };
    let session = session();
    set_config(Some(&STRICT));
    assert_eq!(*mem::config(), STRICT);
    drop(session);
    assert_ne!(*mem::config(), STRICT);
}

#[test]
fn many_threads_keep_the_books_straight() {
    let _session = session();
    let before = (mapped_bytes(), accessible_bytes());
    let work = || {
        for _ in 0..200 {
            let p = map(Access::None);
            // SAFETY: ours.
            unsafe {
                mem::protect(p, 2 * PAGE, Access::ReadWrite).unwrap();
                p.write(1);
                mem::discard(p, PAGE).unwrap();
                assert_eq!(p.read(), 0);
            }
            unmap(p);
        }
    };
    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(work)).collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!((mapped_bytes(), accessible_bytes()), before);
    assert_eq!(calls(Kind::Map), 800);
}
