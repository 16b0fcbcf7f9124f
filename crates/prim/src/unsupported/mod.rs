//! What a system answers that has no interface for it. Its own modules take from here what they lack.

#[allow(dead_code, reason = "only where the processor is none that we know")]
pub(crate) mod context;
#[allow(dead_code, reason = "only where there are no signals")]
pub(crate) mod fault;
#[allow(dead_code, reason = "only where the C library is none that we know")]
pub(crate) mod find_object;
pub(crate) mod mem;
pub(crate) mod modules;
pub(crate) mod numa;
pub(crate) mod pin;
pub(crate) mod stack;
