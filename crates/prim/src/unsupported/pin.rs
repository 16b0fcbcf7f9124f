//! Whether an object stays is up to whoever links it.

pub(crate) fn stay_loaded() {}
