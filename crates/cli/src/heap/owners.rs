//! Threads: from the allocator's number to the kernel's number and a name.
//!
//! The allocator's number is the address of the thread's control block, where the C library keeps the kernel's number
//! somewhere near the beginning. Where, differs between C libraries: it is the one place that has the number of a
//! thread of this process in all of them.

use super::snapshot::Thread;
use crate::process::{Memory, Piece};
use std::collections::BTreeMap;

/// How far into the control block the number may lie.
const SEARCHED_BYTES: usize = 2048;

pub fn threads(memory: &dyn Memory, numbers: &[u64]) -> Vec<Thread> {
    let names: BTreeMap<u32, String> = memory.threads().into_iter().collect();
    let blocks = control_blocks(memory, numbers);
    let place = place_of_tid(&blocks, &names);
    let describe = |(number, block): (&u64, &Vec<u8>)| {
        let tid = place.and_then(|at| tid_at(block, at)).filter(|tid| names.contains_key(tid));
        let name = tid.and_then(|tid| names.get(&tid)).cloned().unwrap_or_default();
        Thread { number: *number, tid, name }
    };
    numbers.iter().zip(&blocks).map(describe).collect()
}

fn control_blocks(memory: &dyn Memory, numbers: &[u64]) -> Vec<Vec<u8>> {
    let pieces: Vec<Piece> = numbers.iter().map(|number| Piece::new(*number, SEARCHED_BYTES)).collect();
    let mut bytes = Vec::new();
    let read = memory.read_pieces(&pieces, &mut bytes);
    let blocks = bytes.chunks(SEARCHED_BYTES).zip(read);
    blocks.map(|(block, is_read)| if is_read { block.to_vec() } else { Vec::new() }).collect()
}

fn tid_at(block: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(block.get(at..at + 4)?.try_into().ok()?))
}

/// The place at which most control blocks have a thread's number, no two the same.
fn place_of_tid(blocks: &[Vec<u8>], names: &BTreeMap<u32, String>) -> Option<usize> {
    let score = |at: &usize| {
        let mut found: Vec<u32> = blocks.iter().filter_map(|block| tid_at(block, *at)).collect();
        found.retain(|tid| names.contains_key(tid));
        let all = found.len();
        found.sort_unstable();
        found.dedup();
        if found.len() == all { all } else { 0 }
    };
    let best = (0..SEARCHED_BYTES).step_by(4).rev().max_by_key(score)?;
    (score(&best) > 0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_one_that_tells_all_threads_apart() {
        let names: BTreeMap<u32, String> = [(7, "a".into()), (8, "b".into()), (9, "c".into())].into();
        let block = |tid: u32| {
            let mut block = vec![0_u8; SEARCHED_BYTES];
            block[40..44].copy_from_slice(&7_u32.to_ne_bytes());
            block[720..724].copy_from_slice(&tid.to_ne_bytes());
            block
        };
        let blocks = vec![block(9), block(7), Vec::new()];
        assert_eq!(place_of_tid(&blocks, &names), Some(720));
        assert_eq!(place_of_tid(&[vec![0; SEARCHED_BYTES]], &names), None);
    }
}
