//! Frees for other threads: gathered, bounded, handed over.

use super::*;

fn waiting(block: *mut u8) -> usize {
    page_of(block).remote_count()
}

#[test]
fn frees_are_gathered_until_they_are_handed_over() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 5);
    put_all(bed.other, &blocks);
    assert_eq!(waiting(blocks[0]), 0);
    bed.other.flush_remote();
    assert_eq!(waiting(blocks[0]), 5);
    bed.other.flush_remote();
    assert_eq!(waiting(blocks[0]), 5, "nothing is left to hand over");
    take_many(bed.theap, 64, 59);
    let again = take_many(bed.theap, 64, 5);
    assert!(blocks.iter().all(|block| again.contains(block)), "and each of them is used again once");
}

#[test]
fn neither_many_blocks_nor_many_bytes_wait() {
    for bytes in [8, 64, 1000, 4000, SIXTEENTH, 100_000] {
        let bed = Bed::keeping_full_pages();
        let blocks = take_many(bed.theap, bytes, 200);
        let mut handed_over = 0;
        let pages: Vec<_> = blocks.iter().map(|block| page_of(*block)).collect();
        for freed in 1..=blocks.len() {
            put(bed.other, blocks[freed - 1]);
            let mut seen = Vec::new();
            handed_over = 0;
            for page in &pages {
                if !seen.contains(page) {
                    seen.push(*page);
                    handed_over += page.remote_count();
                }
            }
            let held = freed - handed_over;
            let chains = seen.len().min(32);
            assert!(
                held <= 32 * chains && (held <= chains || held * bytes <= chains * (16 << 10)),
                "{held} of {bytes}"
            );
            assert!(held < 384 && held * bytes <= 192 << 10, "{held} of {bytes} altogether");
        }
        assert!(handed_over > 0);
    }
}

#[test]
fn a_chain_makes_room_for_that_of_another_page() {
    let bed = Bed::keeping_full_pages();
    let pages = take_pages(bed.theap, SIXTEENTH, 40);
    pages.iter().for_each(|blocks| put(bed.other, blocks[0]));
    let handed_over: usize = pages.iter().map(|blocks| waiting(blocks[0])).sum();
    assert!((8..40).contains(&handed_over), "40 pages don't fit: {handed_over} handed over");
    bed.other.flush_remote();
    assert!(pages.iter().all(|blocks| waiting(blocks[0]) == 1));
}

#[test]
fn forgotten_chains_are_not_handed_over() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 5);
    put_all(bed.other, &blocks);
    bed.other.forget_pages();
    bed.other.flush_remote();
    assert_eq!(waiting(blocks[0]), 0);
}

#[test]
fn a_collection_hands_over() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 5);
    put_all(bed.other, &blocks);
    bed.other.collect(Force::Routine);
    assert_eq!(waiting(blocks[0]), 5);
}

#[test]
fn the_chain_that_empties_an_abandoned_page_releases_it() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 64, 5);
    bed.theap.abandon_all();
    put_all(bed.other, &blocks);
    assert_eq!(bed.pages(), 1);
    bed.other.flush_remote();
    assert_eq!(bed.pages(), 0);
}

#[test]
fn a_push_by_hand_is_found_by_the_owner() {
    let bed = Bed::new();
    let blocks = take_many(bed.theap, 1024, 4);
    let page = page_of(blocks[0]);
    // SAFETY: the test's own block, used no more.
    assert!(unsafe { page.page().push(blocks[2], blocks[2], 1) }.is_none());
    assert_eq!(take(bed.theap, 1024), blocks[2]);
}
