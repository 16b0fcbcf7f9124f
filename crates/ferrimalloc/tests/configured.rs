//! Options in the program's `static`: they hold from the first allocation on, and the environment is stronger.

use std::process::Command;

use ferrimalloc::options::{self, Option};
use ferrimalloc::{Configured, MiMalloc, Options};

const PURGE_DELAY: i64 = 123;

#[global_allocator]
static GLOBAL: Configured =
    MiMalloc::with(Options::new().purge_delay(7).arena_reserve(64 << 20).secure(3).purge_delay(PURGE_DELAY));

/// What the test below prints in a process with this environment.
fn printed(environment: &[(&str, &str)]) -> String {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", "print_options", "--ignored", "--nocapture", "--test-threads=1"]);
    for variable in ["MIMALLOC_PURGE_DELAY", "MIMALLOC_SECURE", "MIMALLOC_ARENA_RESERVE"] {
        command.env_remove(variable);
    }
    let output = command.envs(environment.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Whether blocks have canaries shows in the size that wastes nothing: any then, else a class.
#[test]
#[ignore = "run by the other tests"]
fn print_options() {
    let reserve = options::get_bytes(Option::ArenaReserve);
    println!("purge_delay {}, reserve {reserve}, good {}", options::get(Option::PurgeDelay), MiMalloc.good_size(50));
}

#[test]
fn the_options_of_the_static_hold() {
    let printed = printed(&[]);
    assert!(printed.contains(&format!("purge_delay {PURGE_DELAY}, reserve {}, good 50", 64 << 20)), "{printed}");
}

#[test]
fn the_environment_is_stronger() {
    let printed =
        printed(&[("MIMALLOC_PURGE_DELAY", "5"), ("MIMALLOC_SECURE", "0"), ("MIMALLOC_ARENA_RESERVE", "32M")]);
    assert!(printed.contains(&format!("purge_delay 5, reserve {}, good 64", 32 << 20)), "{printed}");
}

#[test]
fn all_threads_have_them() {
    let blocks = std::thread::spawn(|| (0..1000).map(|i| vec![i; i]).collect::<Vec<_>>()).join().unwrap();
    assert!(blocks.iter().enumerate().all(|(i, block)| block.iter().all(|x| *x == i)));
}
