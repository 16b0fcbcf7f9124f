//! Real programs as workloads: scripts in `bench/real/`, each run with the engine preloaded.
//!
//! A script prints `checksum=…` of what the program computed, and may print figures of its own (`p99_us=…`). A program
//! that is not installed is left out of the list with a line; the page names the package.

use super::cases::{Case, Program};
use crate::packages::Need;
use crate::workspace;

struct Real {
    name: &'static str,
    script: &'static str,
    need: Need,
    about: &'static str,
}

const fn need(program: &'static str, package: &'static str) -> Need {
    Need { program, package }
}

const PROGRAMS: &[Real] = &[
    Real {
        name: "redis",
        script: "redis.sh",
        need: need("redis-server", "redis-server"),
        about: "redis-benchmark: SET, GET, LPUSH, HSET",
    },
    Real {
        name: "sqlite",
        script: "sqlite.sh",
        need: need("sqlite3", "sqlite3"),
        about: "an in-memory table with an index",
    },
    Real {
        name: "cpython",
        script: "cpython.sh",
        need: need("python3", "python3"),
        about: "CPython with PYTHONMALLOC=malloc",
    },
    Real { name: "g++", script: "gxx.sh", need: need("g++", "g++"), about: "g++ -O1 on heavy templates" },
    Real { name: "lua", script: "lua.sh", need: need("lua5.4", "lua5.4"), about: "tables and strings" },
    Real {
        name: "ruby",
        script: "ruby.sh",
        need: need("ruby", "ruby"),
        about: "threads that fill and drop hashes of strings, in the place of mimalloc-bench's rbstress",
    },
    Real { name: "z3", script: "z3.sh", need: need("z3", "z3"), about: "an SMT solver on bit vectors" },
    Real { name: "node", script: "node.sh", need: need("node", "nodejs"), about: "JSON and buffers" },
];

pub fn cases(scale: f64) -> Vec<Case> {
    PROGRAMS.iter().filter(|real| real.is_there()).map(|real| real.case(scale)).collect()
}

impl Real {
    fn is_there(&self) -> bool {
        let met = self.need.is_met();
        if !met {
            println!("  real program {} left out: install the package {}", self.name, self.need.package);
        }
        met
    }

    fn case(&self, scale: f64) -> Case {
        let script = workspace::root().join("bench/real").join(self.script).display().to_string();
        let environment =
            vec![("SCALE".to_owned(), scale.to_string()), ("PYTHONMALLOC".to_owned(), "malloc".to_owned())];
        let command = vec!["sh".into(), script];
        let program = Program::Preloaded { command, environment };
        Case { name: self.name.into(), group: "real".into(), source: self.about.into(), program }
    }
}
