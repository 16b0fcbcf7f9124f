//! Targets for which there is neither a linker nor an emulator here: the crates are type-checked, against the standard
//! library's `core`.

use super::{LIMIT, Row, with_own_std, without_source};
use crate::test::Testbed;
use crate::test::foreign_toolchain::Toolchain;
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
];

pub fn row(triple: &str, testbed: &Testbed, toolchain: &Toolchain, log: &Path) -> Result<Row> {
    if let Some(row) = without_source(toolchain, log) {
        return Ok(row);
    }
    let mut command = with_own_std(&["check", "-p", "ferrimalloc", "-Zbuild-std=core,alloc"], toolchain);
    if triple.contains("windows") {
        command.args(["-p", "ferrimalloc-redirect"]);
    }
    command.args(["--target", triple]).env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0");
    testbed.logged(&mut command, LIMIT, log)?;
    Ok(Row::Done("checked".into()))
}
