//! The law of the house, read from the sources.
//!
//! A folder of the core is a floor and uses only lower floors. Files of a folder don't use each other in circles, neither by
//! paths nor by calling methods that another file defines. The core knows no operating system; every ordering stronger than relaxed says what for; functions fit on a screen; every file says what
//! it is.

#![cfg(not(loom))]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lowest first.
const FLOORS: [&str; 16] = [
    "base", "sync", "diag", "options", "stats", "random", "bitmap", "os", "profile", "arena", "hardened", "page",
    "heap", "theap", "runtime", "alloc",
];

/// Methods that types of the standard library have, too, or cells and atomics.
const COMMON_NAMES: &[&str] = &[
    "add", "as_ptr", "call", "clear", "contains", "count", "drop", "end", "find", "first", "flush", "get", "insert",
    "is_empty", "iter", "last", "len", "load", "lock", "map", "next", "pop", "push", "remove", "replace", "reset",
    "set", "size", "start", "store", "swap", "take", "text", "with", "write",
];

/// The longest function; lines, first and last included.
const LONGEST_FUNCTION: usize = 40;
/// The longest file, and the one that needs a reason; lines of code.
const LONGEST_FILE: usize = 400;
const SHORT_FILE: usize = 60;
/// How far above an ordering its reason may stand.
const REASON_LINES: usize = 14;

/// A source file of the core.
struct Source {
    floor: String,
    /// Without `.rs`; `mod` for a folder's head, `tests/…` for what is in its folder of tests.
    name: String,
    text: String,
}

impl Source {
    fn read(floor: &Path, name: String, file: &Path) -> Source {
        Source { floor: file_stem(floor), name, text: fs::read_to_string(file).unwrap() }
    }

    fn path(&self) -> String {
        format!("{}/{}.rs", self.floor, self.name)
    }

    /// The text without comments, line by line.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.text.lines().map(|line| line.split("//").next().unwrap_or(""))
    }

    /// The lines before the file's unit tests.
    fn lines_before_tests(&self) -> Vec<&str> {
        let is_tests = |line: &&str| line.starts_with("#[cfg(") && line.contains("test");
        self.text.lines().take_while(|line| !is_tests(line)).collect()
    }

    fn is_tests(&self) -> bool {
        matches!(self.name.as_str(), "tests" | "owned") || self.name.starts_with("tests/")
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    for floor in files(&root).into_iter().filter(|path| path.is_dir()) {
        for file in files(&floor) {
            if file.is_dir() {
                let folder = file_stem(&file);
                assert_eq!(folder, "tests", "a floor's only folder is that of its tests");
                let name = |file: &PathBuf| format!("{folder}/{}", file_stem(file));
                sources.extend(files(&file).iter().map(|file| Source::read(&floor, name(file), file)));
            } else {
                sources.push(Source::read(&floor, file_stem(&file), &file));
            }
        }
    }
    sources
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn file_stem(path: &Path) -> String {
    path.file_stem().unwrap().to_str().unwrap().into()
}

/// The names that follow `prefix`: of `crate::{a::b, c}` it is `a` and `c`.
fn names_after<'a>(code: &'a str, prefix: &str) -> Vec<&'a str> {
    let is_whole = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    let starts = code.match_indices(prefix).filter(|(at, _)| is_whole(*at)).map(|(at, _)| &code[at + prefix.len()..]);
    starts.flat_map(first_names).collect()
}

fn first_names(rest: &str) -> Vec<&str> {
    match rest.strip_prefix('{') {
        Some(list) => list.split('}').next().unwrap_or("").split(',').map(|item| name(item.trim())).collect(),
        None => vec![name(rest)],
    }
}

fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

fn height(floor: &str) -> Option<usize> {
    FLOORS.iter().position(|name| *name == floor)
}

/// All complaints at once read better than the first.
fn assert_none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_folder_is_a_floor() {
    let found: BTreeSet<String> = sources().into_iter().map(|source| source.floor).collect();
    assert_eq!(found, FLOORS.map(String::from).into());
}

