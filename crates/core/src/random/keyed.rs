//! Unpredictable numbers: ChaCha20 with fast key erasure.
//!
//! Every block of the stream is split: one half becomes the next key, the other is handed out, and both are
//! forgotten as they are used. Whoever reads the state learns nothing about numbers given out before (D. J.
//! Bernstein, "Fast-key-erasure random-number generators", 2017).

use super::chacha::{self, BLOCK_WORDS, KEY_WORDS, Key, NONCE_WORDS};
use super::fast::Fast;
use ferrimalloc_prim::{clock, entropy, thread};

/// A generator for keys.
pub struct Keyed {
    key: Key,
    /// Numbers not handed out yet; the words from `left` on are used up and zero.
    pool: [u32; BLOCK_WORDS - KEY_WORDS],
    left: usize,
}

impl Keyed {
    /// A generator with a fresh key: one system call. Where the system has nothing to give, the key is made of the time and of
    /// addresses: better than a constant, but no secret.
    pub fn new() -> Keyed {
        Keyed::from_key(system_key().unwrap_or_else(weak_key))
    }

    /// Takes a fresh key from the system if it has one to give: after a `fork`, in the child.
    pub fn reseed(&mut self) {
        match system_key() {
            Some(key) => *self = Keyed::from_key(key),
            None => self.stir(&weak_key()),
        }
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) | u64::from(self.next_u32()) << 32
    }

    const fn from_key(key: Key) -> Keyed {
        Keyed { key, pool: [0; BLOCK_WORDS - KEY_WORDS], left: 0 }
    }

    fn next_u32(&mut self) -> u32 {
        if self.left == 0 {
            self.refill();
        }
        self.left -= 1;
        core::mem::take(&mut self.pool[self.left])
    }

    fn refill(&mut self) {
        let block = chacha::block(&self.key, 0, &[0; NONCE_WORDS]);
        self.key.copy_from_slice(&block[..KEY_WORDS]);
        self.pool.copy_from_slice(&block[KEY_WORDS..]);
        self.left = self.pool.len();
    }

    /// Mixes `other` into the key and forgets what is in the pool.
    fn stir(&mut self, other: &Key) {
        self.key.iter_mut().zip(other).for_each(|(word, other)| *word ^= other);
        self.refill();
    }
}

fn system_key() -> Option<Key> {
    let mut bytes = [0; KEY_WORDS * 4];
    if !entropy::fill(&mut bytes) {
        return None;
    }
    let (chunks, _) = bytes.as_chunks::<4>();
    Some(core::array::from_fn(|index| u32::from_le_bytes(chunks[index])))
}

/// A key from what differs between processes: time, thread, where the stack and the library lie.
fn weak_key() -> Key {
    let local = 0_u8;
    let stack = (&raw const local).addr() as u64;
    let code = (weak_key as fn() -> Key as *const ()).addr() as u64;
    let parts = [clock::now_nanos(), thread::id() as u64, stack, code];
    let seed = parts.iter().fold(0, |seed, part| Fast::new(seed ^ part).next_u64());
    let mut spread = Fast::new(seed);
    core::array::from_fn(|_| spread.next_u64() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_system_gives_keys() {
        assert!(system_key().is_some() && system_key() != system_key());
    }

    #[test]
    fn numbers_do_not_repeat() {
        let (mut one, mut two) = (Keyed::new(), Keyed::new());
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            assert!(seen.insert(one.next_u64()) && seen.insert(two.next_u64()));
        }
    }

    #[test]
    fn the_stream_is_determined_by_the_key_and_leaves_no_trace() {
        let stream = || Keyed::from_key([7; KEY_WORDS]);
        let (mut one, mut two) = (stream(), stream());
        for _ in 0..100 {
            assert_eq!(one.next_u64(), two.next_u64());
        }
        let block = chacha::block(&[7; KEY_WORDS], 0, &[0; NONCE_WORDS]);
        let mut fresh = stream();
        let first = fresh.next_u64();
        assert_eq!(first, u64::from(block[15]) | u64::from(block[14]) << 32);
        assert_eq!(fresh.key, block[..KEY_WORDS]);
        assert_eq!(fresh.pool[6..], [0, 0]);
    }

    #[test]
    fn reseeding_changes_the_stream() {
        let mut keyed = Keyed::from_key([7; KEY_WORDS]);
        let mut same = Keyed::from_key([7; KEY_WORDS]);
        keyed.reseed();
        assert_ne!(keyed.next_u64(), same.next_u64());
        same.stir(&[1; KEY_WORDS]);
        assert_ne!(same.next_u64(), Keyed::from_key([7; KEY_WORDS]).next_u64());
    }

    #[test]
    fn weak_keys_differ_over_time() {
        assert_ne!(weak_key(), weak_key());
    }
}
