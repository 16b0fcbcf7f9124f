//! Finding the library in a process: by its table's symbol, or by the table's first words.
//!
//! Symbols are quick and tell that the library is there even before the first allocation. A program whose symbols are
//! stripped is searched: the table lies in a module's writable data, begins with words of its own, and knows its address.

use crate::failure::{Exit, Failure, Result};
use crate::process::{Mapping, Memory, Piece};
use ferrimalloc_core::runtime::{DESCRIPTOR_MAGIC, DESCRIPTOR_VERSION, Descriptor};
use object::{Object, ObjectSegment, ObjectSymbol, ReadCache};
use std::fs::File;
use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};

/// What the symbol begins with; the library's version follows.
const SYMBOL: &str = "ferrimalloc_descriptor_";
/// Writable data of a module that is larger is not searched.
const SEARCHED_BYTES: usize = 64 << 20;
/// Tables are aligned to words.
const STEP: usize = 8;

/// A library in a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Library {
    /// The table's words.
    pub table: Table,
    /// The file that it is in.
    pub path: PathBuf,
}

/// The library's table, as another process has it: words and numbers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table(Vec<u8>);

impl Table {
    /// A table of our version, which says that it lies at `address`.
    fn parse(bytes: Vec<u8>, address: u64) -> Option<Table> {
        let table = Table(bytes);
        let is_one = table.0.len() == size_of::<Descriptor>()
            && table.0.starts_with(&DESCRIPTOR_MAGIC)
            && table.word(offset_of!(Descriptor, own)) == address;
        is_one.then_some(table)
    }

    pub fn word(&self, at: usize) -> u64 {
        self.0.get(at..at + 8).map_or(0, |bytes| u64::from_ne_bytes(bytes.try_into().unwrap_or_default()))
    }

    pub fn number(&self, at: usize) -> u32 {
        self.0.get(at..at + 4).map_or(0, |bytes| u32::from_ne_bytes(bytes.try_into().unwrap_or_default()))
    }

    pub fn library_version(&self) -> String {
        let at = offset_of!(Descriptor, library);
        let text: Vec<u8> = self.0[at..at + 16].iter().copied().take_while(|byte| *byte != 0).collect();
        String::from_utf8_lossy(&text).into_owned()
    }

    fn main_subproc(&self) -> u64 {
        self.word(offset_of!(Descriptor, main_subproc))
    }
}

/// A number of the table, by the path to its field.
#[macro_export]
macro_rules! at {
    ($table:expr, $($field:tt).+) => {
        u64::from($table.number(std::mem::offset_of!(ferrimalloc_core::runtime::Descriptor, $($field).+)))
    };
}

/// How a process stands to the library.
pub enum Found {
    /// It allocates by it.
    InUse(Library),
    /// It has the library, which has not been called yet.
    Idle(PathBuf),
    /// It has one whose table is of another version.
    Other {
        path: PathBuf,
        version: u32,
    },
    Absent,
}

/// The library that the process uses; an error that says what there is instead.
pub fn library(memory: &dyn Memory) -> Result<Library> {
    let (pid, command) = (memory.pid(), memory.command());
    match look(memory) {
        Found::InUse(library) => Ok(library),
        Found::Idle(path) => Err(Failure::new(
            Exit::NotOurs,
            format!("process {pid} has {} loaded, but has not allocated by it", path.display()),
            format!("Another malloc may come first: `ferrimalloc doctor {pid}` looks for it."),
        )),
        Found::Other { path, version } => Err(Failure::new(
            Exit::Unreadable,
            format!(
                "{} describes itself in version {version}, and this tool reads {DESCRIPTOR_VERSION}",
                path.display()
            ),
            "Use the `ferrimalloc` of the library's own version.",
        )),
        Found::Absent => Err(Failure::new(
            Exit::NotOurs,
            format!("process {pid} ({}) does not use ferrimalloc", shortened(&command)),
            format!(
                "Start it by `ferrimalloc run -- {}`; `ferrimalloc doctor {pid}` says why it has none.",
                word(&command)
            ),
        )),
    }
}

fn word(command: &str) -> &str {
    command.split(' ').next().filter(|word| !word.is_empty()).unwrap_or("PROGRAM")
}

fn shortened(command: &str) -> String {
    if command.chars().count() <= 60 {
        command.into()
    } else {
        format!("{}…", command.chars().take(59).collect::<String>())
    }
}

