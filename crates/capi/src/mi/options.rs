//! Options, by number. Numbers that are no option have value 0, and setting them does nothing.

use core::ffi::{c_int, c_long, c_void};

use ferrimalloc_core::diag::OutputFn;
use ferrimalloc_core::options::{self, OptionId};
use ferrimalloc_report as report;

use super::export;
use super::stats::with_output;

/// A value as C sees it.
fn value(option: c_int) -> c_long {
    OptionId::from_raw(option).map_or(0, options::get) as c_long
}

/// A value as the core sees it: `long` may have 32 bits.
#[allow(clippy::useless_conversion, reason = "not useless where `long` has 32 bits")]
fn wide(value: c_long) -> i64 {
    value.into()
}

fn change(option: c_int, by: impl FnOnce(OptionId)) {
    if let Some(option) = OptionId::from_raw(option) {
        by(option);
    }
}

export! {
    /// Prints version and options on the registered output.
    fn mi_options_print() {
        mi_options_print_out(None, core::ptr::null_mut());
    }

    /// Gives version and options to `out`, line by line; null means the registered output.
    fn mi_options_print_out(out: Option<OutputFn>, arg: *mut c_void) {
        with_output(out, arg, report::print_options);
    }

    /// Whether the option is other than 0.
    fn mi_option_is_enabled(option: c_int) -> bool {
        value(option) != 0
    }

    /// Sets the option to 1.
    fn mi_option_enable(option: c_int) {
        mi_option_set_enabled(option, true);
    }

    /// Sets the option to 0.
    fn mi_option_disable(option: c_int) {
        mi_option_set_enabled(option, false);
    }

    /// Sets the option to 1 or 0.
    fn mi_option_set_enabled(option: c_int, enable: bool) {
        change(option, |option| options::set_enabled(option, enable));
    }

    /// Sets the option to 1 or 0 unless the program or the environment has set it.
    fn mi_option_set_enabled_default(option: c_int, enable: bool) {
        change(option, |option| options::set_enabled_default(option, enable));
    }

    /// The option's value; sizes in KiB.
    fn mi_option_get(option: c_int) -> c_long {
        value(option)
    }

    /// The option's value, brought into `min..=max`.
    fn mi_option_get_clamp(option: c_int, min: c_long, max: c_long) -> c_long {
        value(option).min(max).max(min)
    }

    /// The option's value; sizes in bytes.
    fn mi_option_get_size(option: c_int) -> usize {
        OptionId::from_raw(option).map_or(0, options::get_size)
    }

    /// Sets the option. Options that are read once, at start, are better set in the environment.
    fn mi_option_set(option: c_int, value: c_long) {
        change(option, |option| options::set(option, wide(value)));
    }

    /// Sets the option unless the program or the environment has set it.
    fn mi_option_set_default(option: c_int, value: c_long) {
        change(option, |option| options::set_default(option, wide(value)));
    }
}
