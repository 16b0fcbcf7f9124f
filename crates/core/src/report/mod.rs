//! Floor 2: what the statistics, the options and the arenas look like to people and to programs.
//!
//! Everything here takes numbers that a higher floor has gathered and writes them to an [`Output`](crate::diag::Output) line
//! by line, or as JSON to a sink. Nothing allocates, and nothing is read that could change while it is written.

mod amount;
mod arena_map;
mod json;
mod options;
mod process;
mod stats;
mod version;

pub use amount::{Amount, line, title};
pub use arena_map::{ArenaShape, PageShape, PageStanding, SliceKind, draw_arena, draw_legend};
pub use json::{JsonFit, stats_json, stats_json_bytes, stats_json_into};
pub use options::print_options;
pub use process::print_process;
pub use stats::print_stats;
pub use version::{INTERFACE_VERSION, VERSION};

#[cfg(test)]
pub(crate) mod testing {
    use crate::diag::{Message, Output};
    use core::ffi::CStr;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// Keeps the lines it gets.
    #[derive(Default)]
    pub struct Lines(pub Vec<String>);

    impl Output for Lines {
        fn put(&mut self, line: &CStr) {
            self.0.push(line.to_str().unwrap().to_string());
        }
    }

    pub fn text(line: &Message) -> String {
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }
}
