//! Horizontal bar charts as SVG, for `docs/img/`: one block of bars per row, a line at 1.0.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::fs;
use std::path::Path;

pub struct Chart {
    pub title: String,
    /// What each bar of a row stands for, in order.
    pub legend: Vec<String>,
    pub rows: Vec<Row>,
    /// Where a line is drawn across all rows; 1.0 for ratios.
    pub line: Option<f64>,
}

pub struct Row {
    pub label: String,
    /// A missing bar is `None`.
    pub bars: Vec<Option<f64>>,
}

const WIDTH: i32 = 860;
const LABELS: i32 = 190;
const VALUES: i32 = 60;
const BAR: i32 = 11;
const GAP: i32 = 8;
const TITLE: i32 = 34;
const LEGEND: i32 = 22;
/// A longer bar is cut off here, in multiples of the line; its figure stands beside it.
const CUT_OFF: f64 = 2.5;

pub const COLOURS: [RGBColor; 10] = [
    RGBColor(200, 80, 40),
    RGBColor(90, 120, 170),
    RGBColor(120, 160, 90),
    RGBColor(200, 170, 70),
    RGBColor(140, 100, 160),
    RGBColor(90, 170, 170),
    RGBColor(170, 120, 90),
    RGBColor(130, 130, 130),
    RGBColor(200, 130, 160),
    RGBColor(70, 90, 110),
];

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

pub fn draw(file: &Path, chart: &Chart) -> Result<()> {
    fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))?;
    let size = (WIDTH as u32, chart.height() as u32);
    let canvas = SVGBackend::new(file, size).into_drawing_area();
    paint(&canvas, chart).map_err(|error| anyhow!("{}: {error}", file.display()))
}

type Painted = Result<(), Box<dyn std::error::Error>>;

fn paint(canvas: &Canvas, chart: &Chart) -> Painted {
    canvas.fill(&WHITE)?;
    text(canvas, &chart.title, (10, 10), 16)?;
    paint_legend(canvas, chart)?;
    paint_rows(canvas, chart)?;
    paint_line(canvas, chart)?;
    canvas.present()?;
    Ok(())
}

fn paint_legend(canvas: &Canvas, chart: &Chart) -> Painted {
    let mut x = 10;
    for (index, name) in chart.legend.iter().enumerate() {
        rectangle(canvas, (x, TITLE), (x + 10, TITLE + 10), index)?;
        text(canvas, name, (x + 14, TITLE), 11)?;
        x += 30 + 7 * name.len() as i32;
    }
    Ok(())
}

fn paint_rows(canvas: &Canvas, chart: &Chart) -> Painted {
    let mut y = TITLE + LEGEND;
    for row in &chart.rows {
        text(canvas, &row.label, (10, y + (chart.row_height() - GAP - BAR) / 2), 12)?;
        for (index, bar) in row.bars.iter().enumerate() {
            paint_bar(canvas, chart, *bar, index, y + index as i32 * BAR)?;
        }
        y += chart.row_height();
    }
    Ok(())
}

fn paint_bar(canvas: &Canvas, chart: &Chart, bar: Option<f64>, colour: usize, y: i32) -> Painted {
    let Some(value) = bar else { return Ok(()) };
    let end = LABELS + chart.length(value);
    rectangle(canvas, (LABELS, y), (end, y + BAR - 2), colour)?;
    text(canvas, &figure(value), (end + 4, y), 10)
}

fn paint_line(canvas: &Canvas, chart: &Chart) -> Painted {
    let Some(at) = chart.line else { return Ok(()) };
    let (x, bottom) = (LABELS + chart.length(at), chart.height() - GAP);
    canvas.draw(&PathElement::new([(x, TITLE + LEGEND - 4), (x, bottom)], BLACK))?;
    Ok(())
}

fn rectangle(canvas: &Canvas, from: (i32, i32), to: (i32, i32), colour: usize) -> Painted {
    canvas.draw(&Rectangle::new([from, to], COLOURS[colour % COLOURS.len()].filled()))?;
    Ok(())
}

fn text(canvas: &Canvas, words: &str, at: (i32, i32), size: i32) -> Painted {
    canvas.draw(&Text::new(words.to_owned(), at, ("sans-serif", size)))?;
    Ok(())
}

/// A figure with as many decimals as one reads.
pub fn figure(value: f64) -> String {
    if value < 20.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

impl Chart {
    fn row_height(&self) -> i32 {
        self.legend.len() as i32 * BAR + GAP
    }

    fn height(&self) -> i32 {
        TITLE + LEGEND + self.rows.len() as i32 * self.row_height() + GAP
    }

    /// The value at the right edge.
    fn full_scale(&self) -> f64 {
        let largest =
            self.rows.iter().flat_map(|row| &row.bars).flatten().fold(self.line.unwrap_or(0.0), |a, &b| a.max(b));
        self.line.map_or(largest, |line| largest.min(line * CUT_OFF))
    }

    fn length(&self, value: f64) -> i32 {
        let part = (value / self.full_scale()).clamp(0.0, 1.0);
        (part * f64::from(WIDTH - LABELS - VALUES)) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_far_beyond_the_line_is_cut_off() {
        let row = Row { label: "x".into(), bars: vec![Some(1.0), Some(90.0)] };
        let chart =
            Chart { title: String::new(), legend: vec!["a".into(), "b".into()], rows: vec![row], line: Some(1.0) };
        assert_eq!(chart.length(90.0), WIDTH - LABELS - VALUES);
        assert!(chart.length(1.0) * 2 < chart.length(90.0));
    }
}
