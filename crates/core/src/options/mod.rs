//! Floor 2: the 55 options of mimalloc's interface and our own, set by number or by environment.
//!
//! Options stand below everything that obeys them, and above the messages, to which they push what concerns those.
//! The environment (`FERRIMALLOC_<NAME>`, then `MIMALLOC_<NAME>`, then older names) is read once, by the first
//! reader that comes when the C library has an environment; until then an option has its default.
//!
//! Invariants
//! 1. What the program set, before or after, is never replaced by the environment or by a default.
//! 2. Reading an option takes two loads, waits for nobody, and cannot fail.

mod hardening;
mod parse;
mod store;
mod table;

pub use hardening::{CHECKS_FREES, Hardening, hardening, set_default_hardening, set_hardening};
pub use parse::{Invalid, parse};
pub use store::{Environment, OptionStore};
pub use table::{Kind, OptionId, Spec, Standing};

use ferrimalloc_prim::env;

static OPTIONS: OptionStore = OptionStore::new();

/// Reads the environment now if it can be read and was not; at process start, so that messages are shown from then
/// on. Reading any option does the same.
pub fn init() {
    OPTIONS.init(&ProcessEnvironment);
}

/// To be called in the child of a `fork`: another thread may have been reading the environment.
pub fn after_fork() {
    OPTIONS.after_fork();
}

/// The value of `option`: for [`Kind::KiB`] in KiB.
#[doc(alias = "mi_option_get")]
#[inline]
pub fn get(option: OptionId) -> i64 {
    OPTIONS.init(&ProcessEnvironment);
    OPTIONS.get(option)
}

/// [`get`] as far as the environment has been read, in one load.
#[inline]
pub fn get_known(option: OptionId) -> i64 {
    OPTIONS.get(option)
}

/// The value of `option` as a size: in bytes for [`Kind::KiB`], 0 if negative.
#[doc(alias = "mi_option_get_size")]
pub fn get_size(option: OptionId) -> usize {
    init();
    OPTIONS.get_size(option)
}

/// Whether `option` is other than 0.
#[doc(alias = "mi_option_is_enabled")]
#[inline]
pub fn is_enabled(option: OptionId) -> bool {
    get(option) != 0
}

/// Sets `option`. Two options that bound each other (`guarded_min` and `guarded_max`) drag each other along.
#[doc(alias = "mi_option_set")]
pub fn set(option: OptionId, value: i64) {
    init();
    OPTIONS.set(option, value);
    if option == OptionId::Abort {
        hardening::abort_changed();
    }
}

/// Sets `option` unless the program or the environment did.
#[doc(alias = "mi_option_set_default")]
pub fn set_default(option: OptionId, value: i64) {
    init();
    OPTIONS.set_default(option, value);
}

/// Sets `option` to 1 or 0.
#[doc(alias = "mi_option_set_enabled")]
pub fn set_enabled(option: OptionId, enabled: bool) {
    set(option, i64::from(enabled));
}

/// [`set_enabled`], unless the program or the environment set `option`.
#[doc(alias = "mi_option_set_enabled_default")]
pub fn set_enabled_default(option: OptionId, enabled: bool) {
    set_default(option, i64::from(enabled));
}

/// Whether the program or the environment set `option`.
pub fn is_chosen(option: OptionId) -> bool {
    init();
    OPTIONS.is_chosen(option)
}

/// Gives an option a value that nobody has chosen.
#[cfg(test)]
pub(crate) fn unset(option: OptionId, value: i64) {
    OPTIONS.set(option, value);
    OPTIONS.forget_choice(option);
}

struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn ready(&self) -> bool {
        env::ready()
    }

    fn has_prefix(&self, prefix: &str) -> bool {
        env::has_prefix(prefix)
    }

    fn get<'a>(&self, name: &str, value: &'a mut [u8]) -> Option<&'a [u8]> {
        env::get(name, value)
    }

    fn for_each_with_prefix(&self, prefix: &str, visit: &mut dyn FnMut(&[u8])) {
        env::for_each_with_prefix(prefix, visit);
    }
}
