//! The profiler of a process that runs: started, stopped and read from outside.
//!
//! Records of stacks are never moved or freed, so the list of them can be followed while the process goes on. A record counts if
//! the profiler's lock was free before and after, and two copies of it are the same; else it is read again. What the process's
//! threads write meanwhile is theirs: only two words of it are ever written by us, the rate and the version, in the order in which
//! the library does so.

use super::{Location, Module, Raw, RawSample, Values};
use crate::at;
use crate::failure::{Exit, Failure, Result};
use crate::heap::find::{self, Library};
use crate::process::{Live, Memory, Piece};
use ferrimalloc_core::profile::MAX_FRAMES;
use ferrimalloc_core::runtime::Descriptor;
use std::mem::offset_of;
use std::path::Path;
use std::time::Duration;

/// How often a record is read again before it is left out.
const TRIES: usize = 2000;
const PAUSE: Duration = Duration::from_micros(50);
/// Estimates are kept in units of 2^-10.
const UNIT: u64 = 1 << 10;
/// What is added to the version: more than the process itself adds meanwhile.
const VERSION_STEP: u64 = 1 << 32;

/// A process's profiler.
pub struct Profiler {
    live: Live,
    library: Library,
}

/// Where the list of stacks is.
struct Head {
    newest: u64,
    peak: u64,
}

impl Profiler {
    pub fn of(pid: u32) -> Result<Profiler> {
        let live = Live::attach(pid)?;
        let library = find::library(&live)?;
        Ok(Profiler { live, library })
    }

    fn place(&self, at: usize) -> u64 {
        self.library.table.word(at)
    }

    /// Mean bytes from one sample to the next; 0 while it is off.
    pub fn rate(&self) -> Result<u64> {
        self.live.word(self.place(offset_of!(Descriptor, profile_rate))).ok_or_else(|| self.gone())
    }

    /// Starts, stops, or goes on at another rate. Threads follow when they next see to their lists.
    pub fn set_rate(&self, rate_bytes: u64) -> Result<()> {
        let version = self.place(offset_of!(Descriptor, profile_version));
        let now = self.live.word(version).ok_or_else(|| self.gone())?;
        self.live.write_word(self.place(offset_of!(Descriptor, profile_rate)), rate_bytes)?;
        self.live.write_word(version, now.wrapping_add(VERSION_STEP))
    }

    fn gone(&self) -> Failure {
        Failure::new(
            Exit::NoAccess,
            format!("process {} has ended, or its memory can't be read any more", self.live.pid()),
            "Start it by `ferrimalloc profile -- PROGRAM`: then its profile is written when it ends.",
        )
    }

    /// What has been found so far.
    pub fn read(&self) -> Result<Raw> {
        let table = &self.library.table;
        let mut raw = Raw { modules: self.modules(), rate_bytes: self.rate()?, ..Raw::default() };
        let head = self.head()?;
        let mut next = head.newest;
        while next != 0 {
            let older = self.live.word(next + at!(table, samples_at.stack_older)).ok_or_else(|| self.gone())?;
            raw.samples.extend(self.stack(next, &head)?);
            next = older;
        }
        for address in raw.samples.iter().flat_map(|sample| sample.stack.iter().copied()) {
            raw.locations.entry(address).or_insert(Location { address, known: Vec::new() });
        }
        Ok(raw)
    }

    fn head(&self) -> Result<Head> {
        let (table, samples) = (&self.library.table, self.place(offset_of!(Descriptor, samples)));
        let word = |at: u64| self.live.word(samples + at).ok_or_else(|| self.gone());
        // The peak first: a stack that is younger than it is one that the peak does not have.
        Ok(Head { peak: word(at!(table, samples_at.peak))?, newest: word(at!(table, samples_at.newest))? })
    }

