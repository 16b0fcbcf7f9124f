//! `map` and `snapshot`.

use super::target::{Target, load};
use crate::failure::{Result, file_failure};
use crate::view::svg::Colour;
use crate::view::{amount, html, svg, terminal};
use std::fs;
use std::path::Path;

pub fn map(target: &Target, output: &Path, colour: Colour) -> Result<()> {
    let snapshot = load(target)?;
    let text = match output.extension().and_then(|ending| ending.to_str()) {
        Some("html" | "htm") => html::map(&snapshot),
        Some("svg") => svg::map(&snapshot, colour),
        _ => terminal::map(&snapshot),
    };
    if output == Path::new("-") {
        print!("{text}");
        return Ok(());
    }
    fs::write(output, &text).map_err(|error| file_failure(output, &error))?;
    eprintln!("{}: {}", output.display(), amount::bytes(text.len() as u64));
    Ok(())
}

pub fn keep(target: &Target, output: &Path) -> Result<()> {
    let snapshot = load(target)?;
    snapshot.write(output)?;
    eprintln!("{}: {} pages", output.display(), amount::count(snapshot.pages.len() as u64));
    Ok(())
}
