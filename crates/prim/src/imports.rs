//! Windows: what the modules of this process import, and how to have them import something else.
//!
//! The loader writes the addresses of a module's imports into a table of the module, through which all its calls go (Microsoft, "PE
//! Format", *The .idata Section*). [`Module::rebind`] goes over that table when it is written. It goes by *addresses*, not by names: so
//! it is the same whether a module asked for `ucrtbase.dll`, for one of the `api-ms-win-crt-…` sets behind which that
//! stands, or for a number; and an import that somebody else has put something else in place of is left alone.
//!
//! [`on_load`] tells about modules that are loaded later. From Windows 8 on, and in wine, the loader calls when a module's imports are written
//! and none of its code has run. (Before, it called too early, and nothing was found to rebind.) A hook of `LoadLibrary`
//! would miss what system libraries load, and would come when a module's first code has run.

use crate::mem::{self, Access};
use crate::windows::last_error::kept;
use core::ffi::{CStr, c_void};
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::Diagnostics::Debug::{
    IMAGE_DATA_DIRECTORY, IMAGE_DIRECTORY_ENTRY_IMPORT, IMAGE_NT_HEADERS32, IMAGE_NT_HEADERS64,
    IMAGE_NT_OPTIONAL_HDR64_MAGIC, IMAGE_OPTIONAL_HEADER32, IMAGE_OPTIONAL_HEADER64,
};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN,
    GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, GetModuleHandleExA, GetProcAddress,
};
use windows_sys::Win32::System::Memory::{
    MEMORY_BASIC_INFORMATION, PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY,
    PAGE_READWRITE, PAGE_WRITECOPY, VirtualProtect, VirtualQuery,
};
use windows_sys::Win32::System::ProcessStatus::K32EnumProcessModules;
use windows_sys::Win32::System::SystemServices::{IMAGE_DOS_HEADER, IMAGE_IMPORT_DESCRIPTOR};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// For how many modules there is room at first.
const MODULES: usize = 8192;

/// A program or library that is loaded, by its address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Module(usize);

impl Module {
    /// The one with such a file name, if it is loaded. It then stays loaded.
    pub fn kept_by_name(name: &CStr) -> Option<Module> {
        Module::get(GET_MODULE_HANDLE_EX_FLAG_PIN, name.as_ptr().cast())
    }

    /// The one that has this address inside.
    pub fn around(address: usize) -> Option<Module> {
        let flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
        Module::get(flags, ptr::with_exposed_provenance(address))
    }

    fn get(flags: u32, what: *const u8) -> Option<Module> {
        let mut module: HMODULE = ptr::null_mut();
        // SAFETY: a string or an address, as the flags say, and a place for the result.
        let found = kept(|| unsafe { GetModuleHandleExA(flags, what, &mut module) });
        (found != 0).then(|| Module(module.expose_provenance()))
    }

    /// The address of what it exports by this name.
    pub fn export(self, name: &CStr) -> Option<usize> {
        let module: HMODULE = ptr::with_exposed_provenance_mut(self.0);
        // SAFETY: a module and a string.
        let found = kept(|| unsafe { GetProcAddress(module, name.as_ptr().cast()) });
        found.map(|function| function as usize)
    }

    /// Writes into the table of imports what `instead` answers for the address there. Says in how many places. What can't be
    /// written to is left.
    ///
    /// # Safety
    /// What `instead` answers behaves as a function of the same type. The module isn't unloaded meanwhile.
    pub unsafe fn rebind(self, instead: &dyn Fn(usize) -> Option<usize>) -> usize {
        // SAFETY: the precondition: the module is there, and its tables are as the loader has read them.
        unsafe { self.imports().map(|imports| self.rebind_table(imports.FirstThunk, instead)).sum() }
    }

    /// What it imports from each module.
    ///
    /// # Safety
    /// The module isn't unloaded meanwhile.
    unsafe fn imports(self) -> impl Iterator<Item = IMAGE_IMPORT_DESCRIPTOR> {
        // SAFETY: the precondition; an entry without a table ends the list, and there is none where the directory is empty.
        unsafe {
            let directory = self.import_directory();
            let first = self.at::<IMAGE_IMPORT_DESCRIPTOR>(directory.VirtualAddress);
            let all = (0..).map(move |index| first.add(index).read_unaligned());
            all.take_while(move |import| directory.Size != 0 && import.FirstThunk != 0)
        }
    }

