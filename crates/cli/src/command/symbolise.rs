//! `symbolise`: the library's reports with names: what it prints below an error are addresses, since it must not allocate there.
//!
//! A call is a line like `    #0 0x55d0c8a011c9 /path/of/program+0x11c9`. Behind it come function, file and line, and a line for each
//! function that was inlined there is put before. Every other line is passed on as it is.

use super::Symbolise;
use crate::failure::{Result, file_failure};
use crate::profile::Frame;
use crate::profile::symbols::Symbols;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

pub fn execute(symbolise: &Symbolise) -> Result<()> {
    let path = &symbolise.report;
    let failed = |error| file_failure(path, &error);
    let mut out = io::stdout().lock();
    if path == Path::new("-") {
        copy(io::stdin().lock(), &mut out).map_err(failed)
    } else {
        copy(BufReader::new(File::open(path).map_err(failed)?), &mut out).map_err(failed)
    }
}

/// A report may name anything: only files are opened.
fn is_file(path: &str) -> bool {
    let path = Path::new(path);
    path.is_absolute() && path.is_file()
}

/// Passes on lines as they come; what is no text, too.
fn copy(mut report: impl BufRead, out: &mut impl Write) -> io::Result<()> {
    let (mut symbols, mut line) = (Symbols::of_files(), Vec::new());
    while report.read_until(b'\n', &mut line)? > 0 {
        match str::from_utf8(&line).ok().and_then(Call::parse) {
            Some(call) => out.write_all(call.named(&mut symbols).as_bytes())?,
            None => out.write_all(&line)?,
        }
        out.flush()?;
        line.clear();
    }
    Ok(())
}

/// A call in a report.
#[derive(PartialEq, Eq, Debug)]
struct Call<'l> {
    /// All before the file.
    head: &'l str,
    file: &'l str,
    /// The address in the file, as it was linked.
    address: u64,
}

impl Call<'_> {
    fn parse(line: &str) -> Option<Call<'_>> {
        let line = line.trim_end();
        let (number, rest) = line.trim_start().strip_prefix('#')?.split_once(' ')?;
        let (at, place) = rest.split_once(' ')?;
        let (file, address) = place.rsplit_once("+0x")?;
        let is_call = number.parse::<u32>().is_ok() && at.starts_with("0x") && !file.is_empty();
        let head = &line[..line.len() - place.len()];
        is_call.then_some(Call { head, file, address: u64::from_str_radix(address, 16).ok()? })
    }

    fn named(&self, symbols: &mut Symbols) -> String {
        let Call { head, file, address } = self;
        let frames = if is_file(file) { symbols.frames_in(file, *address) } else { Vec::new() };
        if frames.is_empty() {
            return format!("{head}{file}+{address:#x}\n");
        }
        let line = |frame: &Frame| match frame.line {
            0 => format!("{head}{} ({file}+{address:#x})\n", frame.name),
            number => format!("{head}{} {}:{number} ({file}+{address:#x})\n", frame.name, frame.file),
        };
        frames.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_from_other_lines() {
        let call = Call::parse("    #3 0x55aa /a folder/p+0x0+0x11c9\n").unwrap();
        assert_eq!(call, Call { head: "    #3 0x55aa ", file: "/a folder/p+0x0", address: 0x11c9 });
        for line in
            ["", "#", "# 0x1 a+0x1", "    #0 0x1", "    #0 1 a+0x1", "    #0 0x1 a+1", "#0 0x1 +0x1", "  freed by:"]
        {
            assert_eq!(Call::parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_is_no_call_or_has_no_name_stays() {
        let report = b"error: \xff\n  allocated by thread 0x1 at:\n    #0 0x7f00 /no/such/file+0x12\nthe end";
        let mut out = Vec::new();
        copy(&report[..], &mut out).unwrap();
        assert_eq!(out, report);
    }
}
