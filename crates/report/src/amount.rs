//! Numbers as people read them, and the columns they stand in.

use ferrimalloc_core::diag::{Message, Output};

/// A number with its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Amount {
    /// Printed in the largest of B, KiB, MiB, GiB, TiB of which there is one.
    Bytes(i64),
    /// Printed in full up to five digits, then in K, M, G.
    Count(i64),
    /// Printed in seconds.
    Millis(u64),
    /// A mean, printed to a tenth; 0 of 0 is 0.
    Mean {
        /// Of all.
        sum: i64,
        /// How many there are.
        count: i64,
    },
}

/// Where the first number of a line ends.
pub(super) const FIRST_COLUMN: usize = 32;
/// How far apart numbers are.
pub(super) const COLUMN_WIDTH: usize = 13;

const COUNT_IN_FULL_MAX: u64 = 99_999;
const BYTE_UNITS: [&str; 5] = [" B", " KiB", " MiB", " GiB", " TiB"];
const COUNT_UNITS: [&str; 4] = ["", " K", " M", " G"];

impl Amount {
    /// Appends the number and its unit.
    #[cold]
    #[inline(never)]
    pub fn write(self, line: &mut Message) {
        match self {
            Amount::Bytes(bytes) => scaled(line, bytes, 1024, &BYTE_UNITS),
            Amount::Count(count) if count.unsigned_abs() <= COUNT_IN_FULL_MAX => _ = line.decimal(count),
            Amount::Count(count) => scaled(line, count, 1000, &COUNT_UNITS),
            Amount::Millis(millis) => seconds(line, millis),
            Amount::Mean { sum, count } => {
                tenths(line, sum.max(0).unsigned_abs(), count.max(1).unsigned_abs());
            }
        }
    }

    /// Appends the number and its unit at the right end of column `index`.
    pub(super) fn write_in_column(self, line: &mut Message, index: usize) {
        let end = FIRST_COLUMN + index * COLUMN_WIDTH;
        let start = line.text(" ").len();
        self.write(line);
        line.right_align(start, end.saturating_sub(start));
    }
}

/// Writes a line with a name and its number.
#[inline(never)]
pub fn line(out: &mut dyn Output, name: &str, amount: Amount) {
    put_line(out, |line| {
        line.text("  ").text(name);
        amount.write_in_column(line, 0);
    });
}

/// Writes the line above a group of lines: its name, and what stands in the columns.
#[inline(never)]
pub fn title(out: &mut dyn Output, name: &str, columns: &[&str]) {
    put_line(out, |line| {
        line.text(" ").text(name);
        for (index, column) in columns.iter().enumerate() {
            let end = FIRST_COLUMN + index * COLUMN_WIDTH;
            let start = line.len();
            line.text(column).right_align(start, end.saturating_sub(start));
        }
    });
}

pub(super) fn put_line(out: &mut dyn Output, write: impl FnOnce(&mut Message)) {
    let mut line = Message::new();
    write(&mut line);
    out.put(line.end_line().as_c_str());
}

/// Appends `number` in the largest of `units`, each `step` of the one before, that it fills.
fn scaled(line: &mut Message, number: i64, step: u64, units: &[&str]) {
    if number < 0 {
        line.character(b'-');
    }
    let (mut size, mut unit) = (1, 0);
    while unit + 1 < units.len() && number.unsigned_abs() / size >= step {
        size *= step;
        unit += 1;
    }
    match unit {
        0 => _ = line.unsigned(number.unsigned_abs()),
        _ => tenths(line, number.unsigned_abs(), size),
    }
    line.text(units[unit]);
}

/// Appends `number / unit` to a tenth, cut.
fn tenths(line: &mut Message, number: u64, unit: u64) {
    let tenth = u128::from(number % unit) * 10 / u128::from(unit);
    line.unsigned(number / unit).character(b'.').unsigned(tenth as u64);
}

fn seconds(line: &mut Message, millis: u64) {
    line.unsigned(millis / 1000).character(b'.');
    let thousandths = millis % 1000;
    for digit in [thousandths / 100, thousandths / 10 % 10, thousandths % 10] {
        line.unsigned(digit);
    }
    line.text(" s");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Lines, text};

    fn written(amount: Amount) -> std::string::String {
        let mut line = Message::new();
        amount.write(&mut line);
        text(&line)
    }

    #[test]
    fn amounts_read_naturally() {
        let expected = [
            (Amount::Bytes(0), "0 B"),
            (Amount::Bytes(1023), "1023 B"),
            (Amount::Bytes(1024), "1.0 KiB"),
            (Amount::Bytes(-1536), "-1.5 KiB"),
            (Amount::Bytes(1_076_166_656), "1.0 GiB"),
            (Amount::Bytes(i64::MAX), "8388607.9 TiB"),
            (Amount::Bytes(i64::MIN), "-8388608.0 TiB"),
            (Amount::Count(99_999), "99999"),
            (Amount::Count(-7), "-7"),
            (Amount::Count(100_000), "100.0 K"),
            (Amount::Count(2_500_000_000), "2.5 G"),
            (Amount::Millis(12_034), "12.034 s"),
            (Amount::Mean { sum: 7, count: 2 }, "3.5"),
            (Amount::Mean { sum: 0, count: 0 }, "0.0"),
        ];
        for (amount, text) in expected {
            assert_eq!(written(amount), text);
        }
    }

    #[test]
    fn columns_line_up_under_their_titles() {
        let mut lines = Lines::default();
        title(&mut lines, "memory", &["now"]);
        line(&mut lines, "reserved", Amount::Bytes(4096));
        assert_eq!(lines.0[0].len(), lines.0[1].len());
        assert!(lines.0[1].starts_with("  reserved ") && lines.0[1].ends_with(" 4.0 KiB\n"));
    }

    #[test]
    fn a_long_name_pushes_its_number_aside() {
        let mut lines = Lines::default();
        line(&mut lines, "a name that is far too long for the column", Amount::Count(1));
        assert!(lines.0[0].ends_with("column 1\n"));
    }
}
