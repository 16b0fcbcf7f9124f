//! Settings of the system, and limits of a process, as the files of `/proc` and `/sys` tell them.

use super::{Finding, Level};
use crate::view::amount::{bytes, count, percent};
use std::fs;
use std::path::Path;

/// The kernel from which on everything that the library can use is there: 5.14, with MADV_POPULATE_WRITE.
const KERNEL: (u32, u32) = (5, 14);
/// A limit below this is worth mentioning.
const NARROW_BYTES: u64 = 1 << 30;
/// Used to more than this, something is nearly full; in percent.
const NEARLY_FULL: u64 = 80;
/// What control groups say when there is no limit is no less than this.
const NO_LIMIT: u64 = 1 << 60;

fn text(root: &Path, file: &str) -> Option<String> {
    Some(fs::read_to_string(root.join(file)).ok()?.trim().to_owned())
}

fn number(root: &Path, file: &str) -> Option<u64> {
    text(root, file)?.split_whitespace().next()?.parse().ok()
}

/// `Name:   12 kB` of a file of such lines, in bytes where it has a unit.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    let mut words = rest.split_whitespace();
    let value: u64 = words.next()?.parse().ok()?;
    Some(if words.next() == Some("kB") { value << 10 } else { value })
}

/// The system.
pub fn look(root: &Path) -> Vec<Finding> {
    [kernel(root), huge_pages(root), overcommit(root), reserved_huge_pages(root)].into_iter().flatten().collect()
}

fn kernel(root: &Path) -> Option<Finding> {
    let release = text(root, "proc/sys/kernel/osrelease")?;
    let mut parts = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (parts.next()?, parts.next().unwrap_or(0));
    Some(if version >= KERNEL {
        Finding::good("kernel", format!("kernel {release}"))
    } else {
        Finding::new(
            Level::Note,
            "old-kernel",
            format!("kernel {release} is older than {}.{}", KERNEL.0, KERNEL.1),
            "Everything works; large heaps take more page faults. A newer kernel helps.",
        )
    })
}

fn huge_pages(root: &Path) -> Option<Finding> {
    let choices = text(root, "sys/kernel/mm/transparent_hugepage/enabled")?;
    let chosen = choices.split_whitespace().find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))?;
    Some(match chosen {
        "madvise" => Finding::good("huge-pages", "transparent huge pages: madvise, so that the library decides"),
        "never" => Finding::new(
            Level::Note,
            "no-huge-pages",
            "transparent huge pages are off (never)",
            "Heaps of a GiB and more run faster with: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
        ),
        _ => Finding::new(
            Level::Note,
            "huge-pages-always",
            format!("transparent huge pages: {chosen}, also for programs that don't ask"),
            "Small processes may hold more memory; MIMALLOC_ALLOW_THP=0 turns them off for one program, madvise for those that don't ask.",
        ),
    })
}

fn overcommit(root: &Path) -> Option<Finding> {
    let mode = number(root, "proc/sys/vm/overcommit_memory")?;
    if mode != 2 {
        return Some(Finding::good("overcommit", format!("vm.overcommit_memory is {mode}")));
    }
    let memory = text(root, "proc/meminfo")?;
    let (limit, used) = (field(&memory, "CommitLimit")?, field(&memory, "Committed_AS")?);
    let level = if used * 100 > limit * NEARLY_FULL { Level::Warning } else { Level::Note };
    Some(Finding::new(
        level,
        "strict-overcommit",
        format!(
            "memory is accounted strictly (vm.overcommit_memory=2): {} of {} are promised",
            bytes(used),
            bytes(limit)
        ),
        "Memory counts from when it is accessible. Raise vm.overcommit_ratio, or set MIMALLOC_PURGE_DECOMMITS=1 so that what is \
         given back is no longer counted.",
    ))
}

