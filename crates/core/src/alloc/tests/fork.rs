//! What the child of a fork frees.

use super::*;
use crate::page::Owner;
use crate::runtime::tests::fork::failures_in_child;
use std::sync::mpsc::channel;
use std::thread;

/// Large enough that frees look whether most of the page is free.
const LARGE: usize = 32 << 10;

/// Blocks of a page that has lent all that it has on lists; of one of large blocks, all there are.
fn all_at_hand(bytes: usize) -> Vec<usize> {
    let mut blocks = std::vec![malloc(bytes)];
    let page = page_of(blocks[0]).look();
    while page.has_free() || bytes == LARGE && blocks.len() < page.reserved() {
        blocks.push(malloc(bytes));
    }
    blocks.into_iter().map(|p| p.expose_provenance()).collect()
}

/// The C library gives the child's first thread the stack, and so the id, of one that is gone (`runtime::orphans`).
#[test]
fn a_namesake_may_free_the_last_block_of_an_orphan() {
    let _ground = ground();
    [5000, LARGE].into_iter().for_each(frees_an_orphans_blocks);
}

fn frees_an_orphans_blocks(bytes: usize) {
    live_theap().unwrap();
    let (tell, told) = channel();
    let (leave, may_leave) = channel::<()>();
    let keeper = thread::spawn(move || {
        tell.send(all_at_hand(bytes)).unwrap();
        may_leave.recv().unwrap();
    });
    let theirs = told.recv().unwrap();
    let page = page_of(ptr::with_exposed_provenance(theirs[0]));
    let dead = page.owner().tid();
    let the_page_goes = || {
        let (mut is_namesake, mut holes) = (false, 0);
        let free_all = || {
            is_namesake = ferrimalloc_prim::thread::id() == dead;
            if is_namesake {
                let (last, others) = theirs.split_first().unwrap();
                others.iter().for_each(|address| release(ptr::with_exposed_provenance_mut(*address)));
                holes = page.hole_bytes();
                release(ptr::with_exposed_provenance_mut(*last));
            }
        };
        thread::scope(|scope| _ = scope.spawn(free_all));
        !is_namesake || page.owner() == Owner::NONE && holes == 0
    };
    assert_eq!(failures_in_child(&[&the_page_goes, &|| !malloc(bytes).is_null()]), 0);
    leave.send(()).unwrap();
    keeper.join().unwrap();
    theirs.iter().for_each(|address| release(ptr::with_exposed_provenance_mut(*address)));
}
