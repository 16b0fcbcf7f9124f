//! `bench`: one program with several allocators, in turns: what comes and goes on the machine meets all of them.

use super::run::{Finished, Output, code, launch, median};
use super::{Bench, usage};
use crate::failure::{Exit, Failure, Result, file_failure};
use crate::library;
use crate::view::amount::{bytes, table};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Allocators by name, and what their libraries are called, the most usual first.
const KNOWN: [(&str, &[&str]); 8] = [
    ("mimalloc", &["libmimalloc.so.3", "libmimalloc.so.2", "libmimalloc.so"]),
    ("jemalloc", &["libjemalloc.so.2", "libjemalloc.so"]),
    ("tcmalloc", &["libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libtcmalloc_minimal.so"]),
    ("snmalloc", &["libsnmallocshim.so"]),
    ("rpmalloc", &["librpmalloc.so.1", "librpmalloc.so", "librpmallocwrap.so"]),
    ("tbbmalloc", &["libtbbmalloc_proxy.so.2"]),
    ("hoard", &["libhoard.so"]),
    ("scudo", &["libscudo.so"]),
];
const FOLDERS: [&str; 8] = [
    "/usr/local/lib",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/lib",
];
const SYSTEM: &str = "system";
const OURS: &str = "ferrimalloc";
const BAR: usize = 24;

/// An allocator to be measured.
struct Engine {
    name: String,
    /// `None`: the program's own.
    library: Option<PathBuf>,
    runs: Vec<Finished>,
}

impl Engine {
    fn new(name: impl Into<String>, library: Option<PathBuf>) -> Engine {
        Engine { name: name.into(), library, runs: Vec::new() }
    }

    /// By a name, `NAME=PATH` or a path.
    fn of(text: &str) -> Result<Engine> {
        if text == SYSTEM || text == "glibc" {
            return Ok(Engine::new(text, None));
        }
        if text == OURS {
            return Ok(Engine::new(text, Some(library::find()?)));
        }
        let (name, path) = match text.split_once('=') {
            Some((name, path)) => (name, Some(path)),
            None if text.contains('/') => (text.rsplit('/').next().unwrap_or(text), Some(text)),
            None => (text, None),
        };
        if let Some(path) = path {
            // By its whole path: programs change their folder.
            let whole = fs::canonicalize(path).map_err(|error| file_failure(Path::new(path), &error))?;
            return Ok(Engine::new(name, Some(whole)));
        }
        installed(name).map(|path| Engine::new(name, Some(path))).ok_or_else(|| {
            let known: Vec<&str> = KNOWN.iter().map(|(name, _)| *name).collect();
            usage(
                format!("there is no library of {name} where libraries usually are"),
                format!(
                    "Name its file: {name}=/path/to/lib{name}.so. Known by name are {SYSTEM}, {OURS}, {}.",
                    known.join(", ")
                ),
            )
        })
    }

    fn median(&self, value: &dyn Fn(&Finished) -> f64) -> f64 {
        median(&self.runs, value)
    }
}

/// Where an allocator's library is on this machine.
fn installed(name: &str) -> Option<PathBuf> {
    let (_, files) = KNOWN.iter().find(|(known, _)| *known == name)?;
    let places = files.iter().flat_map(|file| FOLDERS.iter().map(move |folder| Path::new(folder).join(file)));
    places.into_iter().find_map(|path| fs::canonicalize(path).ok())
}

fn engines(names: &[String]) -> Result<Vec<Engine>> {
    if !names.is_empty() {
        return names.iter().map(|name| Engine::of(name.trim())).collect();
    }
    let mut all = vec![Engine::of(SYSTEM)?, Engine::of(OURS)?];
    all.extend(KNOWN.iter().filter_map(|(name, _)| Some(Engine::new(*name, Some(installed(name)?)))));
    Ok(all)
}

type Column = (&'static str, &'static str, fn(&Finished) -> f64);
const COLUMNS: [Column; 3] = [
    ("wall", "wall_seconds", |run| run.wall.as_secs_f64()),
    ("CPU", "cpu_seconds", |run| run.cpu.as_secs_f64()),
    ("peak memory", "peak_bytes", |run| run.peak_bytes as f64),
];

