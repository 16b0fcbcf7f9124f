//! mimalloc's options.
//!
//! Each can be set in the environment, `MIMALLOC_<NAME>` or `FERRIMALLOC_<NAME>` (`MIMALLOC_PURGE_DELAY=0`), which is
//! read once, or here. What the program sets stands: the environment does not replace it.
//!
//! ```
//! use ferrimalloc::options::{self, Option};
//!
//! options::set(Option::PurgeDelay, 100);
//! assert_eq!(options::get(Option::PurgeDelay), 100);
//!
//! options::set_bytes(Option::ArenaReserve, 64 << 20);
//! assert_eq!(options::get_bytes(Option::ArenaReserve), 64 << 20);
//!
//! assert_eq!(options::name(Option::AllowThp), "allow_thp");
//! ```
//!
//! Those that a program starts with it can have in its `static`: [`Options`](crate::Options).
//!
//! `docs/TUNING.md` says what each is good for.

use ferrimalloc_core::options as core_options;

#[doc(alias = "mi_option_t")]
pub use ferrimalloc_core::options::OptionId as Option;
/// How the value of an option is meant, and whether the option is obeyed.
pub use ferrimalloc_core::options::{Kind, Standing};

const KIB: usize = 1 << 10;

/// The value of `option`; of a size, in KiB.
#[doc(alias = "mi_option_get")]
pub fn get(option: Option) -> i64 {
    core_options::get(option)
}

/// The value of `option`, a [size](Kind::KiB) or [`Kind::Bytes`], in bytes.
#[doc(alias = "mi_option_get_size")]
pub fn get_bytes(option: Option) -> usize {
    core_options::get_size(option)
}

/// Whether `option` is other than 0.
#[doc(alias = "mi_option_is_enabled")]
pub fn is_enabled(option: Option) -> bool {
    core_options::is_enabled(option)
}

/// Sets `option`; a size in KiB.
#[doc(alias = "mi_option_set")]
pub fn set(option: Option, value: i64) {
    core_options::set(option, value);
}

/// Sets `option`, a [size](Kind::KiB), to `bytes`, rounded up to KiB; one of [`Kind::Bytes`] exactly.
pub fn set_bytes(option: Option, bytes: usize) {
    let value = if kind(option) == Kind::KiB { bytes.div_ceil(KIB) } else { bytes };
    set(option, i64::try_from(value).unwrap_or(i64::MAX));
}

/// Sets `option` to 1 or 0.
#[doc(alias = "mi_option_set_enabled")]
pub fn set_enabled(option: Option, enabled: bool) {
    core_options::set_enabled(option, enabled);
}

/// Sets `option` unless the program or the environment did.
#[doc(alias = "mi_option_set_default")]
pub fn set_default(option: Option, value: i64) {
    core_options::set_default(option, value);
}

/// Whether the program or the environment has set `option`.
pub fn is_chosen(option: Option) -> bool {
    core_options::is_chosen(option)
}

/// The name of `option`, in lower case.
pub fn name(option: Option) -> &'static str {
    option.spec().name
}

/// How the value of `option` is meant.
pub fn kind(option: Option) -> Kind {
    option.spec().kind
}

/// Whether `option` is obeyed here, and if not, why.
pub fn standing(option: Option) -> Standing {
    option.spec().standing
}