fn reserved_huge_pages(root: &Path) -> Option<Finding> {
    let memory = text(root, "proc/meminfo")?;
    let (total, free) = (field(&memory, "HugePages_Total")?, field(&memory, "HugePages_Free")?);
    let size = field(&memory, "Hugepagesize").unwrap_or(2 << 20);
    (total > 0 && free > 0).then(|| {
        Finding::new(
            Level::Warning,
            "idle-huge-pages",
            format!("{} of {} reserved huge pages are not used: {}", count(free), count(total), bytes(free * size)),
            "Use them: MIMALLOC_ALLOW_LARGE_OS_PAGES=1 (2 MiB), MIMALLOC_RESERVE_HUGE_OS_PAGES=N (1 GiB); or give them back: \
             sysctl vm.nr_hugepages=0.",
        )
    })
}

/// What limits a process.
pub fn of_process(root: &Path, pid: u32) -> Vec<Finding> {
    let mut findings = limits(root, pid);
    findings.extend(mappings(root, pid));
    findings.extend(control_group(root, pid));
    findings
}

fn limits(root: &Path, pid: u32) -> Vec<Finding> {
    let Some(text) = text(root, &format!("proc/{pid}/limits")) else { return Vec::new() };
    let status = self::text(root, &format!("proc/{pid}/status")).unwrap_or_default();
    let named = [
        ("Max address space", "narrow-address-space", "ulimit -v", "VmSize"),
        ("Max data size", "narrow-data", "ulimit -d", "VmData"),
    ];
    let limit = |(name, id, command, used): (&'static str, &'static str, &'static str, &'static str)| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let limit: u64 = line.split_whitespace().next()?.parse().ok()?;
        let used = field(&status, used)?;
        let is_nearly_reached = used.saturating_mul(100) > limit.saturating_mul(NEARLY_FULL);
        let level = match (is_nearly_reached, limit < NARROW_BYTES) {
            (true, _) => Level::Warning,
            (_, true) => Level::Note,
            _ => return None,
        };
        Some(Finding::new(
            level,
            id,
            format!("{name} is limited to {} ({command}), {} of that is used", bytes(limit), percent(used, limit)),
            "The library reserves less under a limit, so that more calls of the system are made. Raise it, or limit resident memory by a control group instead.",
        ))
    };
    named.into_iter().filter_map(limit).collect()
}

fn mappings(root: &Path, pid: u32) -> Option<Finding> {
    let most = number(root, "proc/sys/vm/max_map_count")?;
    let have = fs::read_to_string(root.join(format!("proc/{pid}/maps"))).ok()?.lines().count() as u64;
    (have * 100 > most * NEARLY_FULL).then(|| {
        Finding::new(
            Level::Warning,
            "many-mappings",
            format!("the process has {} mappings, and the system allows {}", count(have), count(most)),
            "At the limit memory can't be had or given back. Raise it: sysctl vm.max_map_count=262144. Guards make many: \
             MIMALLOC_GUARDED_SAMPLE_RATE larger, MIMALLOC_SECURE lower.",
        )
    })
}

