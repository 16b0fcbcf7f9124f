//! Process accounting: `getrusage`, and `/proc` for what it lacks.

use super::clock::nanos_since_boot;
use super::file::{leading_number, read, words};
pub(crate) use super::group::memory_limit;
use crate::errno::quiet;
use crate::process::ProcessInfo;
use crate::thread::NAME_BYTES;
pub(crate) use crate::unix::process::{abort, at_exit, at_fork, flush_streams, id, real_path};
use core::ffi::CStr;

pub(crate) fn info() -> ProcessInfo {
    let portable = crate::unix::process::info();
    let current_rss = current_rss_bytes().unwrap_or(portable.current_rss);
    // The kernel brings the two up to date at different times.
    let peak_rss = portable.peak_rss.max(current_rss);
    ProcessInfo { elapsed_msecs: elapsed_msecs(), current_rss, peak_rss, ..portable }
}

/// The calling thread's name, for those who look at the process's threads.
pub(crate) fn name_thread(name: &CStr) {
    // SAFETY: a text, which the kernel copies.
    quiet(|| unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) });
}

pub(crate) fn thread_name() -> [u8; NAME_BYTES] {
    let mut name = [0; NAME_BYTES];
    // SAFETY: the kernel writes at most so many bytes.
    quiet(|| unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) });
    name
}

/// As the kernel told at the start (getauxval(3)): the same answer by which the dynamic linker ignores `LD_PRELOAD`.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: takes and returns a number.
    quiet(|| unsafe { libc::getauxval(libc::AT_SECURE) }) != 0
}

/// Second number of `statm`: resident OS pages.
fn current_rss_bytes() -> Option<usize> {
    let mut buf = [0; 128];
    let (pages, _) = leading_number(words(read(c"/proc/self/statm", &mut buf)).nth(1)?)?;
    Some(pages * crate::mem::config().os_page_bytes)
}

fn elapsed_msecs() -> usize {
    let now = (nanos_since_boot() / 1_000_000) as usize;
    start_msecs().map_or(0, |start| now.saturating_sub(start))
}

/// When the process started, counted from the boot of the machine.
fn start_msecs() -> Option<usize> {
    let mut buf = [0; 1024];
    // SAFETY: takes and returns a number.
    let ticks_per_second = usize::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok()?;
    Some(start_ticks(read(c"/proc/self/stat", &mut buf))? * 1000 / ticks_per_second.max(1))
}

/// Field 22 of `stat`. The second, the program's name in parentheses, may hold anything: counting starts behind it.
fn start_ticks(stat: &[u8]) -> Option<usize> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let (ticks, _) = leading_number(words(&stat[name_end + 1..]).nth(22 - 3)?)?;
    Some(ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let stat = b"7 (a) 1 2) S 1 7 7 0 -1 4194304 95 0 0 0 0 0 0 0 20 0 1 0 123456 2 3";
        assert_eq!(start_ticks(stat), Some(123_456));
        assert_eq!(start_ticks(b""), None);
    }

    #[test]
    fn resident_memory_grows_when_touched() {
        let before = current_rss_bytes().unwrap();
        let block = std::hint::black_box(std::vec![1u8; 64 << 20]);
        let after = current_rss_bytes().unwrap();
        assert!(after >= before + block.len() / 2);
    }
}
