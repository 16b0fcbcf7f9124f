//! A thread's first allocation, its end, and what comes after that.

use std::cell::Cell;
use std::sync::Mutex;

use super::*;

#[test]
fn a_thread_gets_one_theap_in_the_main_heap() {
    let _ground = ground();
    on_a_thread(|| {
        assert!(current_theap().is_empty_theap() && ptr::eq(current_subproc(), main_subproc()));
        let theap = live_theap().unwrap();
        assert!(ptr::eq(theap, live_theap().unwrap()) && ptr::eq(theap, current_theap()));
        let thread = Thread::of(theap);
        assert!(ptr::eq(thread.main_theap(), theap) && ptr::eq(thread.subproc(), main_subproc()));
        assert!(theap.tid() == ferrimalloc_prim::thread::id() && Some(theap.heap()) == heap_main());
        assert!(thread.theaps().count() == 1);
    });
}

#[test]
fn an_ended_thread_leaves_blocks_in_use_and_nothing_else() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let before = theaps_of(heap_main().unwrap());
    let threads = main_subproc().arenas().stats().threads.current();
    let kept = on_a_thread(move || {
        let theap = theap_for(heap).unwrap();
        put(take(theap, 5000));
        assert_eq!(main_subproc().arenas().stats().threads.current(), threads + 1);
        address(take(theap, 64))
    });
    assert_eq!((theaps_of(heap), theaps_of(heap_main().unwrap())), (0, before));
    assert_eq!(main_subproc().arenas().stats().threads.current(), threads);
    let page = page_of(block(kept));
    assert!(page.owner().is_unowned() && page.owner().tid() == 0 && page.look().is_listed());
    assert_eq!(pages_of(heap), 1);
    put(block(kept));
    assert_eq!(pages_of(heap), 0, "the last free releases the page");
    destroy(heap);
}

#[test]
fn the_next_thread_uses_the_memory_of_the_last() {
    let _ground = ground();
    let start = || {
        let theap = live_theap().unwrap();
        (ptr::from_ref(theap).addr(), ptr::from_ref(Thread::of(theap)).addr())
    };
    let first = on_a_thread(start);
    assert!((0..5).all(|_| on_a_thread(start) == first));
}

#[test]
fn many_threads_after_each_other_take_no_more_memory_than_a_few() {
    let _ground = ground();
    let start = || on_a_thread(|| put(take(live_theap().unwrap(), 100)));
    (0..10).for_each(|_| start());
    let before = main_subproc().arenas().in_use_slices();
    (0..200).for_each(|_| start());
    assert!(main_subproc().arenas().in_use_slices() <= before + 1);
}

#[test]
fn a_thread_that_is_done_may_begin_anew() {
    let _ground = ground();
    let before = theaps_of(heap_main().unwrap());
    let kept = on_a_thread(|| {
        let first = address(take(live_theap().unwrap(), 64));
        thread_done();
        assert!(current_theap().is_empty_theap() && page_of(block(first)).owner().is_unowned());
        thread_done();
        let second = address(take(live_theap().unwrap(), 64));
        [first, second]
    });
    assert!(kept.iter().all(|kept| page_of(block(*kept)).owner().is_unowned()), "its second end was seen, too");
    assert_eq!(theaps_of(heap_main().unwrap()), before);
    kept.into_iter().for_each(|kept| put(block(kept)));
}

/// Allocates when a thread's variable of Rust's is destroyed.
struct Late;

static LATE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Drop for Late {
    fn drop(&mut self) {
        LATE.lock().unwrap().push(address(take(live_theap().unwrap(), 300)));
    }
}

#[test]
fn destructors_of_thread_locals_may_allocate() {
    let _ground = ground();
    std::thread_local!(static VARIABLE: Cell<Option<Late>> = const { Cell::new(None) });
    let before = theaps_of(heap_main().unwrap());
    on_a_thread(|| {
        VARIABLE.set(Some(Late));
        take(live_theap().unwrap(), 300);
    });
    let late = LATE.lock().unwrap().pop().unwrap();
    assert!(page_of(block(late)).owner().is_unowned());
    assert_eq!(theaps_of(heap_main().unwrap()), before);
}

#[test]
fn threads_in_a_row_use_the_same_slices() {
    let mut ground = ground();
    ground.set(OptionId::PurgeDelay, -1);
    live_theap().unwrap();
    let arenas = main_subproc().arenas();
    arenas.purge_all();
    let unused_after = |threads: usize| {
        for _ in 0..threads {
            on_a_thread(|| {
                let theap = live_theap().unwrap();
                let blocks: Vec<_> = (0..40).map(|index| take(theap, 100 << (index % 8))).collect();
                blocks.into_iter().for_each(put);
            });
        }
        arenas.unused_slices()
    };
    let few = unused_after(3);
    let many = unused_after(100);
    assert!(many <= few + few / 2, "{few} slices after 3 threads, {many} after 100 more");
}

#[test]
fn a_thread_finds_its_theap_in_each_of_many_heaps() {
    let _ground = ground();
    let heaps: Vec<_> = (0..40).map(|_| heap_new().unwrap()).collect();
    let theaps: Vec<_> = heaps.iter().map(|heap| theap_for(heap).unwrap()).collect();
    for _ in 0..2 {
        for (heap, theap) in heaps.iter().zip(&theaps) {
            assert!(ptr::eq(theap_for(heap).unwrap(), *theap) && theap.heap() == *heap);
        }
    }
    assert!(ptr::eq(theap_for(heap_main().unwrap()).unwrap(), live_theap().unwrap()));
    assert_eq!(Thread::of(theaps[0]).theaps().count(), 41);
    let theirs = {
        let heap = heaps[7];
        on_a_thread(move || ptr::from_ref(theap_for(heap).unwrap()).addr())
    };
    assert_ne!(theirs, ptr::from_ref(theaps[7]).addr());
    heaps.into_iter().for_each(destroy);
}

#[test]
fn another_theap_of_the_thread_can_be_its_default() {
    let _ground = ground();
    on_a_thread(|| {
        let main = live_theap().unwrap();
        let heap = heap_new().unwrap();
        let theap = theap_for(heap).unwrap();
        assert!(ptr::eq(set_default_theap(theap), main) && ptr::eq(current_theap(), theap));
        assert!(ptr::eq(Thread::of(theap).main_theap(), main));
        assert!(ptr::eq(set_default_theap(main), theap));
        destroy(heap);
    });
}

#[test]
fn hooks_are_not_entered_again_and_beats_never_repeat() {
    let _ground = ground();
    let thread = Thread::of(live_theap().unwrap());
    let mut entered = 0;
    thread.without_reentry(|| {
        entered += 1;
        thread.without_reentry(|| entered += 10);
    });
    thread.without_reentry(|| entered += 100);
    assert_eq!(entered, 101);
    let beats = [thread.beat(), thread.beat(), thread.beat()];
    assert!(beats[0] < beats[1] && beats[1] < beats[2]);
}

#[test]
fn the_process_is_set_up_once() {
    let _ground = ground();
    assert!(ensure_process());
    let main = heap_main().unwrap();
    assert!(ensure_process() && heap_main() == Some(main) && main.is_main());
}
