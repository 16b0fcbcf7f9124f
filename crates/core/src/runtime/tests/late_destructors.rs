//! Destructors of pthreads that run after our own, and allocate.

use super::*;
use crate::page::Owner;
use core::ffi::c_void;
use std::sync::atomic::{AtomicUsize, Ordering};

static ROUNDS: AtomicUsize = AtomicUsize::new(0);

/// A destructor of the C library's that comes after ours, as its key was made later, and allocates.
unsafe extern "C" fn allocate_later(key: *mut c_void) {
    assert!(current_theap().is_empty_theap(), "our own came first");
    take(live_theap().unwrap(), 300);
    if ROUNDS.fetch_add(1, Ordering::Relaxed) == 0 {
        // SAFETY: a key of ours.
        unsafe { libc::pthread_setspecific(key.addr() as libc::pthread_key_t, key) };
    }
}

#[test]
fn allocation_after_our_own_destructor_starts_and_ends_the_thread_again() {
    let _ground = ground();
    live_theap().unwrap();
    let before = theaps_of(heap_main().unwrap());
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: a place for the key, and a destructor.
    assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(allocate_later)) }, 0);
    on_a_thread(move || {
        live_theap().unwrap();
        // SAFETY: a key of ours; the value is its number, which is not 0, as our own key is older.
        unsafe { libc::pthread_setspecific(key, ptr::without_provenance_mut(key as usize)) };
    });
    assert_eq!(ROUNDS.load(Ordering::Relaxed), 2);
    assert_eq!(theaps_of(heap_main().unwrap()), before, "each of its theaps has ended");
}

/// Allocates in every round that the C library has for destructors, in its last one, too.
unsafe extern "C" fn allocate_to_the_last(key: *mut c_void) {
    assert!(current_theap().is_empty_theap(), "our own came first");
    let block = take(live_theap().unwrap(), 300);
    assert!(page_of(block).owner() != Owner::thread(ferrimalloc_prim::thread::id()), "late");
    assert!(is_own(live_theap().unwrap()));
    put(block);
    // SAFETY: a key of ours.
    unsafe { libc::pthread_setspecific(key.addr() as libc::pthread_key_t, key) };
}

#[test]
fn allocation_in_the_last_round_of_destructors_loses_nothing() {
    let _ground = ground();
    live_theap().unwrap();
    let before = theaps_of(heap_main().unwrap());
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: a place for the key, and a destructor.
    assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(allocate_to_the_last)) }, 0);
    for _ in 0..40 {
        let threads = [(); 3].map(|()| {
            thread::spawn(move || {
                live_theap().unwrap();
                // SAFETY: a key of ours; the value is its number, which is not 0, as our own key is older.
                unsafe { libc::pthread_setspecific(key, ptr::without_provenance_mut(key as usize)) };
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    // What is left is known by the stacks that the C library keeps, for few threads at a time.
    let left = theaps_of(heap_main().unwrap()) - before;
    assert!(left <= 12, "{left} theaps are left");
    let stacks_are_taken = std::sync::Barrier::new(17);
    thread::scope(|scope| {
        (0..16).for_each(|_| _ = scope.spawn(|| stacks_are_taken.wait()));
        (0..4).for_each(|_| Thread::of(live_theap().unwrap()).collect(Force::Routine));
        stacks_are_taken.wait();
    });
    assert_eq!(theaps_of(heap_main().unwrap()), before);
    // SAFETY: nobody has a value of it any more.
    unsafe { libc::pthread_key_delete(key) };
}
