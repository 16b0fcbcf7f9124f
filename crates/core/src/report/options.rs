//! The options, as `mi_options_print` shows them.

use super::amount::put_line;
use super::version::write_version;
use crate::diag::Output;
use crate::options;

/// Writes the version and every option with its value.
#[doc(alias = "mi_options_print")]
pub fn print_options(out: &mut dyn Output) {
    put_line(out, write_version);
    options::print(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::Lines;

    #[test]
    fn the_version_comes_first() {
        let mut lines = Lines::default();
        print_options(&mut lines);
        assert!(lines.0[0].starts_with("ferrimalloc ") && lines.0[0].ends_with(" mimalloc v3.6.2\n"));
        assert_eq!(lines.0.len(), 1 + options::OptionId::COUNT);
    }
}