    /// # Safety
    /// As for [`imports`](Self::imports).
    unsafe fn import_directory(self) -> IMAGE_DATA_DIRECTORY {
        // SAFETY: the precondition; the kind of header is told by a word that has the same place in both.
        unsafe {
            let dos = self.at::<IMAGE_DOS_HEADER>(0).read_unaligned();
            let wide = self.at::<IMAGE_NT_HEADERS64>(dos.e_lfanew as u32);
            let index = usize::from(IMAGE_DIRECTORY_ENTRY_IMPORT);
            const { assert!(offset_of!(IMAGE_OPTIONAL_HEADER32, Magic) == offset_of!(IMAGE_OPTIONAL_HEADER64, Magic)) };
            match (&raw const (*wide).OptionalHeader.Magic).read_unaligned() {
                IMAGE_NT_OPTIONAL_HDR64_MAGIC => wide.read_unaligned().OptionalHeader.DataDirectory[index],
                _ => wide.cast::<IMAGE_NT_HEADERS32>().read_unaligned().OptionalHeader.DataDirectory[index],
            }
        }
    }

    /// # Safety
    /// As for [`rebind`](Self::rebind); the offset is that of a table of addresses that ends with 0.
    unsafe fn rebind_table(self, offset: u32, instead: &dyn Fn(usize) -> Option<usize>) -> usize {
        let first = self.at::<usize>(offset);
        // SAFETY: the precondition.
        let slots = (0..).map(|index| unsafe { first.add(index) });
        // SAFETY: as above; a table has its end.
        let slots = slots.map_while(|slot| Some((slot, Some(unsafe { slot.read() }).filter(|&value| value != 0)?)));
        slots.filter(|&(slot, value)| instead(value).is_some_and(|value| write(slot.cast_mut(), value))).count()
    }

    fn at<T>(self, offset: u32) -> *const T {
        ptr::with_exposed_provenance(self.0 + offset as usize)
    }
}

/// Writes a word of a table of imports, which others may be reading. Its page may have code, too, which goes on running.
fn write(slot: *mut usize, value: usize) -> bool {
    // SAFETY: integers and pointers only: all zero is a value.
    let mut area: MEMORY_BASIC_INFORMATION = unsafe { core::mem::zeroed() };
    // SAFETY: an address, and a place for the result.
    if kept(|| unsafe { VirtualQuery(slot.cast(), &mut area, size_of_val(&area)) }) == 0 {
        return false;
    }
    let is_writable =
        area.Protect & (PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY) != 0;
    let is_code = area.Protect & (PAGE_EXECUTE | PAGE_EXECUTE_READ) != 0;
    let opened = if is_code { PAGE_EXECUTE_READWRITE } else { PAGE_READWRITE };
    if !is_writable && !protect(slot, opened) {
        return false;
    }
    // SAFETY: an aligned word that can be written now, and that everybody reads as a whole. ORDERING: relaxed: what a function
    // needs was there before.
    unsafe { AtomicUsize::from_ptr(slot).store(value, Ordering::Relaxed) };
    is_writable || protect(slot, area.Protect)
}

fn protect(slot: *mut usize, protection: u32) -> bool {
    let mut before = 0;
    // SAFETY: changes the page of a word of a module's, whose contents stay; and a place for the result.
    kept(|| unsafe { VirtualProtect(slot.cast(), size_of::<usize>(), protection, &mut before) != 0 })
}

/// Calls `f` with every module that is loaded.
pub fn for_each(mut f: impl FnMut(Module)) {
    let mut room = MODULES;
    while let Some(more) = for_each_within(room, &mut f) {
        room = more;
    }
}

/// The same if there are no more than so many; else how many there are.
fn for_each_within(room: usize, f: &mut impl FnMut(Module)) -> Option<usize> {
    let bytes = room * size_of::<HMODULE>();
    let start = mem::map(0, bytes, Access::ReadWrite).ok()?;
    let (modules, mut needed) = (start.cast::<HMODULE>(), 0);
    // SAFETY: this process, and places for the results.
    let done = kept(|| unsafe { K32EnumProcessModules(GetCurrentProcess(), modules, bytes as u32, &mut needed) });
    let count = if done == 0 { 0 } else { needed as usize / size_of::<HMODULE>() };
    if count <= room {
        // SAFETY: as many as were written.
        (0..count).for_each(|index| f(Module(unsafe { modules.add(index).read() }.expose_provenance())));
    }
    // SAFETY: what was mapped above; nobody else has it.
    let _ = unsafe { mem::unmap(start, bytes) };
    (count > room).then_some(count)
}

