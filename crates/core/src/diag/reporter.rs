//! Decides what is said, and says it.
//!
//! Lines are counted and limited here. Settings and counts are single words read and written relaxed: a change may
//! be seen a line late, and no memory depends on them.

use super::hook::{ErrorFn, ErrorHook, OutputFn, OutputHook};
use super::kind::{Detail, ErrorKind, Severity};
use super::message::Message;
use super::reentrancy_guard::{Entry, ReentrancyGuard};
use crate::sync::{AtomicBool, AtomicI64, AtomicU8, AtomicUsize, Ordering::Relaxed};
use core::ffi::{CStr, c_void};
use ferrimalloc_prim::{output, process, thread};

/// How much is said, as the options of the same names have it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Print errors and warnings.
    pub show_errors: bool,
    /// From 1 on: print verbose lines, and errors and warnings without limits.
    pub verbose: i64,
    /// Print at most so many errors; negative: all.
    pub max_errors: i64,
    /// Print at most so many warnings; negative: all.
    pub max_warnings: i64,
}

impl Settings {
    /// Before any option is read: silence.
    pub const SILENT: Settings = Settings { show_errors: false, verbose: 0, max_errors: 32, max_warnings: 32 };
}

/// To whom a warning is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audience {
    /// Those who asked by an option.
    Asked,
    /// Everyone.
    Everyone,
}

/// Which errors end the process after they have been reported, when no error hook is registered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Fatal {
    /// None: errors are reported, no more.
    None,
    /// What the program has asked to be checked.
    Checked,
    /// Overwritten memory.
    Corruption,
    /// Whatever the program does wrong with memory.
    Misuse,
}

impl Fatal {
    fn holds(self, severity: Severity) -> bool {
        match self {
            Fatal::None => false,
            Fatal::Checked => severity >= Severity::Checked,
            Fatal::Corruption => severity >= Severity::Corruption,
            Fatal::Misuse => severity >= Severity::Misuse,
        }
    }

    fn from_raw(raw: u8) -> Fatal {
        [Fatal::Checked, Fatal::Corruption, Fatal::Misuse]
            .into_iter()
            .find(|&fatal| fatal as u8 == raw)
            .unwrap_or(Fatal::None)
    }
}

/// Everything that one process's messages need.
pub struct Reporter {
    show_errors: AtomicBool,
    verbose: AtomicI64,
    max_errors: AtomicI64,
    max_warnings: AtomicI64,
    fatal: AtomicU8,
    errors: AtomicUsize,
    warnings: AtomicUsize,
    output: OutputHook,
    error: ErrorHook,
    reentrancy_guard: ReentrancyGuard,
}

impl Reporter {
    /// Says nothing until it is configured. There are no hooks, and no error ends the process.
    pub const fn new() -> Self {
        let start = Settings::SILENT;
        Reporter {
            show_errors: AtomicBool::new(start.show_errors),
            verbose: AtomicI64::new(start.verbose),
            max_errors: AtomicI64::new(start.max_errors),
            max_warnings: AtomicI64::new(start.max_warnings),
            fatal: AtomicU8::new(Fatal::None as u8),
            errors: AtomicUsize::new(0),
            warnings: AtomicUsize::new(0),
            output: OutputHook::new(),
            error: ErrorHook::new(),
            reentrancy_guard: ReentrancyGuard::new(),
        }
    }

    /// Goes by these settings from now on. They are stored one by one: another thread may see old and new ones
    /// together.
    pub fn configure(&self, settings: Settings) {
        self.show_errors.store(settings.show_errors, Relaxed);
        self.verbose.store(settings.verbose, Relaxed);
        self.max_errors.store(settings.max_errors, Relaxed);
        self.max_warnings.store(settings.max_warnings, Relaxed);
    }

    /// Which errors end the process from now on, while no error hook is registered.
    pub fn end_process_on(&self, fatal: Fatal) {
        self.fatal.store(fatal as u8, Relaxed);
    }

    /// See [`super::register_output`].
    pub fn register_output(&self, fun: Option<OutputFn>, arg: *mut c_void) {
        self.output.set(fun, arg);
    }

    /// See [`super::register_error`].
    pub fn register_error(&self, fun: Option<ErrorFn>, arg: *mut c_void) {
        self.error.set(fun, arg);
    }

