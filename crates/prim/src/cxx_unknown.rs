//! Where nothing is known of C++'s runtime: there is no new-handler to ask for memory, and nobody throws. The same names as in
//! `cxx.rs`.

/// Defines `$name(size, align)`, for when a first attempt to allocate has failed: it answers what `$give_up()` does.
#[macro_export]
macro_rules! cxx_new_loop {
    ($name:ident, $symbol:literal, attempt = $attempt:path, throw = $throw:path, give_up = $give_up:path) => {
        unsafe extern "C" fn $name(_size: usize, _align: usize) -> *mut u8 {
            let _: (extern "C" fn(usize, usize) -> *mut u8, usize) = ($attempt, $throw);
            $give_up()
        }
    };
}

/// There is no such function.
pub const THROW_BAD_ALLOC: usize = 0;
/// Nor this.
pub const THROW_NOTHING: usize = 0;

/// A function like `operator new`: of a size and an alignment, or only one of them.
pub type Allocate = unsafe extern "C" fn(size: usize, align: usize) -> *mut u8;

/// `allocate(size, align)`, which throws nothing.
///
/// # Safety
/// The contract of `allocate`.
pub unsafe fn null_for_exceptions(size: usize, align: usize, allocate: Allocate) -> *mut u8 {
    // SAFETY: the caller's promise.
    unsafe { allocate(size, align) }
}

/// There is none.
pub fn new_handler() -> Option<unsafe extern "C" fn()> {
    None
}
