//! Real programs with the library preloaded, their results compared with those of a run without it.
//!
//! Each program of `tables/matrix.toml` is a shell script in `xtask/programs/matrix`. It is run twice, the second time with
//! `LD_PRELOAD` for the shell and everything it starts. It passes if both runs end with status 0 and print the same on
//! stdout; so a script prints results (checksums, query answers, test verdicts) and nothing that varies.
//! A script gets: an empty working folder, `HOME` there (the user's is `USER_HOME`), `PORT` (free on 127.0.0.1), `PROGRAMS` (our programs),
//! `LIBRARY` (the first preloaded library, empty in the plain run). Whatever it leaves running is killed.

use crate::process::{self, Finished, last_lines};
use crate::test::{Case, Pace, Testbed};
use crate::{packages, show, tables, workspace};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// One line of the table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub name: String,
    what: String,
    #[serde(default)]
    pub pace: Pace,
    /// Seconds, for each of the two runs.
    limit: u64,
    pub needs: Vec<String>,
}

/// Variables in the environment of a run.
type Settings = BTreeMap<String, String>;

/// Programs of the table, and what each is run with.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    programs: Vec<String>,
    settings: Vec<Settings>,
    /// With the library that checks copies behind ours.
    #[serde(default)]
    checked: bool,
}

/// What a script printed and what it cost.
struct Output {
    stdout: String,
    cost: Finished,
}

/// What the dynamic linker prints when it goes on without the library.
const NOT_PRELOADED: &str = "cannot be preloaded";
/// How many lines of stderr an error shows.
const SHOWN: usize = 40;

pub fn programs() -> Result<Vec<Program>> {
    tables::list("matrix", "program")
}

pub fn case(program: Program) -> Case {
    Case::new(&program.name.clone(), &program.what.clone(), move |testbed| {
        let (plain, preloaded) = program.compared(testbed, &[testbed.library()?.into()], &[Settings::new()])?;
        Ok(format!("the same {} lines; {}", plain.stdout.lines().count(), costs(&plain, &preloaded[0])))
    })
}

/// Answers how many runs that were.
pub fn run_chosen(chosen: &Chosen, testbed: &Testbed) -> Result<usize> {
    let libraries =
        if chosen.checked { testbed.libraries_that_check()?.into() } else { vec![testbed.library()?.into()] };
    let mut runs = 0;
    for program in programs()?.iter().filter(|program| chosen.programs.contains(&program.name)) {
        runs += program.compared(testbed, &libraries, &chosen.settings).context(program.name.clone())?.1.len();
    }
    Ok(runs)
}

impl Program {
    /// Without the libraries, then with them under each of `settings`.
    fn compared(
        &self,
        testbed: &Testbed,
        libraries: &[PathBuf],
        settings: &[Settings],
    ) -> Result<(Output, Vec<Output>)> {
        let missing = packages::missing(&self.needs)?;
        ensure!(missing.is_empty(), "not installed: {missing:?}");
        let plain = self.run(testbed, &[], &Settings::new()).context("without the library")?;
        let run = |settings| {
            let preloaded = self.run(testbed, libraries, settings)?;
            compare(&plain.stdout, &preloaded.stdout).map(|()| preloaded)
        };
        let runs =
            settings.iter().map(|settings| run(settings).with_context(|| format!("with the library {settings:?}")));
        let runs = runs.collect::<Result<_>>()?;
        Ok((plain, runs))
    }

    fn run(&self, testbed: &Testbed, libraries: &[PathBuf], settings: &Settings) -> Result<Output> {
        let (folder, log) = (testbed.scratch(&self.name)?, testbed.log(&self.name)?);
        let stdout = folder.join(".stdout");
        let port = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?.local_addr()?.port();
        let mut command = Command::new("bash");
        command.arg(workspace::programs().join("matrix").join(&self.name).with_extension("sh")).current_dir(&folder);
        command.env("PATH", env::join_paths(packages::search_path())?);
        command.env("HOME", &folder).env("TMPDIR", &folder).env("LC_ALL", "C.UTF-8").env("TZ", "UTC");
        command.env("USER_HOME", env::var_os("HOME").unwrap_or_default());
        command.env("PROGRAMS", workspace::programs()).env("PORT", port.to_string());
        command.env("LIBRARY", libraries.first().cloned().unwrap_or_default()).env_remove("LD_PRELOAD").envs(settings);
        if !libraries.is_empty() {
            command.env("LD_PRELOAD", env::join_paths(libraries)?);
        }
        command.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&log)?);
        let cost = process::bounded(&mut command, Duration::from_secs(self.limit))?;
        let complaints = String::from_utf8_lossy(&fs::read(log)?).into_owned();
        ensure!(cost.succeeded(), "{}\n{}", cost.describe(), last_lines(&complaints, SHOWN));
        ensure!(!complaints.contains(NOT_PRELOADED), "the library was not loaded\n{}", last_lines(&complaints, SHOWN));
        Ok(Output { stdout: String::from_utf8_lossy(&fs::read(stdout)?).into_owned(), cost })
    }
}

fn compare(plain: &str, preloaded: &str) -> Result<()> {
    let different = plain.lines().zip(preloaded.lines()).enumerate().find(|(_, (plain, preloaded))| plain != preloaded);
    if let Some((line, (plain, preloaded))) = different {
        anyhow::bail!("line {} is `{preloaded}`, without the library `{plain}`", line + 1);
    }
    ensure!(plain == preloaded, "{} lines, without the library {}", preloaded.lines().count(), plain.lines().count());
    Ok(())
}

fn costs(plain: &Output, preloaded: &Output) -> String {
    let [wall, plain_wall] = [preloaded, plain].map(|output| show::seconds(output.cost.wall));
    let [peak, plain_peak] = [preloaded, plain].map(|output| show::mebibytes(output.cost.peak_rss));
    format!("{wall} and {peak}, without the library {plain_wall} and {plain_peak}")
}
