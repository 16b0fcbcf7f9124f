//! Nothing is unloaded.

pub(crate) fn stay_loaded() {}
