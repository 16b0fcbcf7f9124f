//! Options in the program's `static`.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ferrimalloc_core::base::Zero;
use ferrimalloc_core::options::{self, Hardening, OptionId};

use crate::global::MiMalloc;
use crate::request;

/// How many options a program may have of its own: all of them.
const MOST: usize = 64;

/// The options that a program starts with. They hold from its first allocation on, unless the environment has others.
///
/// ```
/// use ferrimalloc::{Configured, MiMalloc, Options, options};
///
/// #[global_allocator]
/// static GLOBAL: Configured = MiMalloc::with(Options::new().purge_delay(100).allow_thp(false).secure(2));
///
/// assert_eq!(Box::new(7).to_string(), "7");
/// assert_eq!(options::get(options::Option::PurgeDelay), 100); // unless MIMALLOC_PURGE_DELAY says otherwise
/// ```
///
/// What is no option is found when the program is compiled:
///
/// ```compile_fail
/// static GLOBAL: ferrimalloc::Configured = ferrimalloc::MiMalloc::with(ferrimalloc::Options::new().secure(6));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Options {
    values: [(OptionId, i64); MOST],
    count: usize,
    levels: Option<Hardening>,
}

impl Options {
    /// What mimalloc has.
    pub const fn new() -> Options {
        Options { values: [(OptionId::ShowErrors, 0); MOST], count: 0, levels: None }
    }

    /// Any option, by its number as [`options::set`](crate::options::set) takes it; a size in KiB. The last word counts.
    pub const fn with(mut self, option: OptionId, value: i64) -> Options {
        let mut i = 0;
        while i < self.count && self.values[i].0 as usize != option as usize {
            i += 1;
        }
        if i == self.count {
            assert!(i < MOST, "more options than there are");
            self.count += 1;
        }
        self.values[i] = (option, value);
        self
    }

    /// Milliseconds before unused memory goes back to the system; 0: at once; -1: never.
    pub const fn purge_delay(self, milliseconds: i64) -> Options {
        self.with(OptionId::PurgeDelay, milliseconds)
    }

    /// Whether memory may be had as transparent huge pages.
    pub const fn allow_thp(self, allow: bool) -> Options {
        self.with(OptionId::AllowThp, allow as i64)
    }

    /// How much address space is reserved at a time, in bytes, rounded up to KiB.
    pub const fn arena_reserve(self, bytes: usize) -> Options {
        self.with(OptionId::ArenaReserve, bytes.div_ceil(1 << 10) as i64)
    }

    /// Whether errors and warnings are printed.
    pub const fn show_errors(self, show: bool) -> Options {
        self.with(OptionId::ShowErrors, show as i64)
    }

    /// Whether statistics are printed at exit.
    pub const fn show_stats(self, show: bool) -> Options {
        self.with(OptionId::ShowStats, show as i64)
    }

    /// How much is hardened and checked, 0 to 5: `MIMALLOC_SECURE`.
    ///
    /// # Panics
    /// There is no such level.
    pub const fn secure(mut self, level: u8) -> Options {
        assert!(level <= Hardening::MAX.secure, "levels are 0 to 5");
        let debug = self.debug_level();
        self.levels = Some(Hardening { secure: level, debug });
        self
    }

    /// How much is filled and verified, 0 to 3: `MIMALLOC_DEBUG`.
    ///
    /// # Panics
    /// There is no such level.
    pub const fn debug(mut self, level: u8) -> Options {
        assert!(level <= Hardening::MAX.debug, "levels are 0 to 3");
        let secure = match self.levels {
            Some(levels) => levels.secure,
            None => 0,
        };
        self.levels = Some(Hardening { secure, debug: level });
        self
    }

    const fn debug_level(&self) -> u8 {
        match self.levels {
            Some(levels) => levels.debug,
            None => 0,
        }
    }

    /// Makes them the process's, where neither the program nor the environment has chosen.
    fn apply(&self) {
        if let Some(levels) = self.levels {
            options::set_default_hardening(levels);
        }
        self.values[..self.count].iter().for_each(|(option, value)| options::set_default(*option, *value));
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}

/// The allocator with [`Options`], to be put in a `static` with `#[global_allocator]`; made by [`MiMalloc::with`].
///
/// The options are applied by the first allocation that goes through it; those before, by C libraries in a program with the feature
/// `override`, have the usual ones. Allocations cost as much as [`MiMalloc`]'s.
#[derive(Debug)]
pub struct Configured {
    options: Options,
    is_applied: AtomicBool,
}

impl Configured {
    pub(crate) const fn new(options: Options) -> Configured {
        Configured { options, is_applied: AtomicBool::new(false) }
    }

    /// Every first allocation of a thread comes here, and so does the first of the program.
    #[cold]
    #[inline(never)]
    fn allocate(&self, layout: Layout, zero: Zero) -> *mut u8 {
        if !self.is_applied.swap(true, Relaxed) {
            self.options.apply();
        }
        request::allocate(layout, zero)
    }

    #[inline]
    fn is_ready(&self) -> bool {
        self.is_applied.load(Relaxed)
    }
}

// SAFETY: the blocks are `MiMalloc`'s.
unsafe impl GlobalAlloc for Configured {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let p = request::allocate_at_once(layout);
        if p.is_null() { self.allocate(layout, Zero::Any) } else { p }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.is_ready() { request::allocate(layout, Zero::Zeroed) } else { self.allocate(layout, Zero::Zeroed) }
    }

    #[inline]
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the contract of `GlobalAlloc`.
        unsafe { MiMalloc.dealloc(p, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the contract of `GlobalAlloc`. There is a block, so the options are applied.
        unsafe { MiMalloc.realloc(p, layout, new_size) }
    }
}
