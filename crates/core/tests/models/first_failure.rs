//! For `cargo xtask mutants`: ends the test program at the first failure, whose name is enough to know.

use std::io::{self, Write};
use std::{env, panic, process, thread};

/// Runs before `main`: the test harness has no hook of its own.
#[used]
#[unsafe(link_section = ".init_array")]
static INIT: extern "C" fn() = init;

extern "C" fn init() {
    if env::var_os("STOP_AT_FIRST_FAILURE").is_some() {
        panic::set_hook(Box::new(|info| {
            let thread = thread::current();
            // As the harness would have it at its end; `cargo xtask mutants` reads that. Not by `eprintln!`, which the
            // harness keeps for its own end.
            let _ = writeln!(io::stderr(), "{info}\nfailures:\n    {}", thread.name().unwrap_or("?"));
            process::exit(101);
        }));
    }
}
