//! What the crate's features ask for, as constants, so that every branch is compiled in every build.

/// The levels that a build starts from; the environment may ask for others.
pub struct Build {
    /// Default of `MIMALLOC_SECURE`.
    pub secure: u8,
    /// Default of `MIMALLOC_DEBUG`.
    pub debug: u8,
    /// Default of option `guarded_sample_rate`.
    pub guarded_sample_rate: i64,
    /// Default of option `allow_thp`.
    pub allow_thp: i64,
    /// Whether valgrind is told about blocks; then pages are always checked.
    pub valgrind: bool,
    /// The same for AddressSanitizer.
    pub asan: bool,
    /// No choice is lower.
    pub least_secure: Option<u8>,
    /// How far from where a page's first block is its address is kept. Valgrind's search for leaks would take it for the
    /// program's pointer to that block.
    pub start_disguise: usize,
}

impl Build {
    /// Whether a tool is told about blocks.
    pub const fn is_watched(&self) -> bool {
        self.valgrind || self.asan
    }
}

/// No address of memory is another one and that much.
const NOWHERE: usize = 1 << (usize::BITS - 2);

/// What debug builds sample by default.
pub const GUARDED_SAMPLE_RATE: i64 = 4000;

/// What this build's features ask for.
pub const BUILD: Build = Build {
    secure: if cfg!(feature = "secure") { 4 } else { 0 },
    debug: if cfg!(any(feature = "debug", all(feature = "debug_in_debug", debug_assertions))) { 2 } else { 0 },
    guarded_sample_rate: if cfg!(feature = "guarded") { GUARDED_SAMPLE_RATE } else { 0 },
    allow_thp: if cfg!(feature = "no_thp") { 0 } else { 1 },
    valgrind: cfg!(feature = "valgrind"),
    asan: cfg!(feature = "asan"),
    // Unit tests are about ordinary pages, and put them where they like; what checked ones do is shown by `tests/checked.rs`.
    least_secure: if cfg!(any(feature = "valgrind", feature = "asan")) && !cfg!(test) { Some(3) } else { None },
    start_disguise: if cfg!(feature = "valgrind") { NOWHERE } else { 0 },
};
