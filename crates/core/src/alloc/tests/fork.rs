//! What the child of a fork frees.

use super::*;
use crate::page::Owner;
use crate::runtime::tests::fork::failures_in_child;
use std::sync::mpsc::channel;
use std::thread;

/// Blocks of a page that has lent all that it has on lists.
fn all_at_hand() -> Vec<usize> {
    let mut blocks = std::vec![malloc(5000)];
    while page_of(blocks[0]).look().has_free() {
        blocks.push(malloc(5000));
    }
    blocks.into_iter().map(|p| p.expose_provenance()).collect()
}

/// The C library gives the child's first thread the stack, and so the id, of one that is gone (`runtime::orphans`).
#[test]
fn a_namesake_may_free_the_last_block_of_an_orphan() {
    let _ground = ground();
    live_theap().unwrap();
    let (tell, told) = channel();
    let (leave, may_leave) = channel::<()>();
    let keeper = thread::spawn(move || {
        tell.send(all_at_hand()).unwrap();
        may_leave.recv().unwrap();
    });
    let theirs = told.recv().unwrap();
    let page = page_of(ptr::with_exposed_provenance(theirs[0]));
    let dead = page.owner().tid();
    let the_page_goes = || {
        let mut is_namesake = false;
        let free_all = || {
            is_namesake = ferrimalloc_prim::thread::id() == dead;
            if is_namesake {
                theirs.iter().for_each(|address| release(ptr::with_exposed_provenance_mut(*address)));
            }
        };
        thread::scope(|scope| _ = scope.spawn(free_all));
        !is_namesake || page.owner() == Owner::NONE
    };
    assert_eq!(failures_in_child(&[&the_page_goes, &|| !malloc(5000).is_null()]), 0);
    leave.send(()).unwrap();
    keeper.join().unwrap();
    theirs.iter().for_each(|address| release(ptr::with_exposed_provenance_mut(*address)));
}
