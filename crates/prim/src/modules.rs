//! The program and the libraries that are loaded: where their code is, and the tables by which it is unwound.

use crate::platform;
use core::ffi::CStr;

/// A piece of code of a program or library.
#[derive(Clone, Copy, Debug)]
pub struct Module<'m> {
    /// What its own addresses are relative to.
    pub base: usize,
    /// Its first address.
    pub start: usize,
    /// The address behind its last.
    pub end: usize,
    /// Where the code is in its file.
    pub file_offset: usize,
    /// Its file; empty for the program itself.
    pub name: &'m CStr,
    /// Where its `.eh_frame_hdr` is; 0 if it has none.
    pub unwind_table: usize,
    /// The number that the linker gave this build, of its file; empty if it gave none.
    pub build_id: &'m [u8],
}

impl Module<'_> {
    /// Whether an address lies in it.
    pub fn contains(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// Calls `visit` with every piece of code until it answers false. The dynamic linker's list is locked meanwhile, by a lock
/// that the same thread may hold already. Nothing is visited on systems that keep no such list.
pub fn for_each(visit: &mut dyn FnMut(&Module<'_>) -> bool) {
    crate::errno::quiet(|| platform::modules::for_each(visit));
}

/// Calls `visit` with the piece of code that an address lies in, if it is known. Takes no lock where the C library needs none (glibc
/// from 2.35 on): then `start` and `end` are the whole object's, and where the code is in its file, and the build, are left out.
pub fn find(address: usize, visit: &mut dyn FnMut(&Module<'_>)) {
    let is_found = crate::errno::quiet(|| platform::find_object::find(address, visit));
    if !is_found {
        for_each(&mut |module| {
            let is_here = module.contains(address);
            if is_here {
                visit(module);
            }
            !is_here
        });
    }
}

/// Copies the path of the program's own file to `buf`; empty if it isn't known.
pub fn program_path(buf: &mut [u8]) -> &[u8] {
    let length = crate::errno::quiet(|| platform::modules::program_path(buf));
    &buf[..length]
}

/// Calls `write` with the text of the process's mappings, as Linux's `/proc/self/maps` has it, piece by piece.
pub fn for_each_mapping(write: &mut dyn FnMut(&[u8])) {
    platform::modules::for_each_mapping(write);
}

/// A file, to be looked at.
pub struct MappedFile {
    start: *const u8,
    bytes: usize,
}

impl MappedFile {
    /// `None` if the file can't be read, or is empty.
    pub fn open(path: &CStr) -> Option<MappedFile> {
        let (start, bytes) = crate::errno::quiet(|| platform::modules::map_file(path))?;
        Some(MappedFile { start, bytes })
    }

    /// What it contains. Who changes the file changes this, and who shortens it takes memory away: as with any mapped file.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped, as large as the file was.
        unsafe { core::slice::from_raw_parts(self.start, self.bytes) }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        // SAFETY: mapped by `open`, and not borrowed any more.
        crate::errno::quiet(|| unsafe { platform::modules::unmap_file(self.start, self.bytes) });
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::borrow::ToOwned;

    #[test]
    fn our_own_code_is_found() {
        let here = our_own_code_is_found as fn() as usize;
        let mut found = 0;
        for_each(&mut |module| {
            if module.contains(here) {
                found += 1;
                assert!(module.name.is_empty(), "the program itself");
                assert!(module.base < here && module.unwind_table > module.base);
            }
            true
        });
        assert_eq!(found, 1);
        let mut buf = [0; 4096];
        let path = std::fs::read_link("/proc/self/exe").unwrap();
        assert_eq!(program_path(&mut buf), path.as_os_str().as_encoded_bytes());
    }

    #[test]
    fn what_an_address_lies_in_is_found() {
        for here in [what_an_address_lies_in_is_found as fn() as usize, libc::getenv as *const () as usize] {
            let mut listed = None;
            for_each(&mut |module| {
                if module.contains(here) {
                    listed = Some((module.base, module.unwind_table, module.name.to_owned()));
                }
                true
            });
            let mut found = None;
            find(here, &mut |module| {
                assert!(module.contains(here));
                found = Some((module.base, module.unwind_table, module.name.to_owned()));
            });
            assert!(found.is_some() && found == listed, "{found:?}");
        }
        find(8, &mut |module| panic!("{module:?}"));
    }

    #[test]
    fn mappings_have_our_file_which_can_be_mapped() {
        let mut text = std::vec::Vec::new();
        for_each_mapping(&mut |piece| text.extend_from_slice(piece));
        let exe = std::env::current_exe().unwrap();
        assert!(std::string::String::from_utf8(text).unwrap().contains(exe.to_str().unwrap()));
        let path = std::ffi::CString::new(exe.to_str().unwrap()).unwrap();
        assert!(MappedFile::open(&path).unwrap().bytes() == std::fs::read(exe).unwrap());
        assert!(MappedFile::open(c"/proc/there/is/no/such").is_none());
    }

    #[test]
    fn a_visit_ends_when_it_is_told_to() {
        let mut visited = 0;
        for_each(&mut |_| {
            visited += 1;
            false
        });
        assert_eq!(visited, 1);
    }
}
