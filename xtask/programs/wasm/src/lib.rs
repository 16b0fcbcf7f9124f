//! Jobs whose answer is known, so that memory that was handed out twice, or not zeroed, shows.

use std::collections::{BTreeMap, HashMap, VecDeque};

#[cfg(feature = "ours")]
#[global_allocator]
static GLOBAL: ferrimalloc::MiMalloc = ferrimalloc::MiMalloc;

#[cfg(feature = "small")]
#[global_allocator]
// SAFETY: a module of one thread.
static GLOBAL: ferrimalloc_small::Small<ferrimalloc_small::Grown> =
    unsafe { ferrimalloc_small::Small::single_threaded(ferrimalloc_small::Grown) };

/// A map of words: many small blocks of different sizes that live long. The answer: how many entries.
#[unsafe(no_mangle)]
pub extern "C" fn words(rounds: u32) -> u32 {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut seed = 1u32;
    for round in 0..rounds {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let word = format!("{:0width$}", seed % 5000, width = (seed % 5000 % 40) as usize + 1);
        *counts.entry(word).or_default() += 1;
        if round % 8 == 0 {
            counts.pop_first();
        }
    }
    let total: u32 = counts.values().sum();
    assert!(total <= rounds);
    counts.iter().all(|(word, _)| word.parse::<u32>().is_ok_and(|number| number < 5000)) as u32 * counts.len() as u32
}

/// Vectors that grow, up to megabytes, beside others. The answer: how many elements all had.
#[unsafe(no_mangle)]
pub extern "C" fn growing(rounds: u32) -> u32 {
    let mut total = 0;
    for round in 0..rounds {
        let mut vectors: Vec<Vec<u32>> = vec![Vec::new(); 16];
        for number in 0..20_000 {
            let index = (number * 7 + round) as usize % vectors.len();
            vectors[index].push(number);
        }
        let zeros = vec![0u8; 100_000 + round as usize];
        assert!(zeros.iter().all(|&byte| byte == 0));
        total += vectors.iter().map(|vector| vector.len() as u32).sum::<u32>();
        assert!(vectors.iter().all(|vector| vector.windows(2).all(|pair| pair[0] < pair[1])));
    }
    total
}

/// A queue of boxes, first in, first out, and a map from numbers to them. The answer: a sum.
#[unsafe(no_mangle)]
pub extern "C" fn queue(rounds: u32) -> u32 {
    let mut waiting: VecDeque<Box<[u32; 12]>> = VecDeque::new();
    let mut seen: HashMap<u32, Box<u32>> = HashMap::new();
    let mut sum = 0u32;
    for round in 0..rounds {
        waiting.push_back(Box::new([round; 12]));
        if waiting.len() > 1000 {
            let first = waiting.pop_front().expect("a thousand");
            assert!(first.iter().all(|&number| number == first[0]));
            sum = sum.wrapping_add(first[11]);
            seen.insert(first[0] % 3000, Box::new(first[0]));
        }
    }
    assert!(seen.iter().all(|(key, value)| **value % 3000 == *key));
    sum
}
