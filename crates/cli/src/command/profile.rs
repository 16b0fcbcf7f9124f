//! `profile`, `leaks` and `diff`.

use super::run::{self, Output, Started, code, launch};
use super::{Diff, Leaks, Profiling, usage};
use crate::failure::{Exit, Failure, Result, file_failure};
use crate::library;
use crate::process::live::command_of;
use crate::profile::live::Profiler;
use crate::profile::symbols::Symbols;
use crate::profile::{Measure, Profile, collapsed, dhat, diff, flame, pprof, text};
use crate::view::amount;
use clap::Parser;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Bytes per sample in a program that is run for its profile, in one that works, and where leaks are looked for.
const PROGRAM_RATE: u64 = 64 << 10;
const PROCESS_RATE: u64 = 512 << 10;
const LEAKS_RATE: u64 = 16 << 10;
const PROCESS_SECONDS: f64 = 10.0;
const LEAK_STACKS: usize = 10;

/// A program that has not begun to allocate when it is looked at is looked at again so often.
const STARTS: u32 = 40;
const START: Duration = Duration::from_millis(50);

/// What is said once a picture has been written.
const STACKS_SHOWN: usize = 3;

/// What a file is, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Flame,
    Pprof,
    PackedPprof,
    Dhat,
    Collapsed,
    Text,
}

impl Format {
    fn of(path: &Path) -> Result<Format> {
        let name = path.to_string_lossy();
        let formats = [
            (".svg", Format::Flame),
            (".pb.gz", Format::PackedPprof),
            (".pprof", Format::PackedPprof),
            (".pb", Format::Pprof),
            (".json", Format::Dhat),
            (".folded", Format::Collapsed),
            (".collapsed", Format::Collapsed),
            (".txt", Format::Text),
        ];
        if name == "-" {
            return Ok(Format::Text);
        }
        formats.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, format)| format).ok_or_else(|| {
            usage(
                format!("what {name} is to be can't be told from its name"),
                "Name it .svg (flame graph), .pb.gz or .pb (pprof), .json (DHAT), .folded (collapsed stacks) or .txt, or - for text.",
            )
        })
    }
}

/// Options that may come behind a process's number, too.
#[derive(Parser, Debug)]
#[command(name = "ferrimalloc profile PID", no_binary_name = true)]
struct Behind {
    #[command(flatten)]
    options: super::ProfileOptions,
}

pub fn profile(profiling: &Profiling) -> Result<ExitCode> {
    let (first, rest) = profiling.target.split_first().ok_or_else(|| usage("nothing to profile", "See --help."))?;
    let pid = first.to_str().and_then(|text| text.parse::<u32>().ok());
    let mut options = profiling.options.clone();
    if pid.is_some() {
        let behind = Behind::try_parse_from(rest).unwrap_or_else(|error| error.exit()).options;
        options = behind.or(options);
    }
    let output = options.output.clone().unwrap_or_else(|| "flame.svg".into());
    let format = Format::of(&output)?;
    let seconds = options.seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 1e7)));
    match pid {
        Some(pid) => {
            let measure = options.measure.unwrap_or(Measure::InUse);
            let seconds = seconds.unwrap_or(Duration::from_secs_f64(PROCESS_SECONDS));
            let profile = of_process(pid, options.rate, seconds)?;
            put(&profile, measure, &output, format)?;
            Ok(ExitCode::SUCCESS)
        }
        None => {
            let measure = options.measure.unwrap_or(Measure::Peak);
            let rate = options.rate.unwrap_or(PROGRAM_RATE);
            of_program(&profiling.target, rate, seconds, |profile| put(profile, measure, &output, format))
        }
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

extern "C" fn interrupt(_: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// A process as it goes on: the profiler is started, and stopped again unless it ran.
fn of_process(pid: u32, rate: Option<u64>, time: Duration) -> Result<Profile> {
    let profiler = Profiler::of(pid)?;
    let before = profiler.rate()?;
    // SAFETY: the handler stores a flag.
    unsafe { libc::signal(libc::SIGINT, interrupt as *const () as libc::sighandler_t) };
    let earlier = if before > 0 || time.is_zero() { None } else { Some(profiler.read()?) };
    if before == 0 {
        profiler.set_rate(rate.unwrap_or(PROCESS_RATE))?;
        eprintln!("ferrimalloc: process {pid} is profiled for {} s; Ctrl-C ends that early", time.as_secs_f64());
    } else {
        eprintln!("ferrimalloc: process {pid} is profiled already, a sample per {}", amount::bytes(before));
    }
    let since = Instant::now();
    while since.elapsed() < time && !INTERRUPTED.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20).min(time.saturating_sub(since.elapsed())));
    }
    let found = profiler.read();
    if before == 0 {
        // A process that has ended meanwhile needn't be told.
        let _ = profiler.set_rate(0);
    }
    let mut symbols = Symbols::of_process(pid);
    let mut profile = found?.resolve(&mut symbols);
    // What earlier runs of the profiler have found there is not of this one.
    if let Some(earlier) = earlier.filter(|earlier| !earlier.samples.is_empty()) {
        let rate_bytes = profile.rate_bytes;
        profile = diff::subtract(&earlier.resolve(&mut symbols), profile);
        profile.rate_bytes = rate_bytes;
    }
    (profile.command, profile.pid) = (command_of(pid), pid);
    profile.millis = since.elapsed().as_millis() as u64;
    Ok(profile)
}

