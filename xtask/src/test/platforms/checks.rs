//! Targets for which there is neither a linker nor an emulator here: the crates are type-checked, against the standard
//! library's `core`.

use super::{LIMIT, Row};
use crate::test::Testbed;
use crate::test::foreign_toolchain::Toolchain;
use crate::workspace;
use anyhow::Result;
use std::path::Path;

pub const TRIPLES: &[&str] = &[
    "x86_64-pc-windows-msvc",
    "aarch64-pc-windows-msvc",
    "i686-pc-windows-gnu",
    "i686-pc-windows-msvc",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
    "aarch64-linux-android",
    "x86_64-unknown-linux-musl",
];

pub fn row(triple: &str, testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Row> {
    if let Err(error) = toolchain.add_source(log) {
        return Ok(Row::NotToBeHad(format!("no source of the standard library: {error:#}")));
    }
    let mut command = workspace::cargo(&["check", "-p", "ferrimalloc", "--locked", "-Zbuild-std=core,alloc"]);
    command.args(["--target", triple]);
    toolchain.apply(&mut command);
    command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
    command.env("CARGO_TERM_COLOR", "never");
    testbed.logged(&mut command, LIMIT, log)?;
    Ok(Row::Done("checked".into()))
}
