//! docs/BENCHMARKS.md: what stands between the two marks is written from the results; the rest of the page, with the
//! method and the experiments, is by hand and stays. `xtask/pages/benchmarks.md` is the page, and the summary of a run; here is what it
//! asks for.

mod course;
mod goals;

use super::cases::{self, GENERATED};
use super::chart::{self, Chart, Row, figure};
use super::engines::{self, OURS};
use super::results::{Results, Timing};
use super::statistics::{Against, Measure, Ratio, median};
use crate::{pages, show, workspace};
use anyhow::Result;
use minijinja::{Environment, Value, context};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Groups in the order of the page. What rests is not timed: it sleeps.
const GROUPS: [(&str, &str); 10] = [
    ("programs", "Programs in small"),
    ("threads", "Threads"),
    ("single", "Single calls and large blocks"),
    ("field", "The field's programs"),
    ("micro", "Micro workloads"),
    ("real", "Real programs"),
    ("rust", "Rust programs, the allocator linked in"),
    ("memory", "Memory that stays"),
    (cases::DAY, "A simulated day"),
    (cases::ADDRESSES, "Very many addresses"),
];
/// The groups whose time counts in geometric means. The programs drawn at random are a mean of their own.
pub const TIMED: [&str; 7] = ["programs", "threads", "single", "field", "micro", "real", "rust"];

pub fn write(results: &Results) -> Result<()> {
    let begin = "<!-- results: written by cargo xtask bench, not by hand -->";
    let text = format!("\n{}\n", rendered(results, false)?);
    let file = pages::put_between("BENCHMARKS.md", begin, "<!-- end of results -->", &text)?;
    println!("  page: {}", file.display());
    Ok(())
}

/// What a run prints at its end: the page's tables of this run, as plain text.
pub fn print(results: &Results) -> Result<()> {
    show::plainly(&rendered(results, true)?);
    Ok(())
}

fn rendered(results: &Results, summary: bool) -> Result<String> {
    let results = Arc::new(results.clone());
    let cases: Vec<Value> = results.timing.iter().enumerate().map(case).collect();
    let (drawn, single): (Vec<&Value>, Vec<&Value>) = cases.iter().partition(|case| is_drawn(case));
    let context = context! {
        summary, cases, drawn, single,
        date => results.date, machine => results.machine, instructions => results.instructions, latency => results.latency,
        goals => goals::found(&results)?, groups => GROUPS, timed => TIMED, ours => OURS,
    };
    pages::render("benchmarks.md", context, |environment| functions(environment, &results))
}

fn case((at, timing): (usize, &Timing)) -> Value {
    let Timing { case, group, source, failures, .. } = timing;
    let told = format!("- `{}`: {source}", case.split('@').next().unwrap_or_default());
    context! { at, case, group, failures, told, figures => timing.figures() }
}

fn is_drawn(case: &Value) -> bool {
    case.get_attr("group").is_ok_and(|group| group.as_str() == Some(GENERATED))
}

/// What the page asks of the results: a case by its index, an engine and a measure by their names.
fn functions(environment: &mut Environment, results: &Arc<Results>) -> Result<()> {
    let catalogue = engines::catalogue()?;
    let told = |name: &str| catalogue.iter().find(|recipe| recipe.name == name).map(engines::Recipe::told);
    let engines = results.engines.iter().map(|(name, title)| (name, title, told(name)));
    environment.add_global("engines", Value::from_serialize(engines.collect::<Vec<_>>()));
    environment.add_global("baseline", results.baseline());
    environment.add_filter("told", |ratio: Value| match Option::<Ratio>::deserialize(ratio) {
        Ok(Some(ratio)) => ratio.told(),
        _ => "–".into(),
    });
    let of = results.clone();
    environment.add_function("title_of", move |engine: &str| of.title(engine).to_owned());
    let of = results.clone();
    environment.add_function("mean", move |engine: &str, against: &str, measure: &str, groups: Vec<String>| {
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let mean = of.mean_against(engine, Against::named(against), Measure::named(measure), &groups);
        Value::from_serialize(mean)
    });
    let of = results.clone();
    environment.add_test("measured", move |at: usize, measure: &str| {
        of.timing[at].median(of.baseline(), Measure::named(measure)).is_some()
    });
    let of = results.clone();
    environment.add_function("absolute", move |at: usize, engine: &str, measure: &str| {
        let measure = Measure::named(measure);
        of.timing[at].median(engine, measure).map_or("–".into(), |value| measure.show(value))
    });
    let of = results.clone();
    environment.add_function("ratio_cell", move |at: usize, engine: &str, measure: &str| {
        ratio_cell(&of.timing[at], engine, of.baseline(), Measure::named(measure))
    });
    let of = results.clone();
    environment.add_function("own_figure", move |at: usize, engine: &str, name: &str| {
        let samples = of.timing[at].samples.get(engine).into_iter().flatten();
        let values = samples.filter_map(|sample| sample.more.get(name).copied());
        median(values.collect()).map_or("–".into(), figure)
    });
    let of = results.clone();
    environment.add_function("losses", move || Value::from_serialize(goals::losses(&of)));
    let of = results.clone();
    environment.add_function("picture", move |name: &str, title: &str, measure: Option<&str>| {
        picture(&of, name, title, measure.map_or(Measure::Cpu, Measure::named))
            .map_err(|error| minijinja::Error::new(minijinja::ErrorKind::InvalidOperation, format!("{error:#}")))
    });
    Ok(())
}

