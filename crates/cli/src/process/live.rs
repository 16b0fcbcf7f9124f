//! A live process, read by `process_vm_readv` while it runs: it isn't stopped, and needs no preparation.

use super::maps::{self, Mapping};
use super::{Memory, Piece};
use crate::failure::{Exit, Failure, Result};
use std::ffi::c_void;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// A process that runs.
pub struct Live {
    pid: u32,
    mappings: Vec<Mapping>,
}

/// How many pieces one call of the system takes.
const PIECES_PER_CALL: usize = 1024;
/// What a call reads at most: the kernel stops at 2 GiB.
const BYTES_PER_CALL: usize = 64 << 20;
/// In an entry of `pagemap`: the OS page is in memory.
const PRESENT: u64 = 1 << 63;

impl Live {
    /// Looks at the process's mappings and tries to read a word of it.
    pub fn attach(pid: u32) -> Result<Live> {
        let text = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|error| no_access(pid, &error))?;
        let live = Live { pid, mappings: maps::parse(&text) };
        let Some(first) = live.mappings.first() else {
            return Err(Failure::new(
                Exit::NoAccess,
                format!("process {pid} has no memory that may be read"),
                "It may be a thread of the kernel, have just ended, or be another user's: then try with sudo.",
            ));
        };
        let mut word = Vec::new();
        match read_call(pid, &[Piece::new(first.start, 8)], &mut word) {
            Err(error) if error.raw_os_error() != Some(libc::EFAULT) => Err(no_access(pid, &error)),
            _ => Ok(live),
        }
    }

    /// Stores a word in the process, which must expect that at any time.
    pub fn write_word(&self, address: u64, word: u64) -> Result<()> {
        let local = libc::iovec { iov_base: (&raw const word).cast_mut().cast(), iov_len: size_of::<u64>() };
        let remote = libc::iovec { iov_base: address as usize as *mut c_void, iov_len: size_of::<u64>() };
        // SAFETY: the local memory is only read; the remote address is the other process's.
        let written = unsafe { libc::process_vm_writev(self.pid as libc::pid_t, &local, 1, &remote, 1, 0) };
        if written < 0 { Err(no_access(self.pid, &io::Error::last_os_error())) } else { Ok(()) }
    }
}

fn no_access(pid: u32, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(
            Exit::NoAccess,
            format!("there is no process {pid}"),
            "`pgrep -af NAME` finds the number of a running program.",
        ),
        io::ErrorKind::PermissionDenied => Failure::new(
            Exit::NoAccess,
            format!("process {pid} may not be read by this user"),
            "Try with sudo; in a container it needs the capability SYS_PTRACE; \
             `sysctl kernel.yama.ptrace_scope` must be 0, or 1 for children alone.",
        ),
        _ if error.raw_os_error() == Some(libc::ESRCH) => Failure::new(
            Exit::NoAccess,
            format!("process {pid} has ended"),
            "Start it again; `ferrimalloc run -- PROGRAM` runs a program with the library.",
        ),
        _ => Failure::new(Exit::System, format!("process {pid}: {error}"), "Look at /proc/PID/status."),
    }
}

/// One call: appends what it reads, which may be less than was asked for.
fn read_call(pid: u32, pieces: &[Piece], into: &mut Vec<u8>) -> io::Result<usize> {
    let bytes: usize = pieces.iter().map(|piece| piece.bytes).sum();
    into.reserve(bytes);
    let room = into.spare_capacity_mut();
    let local = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: bytes };
    let remote: Vec<libc::iovec> = pieces
        .iter()
        .map(|piece| libc::iovec { iov_base: piece.address as usize as *mut c_void, iov_len: piece.bytes })
        .collect();
    // SAFETY: the local memory is the vector's room; the remote addresses are the other process's, and only read.
    let read = unsafe {
        libc::process_vm_readv(pid as libc::pid_t, &local, 1, remote.as_ptr(), remote.len() as libc::c_ulong, 0)
    };
    if read < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has written so many bytes from the beginning of the room.
    unsafe { into.set_len(into.len() + read as usize) };
    Ok(read as usize)
}

/// How many of the pieces from the first on go into one call.
fn batch(pieces: &[Piece]) -> usize {
    let mut bytes = 0;
    let fits = |piece: &&Piece| {
        bytes += piece.bytes;
        bytes <= BYTES_PER_CALL
    };
    pieces.iter().take(PIECES_PER_CALL).take_while(fits).count().max(1)
}

