//! A control group with a memory limit, below the one that this process is in: processes in it have never more than before.
//!
//! Version 1 has a folder per controller, version 2 one for all (Linux's `admin-guide/cgroup-v1/memory.rst`,
//! `admin-guide/cgroup-v2.rst`). There must be the right to make a folder, and, in version 2, our group must hand the controller
//! `memory` on, which it may not do while processes are in it: often none can be had.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

pub struct Group(PathBuf);

const ROOT: &str = "/sys/fs/cgroup";

impl Group {
    /// The error says why there can be none.
    pub fn with_limit(bytes: u64) -> Result<Group> {
        let lines = fs::read_to_string("/proc/self/cgroup").context("no control groups")?;
        let (parent, limit_file) = memory_group(&lines).context("no memory controller")?;
        let folder = parent.join(format!("ferrimalloc-test-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let group = Group(folder);
        let limit = group.0.join(limit_file);
        if !limit.exists() {
            bail!("{} has no memory controller", parent.display());
        }
        fs::write(&limit, bytes.to_string()).with_context(|| format!("cannot write {}", limit.display()))?;
        Ok(group)
    }

    /// Whoever writes its number there is in the group from then on.
    pub fn processes(&self) -> PathBuf {
        self.0.join("cgroup.procs")
    }

    /// The most bytes that its processes had together; `None` where the kernel doesn't say.
    pub fn peak_bytes(&self) -> Option<u64> {
        let files = ["memory.max_usage_in_bytes", "memory.peak"];
        let text = files.iter().find_map(|file| fs::read_to_string(self.0.join(file)).ok())?;
        text.trim().parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have ended. If it stays, it holds nothing.
        let _ = fs::remove_dir(&self.0);
    }
}

/// The folder of the group that limits the memory of who has such a `/proc/self/cgroup`, and the file of a limit.
fn memory_group(lines: &str) -> Option<(PathBuf, &'static str)> {
    let path_of = |controllers: &str| {
        lines.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (names, path) = rest.split_once(':')?;
            names.split(',').any(|name| name == controllers).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let below = |folder: &str, path: String| Path::new(ROOT).join(folder).join(path);
    let first = path_of("memory").map(|path| (below("memory", path), "memory.limit_in_bytes"));
    first.or_else(|| path_of("").map(|path| (below("", path), "memory.max")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_in_both_versions() {
        let first = "5:cpu,cpuacct:/\n4:memory:/system/this\n0::/\n";
        let second = "0::/user.slice/that\n";
        let found = |lines| memory_group(lines).map(|(folder, file)| (folder.display().to_string(), file));
        assert_eq!(found(first), Some(("/sys/fs/cgroup/memory/system/this".into(), "memory.limit_in_bytes")));
        assert_eq!(found(second), Some(("/sys/fs/cgroup/user.slice/that".into(), "memory.max")));
        assert_eq!(found(""), None);
    }
}
