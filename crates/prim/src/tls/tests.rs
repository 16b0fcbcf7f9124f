use std::sync::{Arc, Barrier};
use std::vec::Vec;

use crate::futex::Seen;
#[cfg(any(unix, windows))]
use crate::tls::Key;
#[cfg(any(unix, windows))]
use core::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static EMPTY: [u64; 4] = [11, 22, 33, 44];
static OTHER: u8 = 5;

crate::tls_word!(
    /// A word of this platform's own kind.
    mod native, init = EMPTY
);
crate::tls_word!(mod second, init = OTHER);
crate::__tls_word_key!(mod keyed, init = EMPTY);

fn address_of_empty() -> *mut u8 {
    (&raw const EMPTY).cast_mut().cast()
}

/// The contract, for any kind of word.
fn check(get: fn() -> *mut u8, set: fn(*mut u8)) {
    assert_eq!(get(), address_of_empty());
    let everybody = Arc::new(Barrier::new(8));
    let visit = move |number: usize, everybody: Arc<Barrier>| {
        assert_eq!(get(), address_of_empty(), "a new thread starts with the initial value");
        for round in 1..=100 {
            let mine = core::ptr::without_provenance_mut(number * 1000 + round);
            set(mine);
            everybody.wait();
            assert_eq!(get(), mine, "other threads set only their own");
        }
    };
    let threads: Vec<_> = (0..8)
        .map(|n| {
            let e = everybody.clone();
            std::thread::spawn(move || visit(n, e))
        })
        .collect();
    threads.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(get(), address_of_empty());
}

#[test]
fn native_words_are_per_thread() {
    check(native::get, native::set);
}

#[test]
fn keyed_words_are_per_thread() {
    check(keyed::get, keyed::set);
}

#[test]
fn another_threads_word_can_be_compared() {
    let (tell, told) = std::sync::mpsc::channel();
    let (leave, may_leave) = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        native::set(core::ptr::without_provenance_mut(0x12345));
        tell.send(crate::thread::id()).unwrap();
        may_leave.recv().unwrap();
    });
    let id = told.recv().unwrap();
    let here = [(id, 0x12345), (id, 0x12346), (id, address_of_empty().addr()), (4096, 0x12345)];
    let seen = here.map(|(id, value)| native::look(id, value));
    match cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))
    {
        true => assert_eq!(seen, [Seen::Same, Seen::Other, Seen::Unknown, Seen::Gone]),
        false => assert_eq!(seen, [Seen::Unknown; 4]),
    }
    assert_eq!(keyed::look(id, 0x12345), Seen::Unknown);
    leave.send(()).unwrap();
    other.join().unwrap();
}

#[cfg(any(unix, windows))]
static LAST_SEEN: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

#[cfg(any(unix, windows))]
unsafe extern "C" fn see(_: *mut core::ffi::c_void) {
    LAST_SEEN[0].store(keyed::get().addr(), SeqCst);
    LAST_SEEN[1].store(crate::thread::numbered::id(), SeqCst);
}

/// The C library empties the slots of an ending thread in the order in which they were made.
#[test]
#[cfg(any(unix, windows))]
fn destructors_of_an_ending_thread_find_its_word_and_its_number() {
    static LATER: Key = Key::new();
    let ended = std::thread::spawn(|| {
        keyed::set(core::ptr::without_provenance_mut(77));
        let id = crate::thread::numbered::id();
        LATER.create(Some(see)).unwrap();
        assert!(LATER.write(core::ptr::dangling_mut()));
        id
    });
    let id = ended.join().unwrap();
    assert_eq!(LAST_SEEN.each_ref().map(|seen| seen.load(SeqCst)), [77, id]);
}

#[test]
fn words_are_independent() {
    assert_eq!(second::get(), (&raw const OTHER).cast_mut());
    second::set(address_of_empty());
    assert_eq!(second::get(), address_of_empty());
    assert_eq!(native::get(), address_of_empty());
    second::set((&raw const OTHER).cast_mut());
}

#[test]
fn a_set_is_seen_by_the_next_get() {
    std::thread::spawn(|| {
        let numbers: Vec<usize> = (1..50)
            .map(|n| {
                native::set(core::ptr::without_provenance_mut(n));
                native::get().addr()
            })
            .collect();
        assert!(numbers.iter().copied().eq(1..50));
    })
    .join()
    .unwrap();
}
