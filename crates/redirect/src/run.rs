//! `ferrimalloc-run PROGRAM ARGUMENTS`: starts a program that has `ferrimalloc_redirect.dll` loaded before anything of its own has run.
//!
//! The program is made with its only thread suspended. Another thread is made in it whose function is `LoadLibraryW`: system libraries are at the
//! same addresses in all processes. That thread is the first to run, so the loader initialises the process by it, with the
//! libraries that the program asks for, before it loads ours. Then the program's own thread goes on. What those libraries allocate as
//! they are initialised is their runtime's.
//!
//! It needs nothing but `kernel32.dll`, and no memory but its stack. The library is looked for in its own folder.
#![no_std]
#![no_main]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::zeroed;
use core::ptr;
use windows_sys::Win32::Foundation::{FALSE, GetLastError, HANDLE, HMODULE, TRUE};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE, SetConsoleCtrlHandler};
use windows_sys::Win32::System::Diagnostics::Debug::WriteProcessMemory;
use windows_sys::Win32::System::Environment::GetCommandLineW;
use windows_sys::Win32::System::LibraryLoader::{GetModuleFileNameW, GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_READWRITE, VirtualAlloc, VirtualAllocEx, VirtualFree,
};
use windows_sys::Win32::System::ProcessStatus::{K32EnumProcessModules, K32GetModuleBaseNameW};
use windows_sys::Win32::System::Threading::{
    CREATE_SUSPENDED, CreateProcessW, CreateRemoteThread, ExitProcess, GetCurrentProcess, GetExitCodeProcess,
    GetExitCodeThread, INFINITE, IsWow64Process, PROCESS_INFORMATION, ResumeThread, STARTUPINFOW, TerminateProcess,
    WaitForSingleObject,
};

const LIBRARY: &str = "ferrimalloc_redirect.dll";
/// Longer than any path that `LoadLibraryW` takes without a prefix, and than most with one.
const PATH_UNITS: usize = 4096;
/// For how many modules of a process there is room at first.
const MODULES: u32 = 1024;
/// What shells answer when a program can't be started.
const NOT_STARTED: u32 = 126;

/// What can't be done, and the system's number of why; 0 if it has none.
struct Failure(&'static CStr, u32);

type Done<T> = Result<T, Failure>;

/// The one that the system has just noted.
fn failure(what: &'static CStr) -> Failure {
    // SAFETY: takes nothing.
    Failure(what, unsafe { GetLastError() })
}

#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    let code = run().unwrap_or_else(|failure| {
        say(&failure);
        NOT_STARTED
    });
    code as c_int
}

fn run() -> Done<u32> {
    // SAFETY: the system's copy of the command line, a wide string that the program may write to, as `CreateProcessW` does.
    let command = unsafe { behind_first_word(GetCommandLineW().cast_mut()) };
    // SAFETY: as above.
    if unsafe { command.read() } == 0 {
        return Err(Failure(c"usage: ferrimalloc-run PROGRAM ARGUMENTS", 0));
    }
    let mut path = [0; PATH_UNITS];
    let bytes = library(&mut path)?;
    // SAFETY: the function has the type that is asked for. What is typed at the console is the program's affair.
    unsafe { SetConsoleCtrlHandler(Some(ignore), TRUE) };
    let program = Program::suspended(command)?;
    match program.load(&path, bytes) {
        Ok(()) => program.finish(),
        Err(failure) => {
            program.end();
            Err(failure)
        }
    }
}

unsafe extern "system" fn ignore(_event: u32) -> i32 {
    TRUE
}

/// The rest of a command line as it was written, quotes and all. The first word is a path, without quotes inside.
///
/// # Safety
/// A wide string.
unsafe fn behind_first_word(mut line: *mut u16) -> *mut u16 {
    let mut is_quoted = false;
    // SAFETY: the precondition: the string has its end.
    unsafe {
        while *line != 0 && (is_quoted || !is_blank(*line)) {
            is_quoted ^= *line == u16::from(b'"');
            line = line.add(1);
        }
        while is_blank(*line) {
            line = line.add(1);
        }
    }
    line
}

fn is_blank(unit: u16) -> bool {
    unit == u16::from(b' ') || unit == u16::from(b'\t')
}

/// Writes the path of the library that lies beside this program. Answers how many bytes it has, with the zero at its end.
fn library(path: &mut [u16; PATH_UNITS]) -> Done<usize> {
    // SAFETY: this program's file, and a place of that size for the result.
    let length = unsafe { GetModuleFileNameW(ptr::null_mut(), path.as_mut_ptr(), PATH_UNITS as u32) } as usize;
    let folder = path[..length].iter().rposition(|&unit| unit == u16::from(b'\\')).map_or(0, |at| at + 1);
    let end = folder + LIBRARY.len();
    if length == 0 || end >= PATH_UNITS {
        return Err(Failure(c"this program's path is too long", 0));
    }
    path[folder..end].iter_mut().zip(LIBRARY.bytes()).for_each(|(unit, byte)| *unit = byte.into());
    path[end] = 0;
    Ok((end + 1) * size_of::<u16>())
}

struct Program {
    process: HANDLE,
    thread: HANDLE,
}

impl Program {
    /// As the command says, without anything having run.
    fn suspended(command: *mut u16) -> Done<Program> {
        // SAFETY: integers and pointers only: all zero is a value, and stands for what is usual.
        let (mut start, mut made): (STARTUPINFOW, PROCESS_INFORMATION) = unsafe { (zeroed(), zeroed()) };
        start.cb = size_of_val(&start) as u32;
        let none = ptr::null();
        // SAFETY: a wide string that may be written to, and places for the results.
        let done = unsafe {
            let null = ptr::null_mut();
            CreateProcessW(null, command, none, none, TRUE, CREATE_SUSPENDED, none.cast(), null, &start, &mut made)
        };
        if done == 0 {
            return Err(failure(c"the program cannot be started"));
        }
        let program = Program { process: made.hProcess, thread: made.hThread };
        // SAFETY: takes nothing.
        if is_narrow(program.process) != is_narrow(unsafe { GetCurrentProcess() }) {
            program.end();
            return Err(Failure(c"the program has addresses of another size than this one", 0));
        }
        Ok(program)
    }

