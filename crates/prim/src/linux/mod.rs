//! What Linux does beyond POSIX: the same modules as in `unix/`, as far as they differ.

mod file;
mod group;

pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod entropy;
pub(crate) mod futex;
pub(crate) mod mem;
pub(crate) mod modules;
pub(crate) mod numa;
pub(crate) mod pin;
pub(crate) mod process;
pub(crate) mod stack;
