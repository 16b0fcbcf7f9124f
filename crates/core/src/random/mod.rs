//! Floor 2: random numbers.
//!
//! [`Fast`] is for sampling and placing, where being guessed is harmless: a few instructions, one word of state.
//! [`Keyed`] is for what an attacker must not guess: the keys of hardened pages, the order of their blocks. It is
//! ChaCha20 keyed by the operating system.
//!
//! Both are values with an owner: nothing here is shared, so nothing is synchronised.

mod chacha;
mod fast;
mod keyed;

pub use fast::Fast;
pub use keyed::Keyed;
