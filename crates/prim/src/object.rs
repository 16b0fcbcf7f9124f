//! Loaded programs and libraries as ELF has them: their tables of symbols, and the words that the dynamic linker has filled in.

use crate::mem;
use crate::platform::elf::{self, Phdr, Sym};
use crate::platform::modules::is_program;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute;
use core::ops::Range;
use core::{ptr, slice};
use libc::dl_phdr_info;

// A static program shall not be made to have them by us.
weak_word!(DLSYM, "dlsym", "ferrimalloc_dlsym");
/// What `dlsym` answers to us; 0 if there is no such symbol.
pub(crate) fn look_up(place: *mut c_void, name: &CStr) -> usize {
    type Dlsym = unsafe extern "C" fn(*mut c_void, *const c_char) -> *mut c_void;
    // SAFETY: a word that the linker has filled in, with 0 or the address of a function of this type.
    unsafe {
        match DLSYM {
            0 => 0,
            dlsym => transmute::<usize, Dlsym>(dlsym)(place, name.as_ptr()).expose_provenance(),
        }
    }
}

/// A loaded program or library that is never unloaded.
pub(crate) struct Object {
    pub addresses: Range<usize>,
    pub base: usize,
    /// Whether it is the program rather than a library.
    pub is_program: bool,
    headers: &'static [Phdr],
}

impl Object {
    pub fn containing(address: usize) -> Option<Object> {
        let mut search = (address, None);
        // SAFETY: the callback gets the pointer that is passed here.
        unsafe { libc::dl_iterate_phdr(Some(Object::visit), (&raw mut search).cast()) };
        search.1
    }

    unsafe extern "C" fn visit(info: *mut dl_phdr_info, _size: usize, search: *mut c_void) -> c_int {
        // SAFETY: the C library lends the description; the pointer is from `containing`.
        let (info, (address, found)) = unsafe { (&*info, &mut *search.cast::<(usize, Option<Object>)>()) };
        if info.dlpi_phdr.is_null() {
            return 0;
        }
        // SAFETY: as many headers as the description says. They stay as long as the object.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
        let base = info.dlpi_addr as usize;
        let segments = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|load| range(base, load));
        let (Some(start), Some(end)) = (segments().map(|s| s.start).min(), segments().map(|s| s.end).max()) else {
            return 0;
        };
        if !(start..end).contains(address) {
            return 0;
        }
        *found = Some(Object { addresses: start..end, base, is_program: is_program(info), headers });
        1
    }

    /// The table by which the object's symbols are looked up; `None` if it isn't of GNU's form.
    pub fn symbols(&self) -> Option<Symbols> {
        let pointer = |wanted| self.dynamic(wanted).and_then(|value| self.placed(value));
        Some(Symbols {
            entries: ptr::with_exposed_provenance_mut(pointer(DT_SYMTAB)?),
            strings: ptr::with_exposed_provenance(pointer(DT_STRTAB)?),
            hashes: ptr::with_exposed_provenance(pointer(DT_GNU_HASH)?),
        })
    }

    /// What an entry of the dynamic section has; `None` if there is none.
    fn dynamic(&self, wanted: usize) -> Option<usize> {
        let dynamic = self.headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC)?;
        let start: *const [usize; 2] = ptr::with_exposed_provenance(self.base.wrapping_add(dynamic.p_vaddr as usize));
        // SAFETY: the section is of pairs, and one of zeros ends it.
        let mut pairs = (0..).map(|index| unsafe { start.add(index).read() }).take_while(|pair| pair[0] != 0);
        Some(pairs.find(|pair| pair[0] == wanted)?[1])
    }

    /// The address that an entry of the dynamic section means: the dynamic linker makes addresses of them, on most machines.
    fn placed(&self, value: usize) -> Option<usize> {
        [value, self.base.wrapping_add(value)].into_iter().find(|at| self.addresses.contains(at))
    }

    /// The words that the dynamic linker has filled in with addresses of symbols, each with the symbol's name.
    pub fn imports(&self) -> impl Iterator<Item = (&'static CStr, *mut usize)> {
        let strings = self.dynamic(DT_STRTAB).and_then(|value| self.placed(value));
        let symbols = self.dynamic(DT_SYMTAB).and_then(|value| self.placed(value));
        let tables = [(elf::DT_RELOCATIONS, elf::DT_RELOCATIONS_SIZE), (DT_JMPREL, DT_PLTRELSZ)].into_iter();
        let rows = tables.filter_map(|(table, bytes)| {
            let start = self.placed(self.dynamic(table)?)?;
            // SAFETY: the object's relocations, which are as long as the dynamic section says, and stay.
            Some(unsafe {
                slice::from_raw_parts(
                    ptr::with_exposed_provenance(start),
                    self.dynamic(bytes)? / size_of::<Relocation>(),
                )
            })
        });
        let base = self.base;
        rows.flatten().filter_map(move |row: &Relocation| {
            let number = row.info >> elf::SYMBOL_SHIFT;
            let symbols: *const Sym = ptr::with_exposed_provenance(symbols?);
            let strings: *const c_char = ptr::with_exposed_provenance(strings?);
            // SAFETY: the symbol of a relocation is in the table, and has a name.
            let name = unsafe { CStr::from_ptr(strings.add((*symbols.add(number)).st_name as usize)) };
            let place = ptr::with_exposed_provenance_mut(base.wrapping_add(row.offset));
            (number != 0).then_some((name, place))
        })
    }

    /// Calls `write` while the range, of one segment, is writable. False, and it was not called, if it can't be made so.
    pub fn while_writable(&self, range_of_writes: Range<usize>, write: impl FnOnce()) -> bool {
        let start = range_of_writes.start & !(mem::config().os_page_bytes - 1);
        let Some(as_it_was) = self.protection(start..range_of_writes.end) else { return false };
        let (at, bytes) = (ptr::with_exposed_provenance_mut(start), range_of_writes.end - start);
        // SAFETY: the object's own memory, which keeps all its rights meanwhile.
        unsafe {
            if libc::mprotect(at, bytes, as_it_was | libc::PROT_WRITE) != 0 {
                return false;
            }
            write();
            libc::mprotect(at, bytes, as_it_was);
        }
        true
    }

    /// How memory from the start of an OS page on, in one segment, is protected since the object was loaded: the dynamic linker
    /// seals the whole OS pages of what is written by relocations alone. `None`: not the object's.
    fn protection(&self, memory: Range<usize>) -> Option<c_int> {
        let headers = |wanted| self.headers.iter().filter(move |header| header.p_type == wanted);
        let segment = headers(libc::PT_LOAD).find(|load| range(self.base, load).contains(&(memory.end - 1)))?;
        let floor = |address: usize| address & !(mem::config().os_page_bytes - 1);
        let is_sealed = headers(libc::PT_GNU_RELRO).map(|sealed| range(self.base, sealed)).any(|sealed| {
            let sealed = floor(sealed.start)..floor(sealed.end);
            sealed.contains(&memory.start) && memory.end <= sealed.end
        });
        let flag = |of_file: u32, of_memory: c_int| if segment.p_flags & of_file != 0 { of_memory } else { 0 };
        let writable = if is_sealed { 0 } else { flag(libc::PF_W, libc::PROT_WRITE) };
        Some(flag(libc::PF_R, libc::PROT_READ) | writable | flag(libc::PF_X, libc::PROT_EXEC))
    }
}