/// Runs a program with the profiler, and hands its profile to `done`: when it ends, or after some time, when it goes on without.
fn of_program(
    line: &[OsString],
    rate: u64,
    time: Option<Duration>,
    done: impl FnOnce(&Profile) -> Result<()>,
) -> Result<ExitCode> {
    let library = library::find()?;
    run::warn_of(&line[0]);
    let folder = tempfile::tempdir().map_err(|error| file_failure(&std::env::temp_dir(), &error))?;
    let name = folder.path().join("%p.pb").display().to_string();
    let options =
        [("PROFILE", name), ("PROFILE_SAMPLE_RATE", rate.to_string()), ("PROFILE_ALLOC_INTERVAL", "0".into())];
    let env: Vec<_> = options.into_iter().map(|(name, value)| (format!("MIMALLOC_{name}"), value)).collect();
    let started = launch(line, &[library], &env, Output::Shown)?;
    let (pid, since) = (started.pid, Instant::now());
    let command = line.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let describe = |profile: &mut Profile| {
        (profile.command, profile.pid) = (command.clone(), pid);
        profile.millis = since.elapsed().as_millis() as u64;
    };
    if let Some(time) = time.filter(|time| !started.ends_within(*time)) {
        let mut profile = while_it_runs(&started, time)?;
        describe(&mut profile);
        done(&profile)?;
        return Ok(ExitCode::from(code(started.wait()?.status)));
    }
    let finished = started.wait()?;
    let mut profile = from_folder(folder.path())?.ok_or_else(|| no_profile(line, code(finished.status)))?;
    describe(&mut profile);
    done(&profile)?;
    Ok(ExitCode::from(code(finished.status)))
}

fn while_it_runs(started: &Started, time: Duration) -> Result<Profile> {
    let mut profiler = Profiler::of(started.pid);
    for _ in 0..STARTS {
        if profiler.is_ok() || started.ends_within(START) {
            break;
        }
        profiler = Profiler::of(started.pid);
    }
    let profiler = profiler?;
    let raw = profiler.read()?;
    profiler.set_rate(0)?;
    eprintln!("ferrimalloc: {} s are over: the program goes on and is not profiled any more", time.as_secs_f64());
    Ok(raw.resolve(&mut Symbols::of_process(started.pid)))
}

fn no_profile(line: &[OsString], code: u8) -> Failure {
    let program = line[0].display();
    let what = format!("{program} ended with code {code} and left no profile");
    let how = match code {
        128.. => "A signal ended it, so that nothing was written: --seconds N takes the profile while it runs.".into(),
        _ => format!(
            "Programs that end by `_exit` write none: --seconds N takes the profile while it runs. \
             `ferrimalloc doctor {program}` says whether the library can be in use there."
        ),
    };
    Failure::new(Exit::NotOurs, what, how)
}

/// What all processes have written, together; `None` if none has. Children of a fork that go on with the same program have
/// what their parent had at the fork: they are left out where the parent has a file.
fn from_folder(folder: &Path) -> Result<Option<Profile>> {
    let failed = |error| file_failure(folder, &error);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).map_err(failed)?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut all: Option<Profile> = None;
    let mut count = 0;
    for path in &files {
        let bytes = fs::read(path).map_err(|error| file_failure(path, &error))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut parts = name.split('.');
        let parent = parts.next().unwrap_or_default();
        let is_child = parts.count() > 2;
        if is_child && folder.join(format!("{parent}.0001.pb")).exists() {
            continue;
        }
        let Some(raw) = pprof::read(&bytes) else { continue };
        let pid = parent.parse().ok();
        let profile = raw.resolve(&mut pid.map_or_else(Symbols::of_files, Symbols::of_process));
        count += 1;
        match &mut all {
            Some(all) => all.add(profile),
            None => all = Some(profile),
        }
    }
    if count > 1 {
        eprintln!("ferrimalloc: {count} processes together");
    }
    Ok(all)
}

