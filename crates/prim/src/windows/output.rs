//! Unbuffered output. A handle is a number of 32 bits, whatever its type ("Interprocess Communication Between 32-bit and 64-bit
//! Applications").

use super::last_error::kept;
use super::text;
use core::ffi::CStr;
use core::ptr;
use windows_sys::Win32::Foundation::{CloseHandle, GENERIC_WRITE, HANDLE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    CREATE_ALWAYS, CreateFileW, FILE_ATTRIBUTE_NORMAL, FILE_SHARE_READ, WriteFile,
};
use windows_sys::Win32::System::Console::{GetStdHandle, STD_ERROR_HANDLE};

pub(crate) fn write_stderr(bytes: &[u8]) {
    // SAFETY: takes and returns a number.
    kept(|| write_all(unsafe { GetStdHandle(STD_ERROR_HANDLE) }, bytes));
}

pub(crate) fn write(file: i32, bytes: &[u8]) {
    kept(|| write_all(file as isize as HANDLE, bytes));
}

/// In as many calls as it takes; gives up at the first error. Programs without a console have no handle.
fn write_all(file: HANDLE, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() && !file.is_null() {
        let (most, mut written) = (rest.len().min(1 << 20) as u32, 0);
        // SAFETY: reads from the slice only.
        let done = unsafe { WriteFile(file, rest.as_ptr(), most, &mut written, ptr::null_mut()) };
        if done == 0 || written == 0 {
            return;
        }
        rest = rest.get(written as usize..).unwrap_or(&[]);
    }
}

/// Makes or empties a file.
pub(crate) fn create(path: &CStr) -> Option<i32> {
    kept(|| {
        let path = text::wide_path(path)?;
        let (read, plain) = (FILE_SHARE_READ, FILE_ATTRIBUTE_NORMAL);
        // SAFETY: a path that ends with a zero, and numbers.
        let file = unsafe {
            CreateFileW(path.as_ptr(), GENERIC_WRITE, read, ptr::null(), CREATE_ALWAYS, plain, ptr::null_mut())
        };
        (file != INVALID_HANDLE_VALUE).then_some(file as isize as i32)
    })
}

pub(crate) fn close(file: i32) {
    // SAFETY: a handle that `create` returned, and nobody uses any more.
    kept(|| unsafe { CloseHandle(file as isize as HANDLE) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_what_was_written() {
        let path = std::env::temp_dir().join(std::format!("ferrimalloc-{}.txt", std::process::id()));
        let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
        let file = create(&name).unwrap();
        let bytes: std::vec::Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        write(file, &bytes);
        close(file);
        assert!(std::fs::read(&path).unwrap() == bytes);
        std::fs::remove_file(path).unwrap();
        assert!(create(c"").is_none());
        write(file, b"nobody hears this");
    }
}
