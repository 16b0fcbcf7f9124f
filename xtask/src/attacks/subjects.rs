//! Who is attacked: engines of the benchmark, and the settings under which they check most.

use crate::bench::engines;
use crate::tables;
use anyhow::Result;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An entry of `tables/attacks.toml`.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// The column's head.
    pub short: String,
    pub title: String,
    /// A recipe of the benchmark.
    pub engine: String,
    #[serde(default)]
    pub beside: Beside,
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}

/// What else is preloaded.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Beside {
    #[default]
    Nothing,
    /// `libferrimalloc-checks.so`.
    Checks,
    /// glibc's own library of checks, instead of the engine.
    MallocDebug,
}

impl Subject {
    pub fn is_among(&self, engines: &[String]) -> bool {
        engines.is_empty() || engines.contains(&self.engine)
    }

    pub fn is_ours(&self) -> bool {
        self.engine == engines::OURS
    }
}

pub fn subjects() -> Result<Vec<Subject>> {
    tables::list("attacks", "subject")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_subject_is_an_engine_and_has_a_column_of_its_own() {
        let (subjects, engines) = (subjects().unwrap(), engines::catalogue().unwrap());
        let heads: BTreeSet<&str> = subjects.iter().map(|subject| subject.short.as_str()).collect();
        assert_eq!(heads.len(), subjects.len());
        for subject in &subjects {
            assert!(engines.iter().any(|engine| engine.name == subject.engine), "{}", subject.title);
        }
    }
}