/// Writes a profile, and says what is in it.
fn put(profile: &Profile, measure: Measure, output: &Path, format: Format) -> Result<()> {
    if profile.is_empty(measure) {
        eprintln!(
            "ferrimalloc: no sample is {}: too little was allocated for one per {}\n  \
             A smaller --rate finds more; a process has to allocate while it is looked at; --measure allocated shows what was freed, too.",
            measure.words(),
            amount::bytes(profile.rate_bytes)
        );
    }
    let failed = |error: std::io::Error| file_failure(output, &error);
    let bytes = match format {
        // A flame graph of nothing can't be drawn: text says that there is nothing.
        Format::Flame if profile.is_empty(measure) => return Ok(()),
        Format::Flame => flame::svg(profile, measure).map_err(failed)?,
        Format::Pprof => pprof::write(profile),
        Format::PackedPprof => pprof::packed(profile).map_err(failed)?,
        Format::Dhat => dhat::json(profile).to_string().into_bytes(),
        Format::Collapsed => collapsed::write(profile, measure).into_bytes(),
        Format::Text => text::whole(profile, measure).into_bytes(),
    };
    if output == Path::new("-") {
        print!("{}", String::from_utf8_lossy(&bytes));
        return Ok(());
    }
    fs::write(output, &bytes).map_err(failed)?;
    eprintln!("ferrimalloc: {}", text::total(profile, measure));
    eprint!("{}", text::stacks(profile, measure, STACKS_SHOWN));
    let how = match format {
        Format::Flame => "open it in a browser",
        Format::Pprof | Format::PackedPprof => "for pprof, speedscope or Grafana Pyroscope",
        Format::Dhat => "for DHAT's viewer (dh_view.html) or Firefox Profiler",
        Format::Collapsed => "for flame graphs",
        Format::Text => "text",
    };
    eprintln!("{}: {how}", output.display());
    Ok(())
}

pub fn leaks(leaks: &Leaks) -> Result<ExitCode> {
    let format = leaks.output.as_deref().map(Format::of).transpose()?;
    let rate = leaks.rate.unwrap_or(LEAKS_RATE);
    of_program(&leaks.command, rate, None, |profile| {
        if let Some((output, format)) = leaks.output.as_deref().zip(format) {
            return put(profile, Measure::InUse, output, format);
        }
        eprintln!(
            "ferrimalloc: at the end {}\nWhether the program could still reach it is not known.",
            text::total(profile, Measure::InUse)
        );
        eprint!("{}", text::stacks(profile, Measure::InUse, LEAK_STACKS));
        Ok(())
    })
}

/// A profile from a file: pprof's, or collapsed stacks.
fn load(path: &Path) -> Result<Profile> {
    let bytes = fs::read(path).map_err(|error| file_failure(path, &error))?;
    if let Some(raw) = pprof::read(&bytes) {
        return Ok(raw.resolve(&mut Symbols::of_files()));
    }
    std::str::from_utf8(&bytes).ok().and_then(collapsed::read).ok_or_else(|| {
        Failure::new(
            Exit::Unreadable,
            format!("{} is no heap profile that can be read", path.display()),
            "Give files that `ferrimalloc profile -o NAME.pb.gz` or the library wrote: .pb, .pb.gz or .folded.",
        )
    })
}

pub fn difference(options: &Diff) -> Result<()> {
    let format = Format::of(&options.output)?;
    let (before, after) = (load(&options.before)?, load(&options.after)?);
    let changes = diff::changes(&before, &after, options.measure);
    let failed = |error: std::io::Error| file_failure(&options.output, &error);
    let title = format!("{} → {}", options.before.display(), options.after.display());
    let bytes = match format {
        Format::Flame => flame::difference(&changes, options.measure, &title).map_err(failed)?,
        Format::Pprof => pprof::write(&diff::subtract(&before, after)),
        Format::PackedPprof => pprof::packed(&diff::subtract(&before, after)).map_err(failed)?,
        Format::Collapsed => diff::collapsed(&changes).into_bytes(),
        Format::Text => diff::text(&changes, options.measure).into_bytes(),
        Format::Dhat => {
            return Err(usage(
                "DHAT's format has no room for differences",
                "Name the output .svg, .pb.gz, .folded or .txt, or leave -o out.",
            ));
        }
    };
    if options.output == Path::new("-") {
        print!("{}", String::from_utf8_lossy(&bytes));
        return Ok(());
    }
    fs::write(&options.output, &bytes).map_err(failed)?;
    eprintln!("{}: {}", options.output.display(), amount::bytes(bytes.len() as u64));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_file_is() {
        let format = |name: &str| Format::of(Path::new(name));
        assert_eq!(format("a.pb.gz").unwrap(), Format::PackedPprof);
        assert_eq!(format("a.pb").unwrap(), Format::Pprof);
        assert_eq!(format("a/b.svg").unwrap(), Format::Flame);
        assert_eq!(format("-").unwrap(), Format::Text);
        assert!(format("a.png").unwrap_err().next.contains(".svg"));
    }

    #[test]
    fn files_of_several_processes_are_one_profile() {
        let folder = tempfile::tempdir().unwrap();
        assert!(from_folder(folder.path()).unwrap().is_none());
        let example = crate::profile::tests::example();
        for name in ["1.0001.pb", "1.7.0001.pb", "2.8.0001.pb"] {
            fs::write(folder.path().join(name), pprof::write(&example)).unwrap();
        }
        fs::write(folder.path().join("3.0001.pb"), "").unwrap();
        let all = from_folder(folder.path()).unwrap().unwrap();
        assert_eq!(Measure::Allocated.bytes(&all.total()), 2 * Measure::Allocated.bytes(&example.total()));
    }
}
