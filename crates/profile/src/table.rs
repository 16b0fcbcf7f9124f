//! Memory from the system for as long as a profile is written, and a set in it.

use core::slice;

use ferrimalloc_core::os::{self, PrivateMemory};
use ferrimalloc_prim::mem::Access;

/// An array of zeros.
pub struct Words(PrivateMemory);

impl Words {
    /// `None` without memory.
    pub fn new(count: usize) -> Option<Words> {
        let (page, bytes) = (os::os_page_bytes(), count.max(1).checked_mul(size_of::<usize>())?);
        let bytes = bytes.checked_next_multiple_of(page)?;
        os::reserve(bytes, page, Access::ReadWrite, |_| true, core::iter::empty()).map(Words)
    }

    pub fn all(&mut self) -> &mut [usize] {
        let region = self.0.region();
        // SAFETY: zeroed memory of our own, borrowed as the value is.
        unsafe { slice::from_raw_parts_mut(region.start.cast(), region.bytes / size_of::<usize>()) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: nobody borrows it any more.
        unsafe { os::release(self.0.region()) };
    }
}

/// A set of numbers other than 0.
pub struct Set {
    words: Words,
    left: usize,
}

/// What an insertion did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Inserted {
    New,
    Old,
    /// There is no room.
    Full,
}

impl Set {
    /// With room for `count` numbers.
    pub fn new(count: usize) -> Option<Set> {
        Some(Set { words: Words::new(count.checked_mul(2)?)?, left: count })
    }

    pub fn insert(&mut self, number: usize) -> Inserted {
        let words = self.words.all();
        let mut place = number.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as usize) >> 16;
        loop {
            place %= words.len();
            match words[place] {
                0 if self.left == 0 => return Inserted::Full,
                0 => {
                    words[place] = number;
                    self.left -= 1;
                    return Inserted::New;
                }
                other if other == number => return Inserted::Old,
                _ => place += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_knows_what_it_has() {
        let mut set = Set::new(1000).unwrap();
        for number in 1..=1000 {
            assert_eq!(set.insert(number * 8), Inserted::New);
        }
        assert!((1..=1000).all(|number| set.insert(number * 8) == Inserted::Old));
        assert_eq!(set.insert(3), Inserted::Full);
    }
}
