//! Profiles of heaps: who has allocated, and how much.
//!
//! * `live`: what the profiler of a process has found, from its memory; starting and stopping it there.
//! * `pprof`: the same in pprof's files, read and written. `collapsed`: in lines of text.
//! * `symbols`: from addresses to functions and lines of code.
//! * `flame`, `dhat`, `text`: what is made of it. `diff`: what has changed from one to the next.

pub mod collapsed;
pub mod dhat;
pub mod diff;
pub mod flame;
pub mod live;
pub mod pprof;
pub mod symbols;
pub mod text;

use std::collections::HashMap;
use symbols::Symbols;

/// Blocks and bytes allocated, in use, and in use when most was; and how many milliseconds the blocks have lived.
pub type Values = [i64; 7];
pub const LIFETIME: usize = 6;

/// What of a profile is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Measure {
    /// What has been allocated and not been freed.
    InUse,
    /// All that has been allocated, freed or not.
    Allocated,
    /// What was in use when most was.
    Peak,
}

impl Measure {
    pub fn blocks(self, values: &Values) -> i64 {
        values[self.index()]
    }

    pub fn bytes(self, values: &Values) -> i64 {
        values[self.index() + 1]
    }

    fn index(self) -> usize {
        match self {
            Measure::Allocated => 0,
            Measure::InUse => 2,
            Measure::Peak => 4,
        }
    }

    /// For titles.
    pub fn words(self) -> &'static str {
        match self {
            Measure::Allocated => "allocated",
            Measure::InUse => "in use",
            Measure::Peak => "in use at the peak",
        }
    }
}

/// A call: the function, and the line of code.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Frame {
    pub name: String,
    /// Empty if it isn't known.
    pub file: String,
    pub line: u32,
}

impl Frame {
    /// `file:line`, without the folders.
    pub fn place(&self) -> Option<String> {
        let name = self.file.rsplit('/').next().filter(|name| !name.is_empty())?;
        Some(if self.line > 0 { format!("{name}:{}", self.line) } else { name.into() })
    }

    /// Whether it is the allocator's.
    fn is_own(&self) -> bool {
        self.name.contains("ferrimalloc_") || self.name.contains("ferrimalloc::")
    }
}

/// What a stack has allocated.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Numbers of frames, the innermost first.
    pub stack: Vec<usize>,
    pub thread: String,
    pub heap: u64,
    pub values: Values,
}

/// A profile with names.
#[derive(Clone, Default, Debug)]
pub struct Profile {
    pub frames: Vec<Frame>,
    pub samples: Vec<Sample>,
    /// Mean bytes from one sample to the next.
    pub rate_bytes: u64,
    pub command: String,
    pub pid: u32,
    /// How long it was looked at.
    pub millis: u64,
    numbers: HashMap<Frame, usize>,
}

impl Profile {
    /// The number of a frame.
    pub fn frame(&mut self, frame: Frame) -> usize {
        let next = self.frames.len();
        *self.numbers.entry(frame).or_insert_with_key(|frame| {
            self.frames.push(frame.clone());
            next
        })
    }

    pub fn total(&self) -> Values {
        sum(self.samples.iter().map(|sample| &sample.values))
    }

    /// Whether nothing is to be seen.
    pub fn is_empty(&self, measure: Measure) -> bool {
        self.samples.iter().all(|sample| measure.bytes(&sample.values) == 0)
    }

    /// Adds another process's profile.
    pub fn add(&mut self, other: Profile) {
        let numbers: Vec<usize> = other.frames.into_iter().map(|frame| self.frame(frame)).collect();
        self.samples.extend(
            other
                .samples
                .into_iter()
                .map(|sample| Sample { stack: sample.stack.iter().map(|&frame| numbers[frame]).collect(), ..sample }),
        );
        self.rate_bytes = self.rate_bytes.max(other.rate_bytes);
    }

    /// Names from the thread's on, the outermost function first, with what has a meaning in collapsed stacks replaced.
    pub fn path(&self, sample: &Sample) -> String {
        let names = sample.stack.iter().rev().map(|&frame| self.frames[frame].name.as_str());
        let clean = |name: &str| name.replace([';', '\n', '\r'], ":");
        std::iter::once(sample.thread.as_str()).chain(names).map(clean).collect::<Vec<_>>().join(";")
    }
}

