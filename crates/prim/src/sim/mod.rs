//! An in-memory operating system for tests (feature `sim`): real memory, simulated kernel.
//!
//! With the feature on, the functions of [`mem`](crate::mem) come here. Memory is real and its contract is kept, and besides:
//! * calls of each [`Kind`] are counted, and can be refused by a [`Fault`] schedule or by [`Limits`];
//! * every range must be whole OS pages that are mapped: misuse panics at the call, where a kernel would shrug or corrupt;
//! * OS pages have the size that `FERRIMALLOC_SIM_OS_PAGE` names, in bytes: a multiple of the machine's;
//! * what the kernel may do but rarely does can be made certain ([`Mode`]): inaccessible and unmapped memory traps, the contents
//!   of reset memory vanish at once.
//!
//! The state is one per process and thread-safe. Tests that touch it take a [`session`], one at a time.
//!
//! ```
//! use ferrimalloc_prim::{mem, sim, Errno};
//! let _session = sim::session();
//! sim::refuse(sim::Kind::Map, sim::Fault::At(2));
//! assert!(mem::map(0, 1 << 16, mem::Access::None).is_ok());
//! assert_eq!(mem::map(0, 1 << 16, mem::Access::None), Err(Errno::ENOMEM));
//! assert_eq!((sim::calls(sim::Kind::Map), sim::refusals(sim::Kind::Map)), (2, 1));
//! ```

pub(crate) mod backend;
mod kernel;
mod lock;
mod os_page;
mod place;
mod regions;

use crate::mem::MemConfig;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use kernel::{KERNEL, Kernel};
use place::Places;

/// What a call asks for; faults and counters are kept for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `map`.
    Map,
    /// `map_huge`.
    MapHuge,
    /// `unmap`.
    Unmap,
    /// `protect` to `ReadWrite`: what takes memory from the kernel's budget under strict accounting.
    Commit,
    /// `protect` to `None` or `Read`.
    Protect,
    /// `discard`.
    Discard,
    /// `reset`.
    Reset,
    /// `thp`.
    Thp,
    /// `dont_dump` and `dump`, which cannot be refused.
    DontDump,
    /// `move_pages`.
    MovePages,
    /// `bind_numa`.
    BindNuma,
    /// `set_name`, which cannot be refused.
    SetName,
}

/// Number of [`Kind`]s.
const KINDS: usize = Kind::SetName as usize + 1;

/// Which calls of a kind are refused, counted from 1 at the moment that the schedule is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// None.
    Never,
    /// The k-th.
    At(usize),
    /// The k-th and all that follow.
    From(usize),
    /// Every k-th.
    Every(usize),
}

/// How the simulated kernel treats memory that nobody should rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As cheaply as the contract allows: inaccessible memory is so on paper only, unmapped addresses may be used again.
    Plain,
    /// Inaccessible memory traps. Unmapped addresses trap and never come back. Reset memory holds `0xDF` at once.
    Poison,
    /// As `Poison`, and *discarded* memory holds `0xDF` too, which breaks the contract: finds who relies on its being zero.
    PoisonDiscarded,
}

/// The most that may be mapped and accessible, in all; beyond it calls fail with `ENOMEM`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Address space, as `RLIMIT_AS` has it.
    pub mapped_bytes: usize,
    /// Accessible memory, as strict accounting has it.
    pub accessible_bytes: usize,
}

impl Limits {
    /// No limits.
    pub const NONE: Limits = Limits { mapped_bytes: usize::MAX, accessible_bytes: usize::MAX };
}

/// Forgets faults, limits, counters, mode and configuration. What is mapped stays mapped.
pub fn reset() {
    set_config(None);
    set_clock(Clock::Machine);
    KERNEL.with(Kernel::forget_settings);
}

/// Refuses calls of one kind by a schedule that starts now.
pub fn refuse(kind: Kind, fault: Fault) {
    KERNEL.with(|kernel| kernel.refuse(kind, fault));
}

/// Calls of one kind since the last [`reset`], refused ones included.
pub fn calls(kind: Kind) -> usize {
    KERNEL.with(|kernel| kernel.calls(kind))
}

/// How many of these were refused.
pub fn refusals(kind: Kind) -> usize {
    KERNEL.with(|kernel| kernel.refusals(kind))
}

/// Address space that is mapped now.
pub fn mapped_bytes() -> usize {
    KERNEL.with(|kernel| kernel.mapped_bytes())
}

/// Memory that is accessible now, touched or not.
pub fn accessible_bytes() -> usize {
    KERNEL.with(|kernel| kernel.accessible_bytes())
}

/// Sets the mode for calls from now on.
pub fn set_mode(mode: Mode) {
    KERNEL.with(|kernel| kernel.mode = mode);
}

/// Sets the limits for calls from now on.
pub fn set_limits(limits: Limits) {
    KERNEL.with(|kernel| kernel.limits = limits);
}

/// Puts fresh mappings below `top`, the highest addresses that are free first, so that the same calls always get the same
/// addresses; a multiple of the OS page size, far from what else the process has mapped.
pub fn set_top(top: usize) {
    KERNEL.with(|kernel| kernel.places = Places::below(top));
}

/// What [`clock::now_millis`](crate::clock::now_millis) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The machine's time.
    Machine,
    /// At each look so many milliseconds more, whatever the machine's time.
    Steps(u64),
}

/// Milliseconds per look at the clock; [`MACHINE_CLOCK`] for the machine's own.
static CLOCK_STEP: AtomicU64 = AtomicU64::new(MACHINE_CLOCK);
static CLOCK_NOW: AtomicU64 = AtomicU64::new(0);
const MACHINE_CLOCK: u64 = u64::MAX;

/// Sets the clock.
pub fn set_clock(clock: Clock) {
    let step = match clock {
        Clock::Machine => MACHINE_CLOCK,
        Clock::Steps(millis) => millis,
    };
    CLOCK_STEP.store(step, Ordering::Relaxed);
}

pub(crate) fn look_at_clock() -> Option<u64> {
    match CLOCK_STEP.load(Ordering::Relaxed) {
        MACHINE_CLOCK => None,
        step => Some(1 + step + CLOCK_NOW.fetch_add(step, Ordering::Relaxed)),
    }
}

static CONFIG: AtomicPtr<MemConfig> = AtomicPtr::new(ptr::null_mut());

/// Makes [`mem::config`](crate::mem::config) tell something else; `None`: the machine's own.
pub fn set_config(config: Option<&'static MemConfig>) {
    let config = config.map_or(ptr::null_mut(), |config| ptr::from_ref(config).cast_mut());
    // ORDERING: releases the contents to `replaced_config`.
    CONFIG.store(config, Ordering::Release);
}

/// The right to use the simulated system; while it lives, [`session`] waits elsewhere.
#[must_use = "the session ends when it is dropped"]
pub struct Session(());

static IN_SESSION: AtomicBool = AtomicBool::new(false);

/// Waits for the simulated system to be free and begins with [`reset`]; ends with [`reset`] when dropped.
pub fn session() -> Session {
    // ORDERING: acquires what the last session's end released: its settings.
    while IN_SESSION.swap(true, Ordering::Acquire) {
        crate::thread::yield_now();
    }
    reset();
    Session(())
}

impl Drop for Session {
    fn drop(&mut self) {
        reset();
        // ORDERING: releases the settings to the next session.
        IN_SESSION.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
