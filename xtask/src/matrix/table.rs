//! The table of programs: a line each, in the order in which they run.

use super::Program;
use crate::packages::Need;
use crate::test::Pace::{self, Quick, Slow};
use std::time::Duration;

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

/// `name` is also the script's, `xtask/programs/matrix/NAME.sh`; the limit is in seconds for each of the two runs.
const fn program(
    name: &'static str,
    what: &'static str,
    pace: Pace,
    limit_secs: u64,
    needs: &'static [Need],
) -> Program {
    Program { name, what, pace, limit: Duration::from_secs(limit_secs), needs }
}

const PYTHON: [Need; 2] = [
    need("/usr/bin/python3.11", "python3.11"),
    need("/usr/lib/python3.11/test/test_list.py", "libpython3.11-testsuite"),
];

/// Every program that must run the same with the library and without it.
#[rustfmt::skip]
pub const PROGRAMS: &[Program] = &[
    // Languages.
    program("cpython-malloc", "CPython's own tests, every object from malloc",         Slow,  600, &PYTHON),
    program("cpython",        "CPython's own tests, with its own small-object pools",  Quick, 600, &PYTHON),
    program("cpython-few",    "a few of them, short, every object from malloc",         Quick, 120, &PYTHON),
    program("node",           "JSON, buffers, maps, worker threads",                   Quick, 120, &[need("node", "nodejs")]),
    program("java",           "javac, then collections and threads",                   Quick, 180, &[need("javac", "openjdk-17-jdk-headless")]),
    program("perl",           "hashes, regular expressions, sorting, closures",        Quick, 120, &[need("perl", "perl")]),
    program("php",            "arrays, strings, regular expressions, JSON; DEEPBIND",  Quick, 120, &[need("php", "php-cli")]),
    program("ruby",           "objects, strings, threads, GC stress",                  Quick, 120, &[need("ruby", "ruby")]),
    program("lua",            "tables, strings, coroutines",                           Quick, 120, &[need("lua5.4", "lua5.4")]),
    program("guile",          "lists, hash tables, bignums",                           Quick, 120, &[need("guile-3.0", "guile-3.0")]),
    program("gawk",           "associative arrays and string building",                Quick, 120, &[need("gawk", "gawk")]),
    program("jq",             "building, grouping and printing JSON",                  Quick, 120, &[need("jq", "jq")]),
    // Compilers and what they make.
    program("g++",            "compiling a C++ program full of templates, running it", Quick, 240, &[need("g++", "g++")]),
    program("rust",           "a threaded Rust program on the standard collections",   Quick, 180, &[need("rustc", "rustc")]),
    // Servers under load, on 127.0.0.1.
    program("redis",          "redis-benchmark with and without pipelining, data read back", Quick, 240, &[need("redis-server", "redis-server"), need("redis-benchmark", "redis-tools")]),
    program("memcached",      "thousands of keys from several clients, read back",     Quick, 120, &[need("memcached", "memcached"), need("python3", "python3")]),
    program("nginx",          "wrk over several connections, files compared",          Quick, 120, &[need("nginx", "nginx-light"), need("wrk", "wrk"), need("curl", "curl")]),
    program("postgresql",     "initdb, pgbench, sums checked",                         Slow,  300, &[need("/usr/lib/postgresql/15/bin/postgres", "postgresql-15"), need("setpriv", "util-linux")]),
    // Tools.
    program("git",            "many commits, branches, gc, fsck, clone",               Quick, 240, &[need("git", "git")]),
    program("sqlite",         "a long SQL script, integrity check",                    Quick, 180, &[need("sqlite3", "sqlite3")]),
    program("ripgrep",        "searching a tree with threads",                         Quick, 120, &[need("rg", "ripgrep")]),
    program("openssl",        "keys, certificates, ciphers, digests",                  Quick, 120, &[need("openssl", "openssl")]),
    program("xz-zstd",        "compressing and restoring with threads",                Quick, 120, &[need("xz", "xz-utils"), need("zstd", "zstd")]),
    program("z3",             "a few satisfiability problems",                         Quick, 120, &[need("z3", "z3")]),
    program("sort-find",      "coreutils: sort with threads, find, sed",               Quick, 120, &[need("sort", "coreutils"), need("find", "findutils")]),
    program("stress-ng",      "its malloc stressor, which verifies what it wrote",     Quick, 120, &[need("stress-ng", "stress-ng")]),
];