    /// How many errors were reported so far, shown or not.
    pub fn error_count(&self) -> usize {
        self.errors.load(Relaxed)
    }

    /// Counts the error and says it, if the settings have it so, or the program has asked for the check. Then the
    /// error hook is called or, if there is none, the process may end: never by such a check without a word. `more` says what
    /// belongs to the line.
    pub fn error(&self, kind: ErrorKind, pointer: *const u8, detail: Detail, more: &dyn Fn()) {
        let is_asked_for = kind.severity() >= Severity::Checked;
        let ends = is_asked_for && self.error.get().is_none() && self.is_fatal(kind);
        if self.shows(&self.errors, &self.max_errors, is_asked_for) || ends {
            self.say(error_line(kind, pointer, detail).as_c_str());
            more();
        }
        match self.error.get() {
            Some((hook, arg)) => self.guarded(|| hook(kind.code(), arg)),
            None => self.react(kind),
        }
    }

    /// Counts the error and says it, whatever the settings are; no hook is called, and nothing ends by it.
    pub fn fault(&self, kind: ErrorKind, pointer: *const u8, detail: Detail, more: &dyn Fn()) {
        if self.shows(&self.errors, &self.max_errors, true) {
            self.say(error_line(kind, pointer, detail).as_c_str());
            more();
        }
    }

    /// Counts a warning and says it, if the settings or the audience have it so; else `write` does not run.
    pub fn warning(&self, audience: Audience, write: impl FnOnce(&mut Message)) {
        let asked = self.shows(&self.warnings, &self.max_warnings, false);
        if asked || audience == Audience::Everyone {
            self.line("ferrimalloc: warning: ", write);
        }
    }

    /// Says a line if `verbose` is above 0; else `write` does not run, and this is one load.
    #[inline]
    pub fn verbose(&self, write: impl FnOnce(&mut Message)) {
        if self.verbose.load(Relaxed) > 0 {
            self.line("ferrimalloc: ", write);
        }
    }

    /// Sends a finished line to the output hook, or to standard error.
    pub fn say(&self, line: &CStr) {
        match self.reentrancy_guard.enter() {
            Entry::Entered(_pass) => self.deliver(line),
            Entry::Inside => (),
            Entry::Crowded => output::write_stderr(line.to_bytes()),
        }
    }

    /// Forgets, in the child of a `fork`, what threads of the parent had begun.
    pub fn after_fork(&self) {
        self.reentrancy_guard.clear();
        self.output.repair();
        self.error.repair();
    }

    fn deliver(&self, line: &CStr) {
        match self.output.get() {
            Some((hook, arg)) => hook(line.as_ptr(), arg),
            None => output::write_stderr(line.to_bytes()),
        }
    }

    /// Says a line that begins with `prefix`.
    #[cold]
    pub fn line(&self, prefix: &str, write: impl FnOnce(&mut Message)) {
        let mut line = Message::new();
        write(line.text(prefix));
        self.say(line.end_line().as_c_str());
    }

    fn guarded(&self, run: impl FnOnce()) {
        if let Entry::Entered(_pass) = self.reentrancy_guard.enter() {
            run();
        }
    }

    /// Counts one more in `count` and says whether it is to be printed; `is_asked_for`: whatever `show_errors` is.
    fn shows(&self, count: &AtomicUsize, limit: &AtomicI64, is_asked_for: bool) -> bool {
        let earlier = count.fetch_add(1, Relaxed);
        if self.verbose.load(Relaxed) > 0 {
            return true;
        }
        let limit = usize::try_from(limit.load(Relaxed)).unwrap_or(usize::MAX);
        (is_asked_for || self.show_errors.load(Relaxed)) && earlier < limit
    }

    fn is_fatal(&self, kind: ErrorKind) -> bool {
        Fatal::from_raw(self.fatal.load(Relaxed)).holds(kind.severity())
    }

    fn react(&self, kind: ErrorKind) {
        if self.is_fatal(kind) {
            process::abort();
        }
    }
}

