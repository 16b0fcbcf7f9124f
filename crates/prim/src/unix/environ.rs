//! Where the C library keeps the environment: a null-terminated array of `name=value`.

use core::ffi::{CStr, c_char};

/// Its entries, `name=value`; `None` as long as it can't be read.
pub(crate) fn entries() -> Option<Entries> {
    let array = array();
    (!array.is_null()).then_some(Entries(array))
}

/// By the variable that POSIX names.
#[cfg(not(target_vendor = "apple"))]
fn array() -> *const *const c_char {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    // SAFETY: reads a variable of the C library; who calls this accepts that nobody may change the environment meanwhile.
    unsafe { (&raw const environ).read_volatile() }
}

/// By Apple's function.
#[cfg(target_vendor = "apple")]
fn array() -> *const *const c_char {
    // SAFETY: returns the address of the variable, which always exists.
    unsafe { (*libc::_NSGetEnviron()).cast() }
}

/// Walks over an array of C strings that ends with a null pointer. The array itself may be null: nothing in it.
pub(crate) struct Entries(*const *const c_char);

impl Iterator for Entries {
    type Item = &'static [u8];

    fn next(&mut self) -> Option<&'static [u8]> {
        // SAFETY: null, or at an element of a null-terminated array: we never step over the null pointer.
        let entry = *unsafe { self.0.as_ref() }?;
        if entry.is_null() {
            return None;
        }
        // SAFETY: as before; this element is not the terminating one.
        self.0 = unsafe { self.0.add(1) };
        // SAFETY: an entry of the environment is a C string; it lives as long as nobody changes the environment.
        Some(unsafe { CStr::from_ptr(entry) }.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_ends_at_its_null_pointer() {
        let array = [c"ab=1".as_ptr(), c"".as_ptr(), c"odd".as_ptr(), core::ptr::null(), c"no=1".as_ptr()];
        assert!(Entries(array.as_ptr()).eq([&b"ab=1"[..], b"", b"odd"]));
        assert!(Entries(core::ptr::null()).next().is_none());
        assert!(entries().is_some_and(|mut entries| entries.next().is_some()));
    }
}
