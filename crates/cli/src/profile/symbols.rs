//! From addresses to functions and lines: by debug information where there is some (in the file itself or below `/usr/lib/debug`), else
//! by symbol tables, and for code that was made at run time by the map that its maker leaves (`/tmp/perf-PID.map`).
//!
//! Files are mapped and read as far as they are asked for, once: what it costs is by functions that allocate, not by files.

use super::{Frame, Location, Module};
use addr2line::Loader;
use object::{Object, ObjectSegment, ObjectSymbol, ReadCache, SymbolKind};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where Debian and others put what was stripped from files, by their build id.
const DEBUG_FILES: &str = "/usr/lib/debug/.build-id";

/// A file with code.
struct Code {
    loader: Loader,
    /// What was stripped from it.
    debug: Option<Loader>,
    /// Offset in the file, size, address.
    segments: Vec<(u64, u64, u64)>,
    functions: Functions,
}

/// The functions of symbol tables: start, size (0 if it isn't known), name; by start.
struct Functions(Vec<(u64, u64, String)>);

/// How many functions before an address may begin behind the one that it is in: aliases, and parts of one.
const NESTED: usize = 16;

impl Functions {
    /// Of all files that have some of them.
    fn of(paths: &[&Path]) -> Functions {
        let mut all = Vec::new();
        for path in paths {
            let Ok(file) = File::open(path) else { continue };
            let cache = ReadCache::new(file);
            let Ok(file) = object::File::parse(&cache) else { continue };
            let symbols = file.symbols().chain(file.dynamic_symbols());
            let code = symbols.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
            all.extend(
                code.filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?.to_owned()))),
            );
        }
        all.sort_unstable();
        Functions(all)
    }

    /// The function that an address is in. One without a size goes on until the next.
    fn find(&self, address: u64) -> Option<&str> {
        let next = self.0.partition_point(|(start, ..)| *start <= address);
        let mut before = self.0[..next].iter().rev().take(NESTED);
        let found = before.find(|(start, bytes, _)| *bytes == 0 || address - start < *bytes)?;
        Some(&found.2)
    }
}

/// Knows names.
pub struct Symbols {
    /// The process that runs and whose files are meant.
    process: Option<u32>,
    files: HashMap<String, Option<Code>>,
    /// Start, size and name of code without a file.
    made: Vec<(u64, u64, String)>,
}

impl Symbols {
    /// Of files by their names.
    pub fn of_files() -> Symbols {
        Symbols { process: None, files: HashMap::new(), made: Vec::new() }
    }

    /// Of a process, which may have ended since.
    pub fn of_process(pid: u32) -> Symbols {
        let map = fs::read_to_string(format!("/proc/{pid}/root/tmp/perf-{pid}.map"));
        let map = map.or_else(|_| fs::read_to_string(format!("/tmp/perf-{pid}.map"))).unwrap_or_default();
        Symbols { process: Some(pid), files: HashMap::new(), made: made_code(&map) }
    }

    /// What is called at an address: a function, and those that were inlined there, the innermost first. Never empty.
    pub fn frames(&mut self, modules: &[Module], location: &Location) -> Vec<Frame> {
        let address = location.address;
        let module = modules.iter().find(|module| (module.start..module.end).contains(&address));
        let found = module.map(|module| self.in_file(module, address)).unwrap_or_default();
        // Who wrote the profile may have seen a file that isn't there any more.
        let has_names = |frames: &[Frame]| frames.iter().any(|frame| !frame.name.is_empty());
        if has_names(&found) {
            return found.into_iter().filter(|frame| !frame.name.is_empty()).collect();
        }
        if has_names(&location.known) {
            let demangled = |frame: &Frame| Frame { name: demangle(&frame.name), ..frame.clone() };
            return location.known.iter().map(demangled).collect();
        }
        let name = self.made_at(address).unwrap_or_else(|| match module {
            Some(module) if module.path == super::live::OWN => module.path.clone(),
            Some(module) => {
                let file = module.path.rsplit('/').next().unwrap_or_default();
                format!("{file}+{:#x}", address - module.start + module.offset)
            }
            None => format!("{address:#x}"),
        });
        vec![Frame { name, ..Frame::default() }]
    }

