//! The book of `docs/`: `xtask/programs/book` builds it and checks the links of every Markdown page.

use super::{Testbed, Verdict};
use crate::workspace;
use anyhow::Context;
use std::fs;
use std::time::Duration;

/// The first time mdBook is built, which takes a minute or two.
const LIMIT: Duration = Duration::from_secs(600);

pub fn check(testbed: &Testbed) -> Verdict {
    let log = testbed.log("book")?;
    let manifest = workspace::programs().join("book/Cargo.toml");
    let manifest = manifest.to_str().context("the checkout's path is not UTF-8")?;
    for command in ["test", "run"] {
        let mut cargo = workspace::cargo(&[command, "--quiet", "--locked", "--manifest-path", manifest]);
        cargo.env("CARGO_TARGET_DIR", workspace::target().join("book-tool"));
        if command == "run" {
            cargo.arg("--").arg(workspace::root());
        }
        testbed.logged(&mut cargo, LIMIT, &log)?;
    }
    let text = fs::read_to_string(log)?;
    Ok(text.lines().next_back().context("the program said nothing")?.into())
}