fn range(base: usize, segment: &Phdr) -> Range<usize> {
    let start = base.wrapping_add(segment.p_vaddr as usize);
    start..start.wrapping_add(segment.p_memsz as usize)
}

/// With an addend beside them, or in the word that they are about (`Elf64_Rela`, `Elf32_Rel`).
#[repr(C)]
struct Relocation {
    offset: usize,
    info: usize,
    addend: [isize; elf::ADDENDS],
}

const DT_PLTRELSZ: usize = 2;
const DT_STRTAB: usize = 5;
const DT_SYMTAB: usize = 6;
const DT_JMPREL: usize = 23;
const DT_GNU_HASH: usize = 0x6fff_fef5;

/// A table of symbols with the one of hashes by which the dynamic linker searches it: numbers of buckets, of symbols that are not
/// in it, and of words of a filter, then a shift, the filter, the buckets, and a hash for each symbol, of which the lowest bit ends
/// the bucket.
pub(crate) struct Symbols {
    entries: *mut Sym,
    strings: *const c_char,
    hashes: *const u32,
}

impl Symbols {
    /// The entries of that name that define something: one for each version.
    pub fn entries_of<'n>(&self, name: &'n CStr) -> impl Iterator<Item = *mut Sym> + use<'n> {
        let Symbols { entries, strings, hashes } = *self;
        // SAFETY: the table is as described above, and complete.
        let word = move |index: usize| unsafe { hashes.add(index).read() };
        let (buckets, absent, filter_words) = (word(0) as usize, word(1) as usize, word(2) as usize);
        let first_bucket = 4 + filter_words * (usize::BITS / u32::BITS) as usize;
        let wanted = hash(name);
        let first = if buckets == 0 { 0 } else { word(first_bucket + wanted as usize % buckets) as usize };
        let hash_of = move |symbol: usize| word(first_bucket + buckets + symbol - absent);
        let after = move |symbol: &usize| (hash_of(*symbol) & 1 == 0).then(|| symbol + 1);
        core::iter::successors(Some(first).filter(|first| *first >= absent && *first != 0), after)
            .filter(move |symbol| hash_of(*symbol) | 1 == wanted | 1)
            // SAFETY: the symbol is in the table, so it has an entry, with a name.
            .filter(move |symbol| unsafe {
                let entry = entries.add(*symbol);
                (*entry).st_shndx != 0 && CStr::from_ptr(strings.add((*entry).st_name as usize)) == name
            })
            // SAFETY: as above.
            .map(move |symbol| unsafe { entries.add(symbol) })
    }
}

fn hash(name: &CStr) -> u32 {
    name.to_bytes().iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

#[cfg(all(test, target_env = "gnu"))]
pub(crate) mod tests {
    use std::{borrow::ToOwned, string::String};

    /// How the word at `place` may be used, as the kernel lists it.
    pub(crate) fn rights(place: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let is_around = |line: &&str| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let bound = |text| usize::from_str_radix(text, 16).unwrap();
            (bound(start)..bound(end)).contains(&place)
        };
        maps.lines().find(is_around).unwrap().split(' ').nth(1).unwrap().to_owned()
    }
}