impl Memory for Live {
    fn read_pieces(&self, pieces: &[Piece], into: &mut Vec<u8>) -> Vec<bool> {
        into.clear();
        let mut read = Vec::with_capacity(pieces.len());
        while read.len() < pieces.len() {
            let rest = &pieces[read.len()..];
            let rest = &rest[..batch(rest)];
            let start = into.len();
            let mut done = read_call(self.pid, rest, into).unwrap_or(0);
            let mut whole = 0;
            for piece in rest {
                let is_whole = done >= piece.bytes;
                read.push(is_whole);
                if !is_whole {
                    // What is behind a piece that can't be read has not been tried: it is in the next call.
                    into.truncate(start + whole);
                    into.resize(start + whole + piece.bytes, 0);
                    break;
                }
                done -= piece.bytes;
                whole += piece.bytes;
            }
        }
        read
    }

    fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    fn resident(&self, address: u64, units: usize, unit_bytes: usize) -> Option<Vec<u32>> {
        let os_page = os_page_bytes();
        let per_unit = unit_bytes / os_page;
        let file = File::open(format!("/proc/{}/pagemap", self.pid)).ok()?;
        let mut entries = vec![0; units * per_unit * 8];
        file.read_exact_at(&mut entries, address / os_page as u64 * 8).ok()?;
        let present = |entry: &[u8]| u64::from_ne_bytes(entry.try_into().unwrap_or_default()) & PRESENT != 0;
        let bytes_of = |unit: &[u8]| unit.chunks_exact(8).filter(|entry| present(entry)).count() * os_page;
        Some(entries.chunks_exact(per_unit * 8).map(|unit| bytes_of(unit) as u32).collect())
    }

    fn threads(&self) -> Vec<(u32, String)> {
        let folder = format!("/proc/{}/task", self.pid);
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let name = |tid: u32| fs::read_to_string(format!("{folder}/{tid}/comm")).unwrap_or_default();
        numbers.map(|tid: u32| (tid, name(tid).trim_end().to_owned())).collect()
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn command(&self) -> String {
        command_of(self.pid)
    }

    fn resident_bytes(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().split(' ').next()?.parse::<u64>().ok()? << 10)
    }

    fn is_live(&self) -> bool {
        true
    }
}

/// The command line of a process, in one line.
pub fn command_of(pid: u32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    words.join(" ").trim_end().to_owned()
}

pub fn os_page_bytes() -> usize {
    // SAFETY: no preconditions.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(bytes).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_that_cannot_be_read_do_not_keep_others_from_it() {
        let me = Live::attach(std::process::id()).unwrap();
        let word = Box::new(0x1122_3344_5566_7788_u64);
        let here = &raw const *word as u64;
        let mut into = vec![1; 3];
        let pieces =
            [Piece::new(here, 8), Piece::new(16, 8), Piece::new(here, 4), Piece::new(0, 8), Piece::new(here, 8)];
        assert_eq!(me.read_pieces(&pieces, &mut into), [true, false, true, false, true]);
        assert_eq!(into.len(), 36);
        assert_eq!(into[..8], word.to_ne_bytes());
        assert_eq!(into[8..16], [0; 8]);
        assert_eq!(into[16..20], word.to_ne_bytes()[..4]);
        assert_eq!(into[28..], word.to_ne_bytes());
    }

    #[test]
    fn resident_memory_is_what_was_touched() {
        let me = Live::attach(std::process::id()).unwrap();
        let bytes = 4 << 20;
        let memory: Vec<u8> = Vec::with_capacity(bytes);
        let start = (memory.as_ptr() as u64).next_multiple_of(65536);
        // SAFETY: inside the vector's room.
        unsafe { (start as *mut u8).write_volatile(1) };
        let resident = me.resident(start, 4, 65536).unwrap();
        assert!(resident[0] >= 4096 && resident.len() == 4);
    }

    #[test]
    fn nobody_is_told_apart_from_forbidden() {
        let error = Live::attach(4_194_304 - 1).err().unwrap();
        assert_eq!(error.exit, Exit::NoAccess);
        assert!(error.next.contains("pgrep"));
    }
}
