//! What was resident and what was live in the course of a simulated day: a line for each engine.

use crate::bench::chart::COLOURS;
use crate::bench::results::{COURSE, Results, Timing};
use crate::bench::sample::Sample;
use crate::bench::statistics::median;
use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::path::Path;

const SIZE: (u32, u32) = (860, 420);
const TITLE: &str = "A simulated day: MiB resident";

/// Hours and MiB.
type Points = Vec<(f64, f64)>;

/// Draws the picture and gives its title.
pub fn draw(results: &Results, cases: &[&Timing], file: &Path) -> Result<String> {
    let lines: Vec<(String, Points)> = cases.iter().flat_map(|timing| lines(results, timing)).collect();
    let canvas = SVGBackend::new(file, SIZE).into_drawing_area();
    paint(&canvas, &lines).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    Ok(TITLE.into())
}

/// What was live, which is the same for all, and what was resident with each engine.
fn lines(results: &Results, timing: &Timing) -> Vec<(String, Points)> {
    let of = |engine: &str, what: &str| timing.samples.get(engine).map(|samples| course(samples, what));
    let live = timing.samples.keys().next().and_then(|engine| of(engine, "live_mib"));
    let engines = results.engines.iter();
    let resident = engines.filter_map(|(engine, title)| Some((title.clone(), of(engine, "resident_mib")?)));
    live.map(|points| ("live".to_owned(), points)).into_iter().chain(resident).collect()
}

/// The medians over all rounds of the figures `at_HHMM_what`.
fn course(samples: &[Sample], what: &str) -> Points {
    let names = samples.iter().flat_map(|sample| sample.more.keys());
    let mut names: Vec<&String> = names.filter(|name| hour_of(name, what).is_some()).collect();
    names.sort();
    names.dedup();
    let value = |name: &String| median(samples.iter().filter_map(|sample| sample.more.get(name).copied()).collect());
    names.into_iter().filter_map(|name| Some((hour_of(name, what)?, value(name)?))).collect()
}

fn hour_of(name: &str, what: &str) -> Option<f64> {
    let (time, found) = name.strip_prefix(COURSE)?.split_once('_')?;
    let (hours, minutes) = time.split_at_checked(2)?;
    (found == what).then_some(())?;
    Some(hours.parse::<f64>().ok()? + minutes.parse::<f64>().ok()? / 60.0)
}

fn paint(
    canvas: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    lines: &[(String, Points)],
) -> Result<(), Box<dyn std::error::Error>> {
    canvas.fill(&WHITE)?;
    let most = lines.iter().flat_map(|(_, points)| points).map(|point| point.1).fold(1.0, f64::max);
    let mut builder = ChartBuilder::on(canvas);
    builder.caption(TITLE, ("sans-serif", 16)).margin(10).x_label_area_size(30).y_label_area_size(45);
    let mut chart = builder.build_cartesian_2d(0.0..24.0, 0.0..most * 1.05)?;
    chart.configure_mesh().x_labels(13).x_desc("hour").y_desc("MiB").light_line_style(WHITE).draw()?;
    for (index, (name, points)) in lines.iter().enumerate() {
        // What is live comes first.
        let colour = if index == 0 { BLACK } else { COLOURS[(index - 1) % COLOURS.len()] };
        let series = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        series.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE).draw()?;
    canvas.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_time_become_points_in_order() {
        let names = [("at_0940_live_mib", 3.0), ("at_0000_live_mib", 1.0), ("at_0000_resident_mib", 9.0), ("x", 4.0)];
        let more = names.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        let sample = Sample { more, ..Sample::default() };
        assert_eq!(course(&[sample], "live_mib"), [(0.0, 1.0), (9.0 + 40.0 / 60.0, 3.0)]);
    }
}
