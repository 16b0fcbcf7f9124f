//! Names by which programs know other allocators, so that moving to this one changes a `use`.

pub mod jemalloc_ctl;
