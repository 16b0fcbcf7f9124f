//! What every Unix offers, complete with `unsupported/`: `linux/` replaces what it can do better, and its tests run these too.

pub(crate) mod clock;
pub(crate) mod entropy;
pub(crate) mod environ;
pub(crate) mod errno;
pub(crate) mod fault;
pub(crate) mod futex;
pub(crate) mod key;
pub(crate) mod mem;
pub(crate) mod modules;
pub(crate) mod output;
pub(crate) mod process;
pub(crate) mod service;
