//! Names of functions: from the symbol tables (`.symtab`, else `.dynsym`) of the files that are loaded, mapped for as long as a
//! profile is written.
//!
//! A file that is not what was loaded, or is damaged, gives wrong names or none; nothing is read outside of it.
//!
//! Source: System V ABI, "Symbol Table".

use ferrimalloc_prim::modules::{self, MappedFile, Module};

use crate::table::Words;

/// Files that are kept mapped.
const FILES: usize = 64;
const PATH_BYTES: usize = 1024;
/// Answers that are remembered.
const REMEMBERED: usize = 64;

/// A function, or a place in a file of which nothing else is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Found<'s> {
    /// As the linker has it.
    pub name: &'s [u8],
    /// Where the function starts.
    pub start: usize,
}

struct File {
    start: usize,
    end: usize,
    base: usize,
    symbols: Option<SymbolTable>,
}

#[derive(Clone, Copy)]
struct Answer {
    address: usize,
    /// Which file, and where the symbol is in its table; none if `start` is 0.
    file: usize,
    name: usize,
    start: usize,
}

/// Names of functions in this process.
pub struct Symbols {
    files: [Option<File>; FILES],
    count: usize,
    answers: [Answer; REMEMBERED],
}

impl Symbols {
    pub fn new() -> Symbols {
        let nothing = Answer { address: 0, file: 0, name: 0, start: 0 };
        let mut symbols = Symbols { files: [const { None }; FILES], count: 0, answers: [nothing; REMEMBERED] };
        modules::for_each(&mut |module| {
            symbols.files[symbols.count] = Some(open(module));
            symbols.count += 1;
            symbols.count < FILES
        });
        symbols
    }

    /// The function that an address is in.
    pub fn name(&mut self, address: usize) -> Option<Found<'_>> {
        let place = (address.wrapping_mul(0x9e37_79b9) >> 8) % REMEMBERED;
        if self.answers[place].address != address {
            self.answers[place] = self.look(address);
        }
        let Answer { file, name, start, .. } = self.answers[place];
        let file = self.files[file].as_ref().filter(|_| start != 0)?;
        Some(Found { name: file.symbols.as_ref()?.text(name), start })
    }

    fn look(&mut self, address: usize) -> Answer {
        let nothing = Answer { address, file: 0, name: 0, start: 0 };
        let mut files = self.files[..self.count].iter_mut().enumerate();
        let found = files.find_map(|(index, file)| {
            let file = file.as_mut().filter(|file| (file.start..file.end).contains(&address))?;
            let (name, start) = file.symbols.as_mut()?.find(address - file.base)?;
            Some(Answer { address, file: index, name, start: start + file.base })
        });
        found.unwrap_or(nothing)
    }
}

fn open(module: &Module<'_>) -> File {
    let mut path = [0; PATH_BYTES];
    let length = path_of(module, &mut path[..PATH_BYTES - 1]);
    path[length] = 0;
    let file = core::ffi::CStr::from_bytes_until_nul(&path).ok().and_then(MappedFile::open);
    File { start: module.start, end: module.end, base: module.base, symbols: file.and_then(SymbolTable::of) }
}

/// Copies the path of a module's file; answers its length.
pub fn path_of(module: &Module<'_>, buf: &mut [u8]) -> usize {
    let name = module.name.to_bytes();
    if name.is_empty() {
        return modules::program_path(buf).len();
    }
    let length = name.len().min(buf.len());
    buf[..length].copy_from_slice(&name[..length]);
    length
}

/// A table of a mapped file: where it is, and where its names are.
struct SymbolTable {
    file: MappedFile,
    symbols: (usize, usize),
    names: (usize, usize),
    /// Made when the first address is looked for.
    functions: Option<Functions>,
}

/// Numbers of symbols that are functions, by address: a table has many more than are looked for, and is read through once.
struct Functions {
    /// `None` without memory.
    numbers: Option<Words>,
    count: usize,
}

