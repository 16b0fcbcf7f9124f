//! Every function that mimalloc 3.6.2's headers declare, compared with ours: same type in our headers, and a symbol in our
//! library, inline functions included (programs in other languages can't use those of a header).
//!
//! The declarations are found by having the compiler drop everything but them: attributes away, system headers in, and then
//! whatever ends in `;` or a body outside of all braces and has `mi_…(` in it.

use super::newest::Newest;
use super::{Bench, Row, our_headers, output_of};
use crate::install::exported_symbols;
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const HEADERS: [&str; 2] = ["mimalloc.h", "mimalloc-stats.h"];
/// Fewer would mean that they were not found.
const LEAST: usize = 225;

/// A function's type, cut where the name stands.
#[derive(PartialEq, Eq, Debug)]
struct Prototype {
    result: String,
    parameters: String,
}

pub fn check(bench: &Bench) -> Vec<Row> {
    if !bench.wants("headers") && !bench.wants("symbols") {
        return Vec::new();
    }
    let Newest { headers, .. } = &bench.newest;
    let outcome =
        declared(bench, headers).and_then(|prototypes| compare(bench, &prototypes).map(|()| prototypes.len()));
    let cells = vec!["gcc".into(), outcome.as_ref().map_or(String::new(), |count| format!("{count} functions"))];
    vec![Row::new("prototypes of 3.6.2", cells, outcome.map(drop))]
}

fn declared(bench: &Bench, headers: &Path) -> Result<BTreeMap<String, Prototype>> {
    let source = bench.scratch.path().join("newest.c");
    fs::write(&source, includes())?;
    let mut gcc = Command::new("gcc");
    gcc.args(["-E", "-P", "-D__attribute__(x)=", "-I"]).arg(headers).arg(&source);
    let prototypes = functions(&output_of(&mut gcc, LIMIT)?);
    if prototypes.len() < LEAST {
        bail!("only {} functions were found in {}", prototypes.len(), headers.display());
    }
    Ok(prototypes)
}

fn includes() -> String {
    HEADERS.iter().map(|header| format!("#include <{header}>\n")).collect()
}

fn compare(bench: &Bench, prototypes: &BTreeMap<String, Prototype>) -> Result<()> {
    let source = bench.scratch.path().join("compare.c");
    let asserts = prototypes.iter().map(|(name, Prototype { result, parameters })| {
        format!(
            "_Static_assert(__builtin_types_compatible_p(__typeof__({name}), {result} {parameters}), \"{name}\");\n"
        )
    });
    fs::write(&source, includes() + &asserts.collect::<String>())?;
    let mut gcc = Command::new("gcc");
    gcc.args(["-fsyntax-only", "-std=gnu11", "-I"]).arg(our_headers()).arg(&source);
    output_of(&mut gcc, LIMIT).context("a type differs")?;
    let Some(library) = &bench.library else { return Ok(()) };
    let exported: BTreeSet<String> = exported_symbols(library)?.into_iter().collect();
    let missing: Vec<&str> = prototypes.keys().map(String::as_str).filter(|name| !exported.contains(*name)).collect();
    if !missing.is_empty() {
        bail!("not exported: {}", missing.join(" "));
    }
    Ok(())
}

/// The functions that preprocessed C declares or defines, by name.
fn functions(text: &str) -> BTreeMap<String, Prototype> {
    let mut found = BTreeMap::new();
    let (mut depth, mut declaration) = (0_u32, String::new());
    for character in text.chars() {
        match character {
            '{' | ';' if depth == 0 => {
                found.extend(function(&declaration));
                declaration.clear();
                depth = u32::from(character == '{');
            }
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                declaration.clear();
            }
            _ if depth == 0 => declaration.push(character),
            _ => (),
        }
    }
    found
}

/// `static inline void* mi_f(size_t size)`; no function types, and no types that end in a name.
fn function(declaration: &str) -> Option<(String, Prototype)> {
    let text = declaration.split_whitespace().collect::<Vec<_>>().join(" ");
    let (before, after) = text.split_once('(')?;
    let before = before.trim_end();
    let start = before.rfind([' ', '*']).map_or(0, |at| at + 1);
    let (result, name) = before.split_at(start);
    let is_ours = name.starts_with("mi_") && !before.starts_with("typedef");
    let words = result.split(' ').filter(|word| !["static", "inline", "extern", "__inline"].contains(word));
    let result = words.collect::<Vec<_>>().join(" ");
    let end = after.rfind(')')?;
    is_ours.then(|| (name.to_owned(), Prototype { result, parameters: format!("({})", &after[..end]) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_and_definitions_are_found() {
        let text = "typedef void (mi_fun)(int x); extern void* mi_a(size_t n) ;\n struct s { int mi_b(int); };\n\
            static inline size_t mi_c(size_t n, void (*f)(int)) { return mi_d(n); } int other(void); void mi_e( void );";
        let found = functions(text);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["mi_a", "mi_c", "mi_e"]);
        assert_eq!(found["mi_a"], Prototype { result: "void* ".into(), parameters: "(size_t n)".into() });
        assert_eq!(found["mi_c"].result.trim(), "size_t");
        assert_eq!(found["mi_c"].parameters, "(size_t n, void (*f)(int))");
    }
}
