//! Records what sizes programs ask for.

use super::{Histogram, folder};
use crate::workspace;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A program, and what it does; by `sh`, in an empty folder. `$ROOT` is the repository.
const PROGRAMS: [(&str, &str); 13] = [
    ("bash", "bash -c 'for i in $(seq 30000); do x[$i]=\"word $i\"; done; echo ${#x[@]}'"),
    ("cc1plus", "g++ -std=c++17 -O1 -DFIELDS=2 -S -o out.s $ROOT/bench/real/templates.cc"),
    ("git", "git -C $ROOT log --stat -200 | tail -1"),
    (
        "java",
        "printf 'class A { public static void main(String[] a) { System.out.println(a.length); } }' > A.java && java A.java",
    ),
    ("lua", "lua5.4 $ROOT/bench/real/tables.lua 1 || lua5.4 $ROOT/bench/real/tables.lua"),
    (
        "node",
        "node -e 'const m = new Map(); for (let i = 0; i < 2e5; i++) m.set(\"k\" + i, Buffer.alloc(i % 3000)); console.log(m.size)'",
    ),
    ("perl", "perl -e 'my %h; $h{$_} = [\"x\" x ($_ % 100), $_] for 1..100000; print scalar keys %h'"),
    (
        "python",
        "PYTHONMALLOC=malloc /usr/bin/python3 -c 'import ast, json, email, http.client; x = [json.loads(json.dumps({\"id\": i, \"name\": \"n%d\" % i, \"tags\": [\"a\"] * (i % 7)})) for i in range(50000)]'",
    ),
    (
        "redis",
        "redis-server --save '' --port 6399 --daemonize no & sleep 1; redis-benchmark -p 6399 -n 100000 -r 50000 -d 200 -t set,lpush,hset -q; redis-cli -p 6399 shutdown nosave; wait",
    ),
    ("ruby", "ruby -e 'h = {}; 100000.times { |i| h[\"k#{i}\"] = [i.to_s * (i % 20)] }; puts h.size'"),
    ("sort", "seq 200000 | sort -R --random-source=/dev/zero | sort -n | tail -1"),
    (
        "sqlite",
        "sqlite3 t.db 'create table t (a, b); with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000) insert into t select i, hex(i) from n; create index x on t (b); select count(distinct b) from t;'",
    ),
    (
        "xmllint",
        "{ echo '<a>'; seq 50000 | sed 's/.*/<b id=\"&\">text &<\\/b>/'; echo '</a>'; } > a.xml && xmllint --xpath 'count(//b)' a.xml",
    ),
];

pub fn record_all() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let library = build(scratch.path())?;
    fs::create_dir_all(folder())?;
    for (program, command) in PROGRAMS {
        match record(&library, program, command) {
            Ok(histogram) => {
                let file = folder().join(format!("{program}.json"));
                fs::write(file, serde_json::to_string(&histogram)? + "\n")?;
                println!("  {program}: {} sizes", histogram.sizes.len());
            }
            Err(error) => println!("  {program} left as it was: {error:#}"),
        }
    }
    Ok(())
}

fn build(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("record.so");
    let source = workspace::root().join("xtask/programs/sizes/record.c");
    let arguments = ["-O2", "-shared", "-fPIC", "-ftls-model=initial-exec", "-o"];
    let status = Command::new("cc").args(arguments).args([&library, &source]).status()?;
    ensure!(status.success(), "cc: {status}");
    Ok(library)
}

/// Of all processes that the command has started, the one with the most bytes at its peak.
fn record(library: &Path, program: &str, command: &str) -> Result<Histogram> {
    let scratch = tempfile::tempdir()?;
    let status = Command::new("sh")
        .args(["-c", command])
        .current_dir(scratch.path())
        .env("ROOT", workspace::root())
        .env("SIZES", scratch.path().join("sizes"))
        .env("LD_PRELOAD", library)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(status.success(), "{status}");
    let files = fs::read_dir(scratch.path())?.flatten().map(|entry| entry.path());
    let of_sizes = files.filter(|path| path.file_stem().is_some_and(|stem| stem == "sizes"));
    let histograms = of_sizes.map(|path| parse(&fs::read_to_string(path)?)).collect::<Result<Vec<_>>>()?;
    let bytes = |sizes: &Vec<(usize, u64, u64)>| sizes.iter().map(|(size, _, peak)| *size as u64 * peak).sum::<u64>();
    let sizes = histograms.into_iter().max_by_key(bytes).context("no process has written its sizes")?;
    Ok(Histogram { program: program.into(), command: command.into(), sizes })
}

fn parse(text: &str) -> Result<Vec<(usize, u64, u64)>> {
    let line = |line: &str| {
        let mut numbers = line.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next().context("three numbers are expected")?.map_err(anyhow::Error::from);
        Ok((next()? as usize, next()?, next()?))
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_what_was_asked_for() {
        let scratch = tempfile::tempdir().unwrap();
        let library = build(scratch.path()).unwrap();
        // Nobody else asks for 12,345 bytes.
        let command = "/usr/bin/python3 -c 'import ctypes; c = ctypes.CDLL(None); c.malloc.restype = ctypes.c_void_p; \
                       x = [c.malloc(12345) for _ in range(7)]; y = c.malloc(300000); c.free(ctypes.c_void_p(x[0]))'";
        let sizes = record(&library, "python", command).unwrap().sizes;
        assert!(sizes.iter().any(|&(size, total, peak)| size == 12345 && total == 7 && peak == 7));
        assert!(sizes.is_sorted());
    }
}