    /// What is called at an address of a file, as it was linked, the innermost first; empty if nothing is known.
    pub fn frames_in(&mut self, file: &str, address: u64) -> Vec<Frame> {
        let module = Module { start: 0, end: 0, offset: 0, path: file.into(), build_id: String::new() };
        let code = self.files.entry(file.into()).or_insert_with(|| Code::open(None, &module));
        let mut frames = code.as_ref().map(|code| code.frames(address)).unwrap_or_default();
        frames.retain(|frame| !frame.name.is_empty());
        frames
    }

    fn made_at(&self, address: u64) -> Option<String> {
        let next = self.made.partition_point(|(start, ..)| *start <= address);
        let (start, bytes, name) = self.made.get(next.checked_sub(1)?)?;
        (address - start < *bytes).then(|| name.clone())
    }

    fn in_file(&mut self, module: &Module, address: u64) -> Vec<Frame> {
        if module.path == super::live::OWN {
            return Vec::new();
        }
        let process = self.process;
        let code = self.files.entry(module.path.clone()).or_insert_with(|| Code::open(process, module));
        let Some(code) = code else { return Vec::new() };
        let offset = address - module.start + module.offset;
        let segment = code.segments.iter().find(|(start, bytes, _)| (*start..start + bytes).contains(&offset));
        segment.map(|(start, _, linked)| code.frames(offset - start + linked)).unwrap_or_default()
    }
}

impl Code {
    fn open(process: Option<u32>, module: &Module) -> Option<Code> {
        places(process, module).iter().find_map(|path| Code::of(path, &module.build_id))
    }

    /// `None` if the file can't be read, or isn't that of `build_id`.
    fn of(path: &Path, build_id: &str) -> Option<Code> {
        let cache = ReadCache::new(File::open(path).ok()?);
        let file = object::File::parse(&cache).ok()?;
        let segments = file.segments().map(|segment| {
            let (offset, bytes) = segment.file_range();
            (offset, bytes, segment.address())
        });
        let segments = segments.collect();
        let id = file.build_id().ok().flatten().map(hex).unwrap_or_default();
        if !build_id.is_empty() && id != build_id {
            return None;
        }
        let stripped = debug_file(&id);
        let functions = Functions::of(&[Some(path), stripped.as_deref()].into_iter().flatten().collect::<Vec<_>>());
        let debug = stripped.and_then(|path| Loader::new(path).ok());
        Some(Code { loader: Loader::new(path).ok()?, debug, segments, functions })
    }

    fn frames(&self, address: u64) -> Vec<Frame> {
        let loaders = || self.debug.iter().chain([&self.loader]);
        let symbol = || self.functions.find(address).map(demangle).unwrap_or_default();
        let mut frames = loaders().map(|loader| inlined(loader, address)).find(|f| !f.is_empty()).unwrap_or_default();
        match frames.last_mut() {
            Some(outermost) if outermost.name.is_empty() => outermost.name = symbol(),
            Some(_) => {}
            None => frames.push(Frame { name: symbol(), ..Frame::default() }),
        }
        frames
    }
}

/// What debug information says; empty if it says nothing.
fn inlined(loader: &Loader, address: u64) -> Vec<Frame> {
    let (Ok(mut found), mut frames) = (loader.find_frames(address), Vec::new()) else { return Vec::new() };
    while let Ok(Some(frame)) = found.next() {
        let name = frame.function.as_ref().and_then(|name| Some(demangle(&name.raw_name().ok()?))).unwrap_or_default();
        let file = frame.location.as_ref().and_then(|place| place.file).unwrap_or_default().to_owned();
        let line = frame.location.as_ref().and_then(|place| place.line).unwrap_or(0);
        frames.push(Frame { name, file, line });
    }
    frames
}