fn shown(column: &Column, value: f64) -> String {
    if column.1 == "peak_bytes" { bytes(value as u64) } else { format!("{value:.3} s") }
}

pub fn execute(bench: &Bench) -> Result<ExitCode> {
    let ending = bench.output.as_deref().map(|path| path.extension().and_then(|ending| ending.to_str()).unwrap_or(""));
    if let Some(ending) = ending.filter(|ending| !["svg", "json"].contains(ending)) {
        return Err(usage(
            format!("`.{ending}` is no form of a chart"),
            "Name the output .svg (a chart) or .json (numbers).",
        ));
    }
    let mut engines = engines(&bench.engines)?;
    // One run that fills caches, and that shows whether the program runs at all.
    for engine in &engines {
        measured(bench, engine)?;
    }
    for _ in 0..bench.runs {
        for engine in &mut engines {
            let run = measured(bench, engine)?;
            engine.runs.push(run);
        }
    }
    print!("{}", text(&engines, bench.runs));
    let codes = |engine: &Engine| engine.runs.iter().map(|run| code(run.status)).max().unwrap_or(0);
    let worst = engines.iter().map(codes).max().unwrap_or(0);
    for engine in engines.iter().filter(|engine| codes(engine) != 0) {
        println!("with {} the program ends with code {}: it may have done less", engine.name, codes(engine));
    }
    if let Some(path) = &bench.output {
        let line = bench.command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let made = if ending == Some("svg") { svg(&engines, &line) } else { format!("{:#}\n", json(&engines, &line)) };
        fs::write(path, made).map_err(|error| file_failure(path, &error))?;
        eprintln!("{}: {}", path.display(), if ending == Some("svg") { "open it in a browser" } else { "numbers" });
    }
    Ok(ExitCode::from(worst))
}

fn measured(bench: &Bench, engine: &Engine) -> Result<Finished> {
    let run = launch(&bench.command, engine.library.as_slice(), &[], Output::Dropped)?.wait()?;
    match code(run.status) {
        126 | 127 => Err(Failure::new(
            Exit::CannotRun,
            format!("with {} the program can't be started", engine.name),
            "Run it alone first; a library for another machine, or one that needs others, can't be preloaded.",
        )),
        _ => Ok(run),
    }
}

/// A table of medians with the spread of the wall time, and bars.
fn text(engines: &[Engine], runs: u32) -> String {
    let first = &engines[0];
    let mut rows = vec![vec![String::new()]];
    for (name, ..) in COLUMNS {
        rows[0].extend([name.to_owned(), "ratio".to_owned()]);
    }
    rows[0].push("least … most".into());
    for engine in engines {
        let mut row = vec![engine.name.clone()];
        for column in &COLUMNS {
            let (value, base) = (engine.median(&column.2), first.median(&column.2));
            row.push(shown(column, value));
            row.push(if base > 0.0 { format!("{:.2}", value / base) } else { "–".into() });
        }
        let walls = || engine.runs.iter().map(|run| run.wall.as_secs_f64());
        let (least, most) = (walls().fold(f64::INFINITY, f64::min), walls().fold(0.0, f64::max));
        row.push(format!("{least:.3} … {most:.3} s"));
        rows.push(row);
    }
    let mut text = format!("{runs} runs each, in turns; medians; ratios to {}\n{}", first.name, table(&rows));
    for column in [&COLUMNS[0], &COLUMNS[2]] {
        let most = engines.iter().map(|engine| engine.median(&column.2)).fold(f64::MIN_POSITIVE, f64::max);
        text.push_str(&format!("\n{}\n", column.0));
        let width = engines.iter().map(|engine| engine.name.chars().count()).max().unwrap_or(0);
        for engine in engines {
            let value = engine.median(&column.2);
            let bar = "█".repeat((value / most * BAR as f64).round() as usize);
            text.push_str(&format!("{:<width$}  {bar:<BAR$}  {}\n", engine.name, shown(column, value)));
        }
    }
    text
}