    /// Loads a library into it.
    fn load(&self, path: &[u16], bytes: usize) -> Done<()> {
        // SAFETY: the process is ours; what is written fits, and nobody else knows the place.
        unsafe {
            let place = VirtualAllocEx(self.process, ptr::null(), bytes, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
            if place.is_null()
                || WriteProcessMemory(self.process, place, path.as_ptr().cast(), bytes, ptr::null_mut()) == 0
            {
                return Err(failure(c"the program's memory cannot be written"));
            }
            self.call_loader(place)
        }
    }

    /// # Safety
    /// `path` is that of a library, in the process's memory.
    unsafe fn call_loader(&self, path: *mut c_void) -> Done<()> {
        // SAFETY: the precondition. The function takes one pointer and answers a number, as a thread's does, or half of one.
        unsafe {
            let load =
                GetProcAddress(GetModuleHandleA(c"kernel32.dll".as_ptr().cast()), c"LoadLibraryW".as_ptr().cast());
            let load = core::mem::transmute::<
                Option<unsafe extern "system" fn() -> isize>,
                Option<unsafe extern "system" fn(*mut c_void) -> u32>,
            >(load);
            let thread = CreateRemoteThread(self.process, ptr::null(), 0, load, path, 0, ptr::null_mut());
            if thread.is_null() {
                return Err(failure(c"no thread can be made in the program"));
            }
            WaitForSingleObject(thread, INFINITE);
            // The lower half of the library's address, which may be 0.
            let mut loaded = 0;
            GetExitCodeThread(thread, &mut loaded);
            if loaded == 0 && !self.has_library_at_whole_4_gib() {
                return Err(Failure(
                    c"the program cannot load ferrimalloc_redirect.dll, which has to lie beside this one",
                    0,
                ));
            }
        }
        Ok(())
    }

    /// Whether a module with the library's name lies at such an address.
    fn has_library_at_whole_4_gib(&self) -> bool {
        let mut room = MODULES;
        loop {
            match self.has_library_among(room) {
                Ok(has) => return has,
                Err(more) => room = more,
            }
        }
    }

    /// The same if there are no more modules than so many; else how many there are.
    fn has_library_among(&self, room: u32) -> Result<bool, u32> {
        let bytes = room * size_of::<HMODULE>() as u32;
        let mut needed = 0;
        // SAFETY: memory of our own, and places for the results in it, which are read as far as they were written.
        unsafe {
            let start = VirtualAlloc(ptr::null(), bytes as usize, MEM_COMMIT | MEM_RESERVE, PAGE_READWRITE);
            let modules = start.cast::<HMODULE>();
            if start.is_null() || K32EnumProcessModules(self.process, modules, bytes, &mut needed) == 0 {
                return Ok(false);
            }
            let count = needed / size_of::<HMODULE>() as u32;
            let found = count <= room && (0..count as usize).any(|index| self.is_library(modules.add(index).read()));
            VirtualFree(start, 0, MEM_RELEASE);
            if count <= room { Ok(found) } else { Err(count) }
        }
    }

    fn is_library(&self, module: HMODULE) -> bool {
        let mut name = [0; LIBRARY.len() + 1];
        // SAFETY: a module of the process's, and a place of that size for the result.
        let length = unsafe { K32GetModuleBaseNameW(self.process, module, name.as_mut_ptr(), name.len() as u32) };
        let is_same = |(unit, byte): (&u16, u8)| u8::try_from(*unit).is_ok_and(|unit| unit.eq_ignore_ascii_case(&byte));
        module.addr() as u32 == 0 && length as usize == LIBRARY.len() && name.iter().zip(LIBRARY.bytes()).all(is_same)
    }

    /// Lets it run, and answers what it does at its end.
    fn finish(&self) -> Done<u32> {
        let mut code = 0;
        // SAFETY: the process and its thread, and a place for the result.
        unsafe {
            if ResumeThread(self.thread) == u32::MAX {
                return Err(failure(c"the program cannot go on"));
            }
            WaitForSingleObject(self.process, INFINITE);
            GetExitCodeProcess(self.process, &mut code);
        }
        Ok(code)
    }

    fn end(&self) {
        // SAFETY: the process, which is ours.
        unsafe { TerminateProcess(self.process, NOT_STARTED) };
    }
}

/// Whether it is a process of 32 bits on a system of 64.
fn is_narrow(process: HANDLE) -> bool {
    let mut is = FALSE;
    // SAFETY: a process, and a place for the result.
    unsafe { IsWow64Process(process, &mut is) };
    is != FALSE
}

fn say(failure: &Failure) {
    write(b"ferrimalloc-run: ");
    write(failure.0.to_bytes());
    if failure.1 != 0 {
        write(b": error ");
        write_number(failure.1);
    }
    write(b"\r\n");
}

fn write_number(number: u32) {
    if number >= 10 {
        write_number(number / 10);
    }
    write(&[b'0' + (number % 10) as u8]);
}

fn write(text: &[u8]) {
    // SAFETY: a text of that length; a failure is nobody's affair.
    unsafe {
        WriteFile(GetStdHandle(STD_ERROR_HANDLE), text.as_ptr(), text.len() as u32, &mut 0, ptr::null_mut());
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends this process.
    unsafe { ExitProcess(NOT_STARTED) }
}
