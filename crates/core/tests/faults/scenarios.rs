//! What programs do with memory.

use crate::support::{Block, Numbers};
use crate::world::World;
use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Force;
use ferrimalloc_core::options::{self, Hardening, OptionId};
use ferrimalloc_core::runtime;
use std::sync::mpsc;
use std::thread;

pub struct Scenario {
    pub name: &'static str,
    pub run: fn(&mut World),
}

pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "start", run: start },
    Scenario { name: "small_blocks", run: small_blocks },
    Scenario { name: "medium_and_large_blocks", run: medium_and_large_blocks },
    Scenario { name: "huge_blocks", run: huge_blocks },
    Scenario { name: "alignments", run: alignments },
    Scenario { name: "growing_arrays", run: growing_arrays },
    Scenario { name: "zeroed_memory", run: zeroed_memory },
    Scenario { name: "purged_at_once", run: purged_at_once },
    Scenario { name: "reset_at_once", run: reset_at_once },
    Scenario { name: "many_heaps", run: many_heaps },
    Scenario { name: "many_arenas", run: many_arenas },
    Scenario { name: "no_arenas", run: no_arenas },
    Scenario { name: "threads", run: threads },
    Scenario { name: "checked_small_blocks", run: |world| checked(small_blocks, world) },
    Scenario { name: "checked_medium_and_large_blocks", run: |world| checked(medium_and_large_blocks, world) },
    Scenario { name: "checked_growing_arrays", run: |world| checked(growing_arrays, world) },
    Scenario { name: "checked_zeroed_memory", run: |world| checked(zeroed_memory, world) },
    Scenario { name: "checked_alignments", run: |world| checked(alignments, world) },
    Scenario { name: "checked_threads", run: |world| checked(threads, world) },
    Scenario { name: "guarded_small_blocks", run: |world| guarded(small_blocks, world) },
    Scenario { name: "guarded_threads", run: |world| guarded(threads, world) },
];

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// The same at the highest level: hardened pages with bitmaps, padding and guards.
fn checked(run: fn(&mut World), world: &mut World) {
    options::set(OptionId::ShowErrors, 0);
    options::set_hardening(Hardening { secure: 5, debug: 0 });
    run(world);
}

/// The same with many guarded blocks.
fn guarded(run: fn(&mut World), world: &mut World) {
    options::set(OptionId::GuardedSampleRate, 10);
    run(world);
}

fn start(world: &mut World) {
    world.malloc(1);
}

fn small_blocks(world: &mut World) {
    let mut numbers = Numbers::new(1);
    for _ in 0..3 {
        (0..2000).for_each(|_| world.malloc(numbers.below(1 << 10)));
        world.free_some(2);
    }
}

fn medium_and_large_blocks(world: &mut World) {
    let mut numbers = Numbers::new(2);
    for _ in 0..3 {
        (0..100).for_each(|_| world.malloc(numbers.size(19)));
        world.free_some(2);
    }
}

fn huge_blocks(world: &mut World) {
    for mib in [1, 3, 40, 2, 9] {
        world.malloc(mib * MIB);
        world.zalloc(mib * MIB);
    }
    world.free_some(2);
    world.malloc(20 * MIB);
    world.zalloc(5 * MIB);
}

fn alignments(world: &mut World) {
    for shift in 3..=23 {
        let align = 1 << shift;
        world.aligned(100, align, 0);
        world.aligned(3 * align / 2, align, 0);
        world.aligned(5000, align, 24);
    }
}

/// Several arrays grow in turns, so that none can always grow in place.
fn growing_arrays(world: &mut World) {
    (0..3).for_each(|_| world.malloc(KIB));
    let mut size = KIB;
    while size < 24 * MIB {
        size = size * 3 / 2;
        (0..world.blocks.len()).for_each(|index| world.realloc(index, size));
    }
    (0..world.blocks.len()).for_each(|index| world.realloc(index, 2 * MIB));
    (0..world.blocks.len()).for_each(|index| world.realloc(index, 6 * MIB));
    (0..world.blocks.len()).for_each(|index| world.realloc(index, 100));
}

fn zeroed_memory(world: &mut World) {
    for round in 0..4 {
        for size in [16, 100, 3000, 50_000, 400_000, 2 * MIB, 9 * MIB] {
            (0..3).for_each(|_| world.zalloc(size));
        }
        world.free_some(1);
        if round % 2 == 0 {
            alloc::collect(Force::All);
        }
    }
}

fn purged_at_once(world: &mut World) {
    options::set(OptionId::PurgeDelay, 0);
    zeroed_memory(world);
    medium_and_large_blocks(world);
}

fn reset_at_once(world: &mut World) {
    options::set(OptionId::PurgeDecommits, 0);
    purged_at_once(world);
}

fn many_heaps(world: &mut World) {
    for round in 0..6 {
        let Some(heap) = runtime::heap_new() else {
            world.note_failure();
            continue;
        };
        let first = world.blocks.len();
        for size in [10, 200, 5000, 100_000, MIB] {
            (0..4).for_each(|_| world.malloc_in(heap, size));
        }
        world.check();
        if round % 2 == 0 {
            world.forget_from(first);
            // SAFETY: nobody uses the heap or its blocks any more.
            assert!(unsafe { runtime::heap_destroy(heap) });
        } else {
            // SAFETY: nobody allocates in the heap any more.
            assert!(unsafe { runtime::heap_delete(heap) });
        }
    }
}

fn many_arenas(world: &mut World) {
    options::set(OptionId::ArenaReserve, 4 * KIB as i64);
    for _ in 0..2 {
        (0..30).for_each(|_| world.malloc(3 * MIB));
        (0..300).for_each(|_| world.malloc(30_000));
        world.free_some(2);
    }
}

fn no_arenas(world: &mut World) {
    options::set(OptionId::DisallowArenaAlloc, 1);
    huge_blocks(world);
    medium_and_large_blocks(world);
}

/// Threads that allocate, leave blocks to this one, and end.
fn threads(world: &mut World) {
    for round in 0..3 {
        let (outbox, inbox) = mpsc::channel::<Block>();
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let outbox = outbox.clone();
                thread::spawn(move || work(round * 100 + worker, &outbox))
            })
            .collect();
        drop(outbox);
        inbox.into_iter().for_each(|block| world.receive(block));
        let failures: usize = workers.into_iter().map(|worker| worker.join().expect("no panic")).sum();
        (0..failures).for_each(|_| world.note_failure());
        world.free_some(2);
    }
}

/// Allocates, keeps a while, frees half and sends the rest; answers how many requests failed.
fn work(seed: u64, outbox: &mpsc::Sender<Block>) -> usize {
    let mut numbers = Numbers::new(seed);
    let mut world = World::new(crate::world::Weather::Stormy);
    (0..300).for_each(|_| world.malloc(numbers.size(15)));
    world.free_some(2);
    world.check();
    world.blocks.drain(..).for_each(|block| outbox.send(block).expect("open"));
    world.nulls
}