/// How many functions before an address may begin behind the one that it is in: aliases, and parts of one.
const NESTED: usize = 16;

impl Functions {
    fn of(table: &[u8]) -> Functions {
        let symbols = || table.chunks_exact(SYMBOL_BYTES).map(Symbol);
        let count = symbols().filter(Symbol::is_function).count();
        let mut functions = Functions { numbers: Words::new(count), count };
        if let Some(numbers) = &mut functions.numbers {
            let numbers = &mut numbers.all()[..count];
            let found = symbols().enumerate().filter(|(_, symbol)| symbol.is_function());
            for (place, (number, _)) in numbers.iter_mut().zip(found) {
                *place = number;
            }
            sort_by(numbers, &|number| Symbol::of(table, number).map_or(0, |symbol| symbol.start()));
        }
        functions
    }
}

/// Sorts by `key`. Heapsort, as the standard library's sort is 13 KB of code.
fn sort_by(numbers: &mut [usize], key: &dyn Fn(usize) -> usize) {
    for top in (0..numbers.len() / 2).rev() {
        sink(numbers, top, key);
    }
    for end in (1..numbers.len()).rev() {
        numbers.swap(0, end);
        sink(&mut numbers[..end], 0, key);
    }
}

/// Makes what is below `top` a heap, the largest first, if both halves below it are.
fn sink(heap: &mut [usize], mut top: usize, key: &dyn Fn(usize) -> usize) {
    loop {
        let left = 2 * top + 1;
        let children = (left..heap.len()).take(2);
        let Some(larger) = children.max_by_key(|&child| key(heap[child])) else { return };
        if key(heap[top]) >= key(heap[larger]) {
            return;
        }
        heap.swap(top, larger);
        top = larger;
    }
}

/// A symbol's bytes.
#[derive(Clone, Copy)]
struct Symbol<'b>(&'b [u8]);

impl<'b> Symbol<'b> {
    fn of(table: &'b [u8], number: usize) -> Option<Symbol<'b>> {
        table.get(number * SYMBOL_BYTES..)?.get(..SYMBOL_BYTES).map(Symbol)
    }

    fn start(&self) -> usize {
        word(self.0, 8).unwrap_or(0) as usize
    }

    /// A function here, not one that is needed from elsewhere.
    fn is_function(&self) -> bool {
        self.0[4] & 15 == FUNCTION && half(self.0, 6) != Some(0)
    }

    fn contains(&self, address: usize) -> bool {
        let bytes = word(self.0, 16).unwrap_or(0) as usize;
        address.checked_sub(self.start()).is_some_and(|distance| distance < bytes || bytes == 0)
    }

    /// Where its name is.
    fn name(&self) -> Option<usize> {
        Some(int(self.0, 0)? as usize)
    }
}

const SYMTAB: u32 = 2;
const DYNSYM: u32 = 11;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
const FUNCTION: u8 = 2;

impl SymbolTable {
    fn of(file: MappedFile) -> Option<SymbolTable> {
        let bytes = file.bytes();
        // 64 bits, in our order of bytes.
        if bytes.get(..5)? != b"\x7fELF\x02" || bytes.get(5)? != &if cfg!(target_endian = "big") { 2 } else { 1 } {
            return None;
        }
        let (table, count) = (word(bytes, 0x28)? as usize, half(bytes, 0x3c)?);
        let section = |index: usize| bytes.get(table.checked_add(index * SECTION_BYTES)?..)?.get(..SECTION_BYTES);
        let place = |section: &[u8]| Some((word(section, 0x18)? as usize, word(section, 0x20)? as usize));
        let of_kind = |kind| (0..usize::from(count)).filter_map(section).find(|s| int(s, 4) == Some(kind));
        let found = of_kind(SYMTAB).or_else(|| of_kind(DYNSYM))?;
        let names = section(int(found, 0x28)? as usize)?;
        let (symbols, names) = (place(found)?, place(names)?);
        Some(SymbolTable { file, symbols, names, functions: None })
    }