#[test]
fn floors_use_lower_floors_only() {
    let mut complaints = Vec::new();
    for source in sources() {
        for line in source.code() {
            let used = names_after(line, "crate::").into_iter().filter_map(height);
            let upward = used.filter(|used| *used > height(&source.floor).unwrap());
            complaints.extend(upward.map(|used| format!("{} uses {}", source.path(), FLOORS[used])));
        }
    }
    assert_none(complaints);
}

#[test]
fn files_of_a_floor_use_each_other_in_no_circle() {
    let sources = sources();
    let methods = methods_by_file(&sources);
    let mut complaints = Vec::new();
    for floor in FLOORS {
        let files: Vec<&Source> =
            sources.iter().filter(|s| s.floor == floor && s.name != "mod" && !s.is_tests()).collect();
        let circle = files_in_circles(&uses_inside(&files, &methods));
        if !circle.is_empty() {
            complaints.push(format!("circles in {floor}: {circle:?}"));
        }
    }
    assert_none(complaints);
}

type Uses = BTreeMap<String, BTreeSet<String>>;

/// Which files of a folder each of its files uses: by a path, or by calling a method that only one other file defines.
fn uses_inside(files: &[&Source], methods: &BTreeMap<String, String>) -> Uses {
    let is_file = |name: &str| files.iter().any(|file| file.name == name);
    let used = |file: &Source| {
        let code = code_before_tests(file);
        let by_path = names_after(&code, "super::").into_iter().filter(|name| is_file(name)).map(String::from);
        let called = calls(&code).into_iter().filter_map(|call| methods.get(call));
        let here = called.filter_map(|path| path.strip_prefix(&format!("{}/", file.floor))?.strip_suffix(".rs"));
        let others = here.filter(|other| *other != file.name && is_file(other)).map(String::from);
        by_path.chain(others).collect()
    };
    files.iter().map(|file| (file.name.clone(), used(file))).collect()
}

fn code_before_tests(file: &Source) -> String {
    let lines = file.lines_before_tests();
    lines.into_iter().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// The methods that one file of the core defines, with that file. Names that the standard library has, too, tell nothing.
fn methods_by_file(files: &[Source]) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        for name in methods(&code_before_tests(file)) {
            found.entry(name.into()).or_default().insert(file.path());
        }
    }
    let is_telling =
        |(name, files): &(String, BTreeSet<String>)| files.len() == 1 && !COMMON_NAMES.contains(&name.as_str());
    found.into_iter().filter(is_telling).map(|(name, mut files)| (name, files.pop_first().unwrap())).collect()
}

fn methods(code: &str) -> Vec<&str> {
    let of_self = |line: &&str| line.starts_with("    pub") && (line.contains("&self") || line.contains("(self"));
    let names = code.lines().filter(of_self).filter_map(|line| line.split("fn ").nth(1)).map(name);
    names.collect()
}

/// What stands before `(` and after `.`.
fn calls(code: &str) -> BTreeSet<&str> {
    let after_dot = code.match_indices('.').map(|(at, _)| &code[at + 1..]);
    after_dot
        .filter(|rest| rest[name(rest).len()..].starts_with('('))
        .map(name)
        .filter(|name| !name.is_empty())
        .collect()
}

/// Those that use themselves by way of others.
fn files_in_circles(uses: &Uses) -> BTreeSet<String> {
    uses.keys().filter(|file| reachable(uses, file).contains(*file)).cloned().collect()
}

fn reachable(uses: &Uses, from: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&String> = uses[from].iter().collect();
    while let Some(file) = next.pop() {
        if found.insert(file.clone()) {
            next.extend(&uses[file]);
        }
    }
    found
}

#[test]
fn the_core_knows_no_operating_system() {
    const FOREIGN: [&str; 7] =
        ["libc::", "std::", "target_os", "target_family", "target_env", "cfg(unix", "cfg(windows"];
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_tests()) {
        let code: Vec<&str> = source.lines_before_tests();
        let is_for_models = source.path() == "sync/wait.rs";
        let code = code.iter().filter(|line| !line.trim_start().starts_with("//") && !is_for_models);
        for line in code {
            let foreign = FOREIGN.iter().filter(|word| line.contains(*word));
            complaints.extend(foreign.map(|word| format!("{}: {word} in {line}", source.path())));
        }
    }
    assert_none(complaints);
}