/// Looks for the library: by symbols first, then everywhere.
pub fn look(memory: &dyn Memory) -> Found {
    let modules = modules(memory);
    let mut best = Found::Absent;
    for module in &modules {
        if let Some(address) = symbol_in(memory, module) {
            match judge(memory, address, module) {
                Found::Absent => {}
                found @ Found::InUse(_) => return found,
                found => best = found,
            }
        }
    }
    for module in &modules {
        if let Some(address) = search(memory, module)
            && let found @ (Found::InUse(_) | Found::Other { .. }) = judge(memory, address, module)
        {
            return found;
        }
    }
    best
}

/// The files that are mapped writable, those that are called like the library first.
fn modules(memory: &dyn Memory) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for mapping in memory.mappings().iter().filter(|mapping| mapping.is_writable) {
        if let Some(path) = &mapping.path
            && !paths.contains(path)
        {
            paths.push(path.clone());
        }
    }
    paths.sort_by_key(|path| !path.to_string_lossy().contains("ferrimalloc"));
    paths
}

fn judge(memory: &dyn Memory, address: u64, path: &Path) -> Found {
    let path = path.to_path_buf();
    let Some(bytes) = memory.read(address, size_of::<Descriptor>()) else { return Found::Absent };
    if !bytes.starts_with(&DESCRIPTOR_MAGIC) {
        return Found::Absent;
    }
    let version = Table(bytes.clone()).number(offset_of!(Descriptor, version));
    if version != DESCRIPTOR_VERSION {
        return Found::Other { path, version };
    }
    match Table::parse(bytes, address) {
        Some(table) if table.main_subproc() != 0 => Found::InUse(Library { table, path }),
        _ => Found::Idle(path),
    }
}

/// The address of the table in the process, by a symbol of the module's file.
fn symbol_in(memory: &dyn Memory, module: &Path) -> Option<u64> {
    let cache = ReadCache::new(open_module(memory, module)?);
    let file = object::File::parse(&cache).ok()?;
    let symbols = file.dynamic_symbols().chain(file.symbols());
    let mut symbols = symbols.filter(|symbol| symbol.name().is_ok_and(|name| name.starts_with(SYMBOL)));
    let symbol = symbols.find(ObjectSymbol::is_definition)?;
    Some(symbol.address().wrapping_add(bias(memory, module, &file)?))
}

/// Where the file lies in the process, against the addresses that it was linked for.
fn bias<'data>(memory: &dyn Memory, module: &Path, file: &impl Object<'data>) -> Option<u64> {
    let mapped = memory.mappings().iter().filter(|mapping| mapping.has_path(module));
    let first = mapped.min_by_key(|mapping| mapping.offset)?;
    let segment = file.segments().find(|segment| {
        let (offset, bytes) = segment.file_range();
        offset <= first.offset && first.offset < offset + bytes.max(1)
    })?;
    let (offset, _) = segment.file_range();
    let linked = segment.address().wrapping_sub(offset).wrapping_add(first.offset);
    Some(first.start.wrapping_sub(linked))
}

/// The module's file, as the process sees it: it may be in a container, or be replaced by now.
fn open_module(memory: &dyn Memory, module: &Path) -> Option<File> {
    let text = module.to_string_lossy();
    if !memory.is_live() {
        return File::open(module).ok();
    }
    let pid = memory.pid();
    let seen = format!("/proc/{pid}/root{text}");
    let first = memory.mappings().iter().find(|mapping| mapping.has_path(module))?;
    let mapped = format!("/proc/{pid}/map_files/{:x}-{:x}", first.start, first.end);
    File::open(mapped).or_else(|_| File::open(seen)).ok()
}

/// The table in a module's writable data, by its first words.
fn search(memory: &dyn Memory, module: &Path) -> Option<u64> {
    let data = memory.mappings().iter().filter(|mapping| mapping.is_writable && mapping.has_path(module));
    data.filter(|mapping| mapping.bytes() <= SEARCHED_BYTES).find_map(|mapping| search_mapping(memory, mapping))
}

fn search_mapping(memory: &dyn Memory, mapping: &Mapping) -> Option<u64> {
    let mut bytes = Vec::new();
    if !memory.read_pieces(&[Piece::new(mapping.start, mapping.bytes())], &mut bytes)[0] {
        return None;
    }
    let candidates = (0..bytes.len().saturating_sub(size_of::<Descriptor>())).step_by(STEP);
    let is_table = |at: &usize| {
        bytes[*at..].starts_with(&DESCRIPTOR_MAGIC) && {
            let own = at + offset_of!(Descriptor, own);
            bytes[own..own + 8] == (mapping.start + *at as u64).to_ne_bytes()
        }
    };
    candidates.into_iter().find(is_table).map(|at| mapping.start + at as u64)
}