fn error_line(kind: ErrorKind, pointer: *const u8, detail: Detail) -> Message {
    let mut line = Message::new();
    line.text("ferrimalloc: error: ");
    if !pointer.is_null() {
        line.address(pointer).text(": ");
    }
    line.text(kind.words());
    detail.write(&mut line);
    if kind.severity() > Severity::Contained {
        line.text(", by thread ").hex(thread::id());
    }
    line.end_line();
    line
}

#[cfg(test)]
mod tests {
    use super::super::kind::About;
    use super::*;
    use core::ptr;
    use std::format;
    use std::string::{String, ToString};
    use std::sync::Mutex;
    use std::vec::Vec;

    type Lines = Mutex<Vec<String>>;

    extern "C" fn keep_line(line: *const core::ffi::c_char, arg: *mut c_void) {
        // SAFETY: `listening` passes a `Lines` that outlives its reporter, and lines are C strings.
        let (lines, line) = unsafe { (&*arg.cast::<Lines>(), CStr::from_ptr(line)) };
        lines.lock().unwrap().push(line.to_str().unwrap().to_string());
    }

    extern "C" fn keep_code(code: i32, arg: *mut c_void) {
        // SAFETY: as in `keep_line`.
        let codes = unsafe { &*arg.cast::<Mutex<Vec<i32>>>() };
        codes.lock().unwrap().push(code);
    }

    fn listening(lines: &Lines, settings: Settings) -> Reporter {
        let reporter = Reporter::new();
        reporter.register_output(Some(keep_line), ptr::from_ref(lines).cast_mut().cast());
        reporter.configure(settings);
        reporter
    }

    fn showing() -> Settings {
        Settings { show_errors: true, ..Settings::SILENT }
    }

    fn complain(reporter: &Reporter) {
        reporter.error(ErrorKind::DoubleFree, ptr::without_provenance(0x1230), Detail::Bytes(16), &|| ());
    }

    #[test]
    fn an_error_names_the_pointer_and_the_reason() {
        let lines = Lines::default();
        complain(&listening(&lines, showing()));
        let thread = thread::id();
        let expected = format!(
            "ferrimalloc: error: 0x1230: double free: the block is free already, 16 bytes, by thread {thread:#x}\n"
        );
        assert_eq!(*lines.lock().unwrap(), [expected]);
    }

    #[test]
    fn an_error_about_a_block_names_size_offset_heap_and_owner() {
        let lines = Lines::default();
        let about = About {
            block: ptr::without_provenance(0x1200),
            bytes: 48,
            at: ptr::without_provenance(0x1230),
            heap: ptr::without_provenance(0x5000),
            owner: 0x7700,
        };
        listening(&lines, showing()).error(ErrorKind::InvalidFree, about.at, Detail::Block(about), &|| ());
        let line = lines.lock().unwrap().concat();
        assert!(
            line.contains(", block of 48 bytes at 0x1200, offset 48, heap 0x5000, owned by thread 0x7700, "),
            "{line}"
        );
    }

    #[test]
    fn silence_until_asked() {
        let lines = Lines::default();
        let reporter = listening(&lines, Settings::SILENT);
        complain(&reporter);
        reporter.warning(Audience::Asked, |line| _ = line.text("hidden"));
        reporter.verbose(|_| unreachable!("not built"));
        reporter.warning(Audience::Everyone, |line| _ = line.text("shown"));
        assert_eq!(*lines.lock().unwrap(), ["ferrimalloc: warning: shown\n"]);
        assert_eq!(reporter.error_count(), 1);
    }

    #[test]
    fn what_was_to_be_checked_is_shown_unasked_and_ends_the_process_before_all_else() {
        let lines = Lines::default();
        listening(&lines, Settings::SILENT).error(ErrorKind::CopyWritesBeyond, ptr::null(), Detail::Bytes(3), &|| ());
        assert!(lines.lock().unwrap().concat().contains("beyond the end of the block, 3 bytes"));
        let kinds = [ErrorKind::CopyWritesBeyond, ErrorKind::BlockOverflow, ErrorKind::DoubleFree];
        let ends = |fatal: Fatal| kinds.map(|kind| Fatal::from_raw(fatal as u8).holds(kind.severity()));
        assert_eq!(ends(Fatal::None), [false, false, false]);
        assert_eq!(ends(Fatal::Checked), [true, false, false]);
        assert_eq!(ends(Fatal::Corruption), [true, true, false]);
        assert_eq!(ends(Fatal::Misuse), [true, true, true]);
    }