/// Where the module's file may be: as the process sees it, or by its name.
fn places(process: Option<u32>, module: &Module) -> Vec<PathBuf> {
    let path = module.path.trim_end_matches(" (deleted)");
    let seen = process.map(|pid| {
        let mapped = format!("/proc/{pid}/map_files/{:x}-{:x}", module.start, module.end);
        [PathBuf::from(mapped), PathBuf::from(format!("/proc/{pid}/root{path}"))]
    });
    seen.into_iter().flatten().chain([PathBuf::from(path)]).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn debug_file(id: &str) -> Option<PathBuf> {
    let path = Path::new(DEBUG_FILES).join(id.get(..2)?).join(format!("{}.debug", id.get(2..)?));
    path.exists().then_some(path)
}

/// As its programmer wrote it: of Rust and C++.
pub fn demangle(name: &str) -> String {
    if let Ok(found) = rustc_demangle::try_demangle(name) {
        return format!("{found:#}");
    }
    let symbol = name.starts_with("_Z").then(|| cpp_demangle::Symbol::new(name).ok()).flatten();
    let options = cpp_demangle::DemangleOptions::new().no_params();
    symbol.and_then(|symbol| symbol.demangle(&options).ok()).unwrap_or_else(|| name.to_owned())
}

/// Lines of `START SIZE NAME`, numbers hexadecimal; sorted. What came later is where the earlier was.
fn made_code(text: &str) -> Vec<(u64, u64, String)> {
    let hex = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let line = |line: &str| {
        let mut parts = line.splitn(3, ' ');
        Some((hex(parts.next()?)?, hex(parts.next()?)?, parts.next()?.to_owned()))
    };
    let mut code: HashMap<u64, (u64, String)> = HashMap::new();
    for (start, bytes, name) in text.lines().filter_map(line) {
        code.insert(start, (bytes, name));
    }
    let mut code: Vec<_> = code.into_iter().map(|(start, (bytes, name))| (start, bytes, name)).collect();
    code.sort_unstable();
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn a_function_of_a_telling_name(number: usize) -> usize {
        std::hint::black_box(number) + 1
    }

    #[test]
    fn functions_of_this_program_have_names_and_lines() {
        assert_eq!(a_function_of_a_telling_name(1), 2);
        let address = a_function_of_a_telling_name as *const () as u64;
        let maps = crate::process::maps::parse(&fs::read_to_string("/proc/self/maps").unwrap());
        let modules = maps.iter().filter_map(|mapping| {
            let path = mapping.path.as_ref()?.to_string_lossy().into_owned();
            let (start, end, offset) = (mapping.start, mapping.end, mapping.offset);
            Some(Module { start, end, offset, path, build_id: String::new() })
        });
        let modules: Vec<Module> = modules.collect();
        let location = Location { address, known: Vec::new() };
        for mut symbols in [Symbols::of_files(), Symbols::of_process(std::process::id())] {
            let frames = symbols.frames(&modules, &location);
            let outermost = frames.last().unwrap();
            assert!(outermost.name.ends_with("a_function_of_a_telling_name"), "{frames:?}");
            assert_eq!(outermost.file.rsplit('/').next(), Some("symbols.rs"), "{frames:?}");
        }
    }

    #[test]
    fn functions_end_where_their_size_says() {
        let function = |start, bytes, name: &str| (start, bytes, name.to_owned());
        let all = vec![function(10, 90, "outer"), function(20, 5, "inner"), function(200, 0, "rest")];
        let functions = Functions(all);
        assert_eq!(
            [9, 10, 22, 25, 99, 100, 200, 9999].map(|address| functions.find(address)),
            [None, Some("outer"), Some("inner"), Some("outer"), Some("outer"), None, Some("rest"), Some("rest")]
        );
    }

    #[test]
    fn what_has_no_name_has_a_place() {
        let path = "/no/such/file".into();
        let module = Module { start: 0x1000, end: 0x2000, offset: 0x100, path, build_id: String::new() };
        let name = |address| {
            let location = Location { address, known: Vec::new() };
            Symbols::of_files().frames(std::slice::from_ref(&module), &location)[0].name.clone()
        };
        assert_eq!(name(0x1010), "file+0x110");
        assert_eq!(name(0x5000), "0x5000");
    }

    #[test]
    fn code_that_was_made_at_run_time_is_named_by_its_map() {
        let mut symbols = Symbols::of_files();
        symbols.made = made_code("1000 10 old\nnonsense\n2000 20 LazyCompile:*f file.js:1\n1000 30 new\n");
        let mut name = |address| symbols.frames(&[], &Location { address, known: Vec::new() })[0].name.clone();
        assert_eq!(name(0x101f), "new");
        assert_eq!(name(0x2000), "LazyCompile:*f file.js:1");
        assert_eq!(name(0x2020), "0x2020");
    }

    #[test]
    fn names_are_demangled() {
        assert_eq!(demangle("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE"), "core::fmt::Write::write_fmt");
        assert_eq!(demangle("_ZNSt6vectorIiSaIiEE9push_backERKi"), "std::vector<int, std::allocator<int> >::push_back");
        assert_eq!(demangle("main"), "main");
    }
}
