//! Several models, each in a thread, that send each other blocks, over several generations of threads.

use super::model::{Held, Model, Op, random_op};
use super::{Numbers, Shadow};
use ferrimalloc_core::base::Zero;
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::runtime;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// How many play together.
pub const PLAYERS: usize = 4;

/// One of several threads that send each other blocks.
struct Player<'a> {
    model: Model<'a>,
    numbers: Numbers,
    outboxes: Vec<Sender<Held>>,
    inbox: Receiver<Held>,
    /// Heaps that all players allocate in.
    shared: &'a [&'static Heap],
}

impl Player<'_> {
    /// Plays, and leaves the blocks that it holds in the end, and those still on their way to it.
    fn play(mut self, steps: usize) -> (Vec<Held>, Receiver<Held>) {
        for _ in 0..steps {
            self.step();
        }
        while !self.model.heaps.is_empty() {
            self.model.heap_delete(0);
        }
        (self.model.blocks, self.inbox)
    }

    fn step(&mut self) {
        match self.numbers.below(10) {
            0..2 => self.send(),
            2 => self.malloc_shared(),
            3..5 => self.free_received(),
            _ => {
                let op = random_op(&mut self.numbers);
                // A heap can only end while no other thread has its blocks.
                if !matches!(op, Op::HeapDestroy { .. } | Op::HeapDelete { .. }) {
                    self.model.apply(op);
                }
            }
        }
    }

    fn send(&mut self) {
        let pick = self.numbers.below(1 << 16);
        let Some(index) = self.model.picked(pick) else { return };
        let held = self.model.blocks.swap_remove(index);
        let to = self.numbers.below(self.outboxes.len());
        if let Err(unsent) = self.outboxes[to].send(held) {
            self.model.blocks.push(unsent.0);
        }
    }

    fn malloc_shared(&mut self) {
        let heap = self.shared[self.numbers.below(self.shared.len())];
        let size = self.numbers.size(16);
        self.model.malloc_in(heap, size, 8, Zero::Any);
    }

    /// Frees half of what has come and keeps the rest, to resize it or to send it on.
    fn free_received(&mut self) {
        let received: Vec<Held> = self.inbox.try_iter().collect();
        for held in received {
            if self.numbers.below(2) == 0 {
                self.model.free_block(held.block);
            } else {
                self.model.blocks.push(held);
            }
        }
    }
}

/// A generation of threads; answers the blocks that outlive them.
fn play_together(
    shadow: &Shadow,
    shared: &[&'static Heap],
    inherited: Vec<Held>,
    seed: u64,
    steps: usize,
) -> Vec<Held> {
    let (outboxes, inboxes): (Vec<_>, Vec<_>) = (0..PLAYERS).map(|_| channel()).unzip();
    for (index, held) in inherited.into_iter().enumerate() {
        outboxes[index % PLAYERS].send(held).expect("open");
    }
    thread::scope(|scope| {
        let play = |(index, inbox)| {
            let seed = seed * 1000 + index as u64;
            let outboxes = outboxes.clone();
            let player = move || {
                let model = Model::new(shadow, seed << 32);
                Player { model, numbers: Numbers::new(seed), outboxes, inbox, shared }.play(steps)
            };
            scope.spawn(player)
        };
        let players: Vec<_> = inboxes.into_iter().enumerate().map(play).collect();
        let ended: Vec<_> = players.into_iter().map(|player| player.join().expect("no panic")).collect();
        ended
            .into_iter()
            .flat_map(|(held, inbox)| held.into_iter().chain(inbox.try_iter().collect::<Vec<_>>()))
            .collect()
    })
}

/// Deletes one of the shared heaps, destroys the other, and frees what is left.
fn end_round(shadow: &Shadow, shared: [&'static Heap; 2], left: Vec<Held>) {
    let mut model = Model::new(shadow, 7);
    model.blocks = left;
    model.heaps.extend(shared);
    model.heap_delete(0);
    model.heap_destroy(0);
    model.finish();
}

/// Threads of `generations` play, `steps` each, with two heaps that all of them use; then everything is freed.
pub fn play_round(seed: u64, generations: u64, steps: usize) {
    let shadow = Shadow::new();
    let shared = [runtime::heap_new().expect("memory"), runtime::heap_new().expect("memory")];
    let mut left = Vec::new();
    for generation in 0..generations {
        left = play_together(&shadow, &shared, left, seed * 10 + generation, steps);
    }
    end_round(&shadow, shared, left);
    assert!(shadow.is_empty());
}
