#!/usr/bin/env python3
"""Builds programs of crates.io that use the crate `mimalloc`, as they are and with the packages beside this file in its place; runs both
and compares what they print, their time and their memory.

    python3 compat/programs.py [PROGRAM…]      # builds below target/compat, some minutes per program
"""

import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")) / "compat"
ROUNDS = 7

# Crate, version, more arguments of `cargo install`, and what is run: each command's output is compared. INPUT and FOLDER are made below.
PROGRAMS = {
    "jaq": ("3.1.2", [], [["[.rows[] | select(.id % 3 == 0) | .tags[]] | sort | unique | length", "INPUT"], [".rows |= map(.name)", "INPUT"]]),
    "jql": ("9.0.3", [], [['"rows"|>{"id","name"}', "INPUT"], ['"rows"|>"tags"', "INPUT"]]),
    "crabz": ("0.10.1", ["--no-default-features", "--features", "deflate_rust"], [["-p", "2", "INPUT"], ["-l", "9", "-p", "1", "INPUT"]]),
    "hgrep": ("0.3.9", ["--no-default-features", "--features", "ripgrep,syntect-printer"], [["--printer", "syntect", "--no-config", "fn ", "FOLDER"]]),
}


def install(program, patched):
    """Builds one program; all share a target folder, so that what both builds have in common is built once."""
    version, arguments, _ = PROGRAMS[program]
    root = WORK / ("ferrimalloc" if patched else "mimalloc")
    command = ["cargo", "install", f"{program}@{version}", "--root", str(root), "--target-dir", str(WORK / "target"), "--quiet", *arguments]
    if patched:
        for name in ("mimalloc", "libmimalloc-sys"):
            command += ["--config", f'patch.crates-io.{name}.path="{HERE / name}"']
        command.append("--force")
    subprocess.run(command, check=True, cwd=HERE.parent)
    return root / "bin" / program


def make_input(folder):
    """JSON of some 20 MB, always the same."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnop", k=chance.randint(3, 12))) for _ in range(2000)]
    rows = [{"id": i, "name": " ".join(chance.choices(words, k=3)), "tags": chance.choices(words, k=8), "score": chance.random()} for i in range(120_000)]
    path = folder / "input.json"
    path.write_text(json.dumps({"rows": rows}))
    return path


def run(binary, arguments):
    """What it prints (a digest), its processor time in seconds, its largest resident set in MiB."""
    child = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    digest = hashlib.sha256()
    size = 0
    while piece := child.stdout.read(1 << 20):
        digest.update(piece)
        size += len(piece)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0 or size == 0:
        sys.exit(f"{binary} {' '.join(arguments)}: exit code {child.returncode}, {size} bytes printed")
    return digest.hexdigest(), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(program, binaries, arguments):
    """One row of the table; ends the process if the two print different things."""
    runs = [[run(binary, arguments) for binary in binaries] for _ in range(ROUNDS)]
    if len({digest for pair in runs for digest, _, _ in pair}) != 1:
        sys.exit(f"{program} {' '.join(arguments)}: the outputs differ")
    seconds, memory = ([statistics.median(pair[which][field] for pair in runs) for which in (0, 1)] for field in (1, 2))
    return f"| `{program}` | {seconds[0]:.2f} s | {seconds[1]:.2f} s | {memory[0]:.0f} MiB | {memory[1]:.0f} MiB |"


def main():
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        names = {"INPUT": str(make_input(Path(scratch))), "FOLDER": str(HERE.parent / "crates")}
        for program in sys.argv[1:] or PROGRAMS:
            binaries = [install(program, patched) for patched in (False, True)]
            for arguments in PROGRAMS[program][2]:
                rows.append(compare(program, binaries, [names.get(word, word) for word in arguments]))
    print("| program | mimalloc | ferrimalloc | mimalloc | ferrimalloc |\n|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