/// What the loader says of a module.
#[repr(C)]
struct Loaded {
    _flags: u32,
    _path: *const c_void,
    _name: *const c_void,
    base: *mut c_void,
    _bytes: u32,
}

const REASON_LOADED: u32 = 1;

type Notified = unsafe extern "system" fn(u32, *const Loaded, *mut c_void);
type Register = unsafe extern "system" fn(u32, Notified, *mut c_void, *mut *mut c_void) -> i32;

/// Has `f` called with each module that is loaded from now on, before its code runs, by a thread that has the loader's lock. It may call
/// nothing but what this file has. False if the system can't do that.
pub fn on_load(f: fn(Module)) -> bool {
    let register = Module::kept_by_name(c"ntdll.dll").and_then(|loader| loader.export(c"LdrRegisterDllNotification"));
    let Some(register) = register else { return false };
    let mut cookie = ptr::null_mut();
    // SAFETY: the function of that name has this type (Microsoft documents it), and nobody unregisters what is registered here.
    kept(|| unsafe {
        let register = core::mem::transmute::<*const (), Register>(ptr::with_exposed_provenance(register));
        register(0, notified, f as *mut c_void, &mut cookie) >= 0
    })
}

unsafe extern "system" fn notified(reason: u32, loaded: *const Loaded, f: *mut c_void) {
    if reason == REASON_LOADED {
        // SAFETY: what `on_load` has registered, and what the loader says for this reason.
        unsafe { core::mem::transmute::<*mut c_void, fn(Module)>(f)(Module((*loaded).base.expose_provenance())) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "system" fn other() -> u32 {
        77
    }

    fn own() -> Module {
        Module::around(own as *const () as usize).unwrap()
    }

    #[test]
    fn an_import_is_changed_and_changed_back() {
        let before = Module::kept_by_name(c"kernel32.dll").unwrap().export(c"GetCurrentProcessId").unwrap();
        let (mine, pid) = (other as *const () as usize, std::process::id());
        let swap = |from, to| move |value| (value == from).then_some(to);
        // SAFETY: both functions have this type.
        unsafe {
            assert_eq!(own().rebind(&swap(before, mine)), 1);
            assert_eq!(std::process::id(), 77);
            assert_eq!(own().rebind(&swap(before, mine)), 0);
            assert_eq!(own().rebind(&swap(mine, before)), 1);
        }
        assert_eq!(std::process::id(), pid);
    }

    #[test]
    fn modules_are_found_by_name_and_address_and_told_of() {
        let loader = Module::kept_by_name(c"ntdll.dll").unwrap();
        assert!(loader == Module::around(loader.export(c"LdrLoadDll").unwrap()).unwrap() && loader != own());
        assert!(Module::kept_by_name(c"no such.dll").is_none() && loader.export(c"no such function").is_none());
        let mut seen = std::vec::Vec::new();
        for_each(|module| seen.push(module));
        assert!(seen.contains(&loader) && seen.contains(&own()));
        let mut few = std::vec::Vec::new();
        assert_eq!(for_each_within(1, &mut |module| few.push(module)), Some(seen.len()));
        assert!(few.is_empty() && for_each_within(seen.len(), &mut |module| few.push(module)).is_none());
        assert!(few == seen);
    }

    #[test]
    fn modules_that_are_loaded_later_are_told_of_once() {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        assert!(on_load(|_| _ = COUNT.fetch_add(1, Ordering::Relaxed)));
        // Nothing that a program has by itself. SAFETY: a string; what the library does first, it does in any program.
        let load =
            || unsafe { windows_sys::Win32::System::LibraryLoader::LoadLibraryA(c"cabinet.dll".as_ptr().cast()) };
        assert!(!load().is_null());
        let first = COUNT.load(Ordering::Relaxed);
        assert!(first >= 1);
        assert!(!load().is_null());
        assert_eq!(COUNT.load(Ordering::Relaxed), first);
    }
}