fn control_group(root: &Path, pid: u32) -> Option<Finding> {
    let groups = text(root, &format!("proc/{pid}/cgroup"))?;
    let place = |line: &str| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?.trim_start_matches('/').to_owned());
        match controllers {
            "" => Some((format!("sys/fs/cgroup/{path}"), "memory.max", "memory.current")),
            _ if controllers.split(',').any(|name| name == "memory") => {
                let folder = format!("sys/fs/cgroup/memory/{path}");
                Some((folder, "memory.limit_in_bytes", "memory.usage_in_bytes"))
            }
            _ => None,
        }
    };
    groups.lines().filter_map(place).find_map(|(folder, limit, usage)| {
        // In a container the group's own folder is the root.
        let folders =
            [folder.trim_end_matches('/').to_owned(), folder.split('/').take(4).collect::<Vec<_>>().join("/")];
        let of = |folder: &String| {
            let limit = number(root, &format!("{folder}/{limit}")).filter(|limit| *limit < NO_LIMIT)?;
            Some((limit, number(root, &format!("{folder}/{usage}"))?))
        };
        let (limit, used) = folders.iter().find_map(of)?;
        let (level, advice) = if used * 100 > limit * NEARLY_FULL {
            let advice = "Before the group kills: MIMALLOC_PURGE_DELAY=0 gives memory back at once; raise memory.max.";
            (Level::Warning, advice)
        } else {
            (Level::Note, "Unused memory is bounded by an eighth of the limit; nothing has to be done.")
        };
        let what = format!("the control group may have {}, and has {} of that", bytes(limit), percent(used, limit));
        Some(Finding::new(level, "memory-limit", what, advice))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine made of files.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn ids(findings: &[Finding], least: Level) -> Vec<&'static str> {
        findings.iter().filter(|finding| finding.level >= least).map(|finding| finding.id).collect()
    }

    #[test]
    fn a_machine_with_everything_wrong() {
        let root = machine(&[
            ("proc/sys/kernel/osrelease", "4.19.0-27-amd64\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n"),
            ("proc/sys/vm/overcommit_memory", "2\n"),
            (
                "proc/meminfo",
                "CommitLimit: 1000 kB\nCommitted_AS: 900 kB\nHugePages_Total: 64\nHugePages_Free: 60\nHugepagesize: 2048 kB\n",
            ),
        ]);
        let found = look(root.path());
        assert_eq!(ids(&found, Level::Note), ["old-kernel", "no-huge-pages", "strict-overcommit", "idle-huge-pages"]);
        assert_eq!(ids(&found, Level::Warning), ["strict-overcommit", "idle-huge-pages"]);
        assert!(found[3].what.contains("60 of 64") && found[3].what.contains("120 MiB"), "{}", found[3].what);
    }

    #[test]
    fn a_machine_that_is_well() {
        let root = machine(&[
            ("proc/sys/kernel/osrelease", "6.1.0\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("proc/sys/vm/overcommit_memory", "0\n"),
            ("proc/meminfo", "HugePages_Total: 0\nHugePages_Free: 0\n"),
        ]);
        let found = look(root.path());
        assert!(found.len() == 3 && ids(&found, Level::Note).is_empty());
    }

    #[test]
    fn a_process_near_all_its_limits() {
        let maps = "0-1 r--p 0 0:0 0\n".repeat(90);
        let root = machine(&[
            ("proc/7/limits", "Max data size  1048576 1048576 bytes\nMax address space  536870912 unlimited bytes\n"),
            ("proc/7/status", "VmSize: 1024 kB\nVmData: 1000 kB\n"),
            ("proc/7/maps", &maps),
            ("proc/sys/vm/max_map_count", "100\n"),
            ("proc/7/cgroup", "0::/box\n"),
            ("sys/fs/cgroup/box/memory.max", "1000000\n"),
            ("sys/fs/cgroup/box/memory.current", "990000\n"),
        ]);
        let found = of_process(root.path(), 7);
        assert_eq!(ids(&found, Level::Note), ["narrow-address-space", "narrow-data", "many-mappings", "memory-limit"]);
        assert_eq!(ids(&found, Level::Warning), ["narrow-data", "many-mappings", "memory-limit"]);
    }

    #[test]
    fn groups_of_the_older_kind_and_without_a_limit() {
        let files = |limit: &str| {
            let root = machine(&[
                ("proc/7/cgroup", "5:cpu:/x\n4:memory,other:/box\n"),
                ("sys/fs/cgroup/memory/box/memory.limit_in_bytes", limit),
                ("sys/fs/cgroup/memory/box/memory.usage_in_bytes", "10\n"),
            ]);
            ids(&of_process(root.path(), 7), Level::Good)
        };
        assert_eq!(files("100\n"), ["memory-limit"]);
        assert!(files("9223372036854771712\n").is_empty());
    }
}
