//! A profile for people who have a terminal: functions by what they allocated themselves, and the largest stacks.

use super::{Measure, Profile, Sample};
use crate::view::amount::{bytes, count, percent, table};
use std::collections::HashMap;

const FUNCTIONS: usize = 20;
const CALLS: usize = 16;

fn size(value: i64) -> u64 {
    value.max(0).cast_unsigned()
}

/// The sum in a line.
pub fn total(profile: &Profile, measure: Measure) -> String {
    let total = profile.total();
    let (all, blocks) = (size(measure.bytes(&total)), size(measure.blocks(&total)));
    format!(
        "{}: about {} in {} blocks, a sample per {}",
        measure.words(),
        bytes(all),
        count(blocks),
        bytes(profile.rate_bytes)
    )
}

/// Functions, then stacks.
pub fn whole(profile: &Profile, measure: Measure) -> String {
    format!("{}\n\n{}\n{}", total(profile, measure), functions(profile, measure), stacks(profile, measure, 5))
}

fn functions(profile: &Profile, measure: Measure) -> String {
    let mut sums: HashMap<&str, (i64, i64)> = HashMap::new();
    for sample in &profile.samples {
        let amount = measure.bytes(&sample.values);
        let mut names: Vec<&str> = sample.stack.iter().map(|&frame| profile.frames[frame].name.as_str()).collect();
        if let Some(first) = names.first() {
            sums.entry(first).or_default().0 += amount;
        }
        names.sort_unstable();
        names.dedup();
        names.into_iter().for_each(|name| sums.entry(name).or_default().1 += amount);
    }
    let mut sums: Vec<(&str, (i64, i64))> = sums.into_iter().filter(|(_, (_, total))| *total > 0).collect();
    sums.sort_by_key(|&(name, (own, total))| (std::cmp::Reverse((own, total)), name));
    let all = size(measure.bytes(&profile.total()));
    let mut rows = vec![["itself", "", "with callees", ""].map(String::from).to_vec()];
    let shown = &sums[..sums.len().min(FUNCTIONS)];
    rows.extend(shown.iter().map(|(_, (own, total))| {
        let (own, total) = (size(*own), size(*total));
        vec![bytes(own), percent(own, all), bytes(total), percent(total, all)]
    }));
    let names = std::iter::once("function").chain(shown.iter().map(|(name, _)| *name));
    table(&rows).lines().zip(names).map(|(line, name)| format!("{line:<48}  {name}\n")).collect()
}

/// The largest stacks, with lines of code.
pub fn stacks(profile: &Profile, measure: Measure, limit: usize) -> String {
    let mut samples: Vec<&Sample> = profile.samples.iter().filter(|sample| measure.bytes(&sample.values) > 0).collect();
    samples.sort_by_key(|sample| std::cmp::Reverse(measure.bytes(&sample.values)));
    let mut text = String::new();
    for sample in samples.into_iter().take(limit) {
        let (all, blocks) = (size(measure.bytes(&sample.values)), size(measure.blocks(&sample.values)));
        text.push_str(&format!("{} in {} blocks, thread {}\n", bytes(all), count(blocks), sample.thread));
        for &frame in sample.stack.iter().take(CALLS) {
            let frame = &profile.frames[frame];
            let place = frame.place().map(|place| format!(" ({place})")).unwrap_or_default();
            text.push_str(&format!("    {}{place}\n", frame.name));
        }
        if sample.stack.len() > CALLS {
            text.push_str(&format!("    … {} more\n", sample.stack.len() - CALLS));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_stacks_are_listed_by_size() {
        let text = whole(&super::super::tests::example(), Measure::Allocated);
        assert!(text.starts_with("allocated: about 1.1 KiB in 11 blocks, a sample per 1000 B\n"), "{text}");
        let line =
            |name: &str| text.lines().find(|line| line.ends_with(name)).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(line("  work"), ["100", "B", "9", "%", "1.1", "KiB", "100", "%", "work"]);
        assert!(text.contains("    make<a;b> (a.c:30)\n    work (a.c:20)\n    main (a.c:10)\n"), "{text}");
    }
}