fn json(engines: &[Engine], line: &str) -> Value {
    let of = |engine: &Engine| {
        let all = |column: &Column| engine.runs.iter().map(|run| (column.2)(run)).collect::<Vec<f64>>();
        let columns = COLUMNS
            .iter()
            .map(|column| (column.1.to_owned(), json!({ "median": engine.median(&column.2), "runs": all(column) })));
        let mut value = Value::Object(columns.collect());
        value["name"] = engine.name.as_str().into();
        value["library"] = engine.library.as_ref().map(|path| path.display().to_string()).into();
        value["codes"] = engine.runs.iter().map(|run| code(run.status)).collect::<Vec<u8>>().into();
        value
    };
    json!({ "command": line, "engines": engines.iter().map(of).collect::<Vec<_>>() })
}

/// Two groups of bars; legible on light and dark.
fn svg(engines: &[Engine], line: &str) -> String {
    const ROW: usize = 24;
    const LEFT: usize = 150;
    const WIDTH: usize = 460;
    let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let group = engines.len() * ROW + 44;
    let height = 2 * group + 40;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"760\" height=\"{height}\" viewBox=\"0 0 760 {height}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"13\">\n<style>text{{fill:#222}}svg{{background:#fff}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ddd}}svg{{background:#181818}}}}</style>\n\
         <text x=\"12\" y=\"24\" font-weight=\"bold\">{}</text>\n",
        escaped(&line.chars().take(90).collect::<String>())
    );
    for (index, column) in [&COLUMNS[0], &COLUMNS[2]].into_iter().enumerate() {
        let top = 56 + index * group;
        let most = engines.iter().map(|engine| engine.median(&column.2)).fold(f64::MIN_POSITIVE, f64::max);
        text.push_str(&format!("<text x=\"12\" y=\"{top}\">{}, median; less is better</text>\n", column.0));
        for (row, engine) in engines.iter().enumerate() {
            let (value, y) = (engine.median(&column.2), top + 12 + row * ROW);
            let width = (value / most * WIDTH as f64).round().max(1.0);
            let colour = if engine.name == OURS { "#d2691e" } else { "#5b8db8" };
            text.push_str(&format!(
                "<text x=\"12\" y=\"{}\">{}</text><rect x=\"{LEFT}\" y=\"{y}\" width=\"{width}\" height=\"16\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text>\n",
                y + 13,
                escaped(&engine.name),
                LEFT as f64 + width + 8.0,
                y + 13,
                shown(column, value)
            ));
        }
    }
    text + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;
    use std::time::Duration;

    fn engine(name: &str, millis: [u64; 3], peak_bytes: u64) -> Engine {
        let run = |millis| Finished {
            status: ExitStatus::from_raw(0),
            wall: Duration::from_millis(millis),
            cpu: Duration::from_millis(millis / 2),
            peak_bytes,
        };
        Engine { name: name.into(), library: None, runs: millis.map(run).into() }
    }

    #[test]
    fn tables_and_charts_have_medians() {
        let engines = [engine("system", [900, 100, 1000], 1 << 20), engine("ferrimalloc", [450, 10, 9000], 1 << 19)];
        let shown = text(&engines, 3);
        assert!(shown.contains("0.900 s") && shown.contains("0.450 s") && shown.contains("0.50"), "{shown}");
        assert!(shown.contains("0.010 … 9.000 s") && shown.contains("512 KiB"), "{shown}");
        let long = shown.lines().find(|line| line.starts_with("system") && line.contains('█')).unwrap();
        assert_eq!(long.matches('█').count(), BAR);
        let chart = svg(&engines, "a < b");
        assert!(
            chart.contains("a &lt; b") && chart.contains("width=\"230\"") && chart.contains("width=\"460\""),
            "{chart}"
        );
        assert_eq!(json(&engines, "x")["engines"][1]["wall_seconds"]["median"], 0.45);
    }

    #[test]
    fn engines_have_names_or_paths() {
        assert!(Engine::of("system").unwrap().library.is_none());
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().display().to_string();
        assert_eq!(Engine::of(&format!("mine={path}")).unwrap().name, "mine");
        assert_eq!(Engine::of(&path).unwrap().library, Some(fs::canonicalize(&path).unwrap()));
        let error = Engine::of("no-such-allocator").err().unwrap();
        assert!(error.exit == Exit::Usage && error.next.contains("no-such-allocator=/path"));
        assert_eq!(Engine::of("mine=/no/such/file").err().unwrap().exit, Exit::System);
    }
}
