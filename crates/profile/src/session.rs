//! The built-in profiler: it runs from [`start`] to [`stop`], and writes numbered files: when it is asked to, at intervals, and at the
//! process's end.
//!
//! The environment starts it when we are loaded. `MIMALLOC_PROFILE=name` writes `name.0001.pb`, `name.0002.pb`, …; an extension
//! chooses another format. The options `profile_*` tell how often, and at which rate. `MALLOC_CONF=prof:true` does so, too, in
//! jemalloc's words. `MIMALLOC_PROFILE_LEAKS=1` lists at the end what is still in use.
//!
//! What is written at intervals is written by the thread whose allocation came across it. That may be anywhere, so nothing
//! here waits: while one thread writes, others go on. In the child of a fork, file names get the process's number.

use core::ffi::CStr;

use ferrimalloc_core::options::{self, OptionId};
use ferrimalloc_core::profile::{self, Amounts};
use ferrimalloc_core::runtime;
use ferrimalloc_core::sync::{AtomicBool, Lock, Ordering, pin};
use ferrimalloc_prim::output::NewFile;
use ferrimalloc_prim::{clock, env, process};

use crate::output::Output;
use crate::stacks::Measure;
use crate::{collapsed, heap_v2, leaks, pprof};

ferrimalloc_prim::at_load!(at_load);

const NAME_BYTES: usize = 1024;
/// What is put behind a name: two numbers and an extension.
const SUFFIX_BYTES: usize = 48;

/// How a profile is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// pprof's protobuf, `.pb`.
    Pprof,
    /// Text for pprof and jeprof, `.heap`.
    HeapV2,
    /// A line per stack, for flame graphs, `.folded`.
    Collapsed,
}

impl Format {
    /// Extensions that choose a format; the first of each is what its files get.
    const EXTENSIONS: [(&'static [u8], Format); 5] = [
        (b".pb", Format::Pprof),
        (b".heap", Format::HeapV2),
        (b".folded", Format::Collapsed),
        (b".text", Format::HeapV2),
        (b".collapsed", Format::Collapsed),
    ];

    /// The format that a name asks for, and the name without.
    fn of_name(name: &[u8]) -> (Format, &[u8]) {
        let chosen = |&(extension, format)| Some((format, name.strip_suffix(extension)?));
        Self::EXTENSIONS.iter().find_map(chosen).unwrap_or((Format::Pprof, name))
    }

    fn extension(self) -> &'static [u8] {
        Self::EXTENSIONS.iter().find(|(_, format)| *format == self).map_or(b"", |(extension, _)| extension)
    }

    fn write(self, out: &mut dyn Output, rate_bytes: usize) {
        match self {
            Format::Pprof => pprof(out, rate_bytes),
            Format::HeapV2 => heap_v2(out, rate_bytes),
            Format::Collapsed => collapsed(out, Measure::InUse),
        }
    }
}

/// When a file is written without being asked for; 0: never.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Intervals {
    /// Each time so many bytes more have been allocated.
    pub allocated_bytes: u64,
    /// Each time so many bytes more are in use.
    pub in_use_bytes: u64,
    /// After so many seconds.
    pub seconds: u64,
}

impl Intervals {
    fn of_options() -> Intervals {
        Intervals {
            allocated_bytes: options::get_size(OptionId::ProfileAllocInterval) as u64,
            in_use_bytes: options::get_size(OptionId::ProfileInuseInterval) as u64,
            seconds: options::get(OptionId::ProfileTimeInterval).clamp(0, 24 * 3600) as u64,
        }
    }

    fn are_any(self) -> bool {
        self != Intervals::default()
    }
}

/// What a session is to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings<'n> {
    /// Files are named after it; its extension chooses the format. Without a name there are none.
    pub name: Option<&'n [u8]>,
    /// Mean bytes from one sample to the next; 0: as the option `profile_sample_rate` says.
    pub rate_bytes: usize,
    /// When files are written without being asked for.
    pub intervals: Intervals,
}

