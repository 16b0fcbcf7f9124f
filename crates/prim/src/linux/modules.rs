//! Loaded code, from the dynamic linker's list (`dl_iterate_phdr`).

use crate::modules::Module;
pub(crate) use crate::unix::modules::{map_file, unmap_file};
use core::ffi::{CStr, c_int, c_void};
use core::slice;
use libc::dl_phdr_info;

type Visit<'v> = &'v mut dyn FnMut(&Module<'_>) -> bool;

pub(crate) fn for_each(mut visit: Visit<'_>) {
    // SAFETY: the callback gets the pointer that is passed here.
    unsafe { libc::dl_iterate_phdr(Some(visit_object), (&raw mut visit).cast()) };
}

unsafe extern "C" fn visit_object(info: *mut dl_phdr_info, _size: usize, visit: *mut c_void) -> c_int {
    // SAFETY: the C library lends the description; the pointer is `for_each`'s.
    let (info, visit) = unsafe { (&*info, &mut *visit.cast::<Visit<'_>>()) };
    if info.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: as many headers as the description says.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let base = info.dlpi_addr as usize;
    // musl has a name for the program, too: how it was called, or a link in `/proc`.
    let is_nameless = info.dlpi_name.is_null() || is_program(info);
    // SAFETY: a C string, unless null.
    let name = if is_nameless { c"" } else { unsafe { CStr::from_ptr(info.dlpi_name) } };
    let table = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME);
    let unwind_table = table.map_or(0, |header| base + header.p_vaddr as usize);
    let notes = headers.iter().filter(|header| header.p_type == libc::PT_NOTE);
    let build_id = notes
        .map(|header| build_id(memory(base + header.p_vaddr as usize, header.p_filesz as usize)))
        .find(|id| !id.is_empty())
        .unwrap_or(&[]);
    let code = headers.iter().filter(|header| header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0);
    for header in code {
        let start = base + header.p_vaddr as usize;
        let (end, file_offset) = (start + header.p_memsz as usize, header.p_offset as usize);
        if !visit(&Module { base, start, end, file_offset, name, unwind_table, build_id }) {
            return 1;
        }
    }
    0
}

/// Whether the object is what the kernel started.
pub(crate) fn is_program(info: &dl_phdr_info) -> bool {
    // SAFETY: takes and returns a number.
    unsafe { libc::getauxval(libc::AT_PHDR) as usize == info.dlpi_phdr.addr() }
}

/// What a header describes.
fn memory(start: usize, bytes: usize) -> &'static [u8] {
    // SAFETY: notes are loaded, and stay as long as the object, which is not unloaded while it is visited.
    unsafe { slice::from_raw_parts(core::ptr::with_exposed_provenance(start), bytes) }
}

/// The note of type 3 by `GNU`; empty if there is none.
fn build_id(notes: &[u8]) -> &[u8] {
    const HEAD: usize = 12;
    let word = |at: usize| notes.get(at..at + 4).map(|word| u32::from_ne_bytes(word.try_into().unwrap_or_default()));
    let mut at = 0;
    while let (Some(name), Some(bytes), Some(kind)) = (word(at), word(at + 4), word(at + 8)) {
        let text = at + HEAD;
        let start = text + (name as usize).next_multiple_of(4);
        let end = start + bytes as usize;
        if kind == 3 && notes.get(text..text + 4) == Some(b"GNU\0") {
            return notes.get(start..end).unwrap_or(&[]);
        }
        at = end.next_multiple_of(4);
    }
    &[]
}

pub(crate) fn for_each_mapping(write: &mut dyn FnMut(&[u8])) {
    super::file::for_each_piece(c"/proc/self/maps", write);
}

pub(crate) fn program_path(buf: &mut [u8]) -> usize {
    // SAFETY: writes to the slice only.
    let length = unsafe { libc::readlink(c"/proc/self/exe".as_ptr(), buf.as_mut_ptr().cast(), buf.len()) };
    usize::try_from(length).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_id_is_found_among_other_notes() {
        let mut notes = std::vec::Vec::new();
        for (kind, name, text) in [(1u32, b"GNU\0", &[9u8; 5][..]), (3, b"GNU\0", &[1, 2, 3, 4])] {
            for word in [4, text.len() as u32, kind] {
                notes.extend(word.to_ne_bytes());
            }
            notes.extend(name);
            notes.extend(text);
            notes.resize(notes.len().next_multiple_of(4), 0);
        }
        assert_eq!(build_id(&notes), [1, 2, 3, 4]);
        assert_eq!(build_id(&notes[..20]), []);
        assert_eq!(build_id(b"short"), []);
    }
}
