//! Every function that mimalloc 3.6.2's headers declare, compared with ours: same type in our headers, and a symbol in our
//! library, inline functions included (programs in other languages can't use those of a header).
//!
//! The compiler lists the declarations itself (`-aux-info`), without what the attributes say.

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

/// The types of functions by their names.
type Prototypes = BTreeMap<String, String>;

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

fn declared(bench: &Bench, headers: &Path) -> Result<Prototypes> {
    let source = bench.scratch.path().join("newest.c");
    fs::write(&source, includes())?;
    let listing = source.with_extension("listing");
    let mut gcc = Command::new("gcc");
    gcc.args(["-fsyntax-only", "-D__attribute__(x)=", "-aux-info"]).arg(&listing).arg("-I").arg(headers).arg(&source);
    output_of(&mut gcc, LIMIT)?;
    let prototypes: Prototypes = fs::read_to_string(listing)?.lines().filter_map(function).collect();
    if prototypes.len() < LEAST {
        bail!("only {} functions were found in {}", prototypes.len(), headers.display());
    }
    Ok(prototypes)
}

fn includes() -> String {
    HEADERS.iter().map(|header| format!("#include <{header}>\n")).collect()
}

fn compare(bench: &Bench, prototypes: &Prototypes) -> Result<()> {
    let source = bench.scratch.path().join("compare.c");
    let asserts = prototypes.iter().map(|(name, prototype)| {
        format!("_Static_assert(__builtin_types_compatible_p(__typeof__({name}), {prototype}), \"{name}\");\n")
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

/// `/* mimalloc.h:120:NC */ extern void *mi_f (size_t);` is `mi_f` and `void * (size_t)`.
fn function(line: &str) -> Option<(String, String)> {
    let (_, line) = line.split_once("*/ ")?;
    let (declaration, _) = line.split_once(';')?;
    let is_name = |at: usize| declaration[at..].starts_with("mi_") && !declaration[..at].ends_with(is_of_a_name);
    let name_at = |at: usize| declaration[at..].find(|letter| !is_of_a_name(letter)).map(|length| at..at + length);
    let names =
        (0..declaration.len()).filter(|&at| declaration.is_char_boundary(at) && is_name(at)).filter_map(name_at);
    let name = names.into_iter().find(|name| declaration[name.end..].starts_with(" ("))?;
    let result = declaration[..name.start].trim_start_matches("extern ").trim_start_matches("static ");
    Some((declaration[name.clone()].to_owned(), [result, &declaration[name.end..]].concat()))
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prototype_is_a_declaration_without_the_name() {
        let found = |line| function(line).map(|(name, prototype)| format!("{name}: {prototype}"));
        let declared = found("/* m.h:3:NC */ extern void mi_a (mi_fun (*), void *);").unwrap();
        assert_eq!(declared, "mi_a: void  (mi_fun (*), void *)");
        let defined = found("/* m.h:3:NF */ static _Bool mi_b (void (*f) (int), char *x); /* (f, x) … */").unwrap();
        assert_eq!(defined, "mi_b: _Bool  (void (*f) (int), char *x)");
        assert_eq!(found("/* m.h:3:NC */ extern mi_fun *mi_c (void);").unwrap(), "mi_c: mi_fun * (void)");
        assert_eq!(found("/* stdio.h:3:NC */ extern int puts (const char *);"), None);
    }
}
