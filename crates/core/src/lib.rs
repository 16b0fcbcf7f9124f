//! The allocator: a tower of floors, each a folder, each using only the floors below it.
#![no_std]
#[cfg(test)]
extern crate std;
