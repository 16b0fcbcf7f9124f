#!/usr/bin/env python3
"""Builds free-threaded CPython 3.13 twice, on its own mimalloc and on ferrimalloc, tests both and compares them.

    python3 packaging/cpython/build.py                       # fetch, build, test
    python3 packaging/cpython/build.py build bench           # only these steps; what is there already is not made again
    python3 packaging/cpython/build.py --work DIR --jobs 2   # DIR: outside of the repository, 2 GiB

The sources come as Debian's source package, from the mirror that apt uses for this machine. Building takes 10 to 25 minutes on two cores.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SUITE = "trixie"
PACKAGE = "python3.13"
NEEDED = "dpkg-dev gcc make patch pkg-config zlib1g-dev libffi-dev libssl-dev libbz2-dev liblzma-dev libsqlite3-dev".split()
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# What exercises the allocator, the collector and threads. Each is run in a process of its own.
TESTS = """
    test_free_threading test_gc test_threading test_threading_local test_thread test_capi test_weakref test_weakset test_dict
    test_list test_set test_tuple test_json test_asyncio test_concurrent_futures test_queue test_fork1 test_os test_subprocess
    test_interpreters test_sys test_tracemalloc test_embed test_generators test_coroutines test_descr test_class test_pickle
    test_str test_bytes test_memoryview test_array test_ctypes test_io test_re test_struct test_decimal
    test_zlib test_sqlite3 test_typing test_dataclasses test_functools test_itertools test_collections test_copy test_long
    test_super test_type_cache test_opcache test_contextlib test_import test_importlib test_code test_frame test_monitoring
""".split()
# With CPython's own checks of every block.
CHECKED_TESTS = "test_free_threading test_gc test_threading test_weakref test_dict test_list test_interpreters".split()


def run(*command, cwd=None, log=None, **more):
    """Runs a command; what it prints goes to a file, of which the end is shown if it fails."""
    print("+", " ".join(map(str, command)), flush=True)
    if log is None:
        return subprocess.run(command, cwd=cwd, check=True, **more)
    with open(log, "w") as out:
        done = subprocess.run(command, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, **more)
    if done.returncode != 0:
        sys.exit("\n".join(Path(log).read_text(errors="replace").splitlines()[-30:]) + f"\n{log}: failed")
    return done


def ask(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


class Work:
    """The folder in which everything is made."""

    def __init__(self, folder, jobs, installed):
        self.folder, self.jobs = folder, jobs
        self.sources = {"stock": folder / "source-stock", "ferrimalloc": folder / "source-ferrimalloc"}
        self.builds = {"stock": folder / "build-stock", "ferrimalloc": folder / "build-ferrimalloc"}
        self.makes_library = installed is None
        self.prefix = installed or folder / "ferrimalloc"

    def python(self, kind):
        return self.builds[kind] / "python"


def missing_packages():
    states = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${Status}\n", *NEEDED], capture_output=True, text=True).stdout
    there = {line.split()[0] for line in states.splitlines() if line.endswith(" installed")}
    return [package for package in NEEDED if package not in there]


def mirror():
    """Where apt has the machine's Debian packages from."""
    fields = ask("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(CODENAME) $(COMPONENT)", "Created-By: Packages")
    for line in fields.splitlines():
        uri, origin, codename, component = line.split()
        if (origin, component) == ("Debian", "main") and "-" not in codename:
            return uri
    sys.exit("apt has no Debian main archive")


def fetch(work):
    """The sources, unpacked twice: as they are, and with our patch."""
    if missing := missing_packages():
        run("apt-get", "install", "-y", "--no-install-recommends", *missing)
    if not any(work.folder.glob(f"{PACKAGE}_*.dsc")):
        download(work.folder)
    [package] = work.folder.glob(f"{PACKAGE}_*.dsc")
    for kind, source in work.sources.items():
        if source.exists():
            continue
        run("dpkg-source", "--no-check", "-x", package.name, source.name, cwd=work.folder, log=work.folder / f"unpack-{kind}.log")
    apply(work.sources["ferrimalloc"])


def download(folder):
    """By an apt configuration of its own: nothing of another suite can be installed by mistake."""
    apt = folder / "apt"
    for part in ["lists/partial", "cache/archives/partial", "parts"]:
        (apt / part).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(f"deb-src [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    places = {"Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "parts", "Dir::State::lists": "lists", "Dir::Cache": "cache"}
    options = [f"-o{name}={apt / place}" for name, place in places.items()] + ["-oAPT::Sandbox::User=root"]
    run("apt-get", *options, "update")
    run("apt-get", *options, "source", "--download-only", f"{PACKAGE}/{SUITE}", cwd=folder)


def apply(source):
    """Our patch, once, and our files, as they are now."""
    if not (source / "Include/internal/ferrimalloc").exists():
        run("patch", "-p1", "--no-backup-if-mismatch", "-i", HERE / "cpython-3.13.patch", cwd=source)
    headers = source / "Include/internal/ferrimalloc"
    headers.mkdir(exist_ok=True)
    for header in ["mimalloc.h", "mimalloc-qsbr.h"]:
        copy_if_changed(ROOT / "include" / header, headers / header)
    copy_if_changed(HERE / "pycore_ferrimalloc.h", source / "Include/internal/pycore_ferrimalloc.h")
    copy_if_changed(HERE / "ferrimalloc.c", source / "Objects/ferrimalloc.c")


def copy_if_changed(source, target):
    """`make` goes by times."""
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)


