//! Holes, through the interface: contents, zeros, what is resident.

use super::*;
use crate::os::tests::slices_are_divided;
use crate::random::Fast;
use crate::runtime;

fn hole_bytes() -> usize {
    let mut bytes = 0;
    runtime::main_subproc().main_heap().unwrap().for_each_own_page(|page| bytes += page.hole_bytes());
    bytes
}

/// One block in `every` stays.
fn survivors(sizes: impl Fn(usize) -> usize, count: usize, every: usize) -> Vec<(*mut u8, usize)> {
    let blocks: Vec<_> = (0..count).map(|index| (malloc(sizes(index)), index)).collect();
    blocks.iter().for_each(|(p, index)| fill(*p, *index));
    let (kept, freed): (Vec<_>, Vec<_>) = blocks.into_iter().partition(|(_, index)| index % every == 0);
    freed.into_iter().for_each(|(p, _)| release(p));
    kept
}

#[test]
fn zeroed_blocks_of_holes_are_zero_and_others_keep_what_they_hold() {
    let _ground = ground();
    for size in [48, 512, 3000, 7000, 100_000] {
        if Bin::of(size).page_slices() == 1 && !slices_are_divided() {
            continue;
        }
        let kept = survivors(|_| size, (4 << 20) / size, 200 * os_page_bytes() / 4096);
        collect(Force::All);
        assert!(hole_bytes() > 0, "{size}");
        let zeroed: Vec<_> = (0..(4 << 20) / size).map(|_| zero::zeroed(size)).collect();
        assert_eq!(hole_bytes(), 0, "all are open again");
        assert!(kept.iter().all(|(p, index)| holds(*p, size, index % 256)), "{size}");
        kept.into_iter().map(|kept| kept.0).chain(zeroed).for_each(release);
    }
}

#[test]
fn others_free_and_resize_what_lies_between_holes() {
    let _ground = ground();
    if !slices_are_divided() {
        return;
    }
    let kept = survivors(|index| 40 + index % 2000, 4000, 20);
    collect(Force::All);
    assert!(hole_bytes() > 0);
    let kept: Vec<_> = kept.into_iter().map(|(p, index)| (p as usize, index)).collect();
    std::thread::spawn(move || {
        for (p, index) in kept {
            let (p, size) = (core::ptr::with_exposed_provenance_mut::<u8>(p), 40 + index % 2000);
            assert!(holds(p, size, index % 256));
            let resized = resize(p, size * 2);
            assert!(holds(resized, size, index % 256));
            release(resized);
        }
        collect(Force::All);
    })
    .join()
    .unwrap();
    collect(Force::All);
    assert_eq!(hole_bytes(), 0, "no page is left");
}

/// Random calls against what must be true of them, with a forced collection now and then.
#[test]
fn programs_see_nothing_of_holes() {
    let _ground = ground();
    let mut random = Fast::new(11);
    let mut below = |bound: usize| (random.next_u64() >> 33) as usize % bound;
    let mut blocks: Vec<(*mut u8, usize, usize)> = Vec::new();
    let mut most_holes = 0;
    for step in 0..24_000 {
        let bits = 4 + below(10);
        let size = 1 + below(1 << bits);
        let is_growing = step / 4000 % 2 == 0;
        if blocks.is_empty() || below(10) < if is_growing { 8 } else { 1 } {
            let p = if below(3) == 0 { zero::zeroed(size) } else { malloc(size) };
            fill(p, step);
            blocks.push((p, size, step % 256));
        } else {
            let (p, size, seed) = blocks.swap_remove(below(blocks.len()));
            assert!(holds(p, size, seed));
            if below(6) == 0 {
                let (larger, less) = (below(9000) + 1, size);
                let p = resize(p, larger);
                assert!(holds(p, larger.min(less), seed));
                fill(p, seed);
                blocks.push((p, larger, seed));
            } else {
                release(p);
            }
        }
        if step % 1000 == 0 {
            collect(Force::All);
            most_holes = most_holes.max(hole_bytes());
        }
    }
    assert!(most_holes > 400_000 || !slices_are_divided(), "{most_holes}");
    assert!(blocks.iter().all(|(p, size, seed)| holds(*p, *size, *seed)));
    blocks.into_iter().for_each(|(p, ..)| release(p));
    collect(Force::All);
    assert_eq!(hole_bytes(), 0);
}