    /// Where the name of the function at an address of the file is, and where that starts.
    fn find(&mut self, address: usize) -> Option<(usize, usize)> {
        let table = part(self.file.bytes(), self.symbols)?;
        let functions = self.functions.get_or_insert_with(|| Functions::of(table));
        let numbers = &functions.numbers.as_mut()?.all()[..functions.count];
        let symbol = |&number: &usize| Symbol::of(table, number);
        let next = numbers.partition_point(|number| symbol(number).is_some_and(|symbol| symbol.start() <= address));
        let mut before = numbers[..next].iter().rev().take(NESTED).filter_map(symbol);
        let found = before.find(|symbol| symbol.contains(address))?;
        Some((found.name()?, found.start()))
    }

    fn text(&self, at: usize) -> &[u8] {
        let text = part(self.file.bytes(), self.names).and_then(|names| names.get(at..)).unwrap_or(&[]);
        text.split(|&byte| byte == 0).next().unwrap_or(&[])
    }
}

fn part(bytes: &[u8], (at, length): (usize, usize)) -> Option<&[u8]> {
    bytes.get(at..at.checked_add(length)?)
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn int(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn a_function_of_a_telling_name(number: usize) -> usize {
        core::hint::black_box(number) + 1
    }

    #[test]
    fn functions_are_named() {
        let mut symbols = Symbols::new();
        let address = a_function_of_a_telling_name as *const () as usize;
        assert_eq!(a_function_of_a_telling_name(1), 2);
        for at in [address, address + 2] {
            let found = symbols.name(at).expect("tests have symbols");
            assert!(std::str::from_utf8(found.name).unwrap().contains("a_function_of_a_telling_name"));
            assert_eq!(found.start, address);
        }
        assert_eq!(symbols.name(16), None);
    }

    #[test]
    fn numbers_are_sorted_by_their_keys() {
        let key = |number: usize| number.wrapping_mul(0x9e37_79b9) % 1000;
        for count in 0..200 {
            let mut numbers: std::vec::Vec<usize> = (0..count).collect();
            sort_by(&mut numbers, &key);
            assert!(numbers.is_sorted_by_key(|&number| key(number)), "{numbers:?}");
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(0..count));
        }
    }

    #[test]
    fn functions_are_sorted_by_address() {
        let symbol = |name: u32, start: u64, bytes: u64, kind: u8| {
            let mut symbol = [0; SYMBOL_BYTES];
            symbol[..4].copy_from_slice(&name.to_ne_bytes());
            (symbol[4], symbol[6]) = (kind, 1);
            symbol[8..16].copy_from_slice(&start.to_ne_bytes());
            symbol[16..].copy_from_slice(&bytes.to_ne_bytes());
            symbol
        };
        let table =
            [symbol(3, 200, 0, FUNCTION), symbol(1, 10, 90, FUNCTION), symbol(9, 20, 5, 1), symbol(2, 20, 5, FUNCTION)];
        let table = table.concat();
        let mut functions = Functions::of(&table);
        assert_eq!(functions.count, 3);
        let numbers = functions.numbers.as_mut().unwrap().all();
        assert_eq!(numbers[..3], [1, 3, 0]);
        assert!(Symbol(&table[24..48]).contains(99) && !Symbol(&table[24..48]).contains(100));
    }

    #[test]
    fn damaged_files_have_no_names() {
        let path = std::env::temp_dir().join(std::format!("ferrimalloc-symbols-{}", std::process::id()));
        let whole = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let mut random = 1u64;
        for round in 0..20 {
            let mut bytes = whole[..whole.len().min(1 << 16)].to_vec();
            for _ in 0..round {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                bytes[(random >> 33) as usize % 128] ^= random as u8;
            }
            std::fs::write(&path, &bytes).unwrap();
            let file = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            if let Some(mut table) = MappedFile::open(&file).and_then(SymbolTable::of) {
                let _ = table.find(0x1000).map(|(name, _)| table.text(name).len());
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}
