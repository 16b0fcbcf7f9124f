//! Engines that are compiled here, from the C or C++ sources that a crate carries, as their authors compile the library
//! to preload. Their code comes from the registry when it is needed and stays out of this repository.

use super::store;
use crate::{process, workspace};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    /// The crate that carries them; `bench/engines/<engine>/Cargo.toml` pins its version.
    package: String,
    compiler: String,
    /// Words, in which `CRATE` stands for the crate's folder.
    options: String,
    /// Behind the files: libraries, and what a variant has besides.
    #[serde(default)]
    more: String,
    /// Below the crate's folder.
    files: Vec<String>,
}

/// For every library to preload.
const SHARED: [&str; 4] = ["-fPIC", "-shared", "-pthread", "-w"];

impl Sources {
    /// Compiles `lib<engine>.so`, unless it is there and as new as its recipe.
    pub fn build(&self, engine: &str) -> Result<PathBuf> {
        let library = store().join("built").join(format!("lib{engine}.so"));
        let recipe = library.with_extension("recipe");
        let words = self.words(&self.folder(engine)?, &library);
        if !library.exists() || fs::read_to_string(&recipe).ok() != Some(words.join(" ")) {
            fs::create_dir_all(library.parent().context("a file has a folder")?)?;
            process::read(Command::new(&self.compiler).args(&words))?;
            fs::write(&recipe, words.join(" "))?;
        }
        Ok(library)
    }

    /// A variant.
    pub fn with(mut self, more: &str, files: Vec<String>) -> Sources {
        self.more = format!("{} {more}", self.more);
        self.files.extend(files);
        self
    }

    fn words(&self, folder: &Path, library: &Path) -> Vec<String> {
        let folder = folder.display().to_string();
        let options = self.options.split_whitespace().chain(SHARED).map(|option| option.replace("CRATE", &folder));
        let files = self.files.iter().map(|file| format!("{folder}/{file}"));
        let more = self.more.split_whitespace().map(str::to_owned);
        options.chain(files).chain(more).chain(["-o".to_owned(), library.display().to_string()]).collect()
    }

    /// Where Cargo has put the crate; it is fetched if need be.
    pub fn folder(&self, engine: &str) -> Result<PathBuf> {
        let manifest = super::manifest(engine);
        let mut cargo =
            workspace::cargo(&["metadata", "--locked", "--quiet", "--format-version", "1", "--manifest-path"]);
        let metadata = process::read(cargo.arg(&manifest))?;
        manifest_of(&self.package, &metadata).with_context(|| format!("no {} in {}", self.package, manifest.display()))
    }

    /// For the page: what was compiled, and how.
    pub fn told(&self) -> String {
        let options: Vec<&str> = self
            .options
            .split_whitespace()
            .chain(self.more.split_whitespace())
            .filter(|option| !option.starts_with("-ICRATE"))
            .collect();
        let files = self.files.iter().filter_map(|file| file.rsplit('/').next()).collect::<Vec<_>>().join(", ");
        format!("{files} of the crate `{}`: `{} {}`", self.package, self.compiler, options.join(" "))
    }
}

fn manifest_of(package: &str, metadata: &str) -> Option<PathBuf> {
    let metadata: serde_json::Value = serde_json::from_str(metadata).ok()?;
    let found = metadata["packages"].as_array()?.iter().find(|entry| entry["name"] == package)?;
    Some(Path::new(found["manifest_path"].as_str()?).parent()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_says_where_a_crate_lies() {
        let metadata = r#"{"packages":[{"name":"a","manifest_path":"/x/Cargo.toml"},{"name":"b","manifest_path":"/y/Cargo.toml"}]}"#;
        assert_eq!(manifest_of("b", metadata), Some(PathBuf::from("/y")));
        assert_eq!(manifest_of("c", metadata), None);
    }

    #[test]
    fn the_crates_folder_takes_the_place_of_its_mark() {
        let sources = Sources {
            package: "p".into(),
            compiler: "cc".into(),
            options: "-O3 -ICRATE/include".into(),
            more: "-lm".into(),
            files: vec!["src/a.c".into()],
        };
        let words = sources.words(Path::new("/r/p-1"), Path::new("/t/libp.so"));
        assert!(words.contains(&"-I/r/p-1/include".to_owned()) && words.contains(&"/r/p-1/src/a.c".to_owned()));
        assert_eq!(sources.told(), "a.c of the crate `p`: `cc -O3 -lm`");
    }
}