def build(work):
    apply(work.sources["ferrimalloc"])
    if work.makes_library:
        run("cargo", "xtask", "install", "--prefix", work.prefix, cwd=ROOT)
    archive = work.prefix / "lib/libferrimalloc.a"
    build_one(work, "stock", [])
    # Objects/obmalloc.c includes our file, which `make` doesn't know; nor does it know the archive.
    for stale in [work.builds["ferrimalloc"] / "Objects/obmalloc.o", work.python("ferrimalloc")]:
        stale.unlink(missing_ok=True)
    build_one(work, "ferrimalloc", [f"LIBS={archive}"])


def build_one(work, kind, settings):
    folder = work.builds[kind]
    folder.mkdir(exist_ok=True)
    if not (folder / "Makefile").exists():
        run(work.sources[kind] / "configure", "--disable-gil", *settings, cwd=folder, log=folder / "configure.log")
        if kind == "ferrimalloc":
            with open(folder / "pyconfig.h", "a") as config:
                config.write("\n/* Objects/ferrimalloc.c in place of Objects/mimalloc */\n#define WITH_FERRIMALLOC 1\n")
    run("nice", "-n", "5", "make", f"-j{work.jobs}", cwd=folder, log=folder / "make.log")
    # What is compiled at every start would be measured.
    run(work.python(kind), "-m", "compileall", "-q", work.sources[kind] / "Lib", "-x", "lib2to3|test|bad", cwd=folder, log=folder / "compileall.log")
    check_allocator(work.python(kind), kind)


def check_allocator(python, kind):
    """The interpreter is free-threaded, and its objects are where they should be."""
    script = "import sys; assert not sys._is_gil_enabled(); sys._debugmallocstats()"
    stats = subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stderr
    if ("Heap gc_pre:" in stats) != (kind == "ferrimalloc"):
        sys.exit(f"{python}: not on the allocator it was built for")
    print(f"{python}: {ask(python, '-VV').strip()}")


def test(work):
    """The same tests on both; those that fail on ferrimalloc and not on stock are ours."""
    failed = {kind: run_tests(work, kind, "tests", TESTS, {}) for kind in work.builds}
    checked = {kind: run_tests(work, kind, "tests-checked", CHECKED_TESTS, {"PYTHONMALLOC": "debug"}) for kind in work.builds}
    ours = (failed["ferrimalloc"] - failed["stock"]) | (checked["ferrimalloc"] - checked["stock"])
    if ours:
        sys.exit(f"fail on ferrimalloc only: {' '.join(sorted(ours))}")
    print("no test fails on ferrimalloc that passes on CPython's own mimalloc")


def run_tests(work, kind, name, tests, settings):
    """The names of those that failed."""
    log = work.builds[kind] / f"{name}.log"
    command = ["nice", "-n", "5", work.python(kind), "-m", "test", f"-j{work.jobs}", "--timeout", "900", *tests]
    with open(log, "w") as out:
        subprocess.run(command, cwd=work.builds[kind], env=os.environ | settings, stdout=out, stderr=subprocess.STDOUT)
    text = log.read_text(errors="replace")
    if "== Tests result:" not in text:
        sys.exit(f"{log}: the run did not end")
    # 0:01:46 load avg: 2.39 [11/93/1] test_sys failed (1 failure)
    outcomes = dict(re.findall(r"^\S+ load avg: \S+ \[ *\d+/[\d/]+\] (test\S+) (\w+)", text, re.M))
    passed = {test for test in outcomes if outcomes[test] == "passed"}
    failed = {test for test in outcomes if outcomes[test] not in ("passed", "skipped", "resource")}
    [tests_run] = re.findall(r"^Total tests: run=([\d,]+)", text, re.M)
    print(f"{kind}, {name}: {len(passed)} files passed, {tests_run} tests; failed: {' '.join(sorted(failed)) or 'none'}", flush=True)
    return failed


def bench(work, rounds=7):
    """CPU seconds and peak resident memory, medians of interleaved runs."""
    workloads = HERE / "workloads.py"
    print(f"{'':18} {'stock s':>8} {'ours s':>8} {'time':>6} {'stock MiB':>10} {'ours MiB':>9} {'RSS':>6}")
    shares = []
    for name in ask(work.python("stock"), workloads, "--list").split():
        results = {kind: [] for kind in work.builds}
        for _ in range(rounds):
            for kind in work.builds:
                seconds, peak = ask(work.python(kind), workloads, name).split()
                results[kind].append((float(seconds), int(peak) / 1024))
        (s, m), (t, n) = ([statistics.median(column) for column in zip(*results[kind])] for kind in ("stock", "ferrimalloc"))
        shares.append((t / s, n / m))
        print(f"{name:18} {s:8.3f} {t:8.3f} {t / s:6.2f} {m:10.1f} {n:9.1f} {n / m:6.2f}", flush=True)
    time, memory = (statistics.geometric_mean(column) for column in zip(*shares))
    print(f"{'geometric mean':35} {time:6.2f} {'':20} {memory:6.2f}")


# What would change how the interpreters that are made here behave.
for name in [name for name in os.environ if name.startswith("PYTHON")]:
    del os.environ[name]

STEPS = {"fetch": fetch, "build": build, "test": test, "bench": bench}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"{', '.join(STEPS)} (default: the first three)")
    parser.add_argument("--work", type=Path, default=ROOT / "target/cpython", help="default: target/cpython")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--installed", type=Path, help="where ferrimalloc is installed; default: it is built and installed in the folder")
    args = parser.parse_args()
    if unknown := set(args.steps) - set(STEPS):
        parser.error(f"no such step: {' '.join(sorted(unknown))}")
    work = Work(args.work.resolve(), args.jobs, args.installed and args.installed.resolve())
    work.folder.mkdir(parents=True, exist_ok=True)
    for step in args.steps or ["fetch", "build", "test"]:
        STEPS[step](work)


if __name__ == "__main__":
    main()
