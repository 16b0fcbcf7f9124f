use super::*;
use crate::Region;
use std::boxed::Box;
use std::vec::Vec;

fn heap<const BYTES: usize>() -> &'static Small<Region<BYTES>> {
    let layout = Layout::new::<Small<Region<BYTES>>>();
    // SAFETY: zeroed memory is an allocator that is unused (all its pointers are null, all its numbers 0). It stays, and one thread has it.
    unsafe { &*std::alloc::alloc_zeroed(layout).cast::<Small<Region<BYTES>>>() }
}

/// A source that gives 64 KiB at a time, with gaps between: `gap` says how large one is behind what begins and ends there.
struct Gaps {
    region: *mut u8,
    at: core::cell::Cell<usize>,
    most: usize,
    gap: fn(usize, usize) -> usize,
}

impl Gaps {
    fn new(most: usize, gap: fn(usize, usize) -> usize) -> Gaps {
        let region = Box::leak(std::vec![0_u64; (most + 4096) / 8].into_boxed_slice()).as_mut_ptr().cast::<u8>();
        Gaps { region: region.wrapping_add(region.align_offset(4096)), at: 0.into(), most, gap }
    }
}

// SAFETY: parts of a region that do not overlap.
unsafe impl Source for Gaps {
    fn grow(&self, bytes: usize) -> Option<(*mut u8, usize)> {
        let (at, bytes) = (self.at.get(), bytes.next_multiple_of(64 << 10));
        (at + bytes <= self.most).then(|| {
            self.at.set(at + bytes + (self.gap)(at, at + bytes));
            (self.region.wrapping_add(at), bytes)
        })
    }
}

fn layout(bytes: usize, align: usize) -> Layout {
    Layout::from_size_align(bytes, align).unwrap()
}

struct Live {
    p: *mut u8,
    layout: Layout,
    mark: u8,
}

impl Live {
    fn check(&self) {
        assert!(self.p.addr().is_multiple_of(self.layout.align()));
        // SAFETY: a block in use.
        let bytes = unsafe { core::slice::from_raw_parts(self.p, self.layout.size()) };
        assert!(bytes.iter().all(|&byte| byte == self.mark), "{:?}", self.layout);
    }

    fn fill(&self) {
        // SAFETY: as above.
        unsafe { self.p.write_bytes(self.mark, self.layout.size()) };
    }
}

fn random(seed: &mut u64) -> usize {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed as usize
}

fn random_layout(seed: &mut u64) -> Layout {
    let align = 1 << [0, 2, 3, 3, 3, 4, 4, 6, 9, 12][random(seed) % 10];
    let most = [40, 200, 1500, 20_000, 150_000][random(seed) % 5];
    layout(random(seed) % most + 1, align)
}

/// Blocks keep what is written in them, whatever is allocated, freed and resized beside them; without memory nothing changes.
fn exercise(heap: &Small<impl Source>, steps: usize) -> usize {
    let (mut seed, mut live, mut refused) = (0x9e37_79b9_7f4a_7c15, Vec::<Live>::new(), 0);
    for step in 0..steps {
        let draws_back = step / 3000 % 2 == 1;
        let choice = random(&mut seed) % 10;
        if live.is_empty() || (choice < 5 && !(draws_back && choice > 1)) {
            let layout = random_layout(&mut seed);
            // SAFETY: the layout is not empty.
            let p = unsafe { heap.alloc(layout) };
            if p.is_null() {
                refused += 1;
                continue;
            }
            let new = Live { p, layout, mark: step as u8 };
            new.fill();
            live.push(new);
            continue;
        }
        let at = random(&mut seed) % live.len();
        let mut block = live.swap_remove(at);
        block.check();
        if choice < 8 {
            // SAFETY: a block in use.
            unsafe { heap.dealloc(block.p, block.layout) };
            continue;
        }
        let bytes = random_layout(&mut seed).size();
        // SAFETY: as above.
        let p = unsafe { heap.realloc(block.p, block.layout, bytes) };
        if p.is_null() {
            refused += 1;
        } else {
            let kept =
                Live { p, layout: layout(bytes.min(block.layout.size()), block.layout.align()), mark: block.mark };
            kept.check();
            (block.p, block.layout) = (p, layout(bytes, block.layout.align()));
            block.fill();
        }
        live.push(block);
    }
    for block in live {
        block.check();
        // SAFETY: as above.
        unsafe { heap.dealloc(block.p, block.layout) };
    }
    refused
}

#[test]
fn blocks_keep_what_is_in_them() {
    assert_eq!(exercise(heap::<{ 256 << 20 }>(), 20_000), 0);
}

#[test]
fn without_memory_nothing_is_lost() {
    let heap = heap::<{ 1 << 20 }>();
    assert!(exercise(heap, 15_000) > 0);
    // All has come back but for a page of each class, wherever these lie.
    let block = layout(8000, 8);
    // SAFETY: the layout is not empty.
    let count = (0..).take_while(|_| !unsafe { heap.alloc(block) }.is_null()).count();
    assert!(count > 85, "{count} of 128");
}

#[test]
fn memory_may_have_gaps() {
    let gaps = Gaps::new(512 << 20, |at, _| if at % 3 == 0 { 0 } else { 64 << 10 });
    // SAFETY: one thread; the memory is nobody else's.
    let heap = unsafe { Small::single_threaded(gaps) };
    assert_eq!(exercise(&heap, 15_000), 0);
}

/// As when another allocator has grown WebAssembly's memory: the table needs more words for that than fit into what comes next.
#[test]
fn a_large_gap_costs_a_larger_table_and_no_more() {
    const MIB: usize = 1 << 20;
    let gaps = Gaps::new(64 * MIB, |from, to| if from < 10 * MIB && to >= 10 * MIB { 16 * MIB } else { 0 });
    // SAFETY: as above.
    let heap = unsafe { Small::single_threaded(gaps) };
    // SAFETY: the layout is not empty.
    let count = (0..).take_while(|_| !unsafe { heap.alloc(layout(8192, 8)) }.is_null()).count();
    assert!(count * 8192 > 44 * MIB, "{count} of 6144, but for tables");
}

#[test]
fn a_block_that_is_last_grows_where_it_is() {
    let heap = heap::<{ 1 << 20 }>();
    // SAFETY: as above.
    unsafe {
        let p = heap.alloc(layout(5000, 8));
        assert_eq!(heap.realloc(p, layout(5000, 8), 300_000), p);
        assert_eq!(heap.realloc(p, layout(300_000, 8), 2000), p);
        let behind = heap.alloc(layout(200_000, 8));
        assert!(behind > p && behind < p.wrapping_add(300_000), "what it gave back is used again");
    }
}

#[test]
fn the_last_run_that_is_large_enough_is_found() {
    let heap = heap::<{ 1 << 20 }>();
    let granules = |count: usize| layout(count * GRANULE_BYTES, 8);
    // SAFETY: the layouts are not empty; blocks are freed as they were allocated.
    unsafe {
        let large = heap.alloc(granules(70));
        let gaps: Vec<*mut u8> = (0..12).map(|_| (heap.alloc(granules(65)), heap.alloc(granules(3))).0).collect();
        let rest: Vec<*mut u8> = (0..).map(|_| heap.alloc(granules(70))).take_while(|p| !p.is_null()).collect();
        heap.dealloc(large, granules(70));
        gaps.iter().for_each(|&gap| heap.dealloc(gap, granules(65)));
        assert!(heap.alloc(granules(70)) == large, "{} others", rest.len());
    }
}
