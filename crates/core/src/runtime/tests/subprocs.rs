//! Sub-processes share nothing.

use super::*;
use crate::heap::{SingleRequest, release_page};

fn end(subproc: &'static Subproc) -> Result<(), Undestroyed> {
    // SAFETY: the test is done with it and its blocks.
    unsafe { subproc_destroy(subproc) }
}

#[test]
fn a_sub_process_has_heaps_and_arenas_of_its_own() {
    let _ground = ground();
    on_a_thread(|| {
        let subproc = subproc_new().unwrap();
        let outside = take(live_theap().unwrap(), 64);
        assert!(join_subproc(subproc) && ptr::eq(current_subproc(), subproc));
        let inside = take(live_theap().unwrap(), 64);
        assert!(ptr::eq(Heap::of_page(page_of(inside)).subproc(), subproc) && heap_main() == subproc.main_heap());
        assert!(subproc.arenas().find(inside).is_some() && main_subproc().arenas().find(inside).is_none());
        assert!(subproc.arenas().find(outside).is_none());
        let heap = heap_new().unwrap();
        assert!(ptr::eq(heap.subproc(), subproc) && find_heap(heap) == Some(heap));
        assert_eq!(end(subproc), Err(Undestroyed::InUse), "this thread is in it");
        assert!(join_subproc(main_subproc()));
        assert_eq!(end(subproc), Ok(()));
        assert!(Page::lookup(inside).is_none() && find_heap(heap).is_none());
        put(outside);
    });
}

#[test]
fn one_that_others_use_is_not_destroyed() {
    let _ground = ground();
    live_theap().unwrap();
    let subproc = subproc_new().unwrap();
    let (joined, is_joined) = std::sync::mpsc::channel();
    let (leave, may_leave) = std::sync::mpsc::channel::<()>();
    let other = thread::spawn(move || {
        assert!(join_subproc(subproc));
        joined.send(()).unwrap();
        may_leave.recv().unwrap();
    });
    is_joined.recv().unwrap();
    assert_eq!(end(subproc), Err(Undestroyed::HasThreads));
    leave.send(()).unwrap();
    other.join().unwrap();
    assert_eq!(end(subproc), Ok(()));
    assert_eq!(end(main_subproc()), Err(Undestroyed::InUse));
}

#[test]
fn they_are_found_by_their_addresses_and_in_their_order() {
    let _ground = ground();
    live_theap().unwrap();
    let made = [0; 3].map(|_| subproc_new().unwrap());
    let mut seen: Vec<*const Subproc> = Vec::new();
    for_each_subproc(|subproc| {
        seen.push(subproc);
    });
    assert!(ptr::eq(seen[0], main_subproc()) && seen[1..4] == [2, 1, 0].map(|index| ptr::from_ref(made[index])));
    assert!(find_subproc(made[1]).is_some() && find_subproc(ptr::null()).is_none());
    assert_eq!(end(made[1]), Ok(()));
    assert!(find_subproc(made[1]).is_none() && find_subproc(made[0]).is_some() && find_subproc(made[2]).is_some());
    assert_eq!((end(made[0]), end(made[2])), (Ok(()), Ok(())));
}

#[test]
fn addresses_are_found_in_any_of_them() {
    let _ground = ground();
    on_a_thread(|| {
        let subproc = subproc_new().unwrap();
        assert!(join_subproc(subproc));
        let p = take(live_theap().unwrap(), 200_000);
        assert!(page_around(p.wrapping_add(199_999)) == Some(page_of(p)));
        assert!(page_around(ptr::null()).is_none());
        assert!(join_subproc(main_subproc()));
        assert!(page_around(p.wrapping_add(100)) == Some(page_of(p)));
        assert_eq!(end(subproc), Ok(()));
        assert!(page_around(p).is_none());
    });
}

#[test]
fn deep_addresses_of_large_blocks_are_found() {
    const BYTES: usize = 9 << 20;
    let _ground = ground();
    on_a_thread(|| {
        let theap = live_theap().unwrap();
        let request =
            SingleRequest { bytes: BYTES, align: 1, offset: 0, front_bytes: 0, spare_bytes: 0, zero: Zero::Any };
        let page = theap.heap().fresh_single(&request, theap.tid(), theap.handle(), 0).unwrap();
        let around = |at: usize| page_around(page.start().wrapping_add(at));
        assert!(around(0) == Some(page.page()) && around(BYTES - 1) == Some(page.page()));
        assert!(around(BYTES + (1 << 20)) != Some(page.page()), "behind it");
        release_page(page);
    });
}
