//! Collapsed stacks: a line per stack, `thread;outermost;…;innermost`, and a number.

use super::{Frame, LIFETIME, Measure, Profile, Sample};
use std::collections::BTreeMap;

/// Lines of what is measured, each stack once.
pub fn write(profile: &Profile, measure: Measure) -> String {
    let mut lines: BTreeMap<String, i64> = BTreeMap::new();
    for sample in &profile.samples {
        *lines.entry(profile.path(sample)).or_default() += measure.bytes(&sample.values);
    }
    // Where a part was taken away, others may be below nothing.
    lines.retain(|_, bytes| *bytes > 0);
    lines.into_iter().map(|(path, bytes)| format!("{path} {bytes}\n")).collect()
}

/// A profile of such lines, of which only bytes are known, whatever they measure. `None` if they are something else.
pub fn read(text: &str) -> Option<Profile> {
    let mut profile = Profile::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (path, bytes) = line.rsplit_once(' ')?;
        let bytes = bytes.parse::<i64>().ok()?;
        let (thread, functions) = path.split_once(';').unwrap_or((path, ""));
        let names = functions.split(';').filter(|name| !name.is_empty()).rev();
        let stack = names.map(|name| profile.frame(Frame { name: name.into(), ..Frame::default() })).collect();
        let mut values = [bytes; 7];
        (values[0], values[2], values[4], values[LIFETIME]) = (0, 0, 0, 0);
        profile.samples.push(Sample { stack, thread: thread.into(), heap: 0, values });
    }
    (!profile.samples.is_empty()).then_some(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        let text = write(&super::super::tests::example(), Measure::Allocated);
        assert_eq!(text, "t;main;work 100\nt;main;work;make<a:b> 1000\n");
        let again = read(&text).unwrap();
        assert_eq!(write(&again, Measure::InUse), text);
        assert!(read("no number at the end\n").is_none() && read("").is_none());
    }
}
