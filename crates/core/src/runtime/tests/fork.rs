//! The child of a fork: one thread, on memory that several were using.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;

/// Forks; answers how many of `checks` failed in the child, which does nothing else.
fn failures_in_child(checks: &[&dyn Fn() -> bool]) -> i32 {
    // SAFETY: the child calls nothing that needs another thread, and ends at once.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            let failed = checks.iter().filter(|check| !check()).count();
            libc::_exit(failed as i32);
        }
        let mut status = -1;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert!(libc::WIFEXITED(status), "the child died: {status}");
        libc::WEXITSTATUS(status)
    }
}

#[test]
fn the_child_has_the_blocks_but_not_the_threads() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let mine = take(theap_for(heap).unwrap(), 64);
    let (tell, told) = channel();
    let (leave, may_leave) = channel::<()>();
    let other = thread::spawn(move || {
        let theap = theap_for(heap).unwrap();
        let blocks = [0; 9].map(|_| take(theap, 5000));
        put(blocks[8]);
        tell.send(address(blocks[0])).unwrap();
        may_leave.recv().unwrap();
    });
    let theirs = told.recv().unwrap();
    let page = page_of(block(theirs));
    let threads = &main_subproc().arenas().stats().threads;
    let failed = failures_in_child(&[
        &|| theaps_of(heap) == 1 && theaps_of(heap_main().unwrap()) == 1,
        &|| threads.current() == 1,
        &|| page_of(mine).owner() == Owner::thread(ferrimalloc_prim::thread::id()),
        &|| page.owner().is_unowned() && page.look().is_listed() && page.look().used_when_let_go() == 8,
        &|| page_of(take(theap_for(heap).unwrap(), 5000)) == page,
        &|| {
            put(mine);
            put(block(theirs));
            !page.owner().is_unowned()
        },
        &|| {
            destroy(heap);
            heap_new().is_some()
        },
    ]);
    assert_eq!(failed, 0);
    assert!(page.owner().tid() != 0 && !page.owner().is_unowned(), "the parent's thread goes on as before");
    leave.send(()).unwrap();
    other.join().unwrap();
    destroy(heap);
}

#[test]
fn no_lock_is_held_after_a_fork() {
    let _ground = ground();
    live_theap().unwrap();
    let takes_all_locks = || {
        let heap = heap_new().unwrap();
        take(theap_for(heap).unwrap(), 64);
        let subproc = subproc_new().unwrap();
        destroy(heap);
        main_subproc().arenas().purge_due(Force::All);
        // SAFETY: nobody has used it.
        unsafe { subproc_destroy(subproc) }.is_ok()
    };
    assert_eq!(failures_in_child(&[&takes_all_locks]), 0);
    assert!(takes_all_locks());
}

/// Also when an assertion fails: else a scope would wait for its threads for ever.
struct ClearedAtEnd<'a>(&'a AtomicBool);

impl Drop for ClearedAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(false, Relaxed);
    }
}

#[test]
fn forks_wait_for_critical_sections() {
    let _ground = ground();
    live_theap().unwrap();
    let busy = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while busy.load(Relaxed) {
                    let heap = heap_new().unwrap();
                    take(theap_for(heap).unwrap(), 64);
                    destroy(heap);
                }
            });
        }
        let _threads_end = ClearedAtEnd(&busy);
        for _ in 0..20 {
            let makes_a_heap = || heap_new().is_some_and(|heap| !take(theap_for(heap).unwrap(), 64).is_null());
            assert_eq!(failures_in_child(&[&makes_a_heap]), 0);
        }
    });
}