    #[test]
    fn limits_hold_and_verbose_lifts_them() {
        let lines = Lines::default();
        let two = Settings { max_errors: 2, max_warnings: 1, ..showing() };
        let reporter = listening(&lines, two);
        (0..5).for_each(|_| complain(&reporter));
        (0..5).for_each(|_| reporter.warning(Audience::Asked, |line| _ = line.text("w")));
        assert_eq!(lines.lock().unwrap().len(), 3);
        reporter.configure(Settings { verbose: 1, show_errors: false, ..two });
        complain(&reporter);
        assert_eq!(lines.lock().unwrap().len(), 4);
        reporter.configure(Settings { max_errors: -1, ..showing() });
        complain(&reporter);
        assert_eq!(lines.lock().unwrap().len(), 5);
    }

    #[test]
    fn verbose_levels_are_ordered() {
        let lines = Lines::default();
        let reporter = listening(&lines, Settings { verbose: 1, ..Settings::SILENT });
        reporter.verbose(|line| _ = line.text("event"));
        assert_eq!(*lines.lock().unwrap(), ["ferrimalloc: event\n"]);
    }

    #[test]
    fn the_error_hook_gets_the_code_even_in_silence() {
        let codes = Mutex::new(Vec::<i32>::new());
        let reporter = Reporter::new();
        reporter.register_error(Some(keep_code), ptr::from_ref(&codes).cast_mut().cast());
        reporter.end_process_on(Fatal::Corruption);
        reporter.error(ErrorKind::CorruptFreeList, ptr::null(), Detail::Nothing, &|| ());
        reporter.error(ErrorKind::RequestTooLarge, ptr::null(), Detail::Nothing, &|| ());
        assert_eq!(*codes.lock().unwrap(), [14, 75]);
    }

    #[test]
    fn corruption_is_survived_where_the_policy_says_so() {
        let reporter = Reporter::new();
        reporter.error(ErrorKind::CorruptFreeList, ptr::null(), Detail::Nothing, &|| ());
        assert_eq!(reporter.error_count(), 1);
    }

    const ABORTS: &str = "FERRIMALLOC_TEST_ABORTS";

    /// Runs itself again in a process of its own, which dies of it.
    #[test]
    fn corruption_ends_the_process_where_the_policy_says_so() {
        if std::env::var(ABORTS).is_ok() {
            let reporter = Reporter::new();
            reporter.end_process_on(Fatal::Corruption);
            reporter.error(ErrorKind::InvalidFree, ptr::null(), Detail::Nothing, &|| ());
            assert_eq!(reporter.error_count(), 1, "misuse is survived");
            reporter.configure(showing());
            reporter.error(ErrorKind::CorruptMetadata, ptr::null(), Detail::Named("this test"), &|| ());
            return;
        }
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let test = "corruption_ends_the_process_where_the_policy_says_so";
        let end = again.args([test, "--nocapture"]).env(ABORTS, "1").output().unwrap();
        let said = String::from_utf8_lossy(&end.stderr).to_string();
        // Where there are no signals, the C library chooses a number.
        assert!(matches!(end.status.code(), None | Some(3)), "killed by a signal");
        assert!(said.contains("ferrimalloc: error: corrupted metadata of the allocator, in this test, by thread 0x"));
    }

    static RECURSING: Reporter = Reporter::new();

    extern "C" fn complains_itself(_: *const core::ffi::c_char, arg: *mut c_void) {
        // SAFETY: the test passes an atomic that outlives the registration.
        let calls = unsafe { &*arg.cast::<AtomicUsize>() };
        calls.fetch_add(1, Relaxed);
        complain(&RECURSING);
    }

    #[test]
    fn a_hook_that_errs_is_not_entered_again() {
        let calls = AtomicUsize::new(0);
        RECURSING.configure(showing());
        RECURSING.register_output(Some(complains_itself), ptr::from_ref(&calls).cast_mut().cast());
        complain(&RECURSING);
        RECURSING.register_output(None, ptr::null_mut());
        assert_eq!(calls.load(Relaxed), 1);
        assert_eq!(RECURSING.error_count(), 2);
    }
}
