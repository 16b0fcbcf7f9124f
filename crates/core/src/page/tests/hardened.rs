//! Hardened pages whose owner a fork has left behind.

use std::alloc::{Layout, alloc_zeroed, dealloc};

use super::*;
use crate::hardened::{BlockTable, Secrets, Style};
use crate::sync::steps::stop_at;

/// Blocks in use before the owner does the work in which it stops.
const LENT: usize = 8;

/// Where one page after the other lies, with its table.
struct Place {
    placement: Placement,
    table: *mut u8,
    layout: Layout,
}

impl Place {
    /// For blocks of at least `bytes`.
    fn new(bytes: usize) -> Place {
        let placement = place_of(bytes);
        let layout = Layout::from_size_align(BlockTable::bytes(usize::from(placement.reserved)), 64).unwrap();
        // SAFETY: the layout has some bytes.
        Place { table: unsafe { alloc_zeroed(layout) }, placement: Placement { zero: Zero::Any, ..placement }, layout }
    }

    fn page(&self, order: u64) -> &'static Owned {
        let page = create(&self.placement);
        let secrets = Secrets { key: 1, order };
        // SAFETY: there is one page at a time, and the table is as large as its layout.
        unsafe {
            self.table.write_bytes(0, self.layout.size());
            page.check(BlockTable::create(self.table, page.reserved(), page.block_bytes(), secrets, Style::BARE));
        }
        page
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout; no page is left.
        unsafe { dealloc(self.table, self.layout) };
    }
}

fn take(page: &'static Owned, count: usize) -> Vec<*mut u8> {
    let one = |_| {
        let block = page.take_hardened();
        if block.is_null() && page.refill() { page.take_hardened() } else { block }
    };
    (0..count).map(one).take_while(|block| !block.is_null()).collect()
}

fn put(page: &'static Owned, block: *mut u8) {
    assert!(page.put_hardened(page.index_of_start(block).unwrap()).is_ok());
}

fn put_remote(page: &'static Owned, block: *mut u8) {
    assert!(page.page().block_table().put_remote(page.index_of_start(block).unwrap()).is_ok());
    assert!(page.page().push_unlinked(block).is_none());
}

/// As for ordinary pages: those are the blocks that the owner is done with.
const WORKS: [Work; 5] = [
    Work { name: "take", gives: &[], run: |page, _| _ = take(page, 1) },
    Work { name: "open to the end", gives: &[], run: |page, _| _ = take(page, page.reserved() - LENT) },
    Work { name: "put", gives: &[1], run: |page, blocks| put(page, blocks[1]) },
    Work {
        name: "take over remote frees",
        gives: &[2, 4],
        run: |page, blocks| {
            let _ = [2, 4].map(|index| put_remote(page, blocks[index]));
            page.collect();
        },
    },
    Work {
        name: "have more free blocks than the ring has room for",
        gives: &[0, 3],
        run: |page, blocks| {
            let more = take(page, page.reserved() - LENT);
            more.iter().for_each(|block| put(page, *block));
            let _ = [0, 3].map(|index| put(page, blocks[index]));
            take(page, page.reserved() - LENT);
        },
    },
];

#[test]
fn a_page_is_mended_wherever_its_owner_stopped() {
    let _ground = ground();
    for work in &WORKS {
        for bytes in [64, 1024, 7000] {
            let place = Place::new(bytes);
            let mut pin = 1;
            loop {
                let page = place.page(pin as u64);
                let blocks = take(page, LENT);
                let is_stopped = stop_at(pin, || (work.run)(page, &blocks)).is_some();
                check_mended(page, work, &blocks, pin);
                // SAFETY: the test's own page.
                unsafe { page.take_out() }.erase();
                if !is_stopped {
                    break;
                }
                // Long works do the same again and again.
                pin += 1 + pin / 200 * 16;
            }
            assert!(pin > 1, "{}: no pin at all", work.name);
        }
    }
}

/// Mends the page and takes every block that it has to give.
fn check_mended(page: &'static Owned, work: &Work, blocks: &[*mut u8], pin: usize) {
    let used = page.mend();
    let kept: Vec<_> = (0..LENT).filter(|index| !work.gives.contains(index)).map(|index| blocks[index]).collect();
    let mut taken = take(page, page.reserved());
    assert!(taken.iter().all(|block| !kept.contains(block)), "{} at {pin}: a block in use is handed out", work.name);
    let count = taken.len();
    assert_eq!(used + count, page.reserved(), "{} at {pin}: blocks got lost or were found twice", work.name);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), count, "{} at {pin}: a block is handed out twice", work.name);
    taken.iter().chain(&kept).for_each(|block| put(page, *block));
}
