//! `book ROOT`: builds the book of `ROOT/docs` into `ROOT/target/book`, and checks the links of every Markdown page of the checkout.

mod links;

use anyhow::{Context, Result, bail};
use mdbook_driver::MDBook;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where Markdown pages are that people read: folders, and whether those below count.
const FOLDERS: &[(&str, bool)] = &[
    (".", false),
    (".github", true),
    ("bench", true),
    ("compat", true),
    ("crates", true),
    ("docs", true),
    ("packaging", true),
];

fn main() -> Result<ExitCode> {
    let root = PathBuf::from(std::env::args_os().nth(1).context("book ROOT")?).canonicalize()?;
    let chapters = build(&root)?;
    let pages = markdown_pages(&root)?;
    let mut faults = links::faults(&root, &pages)?;
    faults.extend(missing_chapters(&root, &pages)?);
    faults.iter().for_each(|fault| println!("{fault}"));
    if !faults.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    println!("{chapters} chapters, {} pages, {} links", pages.len(), links::count(&pages)?);
    Ok(ExitCode::SUCCESS)
}

fn build(root: &Path) -> Result<usize> {
    let book = MDBook::load(root.join("docs"))?;
    book.build()?;
    if !root.join("target/book/index.html").is_file() {
        bail!("the book has no index.html");
    }
    Ok(book.iter().count())
}

/// Pages of `docs/` that nobody finds, because `SUMMARY.md` doesn't name them.
fn missing_chapters(root: &Path, pages: &[PathBuf]) -> Result<Vec<String>> {
    let docs = root.join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md"))?;
    let names = pages.iter().filter_map(|page| page.strip_prefix(&docs).ok()?.to_str());
    let missing = names.filter(|name| *name != "SUMMARY.md" && !summary.contains(&format!("({name})")));
    Ok(missing.map(|name| format!("docs/SUMMARY.md: {name} is missing")).collect())
}

fn markdown_pages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    for (folder, below) in FOLDERS {
        let folder = root.join(folder).components().collect::<PathBuf>();
        if folder.is_dir() {
            add_pages(&folder, *below, &mut pages)?;
        }
    }
    pages.sort();
    Ok(pages)
}

fn add_pages(folder: &Path, below: bool, pages: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true if below && !is_made(&path) => add_pages(&path, below, pages)?,
            false if path.extension().is_some_and(|extension| extension == "md") => pages.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a folder holds what tools leave there.
fn is_made(folder: &Path) -> bool {
    folder.file_name().is_some_and(|name| name == "target" || name == "node_modules")
}
