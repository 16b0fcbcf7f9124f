//! What a system answers that has no interface for it. Its own modules take from here what they lack.

pub(crate) mod mem;
pub(crate) mod modules;
pub(crate) mod numa;
pub(crate) mod pin;
pub(crate) mod stack;
