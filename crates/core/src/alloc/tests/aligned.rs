//! Alignments, with and without offsets.

use super::*;

const SIZES: [usize; 9] = [0, 1, 24, 100, 1000, 5000, 70_000, LARGE_BLOCK_MAX, 3 * MIB];

fn alignments() -> impl Iterator<Item = usize> + Clone {
    (0..=24).map(|shift| 1 << shift)
}

#[test]
fn blocks_lie_at_multiples_of_their_alignment() {
    let _ground = ground();
    for align in alignments() {
        let blocks = SIZES.map(|size| malloc_aligned(size, align, Zero::Any));
        for (index, (size, p)) in SIZES.into_iter().zip(blocks).enumerate() {
            assert!(!p.is_null() && (p as usize).is_multiple_of(align) && usable_size(p) >= size, "{size} at {align}");
            fill(p, index);
        }
        for (index, p) in blocks.into_iter().enumerate() {
            assert!(holds(p, usable_size(p), index), "{} at {align}", SIZES[index]);
            release(p);
        }
    }
}

#[test]
fn offsets_put_an_inner_address_at_the_multiple() {
    let _ground = ground();
    for align in alignments().skip(3) {
        for offset in [8, 24, align / 2, align, 3 * align + 16].map(|offset| offset & !7) {
            for size in SIZES {
                let p = malloc_aligned_at(size, align, offset, Zero::Any);
                assert!(!p.is_null() && (p as usize + offset).is_multiple_of(align), "{size} at {align} + {offset}");
                assert!(usable_size(p) >= size, "{size} at {align} + {offset}");
                fill(p, 7);
                release(p);
            }
        }
    }
}

#[test]
fn shifted_blocks_are_freed_and_measured_from_inside() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let blocks: Vec<_> = (0..500).map(|_| alloc_aligned_at_in(theap, 100, 256, 8, Zero::Any)).collect();
    assert!(blocks.iter().any(|p| page_of(*p).block_of(*p) != *p), "some are not where their block begins");
    for (index, p) in blocks.iter().enumerate() {
        fill(*p, index);
    }
    assert!(blocks.iter().enumerate().all(|(index, p)| holds(*p, usable_size(*p), index)));
    blocks.into_iter().for_each(release);
    theap.collect(Force::All);
    assert_eq!(theap.page_count(), 0, "every block came back whole");
    // SAFETY: nothing of it is in use.
    assert!(unsafe { crate::runtime::heap_destroy(heap) });
}

#[test]
fn large_blocks_start_anywhere_until_one_of_them_is_to_be_aligned() {
    let _ground = ground();
    let heap = heap_new().unwrap();
    let theap = theap_for(heap).unwrap();
    let plain: Vec<_> = (0..30).map(|_| super::super::alloc_in(theap, 12_288, Zero::Any)).collect();
    let aligned: Vec<_> = (0..30).map(|_| alloc_aligned_at_in(theap, 12_288, 4096, 0, Zero::Any)).collect();
    assert!(aligned.iter().all(|p| (*p as usize).is_multiple_of(4096)));
    plain.into_iter().chain(aligned).for_each(release);
    theap.collect(Force::All);
    let natural = alloc_aligned_at_in(theap, 12_288, 4096, 0, Zero::Any);
    assert!((page_of(natural).start() as usize).is_multiple_of(4096) && page_of(natural).block_of(natural) == natural);
    release(natural);
    // SAFETY: nothing of it is in use.
    assert!(unsafe { crate::runtime::heap_destroy(heap) });
}

#[test]
fn what_is_no_power_of_two_is_no_alignment() {
    let _ground = ground();
    for align in [0, 3, 24, 4095, usize::MAX] {
        assert!(malloc_aligned(100, align, Zero::Any).is_null(), "{align}");
        assert!(malloc_aligned_at(100, align, 8, Zero::Any).is_null(), "{align}");
    }
    assert!(is_refused(|| malloc_aligned(100, 1 << (usize::BITS - 1), Zero::Any)));
    assert!(is_refused(|| malloc_aligned_at(100, 1 << (usize::BITS - 2), 16, Zero::Any)));
}

#[test]
fn aligned_memory_is_zero_when_zeros_are_asked_for() {
    let _ground = ground();
    for align in [8, 64, 4096, SLICE_BYTES, 4 * MIB] {
        for (size, offset) in [(100, 0), (100, 24), (9000, 0), (9000, 8), (MIB, 0), (MIB, 40)] {
            for _ in 0..2 {
                let p = malloc_aligned_at(size, align, offset, Zero::Zeroed);
                assert!(holds(p, size, 0), "{size} at {align} + {offset}");
                fill(p, 0xB3);
                release(p);
            }
        }
    }
}
