//! What the crate's features ask for, as constants, so that every branch is compiled in every build.

/// The levels that a build starts from; the environment may ask for others.
pub struct Build {
    /// Default of `MIMALLOC_SECURE`.
    pub secure: u8,
    /// Default of `MIMALLOC_DEBUG`.
    pub debug: u8,
    /// Default of option `guarded_sample_rate`.
    pub guarded_sample_rate: i64,
}

/// What debug builds sample by default.
pub const GUARDED_SAMPLE_RATE: i64 = 4000;

pub const BUILD: Build = Build {
    secure: if cfg!(feature = "secure") { 4 } else { 0 },
    debug: if cfg!(feature = "debug") { 2 } else { 0 },
    guarded_sample_rate: if cfg!(feature = "guarded") { GUARDED_SAMPLE_RATE } else { 0 },
};