/// The checker's `cfg` stands in `sync` and in `lib.rs` only.
#[test]
fn the_model_checker_is_known_to_few() {
    let knows = |source: &Source| source.lines_before_tests().iter().any(|line| line.contains("loom)"));
    let sources = sources();
    let outsiders = sources.iter().filter(|source| source.floor != "sync" && knows(source));
    assert_none(outsiders.map(Source::path).collect());
}

#[test]
fn strong_orderings_give_their_reason() {
    const STRONG: [&str; 4] = ["Ordering::Acquire", "Ordering::Release", "Ordering::AcqRel", "Ordering::SeqCst"];
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_tests()) {
        let lines = source.lines_before_tests();
        for (index, line) in lines.iter().enumerate() {
            let above = &lines[index.saturating_sub(REASON_LINES)..=index];
            if STRONG.iter().any(|word| line.contains(word)) && !above.iter().any(|line| line.contains("ORDERING:")) {
                complaints.push(format!("{}:{}: {}", source.path(), index + 1, line.trim()));
            }
        }
    }
    assert_none(complaints);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_tests()) {
        let lines = source.lines_before_tests();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| is_function(line)) {
            let length = function_length(&lines[index..]);
            if length > LONGEST_FUNCTION {
                complaints.push(format!("{}:{}: {length} lines: {}", source.path(), index + 1, line.trim()));
            }
        }
    }
    assert_none(complaints);
}

fn is_function(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take_while(|word| !word.contains('(')).collect();
    let line = line.trim_start();
    !line.starts_with("//") && !line.starts_with("type") && !line.ends_with(';') && words.contains(&"fn")
}

/// From the line of `fn` to the closing brace, which formatted code has in the same column.
fn function_length(lines: &[&str]) -> usize {
    let indent = lines[0].len() - lines[0].trim_start().len();
    let is_end = |line: &&str| line.trim_end() == format!("{:indent$}}}", "") || line.trim_end().ends_with("{}");
    1 + lines.iter().position(is_end).unwrap_or(0)
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//!"));
    assert_none(silent.map(|source| source.path()).collect());
}

/// A file is a subject. On the upper floors a short one says in its head why it stands alone.
#[test]
fn files_are_as_long_as_their_subjects() {
    let mut complaints = Vec::new();
    for source in sources().iter().filter(|source| !source.is_tests() && source.name != "mod") {
        let lines = code_before_tests(source).lines().filter(|line| !line.trim().is_empty()).count();
        let is_upper = height(&source.floor) >= height("page");
        let head = source.text.lines().take_while(|line| line.starts_with("//!")).map(|line| &line[3..]);
        let gives_reason = head.collect::<String>().contains("file of its own");
        if lines > LONGEST_FILE || is_upper && lines < SHORT_FILE && !gives_reason {
            complaints.push(format!("{}: {lines} lines", source.path()));
        }
    }
    assert_none(complaints);
}

/// `file:function`, as ARCHITECTURE's walks name what they pass.
#[test]
fn what_the_walks_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("../../docs/ARCHITECTURE.md")).unwrap();
    let names: Vec<(&str, &str)> = text.split('`').filter_map(|word| word.split_once(".rs:")).collect();
    assert!(names.len() > 40, "the walks name {} functions", names.len());
    let is_there = |file: &str, function: &str| {
        let source = fs::read_to_string(root.join(format!("src/{file}.rs"))).unwrap_or_default();
        [format!("fn {function}("), format!("fn {function}<")].iter().any(|head| source.contains(head.as_str()))
    };
    let missing = names.into_iter().filter(|(file, function)| !is_there(file, function));
    assert_none(missing.map(|(file, function)| format!("{file}.rs:{function}")).collect());
}
