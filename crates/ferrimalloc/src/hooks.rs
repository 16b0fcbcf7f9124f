//! Functions of the program that the allocator calls.
//!
//! Hooks are plain functions: they have no state but what is in statics. A panic in a hook ends the process.

use core::ffi::{CStr, c_char, c_ulonglong, c_void};
use core::mem;
use core::ptr;

use ferrimalloc_core::alloc;
use ferrimalloc_core::base::Force;
use ferrimalloc_core::diag;
use ferrimalloc_core::heap::Heap;
use ferrimalloc_core::runtime;

/// Frees what the program has put off, and is told how urgent that is and how many slow paths its thread has taken so
/// far.
pub type DeferredFree = fn(force: Force, heartbeat: u64);

/// Takes a line of text, newline included.
pub type Output = fn(line: &CStr);

/// A [limit](crate::limit) refuses memory for so many bytes. Answers whether another attempt is worth it.
pub type Limit = fn(limited: Limited, bytes: usize) -> bool;

/// Whose limit has been reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limited {
    /// The process's.
    Process,
    /// The heap's of this [id](crate::HeapRef::id).
    Heap(usize),
}

/// Takes an error.
pub type Error = fn(error: ErrorCode);

/// What went wrong, by the numbers that mimalloc gives to its error hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `EAGAIN`: a block was freed twice.
    DoubleFree,
    /// `EFAULT`: free memory or metadata was overwritten.
    Corruption,
    /// `EINVAL`: an address that is no block, or another argument that makes no sense.
    Invalid,
    /// `ENOMEM`: no memory.
    OutOfMemory,
    /// `EOVERFLOW`: a request larger than any can be.
    TooLarge,
    /// Another number.
    Other(i32),
}

impl From<i32> for ErrorCode {
    fn from(code: i32) -> ErrorCode {
        match code {
            11 => ErrorCode::DoubleFree,
            12 => ErrorCode::OutOfMemory,
            14 => ErrorCode::Corruption,
            22 => ErrorCode::Invalid,
            75 => ErrorCode::TooLarge,
            other => ErrorCode::Other(other),
        }
    }
}

/// Calls `hook` now and then, from inside allocations of any thread; `None` ends that.
///
/// The hook may allocate and free. A thread that is in the hook does not enter it again.
///
/// ```
/// use ferrimalloc::{Force, MiMalloc, hooks};
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// #[global_allocator]
/// static GLOBAL: MiMalloc = MiMalloc;
/// static CALLS: AtomicUsize = AtomicUsize::new(0);
///
/// hooks::on_deferred_free(Some(|_force, _heartbeat| {
///     CALLS.fetch_add(1, Ordering::Relaxed);
/// }));
/// MiMalloc.collect(Force::All);
/// hooks::on_deferred_free(None);
/// assert!(CALLS.load(Ordering::Relaxed) >= 1);
/// ```
#[doc(alias = "mi_register_deferred_free")]
pub fn on_deferred_free(hook: Option<DeferredFree>) {
    let arg = hook.map_or(ptr::null_mut(), |hook| hook as *mut c_void);
    alloc::register_deferred_free(hook.map(|_| call_deferred_free as alloc::DeferredFreeFn), arg);
}

unsafe extern "C" fn call_deferred_free(force: bool, heartbeat: c_ulonglong, arg: *mut c_void) {
    // SAFETY: the core keeps function and argument together, and `on_deferred_free` made the argument of a hook.
    let hook = unsafe { mem::transmute::<*mut c_void, DeferredFree>(arg) };
    hook(if force { Force::All } else { Force::Routine }, heartbeat);
}

/// Sends what the allocator has to say to `hook`; `None`: to standard error. The hook should not allocate.
#[doc(alias = "mi_register_output")]
pub fn on_output(hook: Option<Output>) {
    let arg = hook.map_or(ptr::null_mut(), |hook| hook as *mut c_void);
    diag::register_output(hook.map(|_| call_output as diag::OutputFn), arg);
}

extern "C" fn call_output(line: *const c_char, arg: *mut c_void) {
    // SAFETY: as in `call_deferred_free`; the core passes a C string.
    let (hook, line) = unsafe { (mem::transmute::<*mut c_void, Output>(arg), CStr::from_ptr(line)) };
    hook(line);
}

/// Calls `hook` when a limit refuses memory, after all that the thread keeps without need has been given back; `None` ends that.
/// If it answers true the request is tried again, 8 times at most; else it fails.
///
/// The hook may allocate and free, and raise the limit. A thread that is in the hook does not enter it again.
///
/// ```
/// use ferrimalloc::hooks::{self, Limited};
/// use ferrimalloc::{MiMalloc, limit};
///
/// #[global_allocator]
/// static GLOBAL: MiMalloc = MiMalloc;
///
/// limit::set(Some(limit::charged_bytes() + (1 << 20)));
/// hooks::on_limit(Some(|limited, bytes| {
///     assert_eq!(limited, Limited::Process);
///     limit::set(limit::get().map(|limit| limit + 2 * bytes));
///     true
/// }));
/// let large = vec![1_u8; 10 << 20];
/// hooks::on_limit(None);
/// limit::set(None);
/// assert_eq!(large[9 << 20], 1);
/// ```
#[doc(alias = "mi_register_limit")]
pub fn on_limit(hook: Option<Limit>) {
    let arg = hook.map_or(ptr::null_mut(), |hook| hook as *mut c_void);
    runtime::register_limit_hook(hook.map(|_| call_limit as runtime::LimitFn), arg);
}

unsafe extern "C" fn call_limit(heap: *mut Heap, bytes: usize, arg: *mut c_void) -> bool {
    // SAFETY: as in `call_deferred_free`; the core passes null or a heap in which this thread allocates.
    let (hook, heap) = unsafe { (mem::transmute::<*mut c_void, Limit>(arg), heap.as_ref()) };
    hook(heap.map_or(Limited::Process, |heap| Limited::Heap(heap.id())), bytes)
}

/// Calls `hook` on errors; `None` ends that. The hook should not allocate.
///
/// ```
/// use ferrimalloc::hooks::{self, ErrorCode};
/// use std::alloc::{GlobalAlloc, Layout};
///
/// hooks::on_error(Some(|error| assert_eq!(error, ErrorCode::OutOfMemory)));
/// let all = Layout::from_size_align(isize::MAX as usize, 1).unwrap();
/// // SAFETY: the layout is not empty.
/// assert!(unsafe { ferrimalloc::MiMalloc.alloc(all) }.is_null());
/// hooks::on_error(None);
/// ```
#[doc(alias = "mi_register_error")]
pub fn on_error(hook: Option<Error>) {
    let arg = hook.map_or(ptr::null_mut(), |hook| hook as *mut c_void);
    diag::register_error(hook.map(|_| call_error as diag::ErrorFn), arg);
}

extern "C" fn call_error(code: i32, arg: *mut c_void) {
    // SAFETY: as in `call_deferred_free`.
    let hook = unsafe { mem::transmute::<*mut c_void, Error>(arg) };
    hook(ErrorCode::from(code));
}
