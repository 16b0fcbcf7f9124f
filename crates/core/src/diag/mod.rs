//! Floor 2: what the allocator has to say, and to whom.
//!
//! Errors (misuse, corruption, exhaustion), warnings, verbose lines and reports leave the library here and nowhere
//! else. It stands this low because every floor above may have to complain; it therefore knows nothing of options:
//! they push [`Settings`] down when they are read.
//!
//! Invariants
//! 1. A line is built on the stack: nothing here allocates, locks, or waits.
//! 2. An output or error hook is never entered again by the thread that runs it: what the hook itself causes to be
//!    said is dropped.
//! 3. A hook's function and argument are always used as the pair they were registered as.

mod hook;
mod kind;
mod message;
mod pair;
mod reentrancy_guard;
mod reporter;

pub use hook::{ErrorFn, Hook, HookOutput, Output, OutputFn};
pub use kind::{About, Detail, ErrorKind};
pub use message::Message;
pub use reporter::{Audience, Fatal, Reporter, Settings};

use core::ffi::{CStr, c_void};

/// The process's reporter.
static REPORTER: Reporter = Reporter::new();

/// Reports misuse, corruption or exhaustion: a line naming `pointer` and the reason (as far as the settings ask for
/// it), then the error hook, or in its absence the policy for corruption.
///
/// Safe to call from any thread and from signal handlers; does not allocate, unless a hook does.
#[cold]
#[inline(never)]
pub fn error(kind: ErrorKind, pointer: *const u8, detail: Detail) {
    REPORTER.error(kind, pointer, detail, &|| ());
}

/// The same; if a line is said, `more` is called behind it, which may [`say`] others.
#[cold]
#[inline(never)]
pub fn error_with(kind: ErrorKind, pointer: *const u8, detail: Detail, more: &dyn Fn()) {
    REPORTER.error(kind, pointer, detail, more);
}

/// Says, in a signal handler, why the process is about to end: the line of an error, and what `more` says. Nothing else is done: that
/// is the signal's business.
#[cold]
pub fn fault(kind: ErrorKind, pointer: *const u8, detail: Detail, more: &dyn Fn()) {
    REPORTER.fault(kind, pointer, detail, more);
}

/// Says a line that belongs to the one before.
#[cold]
pub fn say(write: impl FnOnce(&mut Message)) {
    REPORTER.line("", write);
}

/// Says something the user should know though the allocator goes on: `write` builds the line.
#[cold]
pub fn warning(write: impl FnOnce(&mut Message)) {
    REPORTER.warning(Audience::Asked, write);
}

/// A warning shown whatever the settings are, for mistakes in the very options that would show it.
#[cold]
pub fn warning_always(write: impl FnOnce(&mut Message)) {
    REPORTER.warning(Audience::Everyone, write);
}

/// Says what the allocator is doing, where option `verbose` asks for it; else `write` does not run.
#[inline]
pub fn verbose(write: impl FnOnce(&mut Message)) {
    REPORTER.verbose(write);
}

/// Sends lines to `fun(line, arg)` from now on; `None` brings standard error back. Any thread, any time: a line that
/// is under way may still go to the hook before.
pub fn register_output(fun: Option<OutputFn>, arg: *mut c_void) {
    REPORTER.register_output(fun, arg);
}

/// Calls `fun(code, arg)` on errors from now on, with one of EAGAIN, EFAULT, EINVAL, ENOMEM, EOVERFLOW, in place of
/// the default reaction; `None` brings that back.
pub fn register_error(fun: Option<ErrorFn>, arg: *mut c_void) {
    REPORTER.register_error(fun, arg);
}

/// Applies the options that govern what is said.
pub fn configure(settings: Settings) {
    REPORTER.configure(settings);
}

/// Which errors end the process when no error hook is registered.
pub fn end_process_on(fatal: Fatal) {
    REPORTER.end_process_on(fatal);
}

/// How many errors were reported so far, shown or not.
pub fn error_count() -> usize {
    REPORTER.error_count()
}

/// To be called in the child of a `fork`: forgets what other threads had begun.
pub fn after_fork() {
    REPORTER.after_fork();
}

/// The registered output hook, or standard error.
pub struct DefaultOutput;

impl Output for DefaultOutput {
    fn put(&mut self, line: &CStr) {
        REPORTER.say(line);
    }
}
