//! What the statistics, the options and the arenas look like to people and to programs: no part of an allocator, so a crate
//! beside the core. The faces use it.
//!
//! The core hands out facts (tables of numbers, what a slice is used for); here they are written to an
//! [`Output`](ferrimalloc_core::diag::Output) line by line, or as JSON to a sink. Nothing allocates, so that it may be used
//! from inside an allocator.
//!
//! What is printed when a process starts (`verbose`) and ends (`show_stats`) the core asks for: `moments` tells it what to call
//! when we are loaded.
#![no_std]
#![warn(missing_docs)]
#[cfg(test)]
extern crate std;

mod amount;
mod arena_map;
mod json;
mod moments;
mod options;
mod process;
mod stats;
mod version;

pub use amount::{Amount, line, title};
pub use arena_map::print_arenas;
pub use json::{JsonFit, stats_json, stats_json_bytes, stats_json_into};
pub use options::print_options;
pub use process::print_process;
pub use stats::print_stats;
pub use version::{INTERFACE_VERSION, VERSION};

#[cfg(test)]
pub(crate) mod testing {
    use core::ffi::CStr;
    use ferrimalloc_core::diag::{Message, Output};
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
