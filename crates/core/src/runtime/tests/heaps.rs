//! Heaps come and go.

use super::*;
use crate::heap::release_or_list;

#[test]
fn a_deleted_heaps_blocks_go_on_in_the_main_heap() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let blocks = [64, 5000, 200_000].map(|bytes| take(theap, bytes));
    // SAFETY: nobody allocates in it any more.
    assert!(unsafe { heap_delete(heap) });
    assert!(find_heap(heap).is_none());
    let main = heap_main().unwrap();
    assert!(blocks.iter().all(|p| Heap::of_page(page_of(*p)) == main));
    blocks.into_iter().for_each(put);
    assert!(!Thread::of(live_theap().unwrap()).theaps().any(|other| ptr::eq(other, theap)), "its theap has ended");
}

#[test]
fn a_thousand_heaps_after_each_other_leave_nothing_behind() {
    let _ground = ground();
    let one = || {
        let heap = heap_new().unwrap();
        take(theap_for(heap).unwrap(), 64);
        destroy(heap);
    };
    (0..10).for_each(|_| one());
    let before = main_subproc().arenas().in_use_slices();
    (0..1000).for_each(|_| one());
    assert_eq!(Thread::of(live_theap().unwrap()).theaps().count(), 1);
    assert_eq!(main_subproc().arenas().in_use_slices(), before);
}

#[test]
fn other_threads_theaps_of_an_ended_heap_end_when_they_collect() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || {
        take(theap_for(heap).unwrap(), 64);
        tell.send(()).unwrap();
        may_go_on.recv().unwrap();
        let thread = Thread::of(live_theap().unwrap());
        let before = thread.theaps().count();
        thread.collect(Force::Routine);
        (before, thread.theaps().count())
    });
    told.recv().unwrap();
    destroy(heap);
    go_on.send(()).unwrap();
    assert_eq!(other.join().unwrap(), (2, 1));
}

/// A page that has been claimed by mistake, and that has to be decided about since blocks were freed meanwhile, is waited for
/// by the end of its heap, which must not hold what the decision needs.
#[test]
fn a_heap_ends_though_a_mistaken_claim_has_to_be_decided() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let blocks = on_a_thread(move || {
        let theap = theap_for(heap).unwrap();
        (0..1000).map(|_| address(take(theap, 64))).collect::<Vec<_>>()
    });
    let page = page_of(block(blocks[0]));
    let (claimed, threshold) = page.claim_in_place().unwrap();
    blocks[..].iter().filter(|p| page_of(block(**p)) == page).for_each(|p| put(block(*p)));
    let claimed = claimed.put_back(threshold).expect_err("enough has been freed meanwhile").hold();
    let decided = thread::spawn({
        let claimed = address(core::ptr::from_ref(claimed).cast_mut().cast());
        move || {
            thread::sleep(std::time::Duration::from_millis(50));
            // SAFETY: the page was claimed above, for this thread.
            let claimed = unsafe { &*block(claimed).cast::<crate::page::Owned>() };
            // SAFETY: as above.
            release_or_list(unsafe { claimed.take_out() });
        }
    });
    destroy(heap);
    decided.join().unwrap();
    assert!(Page::lookup(block(blocks[0])).is_none());
}

/// A heap that another thread ends while it is visited stays readable until the visitor is done with it.
#[test]
fn a_heap_that_ends_during_a_visit_keeps_its_structure() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let id = heap.id();
    let mut seen = Vec::new();
    assert!(visit_heaps(main_subproc(), |visited| {
        if visited == heap {
            on_a_thread(move || destroy(heap));
            // Were its memory free, the next heap would have it.
            let next = heap_new().unwrap();
            assert!(next != visited && visited.id() == id);
            destroy(next);
        }
        seen.push(visited.id());
        true
    }));
    assert!(seen.contains(&id));
    assert!(heap_new().is_some_and(|next| {
        destroy(next);
        true
    }));
}

#[test]
fn a_destroyed_heap_takes_all_threads_pages_along() {
    let _ground = ground();
    let before = main_subproc().arenas().in_use_slices();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let mine = take(theap, 200_000);
    let theirs = on_a_thread(move || address(take(theap_for(heap).unwrap(), 64)));
    destroy(heap);
    assert!(Page::lookup(mine).is_none() && Page::lookup(block(theirs)).is_none());
    assert!(main_subproc().arenas().in_use_slices() <= before + 2, "some metadata may have been needed");
}

#[test]
fn a_living_threads_theap_of_a_destroyed_heap_is_empty() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    take(theap, 64);
    destroy(heap);
    assert_eq!(theap.page_count(), 0);
    let next = heap_new().unwrap();
    assert!(theap_for(next).unwrap().heap() == next, "what was remembered of the old heap is not used for another");
    destroy(next);
}

#[test]
fn the_main_heap_stays() {
    let _ground = ground();
    live_theap().unwrap();
    let main = heap_main().unwrap();
    // SAFETY: refused.
    unsafe { assert!(!heap_delete(main) && !heap_destroy(main)) };
    assert!(find_heap(main) == Some(main));
}

#[test]
fn a_heap_is_found_by_its_address_while_it_lives() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    assert_eq!(with_heap(heap, Heap::id), Some(heap.id()));
    assert!(find_heap(ptr::null()).is_none() && find_heap(ptr::without_provenance(8)).is_none());
    destroy(heap);
    assert_eq!(with_heap(heap, Heap::id), None);
}

#[test]
fn heaps_may_come_and_go_while_they_are_visited() {
    let _ground = ground();
    let heaps = [0; 3].map(|_| heap_new().unwrap());
    let mut seen = Vec::new();
    let done = visit_heaps(main_subproc(), |heap| {
        if heap == heaps[2] {
            destroy(heaps[1]);
        }
        seen.push(heap.id());
        true
    });
    assert!(done && seen.contains(&heaps[0].id()) && seen.contains(&heaps[2].id()));
    assert!(!seen.contains(&heaps[1].id()), "it had gone when its turn came");
    let mut visited = 0;
    assert!(!visit_heaps(main_subproc(), |_| {
        visited += 1;
        false
    }));
    assert_eq!(visited, 1);
    destroy(heaps[0]);
    destroy(heaps[2]);
}
