//! One run of one case on one engine: what it cost.

use super::cases::{ADDRESSES, Case, Program};
use super::engines::Engine;
use super::machine;
use crate::process;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    pub wall_us: f64,
    pub user_us: f64,
    pub system_us: f64,
    pub peak_rss_kib: f64,
    /// What was resident when the workload's function returned; 0 where the program doesn't say.
    pub final_rss_kib: f64,
    pub minor_faults: f64,
    pub voluntary_switches: f64,
    pub checksum: String,
    /// What else the program printed as `name=number`: `p99_us`, `requests_per_second`, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, f64>,
}

impl Sample {
    pub fn cpu_us(&self) -> f64 {
        self.user_us + self.system_us
    }
}

/// Runs cases: the measuring program and the folder for its files.
pub struct Runner {
    measure: PathBuf,
    scratch: tempfile::TempDir,
}

const LIMIT: Duration = Duration::from_secs(300);
/// Of a program that uses very many addresses: an engine that needs longer doesn't scale.
const ADDRESSES_LIMIT: Duration = Duration::from_secs(60);

impl Runner {
    pub fn new(measure: PathBuf) -> Result<Self> {
        Ok(Runner { measure, scratch: tempfile::tempdir()? })
    }

    /// `None` if the case has no program for this engine.
    pub fn run(&self, case: &Case, engine: &Engine) -> Option<Result<Sample>> {
        let command = self.command(case, engine)?;
        let limit = if case.group == ADDRESSES { ADDRESSES_LIMIT } else { LIMIT };
        Some(self.run_command(command, limit).with_context(|| format!("{} on {}", case.name, engine.name)))
    }

    fn command(&self, case: &Case, engine: &Engine) -> Option<Command> {
        let mut command = Command::new(&self.measure);
        command.arg(self.file("cost")).env("MEASURE_LIMIT_KIB", machine::most_memory().0.to_string());
        match &case.program {
            Program::Preloaded { command: words, environment } => {
                command.arg(engine.preload.as_deref().unwrap_or("-")).args(words);
                command.envs(environment.iter().map(|(name, value)| (name, value)));
            }
            Program::Linked { executables, arguments } => {
                command.arg("-").arg(executables.get(engine.name.as_str())?).args(arguments);
            }
        }
        Some(command)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn run_command(&self, mut command: Command, limit: Duration) -> Result<Sample> {
        let (printed, complaints) = (self.file("stdout"), self.file("stderr"));
        command.stdin(Stdio::null()).stdout(File::create(&printed)?).stderr(File::create(&complaints)?);
        let finished = process::bounded(command.current_dir(self.scratch.path()), limit)?;
        if !finished.succeeded() {
            bail!("{}: {}", finished.describe(), last_line(&complaints));
        }
        Ok(sample_of(&[fs::read_to_string(self.file("cost"))?, fs::read_to_string(printed)?]))
    }
}

fn last_line(file: &Path) -> String {
    let text = fs::read(file).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().last().unwrap_or_default().to_owned()
}

/// Both texts consist of lines `name=value`; other lines are ignored. A later line wins, so that a program that knows
/// better (a server's own CPU time) can say so.
fn sample_of(texts: &[String]) -> Sample {
    let mut sample = Sample::default();
    let pairs = texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.split_once('='));
    pairs.for_each(|(name, value)| set(&mut sample, name, value));
    sample
}

fn set(sample: &mut Sample, name: &str, value: &str) {
    if name == "checksum" {
        sample.checksum = value.to_owned();
    } else if let Ok(number) = value.parse() {
        *field(sample, name) = number;
    }
}

fn field<'a>(sample: &'a mut Sample, name: &str) -> &'a mut f64 {
    match name {
        "wall_us" => &mut sample.wall_us,
        "user_us" => &mut sample.user_us,
        "system_us" => &mut sample.system_us,
        "peak_rss_kib" => &mut sample.peak_rss_kib,
        "final_rss_kib" => &mut sample.final_rss_kib,
        "minor_faults" => &mut sample.minor_faults,
        "voluntary_switches" => &mut sample.voluntary_switches,
        other => sample.more.entry(other.to_owned()).or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_fields_and_later_ones_win() {
        let sample = sample_of(&["wall_us=5\nuser_us=1\n".into(), "checksum=ab\nuser_us=2\np99_us=7\nnoise\n".into()]);
        assert_eq!((sample.wall_us, sample.cpu_us(), sample.checksum.as_str()), (5.0, 2.0, "ab"));
        assert_eq!(sample.more["p99_us"], 7.0);
    }
}
