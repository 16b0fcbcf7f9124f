//! The functions of the same names in the libraries behind this one. Until they have been found, others do their work.

use core::ffi::{CStr, c_char};
use core::mem::transmute;
use core::sync::atomic::{AtomicUsize, Ordering};
use ferrimalloc_prim::{interpose, process};

/// A function behind, 0 until it is found, and its name; in this order, as `libferrimalloc` takes it. (Not a pointer
/// to what does until then: the dynamic linker would have to fill that in first.)
#[repr(C)]
pub struct Next {
    address: AtomicUsize,
    name: *const c_char,
}

// SAFETY: the name is a constant.
unsafe impl Sync for Next {}

impl Next {
    const fn new(name: &'static CStr) -> Next {
        Next { address: AtomicUsize::new(0), name: name.as_ptr() }
    }

    fn name(&self) -> &'static CStr {
        // SAFETY: from `new`.
        unsafe { CStr::from_ptr(self.name) }
    }

    fn find(&self) {
        self.address.store(interpose::next(self.name()), Ordering::Relaxed);
    }

    #[inline(always)]
    fn get(&self) -> usize {
        self.address.load(Ordering::Relaxed)
    }
}

pub static MEMCPY: Next = Next::new(c"memcpy");
pub static MEMMOVE: Next = Next::new(c"memmove");
pub static MEMSET: Next = Next::new(c"memset");
static STRLEN: Next = Next::new(c"strlen");
static STRNLEN: Next = Next::new(c"strnlen");
static CHK_FAIL: Next = Next::new(c"__chk_fail");

/// Finds all of them.
pub fn find() {
    [&MEMCPY, &MEMMOVE, &MEMSET, &STRLEN, &STRNLEN, &CHK_FAIL].into_iter().for_each(Next::find);
}

/// Has the library that contains an address call the functions behind instead of this library's; false if that can't
/// be.
pub fn spare(address: usize) -> bool {
    let functions = [&MEMCPY, &MEMMOVE, &MEMSET].map(|next| (next.name(), next.get()));
    functions.iter().all(|(_, function)| *function != 0) && interpose::rebind(address, &functions)
}

type Copy = unsafe extern "C" fn(*mut u8, *const u8, usize) -> *mut u8;

/// # Safety
/// As for C's `memcpy`.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the precondition; the function is the C library's.
    unsafe { copy_by(&MEMCPY, to, from, bytes) }
}

/// Copies by `memcpy` or `memmove`.
///
/// # Safety
/// The contract of that function.
#[inline(always)]
pub unsafe fn copy_by(function: &Next, to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the precondition; the function is the C library's.
    unsafe {
        match function.get() {
            0 => {
                interpose::copy(to, from, bytes);
                to
            }
            function => transmute::<usize, Copy>(function)(to, from, bytes),
        }
    }
}

/// # Safety
/// As for C's `memset`.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, byte: i32, bytes: usize) -> *mut u8 {
    type Fill = unsafe extern "C" fn(*mut u8, i32, usize) -> *mut u8;
    // SAFETY: the precondition; the function is the C library's.
    unsafe {
        match MEMSET.get() {
            0 => interpose::fill(to, byte as u8, bytes),
            function => _ = transmute::<usize, Fill>(function)(to, byte, bytes),
        }
    }
    to
}

/// How many bytes there are before the first zero, at most `limit`.
///
/// # Safety
/// As for C's `strnlen`.
pub unsafe fn length(text: *const u8, limit: usize) -> usize {
    type Whole = unsafe extern "C" fn(*const u8) -> usize;
    type Limited = unsafe extern "C" fn(*const u8, usize) -> usize;
    // SAFETY: as above.
    unsafe {
        match (STRLEN.get(), STRNLEN.get()) {
            (0, _) | (_, 0) => interpose::length(text, limit),
            (function, _) if limit == usize::MAX => transmute::<usize, Whole>(function)(text),
            (_, function) => transmute::<usize, Limited>(function)(text, limit),
        }
    }
}

/// Ends the process as a fortified function does that is called for more than its destination has.
#[cold]
pub fn fail() -> ! {
    // SAFETY: the C library's, which doesn't return.
    unsafe {
        match CHK_FAIL.get() {
            0 => process::abort(),
            function => transmute::<usize, unsafe extern "C" fn() -> !>(function)(),
        }
    }
}
