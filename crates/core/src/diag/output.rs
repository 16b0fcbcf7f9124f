//! Where lines go.

use super::hook::OutputFn;
use core::ffi::{CStr, c_void};

/// Takes finished lines, one call per line, newline included.
pub trait Output {
    fn put(&mut self, line: &CStr);
}

impl<F: FnMut(&CStr)> Output for F {
    fn put(&mut self, line: &CStr) {
        self(line);
    }
}

/// A C function and its argument.
pub struct HookOutput {
    fun: OutputFn,
    arg: *mut c_void,
}

impl HookOutput {
    pub fn new(fun: OutputFn, arg: *mut c_void) -> Self {
        HookOutput { fun, arg }
    }
}

impl Output for HookOutput {
    fn put(&mut self, line: &CStr) {
        (self.fun)(line.as_ptr(), self.arg);
    }
}
