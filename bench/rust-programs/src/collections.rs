//! Strings in vectors, hash maps and ordered maps: grown, joined, dropped. Maps hash with a fixed seed, so that the order of
//! growth is the same in every run.

use crate::random::Random;
use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::BuildHasherDefault;

type FixedMap<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

pub fn run(rounds: u64) -> u64 {
    (0..rounds).map(one_round).fold(0, u64::wrapping_add)
}

fn one_round(seed: u64) -> u64 {
    let mut random = Random::new(seed + 1);
    let words: Vec<String> = (0..20_000).map(|_| word(&mut random)).collect();
    counted(&words) + indexed(&words) + queued(&words) + joined(&words)
}

fn word(random: &mut Random) -> String {
    let letters = 2 + random.below(20);
    (0..letters).map(|_| char::from(b'a' + random.below(6) as u8)).collect()
}

fn counted(words: &[String]) -> u64 {
    let mut counts: FixedMap<String, Vec<usize>> = FixedMap::default();
    for (index, word) in words.iter().enumerate() {
        counts.entry(word.chars().take(4).collect()).or_default().push(index);
    }
    counts.values().map(|places| places.len().pow(2) as u64).sum()
}

fn indexed(words: &[String]) -> u64 {
    let mut index = BTreeMap::new();
    for word in words {
        index.insert(word.clone(), word.len());
        if index.len() > 5_000 {
            index.pop_first();
        }
    }
    index.values().sum::<usize>() as u64
}

fn queued(words: &[String]) -> u64 {
    let mut queue: VecDeque<Box<[u8]>> = VecDeque::new();
    let mut sum = 0;
    for word in words {
        queue.push_back(word.repeat(1 + word.len() % 7).into_bytes().into());
        if queue.len() > 300 {
            sum += queue.pop_front().map_or(0, |oldest| oldest.len() as u64);
        }
    }
    sum
}

fn joined(words: &[String]) -> u64 {
    let lines: Vec<String> = words.chunks(12).map(|chunk| chunk.join(", ")).collect();
    lines.iter().map(|line| line.split(", ").map(str::to_uppercase).max().map_or(0, |word| word.len() as u64)).sum()
}
