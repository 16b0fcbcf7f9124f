//! All options as text, one a line.

use super::store::OptionStore;
use super::table::{Kind, OptionId, Standing};
use crate::diag::{Message, Output};

/// Writes every option of `store`.
pub fn print(store: &OptionStore, out: &mut dyn Output) {
    for &option in OptionId::ALL {
        out.put(line(store, option).as_c_str());
    }
}

fn line(store: &OptionStore, option: OptionId) -> Message {
    let spec = option.spec();
    let mut line = Message::new();
    line.text("option '").text(spec.name).text("': ").decimal(store.get(option));
    match spec.kind {
        Kind::KiB => _ = line.text(" KiB"),
        Kind::Bytes => _ = line.text(" B"),
        Kind::Switch | Kind::Auto | Kind::Number | Kind::Tagging => (),
    }
    if store.is_chosen(option) {
        line.text(" (set)");
    }
    match spec.standing {
        Standing::Obeyed => &mut line,
        Standing::Deprecated => line.text(" (deprecated, no effect)"),
        Standing::NotHere(why) => line.text(" (no effect: ").text(why).text(")"),
    };
    line.end_line();
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::CStr;
    use std::string::{String, ToString};
    use std::vec::Vec;

    #[test]
    fn every_option_has_a_line() {
        let mut lines: Vec<String> = Vec::new();
        let store = OptionStore::new();
        store.set(OptionId::PurgeDelay, 5);
        print(&store, &mut |line: &CStr| lines.push(line.to_str().unwrap().to_string()));
        assert_eq!(lines.len(), OptionId::COUNT);
        assert!(lines.iter().all(|line| line.starts_with("option '") && line.ends_with('\n')));
        assert_eq!(lines[23], "option 'arena_reserve': 1048576 KiB\n");
        assert_eq!(lines[15], "option 'purge_delay': 5 (set)\n");
        assert!(lines[52].starts_with("option 'stats_merge_threshold': 4194304 B"));
        assert_eq!(lines[18], "option 'os_tag': 100 (no effect: macOS only)\n");
    }
}
