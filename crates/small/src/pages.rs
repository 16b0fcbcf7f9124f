//! Pages of small blocks, each of one size class.
//!
//! * The *current* page of a class: its free blocks are taken from it, all at once, and handed out one by one. What is freed meanwhile is put on
//!   the page's own list, which is taken next.
//! * A *full* page has no free block; nobody has it in a list. With the first block that is freed it is
//! * *waiting* to be the current page. When all its blocks are free, it goes back to the runs.
//!
//! A count in each page runs down with every block that is freed, to 0 where the page's state changes.

use core::ptr;

use crate::runs::{Runs, Want};
use crate::sizes::*;
use crate::source::Source;

/// A free block: the address of the next.
pub struct Block {
    next: *mut Block,
}

/// What stands in the words of a page's granules. The first and the last don't say that the page is free.
#[repr(C)]
struct Page {
    state: u32,
    /// How many blocks are freed until the state changes.
    countdown: u32,
    /// In the list of waiting pages: numbers of pages, 0 for none.
    next: u32,
    previous: u32,
    free: *mut Block,
    unused: [u32; UNUSED],
    last: u32,
}

const UNUSED: usize = (16 - size_of::<usize>()) / size_of::<u32>() - 1;

const _: () = assert!(size_of::<Page>() == PAGE_GRANULES * size_of::<u32>());

const CURRENT: u32 = 0;
const FULL: u32 = 1;
const WAITING: u32 = 2;
/// A page has fewer blocks.
const NEVER: u32 = 1 << 30;

const A_PAGE: Want = Want { granules: PAGE_GRANULES, align: PAGE_GRANULES };

pub struct Pages {
    /// Free blocks of the current page of each class.
    taken: [*mut Block; CLASSES],
    /// Numbers of pages, 0 for none.
    current: [u32; CLASSES],
    waiting: [u32; CLASSES],
}

impl Pages {
    pub const fn new() -> Pages {
        Pages { taken: [ptr::null_mut(); CLASSES], current: [0; CLASSES], waiting: [0; CLASSES] }
    }

    /// A block; null without memory.
    #[inline(always)]
    pub fn take(&mut self, class: usize, runs: &mut Runs, source: &impl Source) -> *mut u8 {
        let block = self.taken[class];
        if block.is_null() {
            return self.take_slow(class, runs, source);
        }
        // SAFETY: a free block.
        self.taken[class] = unsafe { (*block).next };
        block.cast()
    }

    #[inline(never)]
    fn take_slow(&mut self, class: usize, runs: &mut Runs, source: &impl Source) -> *mut u8 {
        if !self.renew(class, runs) && !self.begin_page(class, runs, source) {
            return ptr::null_mut();
        }
        let block = self.taken[class];
        // SAFETY: as above; there is one now.
        self.taken[class] = unsafe { (*block).next };
        block.cast()
    }

    /// Takes what was freed in the current page, or else has a waiting page be the current one. False if there is none.
    fn renew(&mut self, class: usize, runs: &mut Runs) -> bool {
        let number = self.current[class];
        if number != 0 {
            let page = page(runs, number);
            if !page.free.is_null() {
                self.take_all(class, number, page);
                return true;
            }
            (page.state, page.countdown) = (FULL, 1);
            self.current[class] = 0;
        }
        let number = self.waiting[class];
        if number == 0 {
            return false;
        }
        self.unlink(class, number, runs);
        self.take_all(class, number, page(runs, number));
        true
    }

    fn take_all(&mut self, class: usize, number: u32, page: &mut Page) {
        (page.state, page.countdown) = (CURRENT, NEVER);
        self.taken[class] = core::mem::replace(&mut page.free, ptr::null_mut());
        self.current[class] = number;
    }

    fn begin_page(&mut self, class: usize, runs: &mut Runs, source: &impl Source) -> bool {
        let Some(granule) = runs.take(A_PAGE, source) else { return false };
        let number = granule / PAGE_GRANULES;
        let free = link_blocks(runs.start_of(granule), class);
        let new = Page { state: CURRENT, countdown: NEVER, next: 0, previous: 0, free, unused: [0; UNUSED], last: 0 };
        // SAFETY: the words of granules that are ours.
        unsafe { runs.words_of_page::<Page>(number).write(new) };
        self.take_all(class, number as u32, page(runs, number as u32));
        true
    }

    /// # Safety
    /// A block of that class, which nobody uses any more.
    #[inline(always)]
    pub unsafe fn put(&mut self, p: *mut u8, class: usize, runs: &mut Runs) {
        let number = (runs.granule_at(p.addr()) / PAGE_GRANULES) as u32;
        let page = page(runs, number);
        let block: *mut Block = p.cast();
        // SAFETY: the precondition.
        unsafe { block.write(Block { next: page.free }) };
        page.free = block;
        page.countdown -= 1;
        if page.countdown == 0 {
            self.change(class, number, runs);
        }
    }

    #[inline(never)]
    fn change(&mut self, class: usize, number: u32, runs: &mut Runs) {
        let page = page(runs, number);
        if page.state == FULL {
            (page.state, page.countdown) = (WAITING, blocks_per_page(class) as u32 - 1);
            self.link(class, number, runs);
        } else {
            self.unlink(class, number, runs);
            runs.put(number as usize * PAGE_GRANULES, PAGE_GRANULES);
        }
    }

    fn link(&mut self, class: usize, number: u32, runs: &mut Runs) {
        let next = self.waiting[class];
        (page(runs, number).next, page(runs, number).previous) = (next, 0);
        if next != 0 {
            page(runs, next).previous = number;
        }
        self.waiting[class] = number;
    }

    fn unlink(&mut self, class: usize, number: u32, runs: &mut Runs) {
        let (next, previous) = (page(runs, number).next, page(runs, number).previous);
        if next != 0 {
            page(runs, next).previous = previous;
        }
        if previous == 0 {
            self.waiting[class] = next;
        } else {
            page(runs, previous).next = next;
        }
    }
}

#[inline(always)]
fn page(runs: &mut Runs, number: u32) -> &mut Page {
    // SAFETY: the numbers here are those of pages of small blocks, whose words hold this; nobody else has a reference.
    unsafe { &mut *runs.words_of_page(number as usize) }
}

/// Writes the list of all blocks of a page, and answers the first.
fn link_blocks(start: *mut u8, class: usize) -> *mut Block {
    let (bytes, count) = (class_bytes(class), blocks_per_page(class));
    let mut next: *mut Block = ptr::null_mut();
    for index in (0..count).rev() {
        let block: *mut Block = start.wrapping_add(index * bytes).cast();
        // SAFETY: memory of a fresh page, with room for that block.
        unsafe { block.write(Block { next }) };
        next = block;
    }
    next
}