fn sum<'v>(all: impl Iterator<Item = &'v Values>) -> Values {
    all.fold([0; 7], |sum, values| std::array::from_fn(|index| sum[index].saturating_add(values[index])))
}

/// A piece of a program or library in memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Module {
    pub start: u64,
    pub end: u64,
    /// Where it is in its file.
    pub offset: u64,
    pub path: String,
    /// In hexadecimal; empty if it isn't known.
    pub build_id: String,
}

/// An address in a stack.
#[derive(Clone, Debug, Default)]
pub struct Location {
    pub address: u64,
    /// Names that were known to who wrote the profile, the innermost first.
    pub known: Vec<Frame>,
}

/// A profile as processes have it: addresses.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    pub locations: HashMap<u64, Location>,
    /// `stack` has numbers of locations.
    pub samples: Vec<RawSample>,
    pub modules: Vec<Module>,
    pub rate_bytes: u64,
}

#[derive(Clone, Debug, Default)]
pub struct RawSample {
    /// The innermost first.
    pub stack: Vec<u64>,
    pub thread: String,
    pub heap: u64,
    pub values: Values,
}

impl Raw {
    /// Looks names up. Frames of the allocator itself are left out.
    pub fn resolve(self, symbols: &mut Symbols) -> Profile {
        let mut profile = Profile { rate_bytes: self.rate_bytes, ..Profile::default() };
        let mut known: HashMap<u64, Vec<usize>> = HashMap::new();
        for (&number, location) in &self.locations {
            let frames = symbols.frames(&self.modules, location);
            known.insert(number, frames.into_iter().map(|frame| profile.frame(frame)).collect());
        }
        for sample in self.samples {
            let frames = sample.stack.iter().filter_map(|number| known.get(number)).flatten().copied();
            let all: Vec<usize> = frames.collect();
            let own = all.iter().take_while(|&&frame| profile.frames[frame].is_own()).count();
            let stack = if own == all.len() { all } else { all[own..].to_vec() };
            let RawSample { thread, heap, values, .. } = sample;
            profile.samples.push(Sample { stack, thread, heap, values });
        }
        profile
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A profile of two stacks.
    pub fn example() -> Profile {
        let mut profile = Profile { rate_bytes: 1000, command: "a program".into(), pid: 7, ..Profile::default() };
        let frame = |name: &str, line| Frame { name: name.into(), file: "/src/a.c".into(), line };
        let [main, work, make] =
            [("main", 10), ("work", 20), ("make<a;b>", 30)].map(|(n, l)| profile.frame(frame(n, l)));
        let sample = |stack: &[usize], values| Sample { stack: stack.into(), thread: "t".into(), heap: 1, values };
        profile.samples.push(sample(&[make, work, main], [10, 1000, 5, 500, 8, 800, 70]));
        profile.samples.push(sample(&[work, main], [1, 100, 0, 0, 1, 100, 3]));
        profile
    }

    #[test]
    fn profiles_are_added_with_their_names() {
        let mut all = example();
        let mut other = Profile::default();
        let frames = ["more", "main"].map(|name| other.frame(Frame { name: name.into(), ..Frame::default() }));
        let values = [1; 7];
        other.samples.push(Sample { stack: frames.into(), thread: "u".into(), heap: 1, values });
        all.add(other);
        assert_eq!(all.path(&all.samples[2]), "u;main;more");
        assert_eq!(all.path(&all.samples[0]), "t;main;work;make<a:b>");
        assert_eq!(all.total(), [12, 1101, 6, 501, 10, 901, 74]);
    }

    #[test]
    fn the_allocators_own_calls_are_left_out() {
        let names = ["<ferrimalloc::MiMalloc as GlobalAlloc>::alloc", "user", "ferrimalloc_core::x"];
        let location =
            |name: &&str| Location { address: 0, known: vec![Frame { name: (*name).into(), ..Frame::default() }] };
        let locations = (0..).zip(names.iter().map(location)).collect();
        let sample = RawSample { stack: vec![0, 1, 2], ..RawSample::default() };
        let profile = Raw { locations, samples: vec![sample], ..Raw::default() }.resolve(&mut Symbols::of_files());
        assert_eq!(profile.path(&profile.samples[0]), ";ferrimalloc_core::x;user");
    }
}