fn ratio_cell(timing: &Timing, engine: &str, baseline: &str, measure: Measure) -> String {
    let Some(ratio) = timing.ratio(engine, baseline, measure) else {
        return if timing.failures.contains_key(engine) { "failed".into() } else { "–".into() };
    };
    // No other engine's median is less, or the difference to the least is not resolved.
    let to_best = timing.ratio_against(engine, Against::BestOther, measure);
    let is_best = to_best.is_none_or(|ratio| ratio.median <= 1.0 || !ratio.resolved_from(1.0));
    let mark = if is_best { "**" } else { "" };
    format!("{mark}{:.2}{mark} <sub>{}</sub>", ratio.median, ratio.interval())
}

// --- pictures ---------------------------------------------------------------------------------------------------------

/// Draws it and gives the line that shows it.
fn picture(results: &Results, name: &str, title: &str, measure: Measure) -> Result<String> {
    let cases: Vec<&Timing> = results.timing.iter().filter(|timing| timing.group == name).collect();
    let file = format!("bench-{name}.svg");
    let path = images().join(&file);
    let title = if name == cases::DAY {
        course::draw(results, &cases, &path)?
    } else {
        let chart = match name {
            "summary" => summary_chart(results),
            "instructions" => instructions_chart(results),
            _ => group_chart(results, &cases, title, measure),
        };
        chart::draw(&path, &chart)?;
        chart.title
    };
    Ok(format!("![{title}](img/{file})"))
}

fn images() -> PathBuf {
    workspace::root().join("docs/img")
}

fn summary_chart(results: &Results) -> Chart {
    let shown = [Measure::Cpu, Measure::Wall, Measure::PeakRss];
    let baseline = Against::Engine(results.baseline());
    let mean = |engine: &str, measure| Some(results.mean_against(engine, baseline, measure, &TIMED)?.median);
    let row = |(engine, title): &(String, String)| Row {
        label: title.clone(),
        bars: shown.map(|measure| mean(engine, measure)).to_vec(),
    };
    Chart {
        title: format!("All timed workloads, geometric mean, {} = 1", results.title(results.baseline())),
        legend: shown.map(|measure| measure.title().to_owned()).to_vec(),
        rows: results.engines.iter().map(row).collect(),
        line: Some(1.0),
    }
}

fn group_chart(results: &Results, cases: &[&Timing], title: &str, measure: Measure) -> Chart {
    let ratio = |timing: &Timing, engine: &str| Some(timing.ratio(engine, results.baseline(), measure)?.median);
    let row = |timing: &&Timing| Row {
        label: timing.case.clone(),
        bars: vec![ratio(timing, OURS), timing.best_other(OURS, measure).and_then(|best| ratio(timing, best))],
    };
    Chart {
        title: format!("{title}: {}, {} = 1", measure.title(), results.title(results.baseline())),
        legend: vec!["ferrimalloc".into(), "best other engine".into()],
        rows: cases.iter().map(row).collect(),
        line: Some(1.0),
    }
}

fn instructions_chart(results: &Results) -> Chart {
    let shown = [OURS, engines::BASELINE];
    let row = |count: &super::results::Instructions| {
        let others = count.per_operation.iter().filter(|(engine, _)| !shown.contains(&engine.as_str()));
        let best = others.map(|(_, &n)| n).min_by(f64::total_cmp);
        let bars = shown.map(|engine| count.per_operation.get(engine).copied()).into_iter().chain([best]).collect();
        Row { label: count.case.clone(), bars }
    };
    Chart {
        title: "Instructions per operation".into(),
        legend: vec!["ferrimalloc".into(), "mimalloc 3.4.3".into(), "best of the rest".into()],
        rows: results.instructions.iter().filter(|count| !count.case.contains("half")).map(row).collect(),
        line: None,
    }
}