struct Session {
    name: [u8; NAME_BYTES],
    length: usize,
    format: Format,
    rate_bytes: usize,
    written: u64,
    process: u32,
    intervals: Intervals,
    next: Intervals,
}

static SESSION: Lock<Session> = Lock::new(Session {
    name: [0; NAME_BYTES],
    length: 0,
    format: Format::Pprof,
    rate_bytes: 0,
    written: 0,
    process: 0,
    intervals: Intervals { allocated_bytes: 0, in_use_bytes: 0, seconds: 0 },
    next: Intervals { allocated_bytes: 0, in_use_bytes: 0, seconds: 0 },
});
static LISTS_LEAKS: AtomicBool = AtomicBool::new(false);

/// Starts the profiler, or goes on with other settings. False, and nothing has happened, if the name is too long. This thread
/// follows at once; others when they next see to their theaps, which is after some 64 of their free lists are used up.
pub fn start(settings: &Settings<'_>) -> bool {
    let rate_bytes = if settings.rate_bytes > 0 { settings.rate_bytes } else { rate_of_options() };
    profile::in_child(after_fork);
    {
        let mut session = SESSION.lock();
        if !session.take_name(settings.name.unwrap_or(b"")) {
            return false;
        }
        session.rate_bytes = rate_bytes;
        session.process = process::id();
        session.intervals = settings.intervals;
        let (allocated, in_use) = profile::totals();
        session.set_next(allocated, in_use);
    }
    profile::watch(settings.intervals.are_any().then_some(watch as profile::Watcher));
    profile::at_end(end);
    runtime::profile_at(rate_bytes);
    true
}

/// Stops sampling. What has been found stays, and can still be written. Answers whether the profiler ran.
pub fn stop() -> bool {
    profile::watch(None);
    runtime::profile_at(0) > 0
}

/// Whether samples are taken.
pub fn is_running() -> bool {
    profile::rate() > 0
}

/// Writes the next file; false if there is no name for it, it can't be made, or another thread is writing one.
pub fn snapshot() -> bool {
    SESSION.try_lock().is_some_and(|mut session| session.write())
}

/// In the child of a fork: another thread may have been starting a session, or writing a file, which takes long.
fn after_fork() {
    // SAFETY: there is no other thread. What a thread that is gone was changing is sound at any moment: numbers, and a name that it
    // had made empty before (`take_name`).
    unsafe { SESSION.reinit() };
}

fn rate_of_options() -> usize {
    match options::get_size(OptionId::ProfileSampleRate) {
        0 => profile::DEFAULT_RATE_BYTES,
        rate => rate,
    }
}

impl Session {
    fn take_name(&mut self, name: &[u8]) -> bool {
        let (format, name) = Format::of_name(name);
        let mut fresh = [0; NAME_BYTES];
        let Some(length) = with_process(name, &mut fresh[..NAME_BYTES - SUFFIX_BYTES]) else { return false };
        self.length = 0;
        pin();
        (self.name, self.format) = (fresh, format);
        pin();
        self.length = length;
        true
    }

    fn set_next(&mut self, allocated: Amounts, in_use: Amounts) {
        let after = |now: u64, interval: u64| if interval == 0 { u64::MAX } else { now.saturating_add(interval) };
        self.next = Intervals {
            allocated_bytes: after(allocated.estimate().bytes, self.intervals.allocated_bytes),
            in_use_bytes: after(in_use.estimate().bytes, self.intervals.in_use_bytes),
            seconds: after(clock::now_millis() / 1000, self.intervals.seconds),
        };
    }

    fn is_due(&self, allocated: Amounts, in_use: Amounts) -> bool {
        allocated.estimate().bytes >= self.next.allocated_bytes
            || in_use.estimate().bytes >= self.next.in_use_bytes
            || clock::now_millis() / 1000 >= self.next.seconds
    }

