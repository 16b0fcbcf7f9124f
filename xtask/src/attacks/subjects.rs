//! Who is attacked: engines of the benchmark, and the settings under which they check most.

use crate::bench::engines;

pub struct Subject {
    /// The column's head.
    pub short: &'static str,
    pub title: &'static str,
    /// A recipe of the benchmark.
    pub engine: &'static str,
    pub beside: Beside,
    pub settings: &'static [(&'static str, &'static str)],
}

/// What else is preloaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Nothing,
    /// `libferrimalloc-checks.so`.
    Checks,
    /// glibc's own library of checks, instead of the engine.
    MallocDebug,
}

impl Subject {
    pub fn is_among(&self, engines: &[String]) -> bool {
        engines.is_empty() || engines.iter().any(|name| name == self.engine)
    }

    pub fn is_ours(&self) -> bool {
        self.engine == engines::OURS
    }

    /// The column of this level in the stage's own table, if it has one.
    #[cfg(test)]
    pub fn column_of_the_stage(&self) -> Option<usize> {
        ["0", "1", "2", "3", "4", "5", "0c", "4c"].iter().position(|name| self.is_ours() && *name == self.short)
    }
}

pub const SUBJECTS: &[Subject] = &[
    ours("0", "ferrimalloc, level 0", &[("MIMALLOC_SECURE", "0")]),
    ours("2", "ferrimalloc, level 2", &[("MIMALLOC_SECURE", "2")]),
    ours("3", "ferrimalloc, level 3", &[("MIMALLOC_SECURE", "3")]),
    ours("4", "ferrimalloc, level 4", &[("MIMALLOC_SECURE", "4")]),
    ours("5", "ferrimalloc, level 5", &[("MIMALLOC_SECURE", "5")]),
    Subject {
        beside: Beside::Checks,
        ..ours("0c", "ferrimalloc, level 0, checked copies", &[("MIMALLOC_SECURE", "0")])
    },
    Subject {
        beside: Beside::Checks,
        ..ours("4c", "ferrimalloc, level 4, checked copies", &[("MIMALLOC_SECURE", "4")])
    },
    ours(
        "4g",
        "ferrimalloc, level 4, every block guarded",
        &[("MIMALLOC_SECURE", "4"), ("MIMALLOC_GUARDED_SAMPLE_RATE", "1"), ("MIMALLOC_GUARDED_PRECISE", "1")],
    ),
    other("glibc", "glibc", "glibc", &[]),
    Subject {
        beside: Beside::MallocDebug,
        ..other(
            "glibc check",
            "glibc, `malloc.check`",
            "glibc",
            &[("GLIBC_TUNABLES", "glibc.malloc.check=3:glibc.malloc.perturb=165")],
        )
    },
    other("mi", "mimalloc 3.6.2", engines::NEWEST, &[]),
    other("mi 4", "mimalloc 3.6.2, secure", "mimalloc362+secure", &[]),
    other("mi 5", "mimalloc 3.6.2, secure, full", "mimalloc362+full", &[]),
    other("sn", "snmalloc 0.7.6", "snmalloc", &[]),
    other("sn checks", "snmalloc 0.7.6, checks", "snmalloc+checks", &[]),
    other("sn loads", "snmalloc 0.7.6, checks, of loads, too", "snmalloc+loads", &[]),
    other("hardened", "hardened_malloc 16", "hardened_malloc", &[]),
    other("scudo", "scudo (LLVM 19)", "scudo", &[]),
    other(
        "scudo all",
        "scudo (LLVM 19), all options",
        "scudo",
        &[(
            "SCUDO_OPTIONS",
            "dealloc_type_mismatch=true:zero_contents=true:quarantine_size_kb=1024:thread_local_quarantine_size_kb=64:\
             quarantine_max_chunk_size=65536",
        )],
    ),
    other(
        "scudo gwp",
        "scudo (LLVM 19), GWP-ASan for every block",
        "scudo",
        &[(
            "SCUDO_OPTIONS",
            "GWP_ASAN_SampleRate=1:GWP_ASAN_MaxSimultaneousAllocations=20000:dealloc_type_mismatch=true:zero_contents=true",
        )],
    ),
    other("rusty", "rusty_alloc 2.4", "rusty_alloc", &[]),
    other("rusty secure", "rusty_alloc 2.4, secure and blockmap", "rusty_alloc+secure", &[]),
];

const fn ours(short: &'static str, title: &'static str, settings: &'static [(&'static str, &'static str)]) -> Subject {
    other(short, title, engines::OURS, settings)
}

const fn other(
    short: &'static str,
    title: &'static str,
    engine: &'static str,
    settings: &'static [(&'static str, &'static str)],
) -> Subject {
    Subject { short, title, engine, beside: Beside::Nothing, settings }
}
