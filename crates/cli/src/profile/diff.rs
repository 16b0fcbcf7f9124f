//! What has changed from one profile to another.

use super::{Measure, Profile};
use crate::view::amount::{bytes, table};
use std::collections::BTreeMap;

/// A stack, and its bytes before and after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub path: String,
    pub bytes: (i64, i64),
}

impl Change {
    fn by(&self) -> i64 {
        self.bytes.1 - self.bytes.0
    }
}

/// Stacks of either; those that changed most first.
pub fn changes(before: &Profile, after: &Profile, measure: Measure) -> Vec<Change> {
    let mut all: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for sample in &before.samples {
        all.entry(before.path(sample)).or_default().0 += measure.bytes(&sample.values);
    }
    for sample in &after.samples {
        all.entry(after.path(sample)).or_default().1 += measure.bytes(&sample.values);
    }
    let mut changes: Vec<Change> = all.into_iter().map(|(path, bytes)| Change { path, bytes }).collect();
    changes.sort_by_key(|change| std::cmp::Reverse(change.by().abs()));
    changes
}

/// The second with the first taken away, value by value: negative where it has less.
pub fn subtract(before: &Profile, mut after: Profile) -> Profile {
    let (mut less, count) = (before.clone(), after.samples.len());
    for sample in &mut less.samples {
        sample.values = sample.values.map(|value| -value);
    }
    after.add(less);
    let mut merged: BTreeMap<(Vec<usize>, String, u64), super::Values> = BTreeMap::new();
    let all = std::mem::replace(&mut after.samples, Vec::with_capacity(count));
    for sample in all {
        let values = merged.entry((sample.stack, sample.thread, sample.heap)).or_insert([0; 7]);
        *values = super::sum([*values, sample.values].iter());
    }
    let samples = merged.into_iter().filter(|(_, values)| *values != [0; 7]);
    after.samples =
        samples.map(|((stack, thread, heap), values)| super::Sample { stack, thread, heap, values }).collect();
    after
}

/// Collapsed stacks with two numbers, as differential flame graphs are made of.
pub fn collapsed(changes: &[Change]) -> String {
    changes.iter().map(|change| format!("{} {} {}\n", change.path, change.bytes.0, change.bytes.1)).collect()
}

const ROWS: usize = 20;
/// How many functions of a stack are named in a row.
const FUNCTIONS: usize = 4;

/// A table.
pub fn text(changes: &[Change], measure: Measure) -> String {
    let sum = |part: fn(&Change) -> i64| changes.iter().map(part).sum::<i64>();
    let (before, after) = (sum(|change| change.bytes.0), sum(|change| change.bytes.1));
    let size = |value: i64| bytes(value.max(0).cast_unsigned());
    let change = |value: i64| format!("{}{}", if value < 0 { '-' } else { '+' }, bytes(value.unsigned_abs()));
    let mut text =
        format!("{}: {} before, {} after: {}\n\n", measure.words(), size(before), size(after), change(after - before));
    let mut rows = vec![["before", "after", "change", "stack"].map(String::from).to_vec()];
    for row in changes.iter().filter(|row| row.by() != 0).take(ROWS) {
        rows.push(vec![size(row.bytes.0), size(row.bytes.1), change(row.by()), end_of(&row.path)]);
    }
    if rows.len() == 1 {
        text.push_str("No stack has changed.\n");
        return text;
    }
    // The last column is text: to the left, as the first of a table is.
    let stacks: Vec<String> = rows.iter_mut().filter_map(Vec::pop).collect();
    for (line, stack) in table(&rows).lines().zip(stacks) {
        text.push_str(&format!("{line}  {stack}\n"));
    }
    text
}

/// The innermost functions, outermost first.
fn end_of(path: &str) -> String {
    let names: Vec<&str> = path.split(';').skip(1).collect();
    let skipped = names.len().saturating_sub(FUNCTIONS);
    format!("{}{}", if skipped > 0 { "… > " } else { "" }, names[skipped..].join(" > "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::tests::example;

    #[test]
    fn changes_are_sorted_and_signed() {
        let (before, mut after) = (example(), example());
        after.samples[1].values[3] = 2048;
        after.samples[0].values[3] = 400;
        let found = changes(&before, &after, Measure::InUse);
        assert_eq!((found[0].path.as_str(), found[0].bytes), ("t;main;work", (0, 2048)));
        assert_eq!((found[1].path.as_str(), found[1].bytes), ("t;main;work;make<a:b>", (500, 400)));
        let shown = text(&found, Measure::InUse);
        assert!(shown.contains("+2.0 KiB  main > work\n") && shown.contains("-100 B"), "{shown}");
        assert!(text(&changes(&before, &before, Measure::InUse), Measure::InUse).contains("No stack has changed"));
        let less = subtract(&before, after);
        assert_eq!(less.total()[3], 2048 - 100);
        assert_eq!(less.samples.len(), 2);
    }
}