    /// `None` if the record was never still.
    fn stack(&self, record: u64, head: &Head) -> Result<Option<RawSample>> {
        let table = &self.library.table;
        let lock = Piece::new(self.place(offset_of!(Descriptor, samples)) + at!(table, samples_at.lock), 4);
        let fixed = at!(table, samples_at.stack_bytes) as usize;
        let depth = self.live.word(record + at!(table, samples_at.stack_depth)).ok_or_else(|| self.gone())?;
        let bytes = fixed + (depth as usize).min(MAX_FRAMES) * size_of::<u64>();
        let pieces = [lock, Piece::new(record, bytes), Piece::new(record, bytes), lock];
        let mut copy = Vec::new();
        for _ in 0..TRIES {
            if self.live.read_pieces(&pieces, &mut copy) != [true; 4] {
                return Err(self.gone());
            }
            let (first, second) = (&copy[4..4 + bytes], &copy[4 + bytes..4 + 2 * bytes]);
            let is_still = copy[..4] == [0; 4] && copy[4 + 2 * bytes..] == [0; 4] && first == second;
            if is_still {
                return Ok(Some(self.parse(first, fixed, head)));
            }
            std::thread::sleep(PAUSE);
        }
        Ok(None)
    }

    fn parse(&self, record: &[u8], fixed: usize, head: &Head) -> RawSample {
        let table = &self.library.table;
        let word = |at: u64| number(&record[at as usize..]);
        let estimate = |at: u64| [2, 3].map(|index| ((word(at + index * 8) + UNIT / 2) / UNIT) as i64);
        let is_before_peak = word(at!(table, samples_at.stack_peak_seen)) < head.peak;
        let peak = if is_before_peak { at!(table, samples_at.in_use) } else { at!(table, samples_at.peak_amounts) };
        let [[a, b], [c, d], [e, f]] =
            [at!(table, samples_at.allocated), at!(table, samples_at.in_use), peak].map(estimate);
        // The clock is the system's, coarse and monotonic, as the library's.
        let in_use = word(at!(table, samples_at.in_use) + 16);
        let lived = word(at!(table, samples_at.ages)).wrapping_add(now_millis().wrapping_mul(in_use));
        // In a container the clock may be another; no age is negative.
        let lived = (lived.cast_signed() / UNIT.cast_signed()).max(0);
        let values: Values = [a, b, c, d, e, f, lived];
        let thread = &record[at!(table, samples_at.thread) as usize..][..16];
        let thread: Vec<u8> = thread.iter().copied().take_while(|byte| *byte != 0).collect();
        RawSample {
            // Of return addresses, the calls.
            stack: record[fixed..].chunks_exact(8).map(|frame| number(frame).saturating_sub(1)).collect(),
            thread: String::from_utf8_lossy(&thread).into_owned(),
            heap: word(at!(table, samples_at.heap)),
            values,
        }
    }

    /// Code of the process. Where the library is a file of its own, its code goes by a name that says whose it is.
    fn modules(&self) -> Vec<Module> {
        let own = Path::new(&self.library.path);
        let is_program = |path: &Path| {
            std::fs::read_link(format!("/proc/{}/exe", self.live.pid())).is_ok_and(|program| program == path)
        };
        let is_library = !is_program(own);
        let mappings = self.live.mappings().iter();
        let named = mappings.filter_map(|mapping| Some((mapping, mapping.path.as_ref()?)));
        named
            .map(|(mapping, path)| Module {
                start: mapping.start,
                end: mapping.end,
                offset: mapping.offset,
                path: if is_library && path == own { OWN.into() } else { path.to_string_lossy().into_owned() },
                build_id: String::new(),
            })
            .collect()
    }
}

/// Stands for the path of the library.
pub const OWN: &str = "ferrimalloc::library";

fn number(bytes: &[u8]) -> u64 {
    bytes.get(..8).map_or(0, |bytes| u64::from_ne_bytes(bytes.try_into().unwrap_or_default()))
}

fn now_millis() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to memory of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec.cast_unsigned() * 1000 + now.tv_nsec.cast_unsigned() / 1_000_000
}
