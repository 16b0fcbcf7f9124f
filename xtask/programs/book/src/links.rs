//! Links of Markdown pages: a file that is named must be there, and so must the heading behind a `#`.
//!
//! Addresses of the web are not followed: a test must not fail because somebody else's server does.

use anyhow::{Context, Result};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

pub fn count(pages: &[PathBuf]) -> Result<usize> {
    pages.iter().map(|page| Ok(targets(&read(page)?).len())).sum()
}

/// What is wrong, one line a link.
pub fn faults(root: &Path, pages: &[PathBuf]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for page in pages {
        for target in targets(&read(page)?) {
            if let Some(why) = fault(root, page, &target)? {
                faults.push(format!("{}: {target}: {why}", page.strip_prefix(root)?.display()));
            }
        }
    }
    Ok(faults)
}

fn fault(root: &Path, page: &Path, target: &str) -> Result<Option<&'static str>> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(None);
    }
    let (name, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match name {
        "" => page.to_path_buf(),
        name => resolved(page.parent().context("a page lies in a folder")?, name),
    };
    let docs = root.join("docs");
    Ok(match () {
        _ if !file.exists() => Some("no such file"),
        _ if page.starts_with(&docs) && !file.starts_with(&docs) => Some("leads out of the book"),
        _ if !anchor.is_empty() && !anchors(&read(&file)?).contains(&anchor.to_string()) => Some("no such heading"),
        _ => None,
    })
}

/// `folder/name` without `..`.
fn resolved(folder: &Path, name: &str) -> PathBuf {
    let mut path = folder.to_path_buf();
    for part in Path::new(name).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}

fn read(page: &Path) -> Result<String> {
    fs::read_to_string(page).with_context(|| page.display().to_string())
}

fn events(text: &str) -> Parser<'_> {
    Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_STRIKETHROUGH)
}

/// Where the links and pictures of a page lead.
fn targets(text: &str) -> Vec<String> {
    let tags = events(text).filter_map(|event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    });
    tags.collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen = HashMap::new();
    headings(text).iter().map(|heading| numbered(slug(heading), &mut seen)).collect()
}

fn headings(text: &str) -> Vec<String> {
    let (mut headings, mut inside) = (Vec::new(), false);
    for event in events(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => {
                headings.push(String::new());
                inside = true;
            }
            Event::End(TagEnd::Heading(_)) => inside = false,
            Event::Text(text) | Event::Code(text) if inside => {
                headings.last_mut().expect("a heading has begun").push_str(&text)
            }
            _ => {}
        }
    }
    headings
}

fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// A heading that comes again gets a number.
fn numbered(slug: String, seen: &mut HashMap<String, usize>) -> String {
    let times = seen.entry(slug.clone()).or_default();
    *times += 1;
    match *times {
        1 => slug,
        times => format!("{slug}-{}", times - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Vec<String> {
        let root = std::env::temp_dir().join(format!("book-links-{:?}", std::thread::current().id()));
        let docs = root.join("docs");
        fs::create_dir_all(&docs).unwrap();
        fs::write(root.join("README.md"), "# Root\n").unwrap();
        fs::write(docs.join("OTHER.md"), "# It's `x_y`: *now*\n\n# Twice\n\n# Twice\n").unwrap();
        fs::write(docs.join("PAGE.md"), text).unwrap();
        let found = faults(&root, &[docs.join("PAGE.md")]).unwrap();
        fs::remove_dir_all(root).unwrap();
        found
    }

    #[test]
    fn right_links_pass() {
        let text = "# Here\n[a](OTHER.md) [b](OTHER.md#its-x_y-now) [c](#here) [d](https://example.org/x) [e](OTHER.md#twice-1)";
        assert_eq!(checked(text), Vec::<String>::new());
    }

    #[test]
    fn wrong_links_are_named() {
        let text = "[a](GONE.md) [b](OTHER.md#gone) ![c](img/gone.svg) [d](../README.md) `[e](code.md)`";
        let expected = ["GONE.md: no such file", "OTHER.md#gone: no such heading", "img/gone.svg: no such file"];
        let expected = expected.map(|fault| format!("docs/PAGE.md: {fault}"));
        let found = checked(text);
        assert_eq!(found[..3], expected);
        assert_eq!(found[3..], ["docs/PAGE.md: ../README.md: leads out of the book"]);
    }
}
