//! The version and the options, one a line.

use super::amount::put_line;
use super::version::write_version;
use ferrimalloc_core::diag::{Message, Output};
use ferrimalloc_core::options::{self, Kind, OptionId, Standing};

/// Writes the version and every option with its value, whether somebody set it, and whether it has an effect.
#[doc(alias = "mi_options_print")]
pub fn print_options(out: &mut dyn Output) {
    put_line(out, write_version);
    for &option in OptionId::ALL {
        put_line(out, |line| write_option(line, option));
    }
}

fn write_option(line: &mut Message, option: OptionId) {
    let spec = option.spec();
    line.text("option '").text(spec.name).text("': ").decimal(options::get(option));
    match spec.kind {
        Kind::KiB => _ = line.text(" KiB"),
        Kind::Bytes => _ = line.text(" B"),
        Kind::Switch | Kind::Auto | Kind::Number | Kind::Tagging => (),
    }
    if options::is_chosen(option) {
        line.text(" (set)");
    }
    match spec.standing {
        Standing::Obeyed => {}
        Standing::Deprecated => _ = line.text(" (deprecated, no effect)"),
        Standing::NotHere(why) => _ = line.text(" (no effect: ").text(why).text(")"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Lines;

    #[test]
    fn every_option_has_a_line_after_the_version() {
        options::set(OptionId::PurgeDelay, 5);
        let mut lines = Lines::default();
        print_options(&mut lines);
        assert!(lines.0[0].starts_with("ferrimalloc ") && lines.0[0].ends_with(" mimalloc v3.4.3\n"));
        let options = &lines.0[1..];
        assert_eq!(options.len(), OptionId::COUNT);
        assert!(options.iter().all(|line| line.starts_with("option '") && line.ends_with('\n')));
        assert_eq!(options[23], "option 'arena_reserve': 1048576 KiB\n");
        assert_eq!(options[15], "option 'purge_delay': 5 (set)\n");
        assert!(options[52].starts_with("option 'stats_merge_threshold': 4194304 B"));
        assert_eq!(options[18], "option 'os_tag': 100 (no effect: macOS only)\n");
    }
}