    fn write(&mut self) -> bool {
        let mut path = [0; NAME_BYTES];
        let Some(mut file) = self.next_path(&mut path).and_then(NewFile::create) else { return false };
        self.format.write(&mut |bytes: &[u8]| file.write(bytes), self.rate_bytes);
        self.written += 1;
        true
    }

    /// `name.0001.pb`, or in the child of a fork `name.1234.0001.pb`.
    fn next_path<'p>(&self, path: &'p mut [u8; NAME_BYTES]) -> Option<&'p CStr> {
        if self.length == 0 {
            return None;
        }
        let mut length = self.length;
        path[..length].copy_from_slice(&self.name[..length]);
        if process::id() != self.process {
            append_number(path, &mut length, u64::from(process::id()), 1);
        }
        append_number(path, &mut length, self.written + 1, 4);
        let extension = self.format.extension();
        path[length..length + extension.len()].copy_from_slice(extension);
        CStr::from_bytes_until_nul(path).ok()
    }
}

/// Copies a name, with the process's number for `%p`: programs that start others write files of their own. Its length then;
/// `None` if there is no room, and nothing has been copied.
fn with_process(name: &[u8], to: &mut [u8]) -> Option<usize> {
    const PLACE: &[u8] = b"%p";
    let (mut digits, mut digit_count) = ([0; 20], 0);
    write_digits(&mut digits, &mut digit_count, u64::from(process::id()), 1);
    let place = name.windows(PLACE.len()).position(|part| part == PLACE);
    let (before, number, after) = match place {
        Some(at) => (&name[..at], &digits[..digit_count], &name[at + PLACE.len()..]),
        None => (name, &digits[..0], &name[..0]),
    };
    let length = before.len() + number.len() + after.len();
    let to = to.get_mut(..length)?;
    to[..before.len()].copy_from_slice(before);
    to[before.len()..length - after.len()].copy_from_slice(number);
    to[length - after.len()..].copy_from_slice(after);
    Some(length)
}

/// A point and a number of so many digits at least.
fn append_number(path: &mut [u8; NAME_BYTES], length: &mut usize, number: u64, least_digits: usize) {
    path[*length] = b'.';
    *length += 1;
    write_digits(path, length, number, least_digits);
}

/// So many digits at least, from `at` on, which is then behind them.
fn write_digits(text: &mut [u8], at: &mut usize, number: u64, least_digits: usize) {
    let digits = number.checked_ilog10().map_or(1, |log| log as usize + 1).max(least_digits);
    let (mut rest, end) = (number, *at + digits);
    for place in text[*at..end].iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    *at = end;
}

fn watch(allocated: Amounts, in_use: Amounts) {
    if let Some(mut session) = SESSION.try_lock()
        && session.is_due(allocated, in_use)
    {
        session.set_next(allocated, in_use);
        session.write();
    }
}

/// At the process's end.
fn end() {
    let ran = stop();
    if ran {
        snapshot();
    }
    if LISTS_LEAKS.load(Ordering::Relaxed) {
        leaks::list();
    }
}

extern "C" fn at_load() {
    set_up();
}

/// Starts the profiler if the environment says so. Called by us when we are loaded, unless the system doesn't tell; where the
/// environment can't be read yet, once that can be.
pub fn set_up() {
    if !env::ready() {
        return profile::soon(set_up);
    }
    let (mut name, mut leaks) = ([0; NAME_BYTES], [0; 8]);
    let lists_leaks = env::get("MIMALLOC_PROFILE_LEAKS", &mut leaks).is_some_and(is_yes);
    LISTS_LEAKS.store(lists_leaks, Ordering::Relaxed);
    let name = env::get("MIMALLOC_PROFILE", &mut name).filter(|name| !name.is_empty());
    if name.is_some() || lists_leaks {
        start(&Settings { name, rate_bytes: 0, intervals: Intervals::of_options() });
        return;
    }
    let mut text = [0; NAME_BYTES];
    if let Some(text) = env::get("MALLOC_CONF", &mut text) {
        start_as_jemalloc(text);
    }
}

