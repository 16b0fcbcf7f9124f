//! Flame graphs.

use super::diff::Change;
use super::{Measure, Profile, collapsed};
use crate::view::amount;
use inferno::flamegraph::color::{BasicPalette, Palette};
use inferno::flamegraph::{self, Direction, Options};
use std::io;

/// One file for a browser, with search and zoom.
pub fn svg(profile: &Profile, measure: Measure) -> io::Result<Vec<u8>> {
    let text = collapsed::write(profile, measure);
    let bytes = measure.bytes(&profile.total()).max(0).cast_unsigned();
    let mut options = options(format!("{} {}", amount::bytes(bytes), measure.words()), &profile.command);
    options.colors = Palette::Basic(BasicPalette::Mem);
    draw(&mut options, &text)
}

/// What has grown is red, what has shrunk is blue; widths are those of the second profile.
pub fn difference(changes: &[Change], measure: Measure, title: &str) -> io::Result<Vec<u8>> {
    let lines = changes.iter().filter(|change| change.bytes != (0, 0));
    let text: String = lines.map(|change| format!("{} {} {}\n", change.path, change.bytes.0, change.bytes.1)).collect();
    draw(&mut options(format!("{}: before and after", measure.words()), title), &text)
}

fn options(title: String, subtitle: &str) -> Options<'static> {
    let mut options = Options::default();
    options.title = title;
    options.subtitle = (!subtitle.is_empty()).then(|| subtitle.chars().take(150).collect());
    options.count_name = "bytes".into();
    options.deterministic = true;
    options.image_width = Some(1200);
    // What is wide, `main` and what it calls, is at the top, where a browser begins: stacks may be deep.
    options.direction = Direction::Inverted;
    options.min_width = 0.05;
    options
}

fn draw(options: &mut Options<'_>, text: &str) -> io::Result<Vec<u8>> {
    let mut picture = Vec::new();
    flamegraph::from_lines(options, text.lines(), &mut picture)?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_is_in_the_picture() {
        let picture = String::from_utf8(svg(&super::super::tests::example(), Measure::Allocated).unwrap()).unwrap();
        for text in ["<svg", "main", "work", "make&lt;a:b&gt;", "1.1 KiB allocated", "a program", "1,100 bytes"] {
            assert!(picture.contains(text), "{text}");
        }
    }
}
