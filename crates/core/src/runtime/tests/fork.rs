//! The child of a fork: one thread, on memory that several were using.

use super::*;
use crate::heap::{adopt_orphans_first, do_orphans_wait};
use crate::page::Owner;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;

/// Forks; answers how many of `checks` failed in the child, which does nothing else.
pub(crate) fn failures_in_child(checks: &[&dyn Fn() -> bool]) -> i32 {
    // SAFETY: the child calls nothing that needs another thread, and ends at once.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            libc::alarm(30);
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
        &|| !page.owner().is_unowned() && theaps_of(heap) == 2,
        &|| {
            adopt_orphans_first();
            !do_orphans_wait()
        },
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

/// Lets a thread take blocks of `heap` and keep its theap, until `end` is dropped.
fn keeper(heap: &'static Heap, bytes: usize, count: usize) -> (Vec<usize>, impl Drop) {
    struct End(Option<(std::sync::mpsc::Sender<()>, thread::JoinHandle<()>)>);
    impl Drop for End {
        fn drop(&mut self) {
            let (leave, thread) = self.0.take().unwrap();
            leave.send(()).unwrap();
            thread.join().unwrap();
        }
    }
    let (tell, told) = channel();
    let (leave, may_leave) = channel::<()>();
    let thread = thread::spawn(move || {
        let theap = theap_for(heap).unwrap();
        let blocks: Vec<_> = (0..count).map(|_| address(take(theap, bytes))).collect();
        tell.send(blocks).unwrap();
        may_leave.recv().unwrap();
    });
    (told.recv().unwrap(), End(Some((leave, thread))))
}

#[test]
fn orphans_wait_until_pages_change_hands() {
    let _ground = ground();
    let heap = heap_main().unwrap();
    let mine = take(theap_for(heap).unwrap(), 64);
    let (theirs, _end) = keeper(heap, 5000, 4);
    let page = page_of(block(theirs[0]));
    let is_waiting = || do_orphans_wait() && !page.owner().is_unowned();
    let own_work_leaves_them = || {
        let block = page_of(mine).look().pop();
        put(block);
        put(block_of_others(&theirs));
        is_waiting()
    };
    let another_theap_needs_them_adopted = || {
        let heap = heap_new().unwrap();
        is_waiting() && theap_for(heap).is_some() && !do_orphans_wait() && page.owner().is_unowned()
    };
    assert_eq!(failures_in_child(&[&is_waiting, &own_work_leaves_them, &another_theap_needs_them_adopted]), 0);
    assert_eq!(
        failures_in_child(&[&|| main_subproc().main_heap().is_some_and(|heap| {
            crate::runtime::heap_stats(heap);
            !do_orphans_wait()
        })]),
        0
    );
    assert_eq!(
        failures_in_child(&[&|| {
            Thread::of(live_theap().unwrap()).collect(Force::Routine);
            !do_orphans_wait()
        }]),
        0
    );
}

fn block_of_others(blocks: &[usize]) -> *mut u8 {
    block(blocks[1])
}

#[test]
fn a_child_of_a_child_has_no_orphan_left() {
    let _ground = ground();
    live_theap().unwrap();
    let heap = heap_new().unwrap();
    let (theirs, end) = keeper(heap, 5000, 4);
    let page = page_of(block(theirs[0]));
    let grandchild = || {
        failures_in_child(&[&|| page.owner().is_unowned(), &|| {
            adopt_orphans_first();
            page.owner().is_unowned() && page.look().used_when_let_go() == 4
        }]) == 0
    };
    assert_eq!(failures_in_child(&[&grandchild]), 0);
    drop(end);
    destroy(heap);
}

/// The C library gives the child's first thread the stack, and so the id, of one that is gone.
#[test]
fn a_namesake_frees_in_orphans_and_nothing_is_lost_or_used_twice() {
    let _ground = ground();
    live_theap().unwrap();
    let heap = heap_new().unwrap();
    let (theirs, end) = keeper(heap, 5000, 6);
    let page = page_of(block(theirs[0]));
    let dead = page.owner().tid();
    let blocks: &[usize] = &theirs;
    let namesake = move |adopts: bool| {
        let mut is_namesake = false;
        thread::scope(|scope| {
            scope.spawn(|| {
                is_namesake = ferrimalloc_prim::thread::id() == dead;
                if is_namesake {
                    // What the fast path does.
                    // SAFETY: a block in use, used no more.
                    unsafe { page.look().push_local(block(blocks[0])) };
                }
                if adopts {
                    live_theap().unwrap();
                }
            });
        });
        adopt_orphans_first();
        is_namesake
    };
    // The namesake itself adopts its pages; somebody else leaves them alone while it may be there.
    assert_eq!(
        failures_in_child(&[&|| !namesake(true) || page.owner().is_unowned() && page.look().used_when_let_go() == 5]),
        0
    );
    assert_eq!(failures_in_child(&[&|| !namesake(false) || page.owner().is_unowned() && !page.is_let_go()]), 0);
    let the_heap_can_be_destroyed = || {
        namesake(false);
        destroy(heap);
        heap_new().is_some()
    };
    assert_eq!(failures_in_child(&[&the_heap_can_be_destroyed]), 0);
    drop(end);
    destroy(heap);
}
