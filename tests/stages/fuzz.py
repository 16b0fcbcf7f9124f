"""fuzz.py SECONDS: the targets of `fuzz/` under cargo-fuzz, each for so many seconds.

What the fuzzer finds interesting goes to `fuzz/corpus`, of which only the seeds are kept in the repository; what fails goes to
`fuzz/artifacts`, and `cargo +nightly fuzz run TARGET FILE` tries it again.
"""
import os
import re
import subprocess
import sys
import unittest

# Targets, and what they count. An operation allocates, resizes or frees a block, makes or ends a heap, or collects.
TARGETS = {"operations": "operations", "threads": "operations", "c_interface": "operations", "options": "texts"}
# For building, and for the last input.
SLACK = 900
# Without a sanitizer: the model finds what goes wrong with blocks, and debug assertions what goes wrong inside. Long inputs from the
# beginning: with few blocks an allocator has little to do.
OPTIONS = "-max_len=4096 -timeout=60 -rss_limit_mb=4096 -len_control=0 -print_final_stats=1".split()


def fuzz(target, seconds):
    command = ["cargo", "+nightly", "fuzz", "run", "--sanitizer", "none", target, "--", f"-max_total_time={seconds}", *OPTIONS]
    env = {name: value for name, value in os.environ.items() if name not in ("CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "RUSTDOC")}
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          timeout=seconds + SLACK)
    print(done.stdout)
    if done.returncode != 0:
        sys.exit(f"{target}: status {done.returncode}")
    return done.stdout


def figures(target, log):
    """What a target has done, from the fuzzer's and the targets' last lines."""
    def figure(key):
        found = re.findall(rf"^\s*{re.escape(key)}\s*(\d+)\s*$", log, re.MULTILINE)
        if not found:
            raise ValueError(f"{target}: no {key!r}")
        return int(found[-1])

    return figure("operations:"), figure("stat::number_of_executed_units:"), figure("stat::average_exec_per_sec:")


def summary(done):
    operations = sum(count for target, (count, _, _) in done.items() if TARGETS[target] == "operations")
    lines = [f"{target} {count} {TARGETS[target]} in {runs} runs, {rate}/s" for target, (count, runs, rate) in done.items()]
    return f"{operations} operations of the allocator: " + "; ".join(lines)


class Tests(unittest.TestCase):
    LOG = "#12 DONE\nstat::number_of_executed_units: 1200\nstat::average_exec_per_sec:     40\noperations: 99\n"

    def test_figures_are_read_and_texts_are_no_operations(self):
        said = summary({target: figures(target, self.LOG) for target in TARGETS})
        self.assertTrue(said.startswith("297 operations of the allocator: operations 99 operations in 1200 runs, 40/s; "))
        self.assertTrue(said.endswith("; options 99 texts in 1200 runs, 40/s"))

    def test_a_run_without_figures_is_an_error(self):
        self.assertRaises(ValueError, figures, "threads", "stat::number_of_executed_units: 1200\n")


if __name__ == "__main__":
    print(summary({target: figures(target, fuzz(target, int(sys.argv[1]))) for target in TARGETS}))