fn is_yes(text: &[u8]) -> bool {
    [&b"1"[..], b"on", b"yes", b"true"].iter().any(|yes| text.eq_ignore_ascii_case(yes))
}

/// jemalloc's words: `prof:true`, `prof_active:false`, `lg_prof_sample:19`, `lg_prof_interval:30`, `prof_prefix:jeprof`.
fn start_as_jemalloc(text: &[u8]) {
    let value = |name: &[u8]| {
        let mut pairs = text.split(|&byte| byte == b',').filter_map(|pair| {
            let colon = pair.iter().position(|&byte| byte == b':')?;
            (&pair[..colon] == name).then_some(&pair[colon + 1..])
        });
        pairs.next_back()
    };
    if value(b"prof") != Some(b"true") || value(b"prof_active") == Some(b"false") {
        return;
    }
    let power = |name| {
        let text = core::str::from_utf8(value(name)?).ok()?;
        1usize.checked_shl(text.parse().ok()?)
    };
    let mut name = [0; NAME_BYTES];
    let prefix = value(b"prof_prefix").unwrap_or(b"jeprof");
    let mut length = prefix.len().min(NAME_BYTES / 2);
    name[..length].copy_from_slice(&prefix[..length]);
    append_number(&mut name, &mut length, u64::from(process::id()), 1);
    let extension = Format::HeapV2.extension();
    name[length..length + extension.len()].copy_from_slice(extension);
    start(&Settings {
        name: Some(&name[..length + extension.len()]),
        rate_bytes: power(b"lg_prof_sample").unwrap_or(0),
        intervals: Intervals {
            allocated_bytes: power(b"lg_prof_interval").unwrap_or(0) as u64,
            ..Intervals::default()
        },
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    #[test]
    fn names_choose_formats() {
        assert_eq!(Format::of_name(b"a/b"), (Format::Pprof, &b"a/b"[..]));
        assert_eq!(Format::of_name(b"a.pb"), (Format::Pprof, &b"a"[..]));
        assert_eq!(Format::of_name(b"a.heap"), (Format::HeapV2, &b"a"[..]));
        assert_eq!(Format::of_name(b"a.text"), (Format::HeapV2, &b"a"[..]));
        assert_eq!(Format::of_name(b"a.collapsed"), (Format::Collapsed, &b"a"[..]));
        assert_eq!(Format::of_name(b"a.out"), (Format::Pprof, &b"a.out"[..]));
    }

    #[test]
    fn names_may_have_the_process_in_them() {
        let mut to = [0; 32];
        let mut name = |name: &[u8]| with_process(name, &mut to).map(|length| to[..length].to_vec());
        assert_eq!(name(b"a%p.b"), Some(std::format!("a{}.b", process::id()).into_bytes()));
        assert_eq!(name(b"50%"), Some(b"50%".to_vec()));
        assert_eq!(name(&[b'x'; 33]), None);
        assert_eq!(name(&[b'x'; 32]).map(|name| name.len()), Some(32));
    }

    #[cfg(unix)]
    #[test]
    fn the_child_of_a_fork_has_a_session_whatever_another_thread_was_doing() {
        assert!(start(&Settings { rate_bytes: 1 << 40, ..Settings::default() }));
        stop();
        SESSION.lock_raw();
        // SAFETY: the child looks at the lock and ends.
        let status = unsafe {
            let child = libc::fork();
            if child == 0 {
                libc::_exit(i32::from(SESSION.try_lock().is_none()));
            }
            SESSION.unlock_raw();
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            status
        };
        assert_eq!(status, 0);
    }

    #[test]
    fn files_are_numbered() {
        let mut path = [b'x'; NAME_BYTES];
        let mut length = 1;
        append_number(&mut path, &mut length, 7, 4);
        append_number(&mut path, &mut length, 123_456, 4);
        append_number(&mut path, &mut length, 0, 1);
        assert_eq!(String::from_utf8_lossy(&path[..length]), "x.0007.123456.0");
    }
}
