"""memory.py LIBRARY WORK: figures of memory and time that users notice, measured by small C programs against the limits of
xtask/tables/memory.toml.

A program prints lines `name value`. Each is run a few times. Where a busy machine only adds, the least value counts; the resident set at start
varies by where the libraries are mapped (the kernel maps file contents that it has in memory around what is touched, in windows of 64 KiB), so
there the median of more runs counts, beside what is the process's own and hardly varies.
"""
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

FLAGS = "-O1 -g -Wall -fno-builtin -pthread".split()
LIMIT = 120
KNOWN = {"source", "rounds", "typical", "figures"}


def measure(meter, library, work):
    """The values of all rounds by the figures' names, in ascending order."""
    program = Path(work, meter["source"]).with_suffix("")
    subprocess.run(["gcc", *FLAGS, "-o", program, f"xtask/programs/memory/{meter['source']}"], check=True)
    values = defaultdict(list)
    for _ in range(meter.get("rounds", 3)):
        said = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT, env={**os.environ, "LD_PRELOAD": library})
        for line in said.stdout.splitlines():
            name, _, value = line.partition(" ")
            values[name].append(float(value))
    return {name: sorted(list_) for name, list_ in values.items()}


def main(library, work):
    within, over = [], []
    for meter in tomllib.loads(Path("xtask/tables/memory.toml").read_text())["meter"]:
        assert meter.keys() <= KNOWN and meter.get("typical", "least") in ("least", "median"), meter
        values = measure(meter, library, work)
        typical = (lambda name: values[name][len(values[name]) // 2]) if meter.get("typical") == "median" else (lambda name: values[name][0])
        for figure in meter["figures"]:
            names = [figure["name"], *([figure["per"]] if "per" in figure else [])]
            value = typical(names[0]) / (typical(names[1]) if len(names) > 1 else 1)
            spread = " per ".join(f"of {len(values[name])}: {values[name][0]:.2f} to {values[name][-1]:.2f}" for name in names)
            told = f"{' per '.join(names)} {value:.2f} ({spread}; at most {figure['most']:.2f})"
            (within if value <= figure["most"] else over).append(told)
    if over:
        sys.exit(f"over the limit: {', '.join(over)}; within: {', '.join(within)}")
    print(", ".join(within))


if __name__ == "__main__":
    main(*sys.argv[1:])
