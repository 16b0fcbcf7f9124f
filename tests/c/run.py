"""run.py [--only NAME,…] [--reference-only]: the C interface against the reference, mimalloc's own library. `cargo xtask ctests` starts it, with
REFERENCE (the install tree of mimalloc 3.4.3), NEWEST (the sources of 3.6.2), LIBRARY (ours), TARGET (Cargo's folder) and XTASK.

1. headers: ours compile by themselves in every standard, and declare the 190 functions of mimalloc 3.4.3 exactly, and every function of 3.6.2;
2. symbols: the library exports each of them, inline functions included (programs in other languages can't use those of a header);
3. programs: each of this folder, compiled *once, against the reference's header and library*, passes on the reference and, the library
   exchanged under it, on ours; it also compiles against our header; programs of `newest` likewise, against mimalloc 3.6.2;
4. projects: those that look for mimalloc by CMake, by pkg-config and as an object file build and run on an install tree.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = HERE.parent.parent / "include"
# The name by which programs built against mimalloc ask for it, and ours.
REFERENCE_SONAME, SONAME = "libmimalloc.so.3", "libferrimalloc.so.0"
HEADERS = ["mimalloc.h", "mimalloc-profile.h", "mimalloc-stats.h", "mimalloc-qsbr.h", "mimalloc-override.h", "mimalloc-new-delete.h"]
C = {"extension": "c", "compilers": ["gcc", "clang", "clang-14"], "standards": ["c99", "c11", "c17", "c2x"]}
CXX = {"extension": "cpp", "compilers": ["g++", "clang++", "clang++-14"], "standards": ["c++11", "c++14", "c++17", "c++20", "c++2b"]}
WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror", "-Wshadow", "-fsyntax-only"]
# `-fno-builtin`: the compiler must not see through pairs of allocating and freeing. `-rdynamic`: the library may look for functions of the
# program.
FLAGS = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin", "-pthread", "-rdynamic"]
# As the authors of mimalloc build the library.
BUILD = ["-O3", "-DNDEBUG", "-fPIC", "-shared", "-pthread", "-w", f"-Wl,-soname,{REFERENCE_SONAME}"]
# The reference declares these and leaves them out.
NOT_IN_THE_REFERENCE = {"mi_collect_reduce", "mi_stats_merge", "mi_uzalloc_small"}
FUNCTIONS = 190
# Fewer of 3.6.2 would mean that they were not found.
LEAST = 225
TAIL_LINES = 25
rows = []


class Failure(Exception):
    pass


def run(*command, limit=300, env=None, **more):
    """What a command printed; an error has the end of that."""
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", timeout=limit, env={**os.environ, **(env or {})}, **more)
    if done.returncode != 0:
        raise Failure(f"status {done.returncode}: {command[0]}\n" + "\n".join(done.stdout.splitlines()[-TAIL_LINES:]))
    return done.stdout


def row(name, check, *cells):
    """A line of the final table: what `check` answers are its cells, unless they are known."""
    print(f"  {name}", file=sys.stderr, flush=True)
    try:
        found, why = check() or (), None
    except (Failure, OSError, subprocess.TimeoutExpired) as error:
        found, why = (), str(error)
    rows.append((name, [str(cell) for cell in cells or found], why))


# --- headers


def syntax(compiler, standard, headers, source):
    strict = [] if standard.startswith("c++") else ["-Wstrict-prototypes"]
    try:
        run(compiler, f"-std={standard}", *WARNINGS, *strict, "-I", HERE, "-I", headers, source, limit=60)
    except Failure as failure:
        raise Failure(f"{source} with {compiler} as {standard} and {headers}: {failure}") from failure


def check_headers(language, compilers, scratch):
    source = scratch / f"header.{language['extension']}"
    for header in HEADERS:
        source.write_text(f"#include <{header}>\n#include <{header}>\nint main(void) {{ return 0; }}\n")
        for compiler in compilers:
            for standard in language["standards"]:
                syntax(compiler, standard, OURS, source)


def headers(reference, scratch):
    for name, language in {"C": C, "C++": CXX}.items():
        there = [compiler for compiler in language["compilers"] if shutil.which(compiler)]
        check = lambda: check_headers(language, there, scratch)
        row(f"headers in {name}", check, " ".join(there), " ".join(language["standards"]))
    # The container allocators are templates: they have to be used to be checked.
    allocators = lambda: [syntax("g++", standard, OURS, HERE / "cxx.cpp") for standard in CXX["standards"]]
    row("allocators in C++", allocators, "g++", " ".join(CXX["standards"]))
    prototypes = lambda: [syntax("gcc", standard, include, HERE / "prototypes.c")
                          for include in (OURS, reference) for standard in C["standards"]]
    row("prototypes", prototypes, "gcc", "both")


# --- prototypes of the newest

WORD = r"[A-Za-z0-9_]"


def function(line):
    """`/* mimalloc.h:120:NC */ extern void *mi_f (size_t);` is `mi_f` and `void * (size_t)`."""
    found = re.search(rf"\*/ (?:extern )?(?:static )?([^;]*?)(?<!{WORD})(mi_{WORD}*)( \([^;]*);", line)
    return found and (found[2], found[1] + found[3])


def check_newest(newest, library, scratch):
    """The compiler lists the declarations itself (`-aux-info`), without what the attributes say."""
    include = "#include <mimalloc.h>\n#include <mimalloc-stats.h>\n"
    source, listing, compare = scratch / "newest.c", scratch / "newest.listing", scratch / "compare.c"
    source.write_text(include)
    run("gcc", "-fsyntax-only", "-D__attribute__(x)=", "-aux-info", listing, "-I", newest, source, limit=60)
    prototypes = dict(filter(None, map(function, listing.read_text().splitlines())))
    if len(prototypes) < LEAST:
        raise Failure(f"only {len(prototypes)} functions were found in {newest}")
    same = "_Static_assert(__builtin_types_compatible_p(__typeof__({0}), {1}), \"{0}\");\n"
    compare.write_text(include + "".join(same.format(name, prototype) for name, prototype in prototypes.items()))
    run("gcc", "-fsyntax-only", "-std=gnu11", "-I", OURS, compare, limit=60)
    if library and prototypes.keys() - exported(library):
        raise Failure(f"not exported: {sorted(prototypes.keys() - exported(library))}")
    return "gcc", f"{len(prototypes)} functions"


# --- symbols


def exported(library):
    """The functions and variables that a shared library defines for others."""
    return {name.split("@")[0] for name in run("nm", "--dynamic", "--defined-only", "--format=just-symbols", library).split()}


def check_symbols(library, allowed):
    """What stands before the first parenthesis of each declaration in `prototypes.c`."""
    declared = set(re.findall(r"^[^(]*[ *](mi_\w+)\(.*\);$", (HERE / "prototypes.c").read_text(), re.MULTILINE))
    if len(declared) != FUNCTIONS:
        raise Failure(f"prototypes.c declares {len(declared)} functions, not {FUNCTIONS}")
    missing = declared - exported(library)
    if missing != allowed:
        raise Failure(f"not exported: {sorted(missing)}")
    return (f"{FUNCTIONS - len(missing)} of {FUNCTIONS}",)


# --- programs


def last_line(program, engine, folder):
    """Of a program on the library in `folder`: `N passed, 0 failed`. The variable says which library it runs on."""
    try:
        said = run(program, limit=180, env={"LD_LIBRARY_PATH": str(folder), "CHECK_ENGINE": engine})
    except Failure as failure:
        raise Failure(f"on {engine}: {failure}") from failure
    lines = [line for line in said.splitlines() if line.endswith(" failed")]
    if not lines:
        raise Failure(f"on {engine}: ended without a count")
    return lines[-1]


def check_program(source, reference, ours, scratch):
    include, libraries = reference
    compiler = ["g++", "-std=c++17"] if source.suffix == ".cpp" else ["gcc", "-std=gnu11"]
    # The source comes first, libraries after it.
    command = [*compiler, *FLAGS, "-I", HERE, source]
    run(*command, "-fsyntax-only", "-I", OURS, limit=120)
    program = scratch / "-".join(source.relative_to(HERE).parts)
    run(*command, "-o", program, "-I", include, "-L", libraries, "-lmimalloc", limit=120)
    engines = {"reference": libraries, **({"ours": ours} if ours else {})}
    return [last_line(program, engine, folder) for engine, folder in engines.items()]


def newest_library(sources, target):
    """Built unless that was done; under another name first: a build that was cut short leaves no half library."""
    folder = target / "reference-newest"
    library = folder / REFERENCE_SONAME
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run("gcc", *BUILD, "-o", folder / "unfinished.so", "-I", sources / "include", sources / "src/static.c")
        (folder / "unfinished.so").rename(library)
    if not (folder / "libmimalloc.so").exists():
        (folder / "libmimalloc.so").symlink_to(REFERENCE_SONAME)
    return folder


# --- projects


def with_cmake(project, tree):
    build = project / "build"
    run("cmake", "-S", project, "-B", build, f"-DCMAKE_PREFIX_PATH={tree}")
    run("cmake", "--build", build)
    # A program that was linked with `libmimalloc.so` asks for our soname.
    if not re.search(rf"NEEDED +{re.escape(SONAME)}$", run("objdump", "--private-headers", build / "wordcount"), re.MULTILINE):
        raise Failure(f"the program does not ask for {SONAME}")
    run("ctest", "--output-on-failure", cwd=build)


PROJECTS = {
    "project-cmake": with_cmake,
    "project-pkgconfig": lambda project, tree: run("make", "check", cwd=project, env={"PKG_CONFIG_PATH": str(tree / "lib/pkgconfig")}),
    "project-static": lambda project, tree: run("make", "check", f"PREFIX={tree}", cwd=project),
}


def check_project(name, tree, scratch):
    PROJECTS[name](Path(shutil.copytree(HERE / name, scratch / name)), tree)


def projects(wanted, library, scratch):
    made, tree = scratch / "made", scratch / "tree"
    run(os.environ["XTASK"], "install", "--from", library.parent, "--prefix", made)
    # Nothing in the tree may depend on where it was made.
    made.rename(tree)
    for name in wanted:
        row(name, lambda: check_project(name, tree, scratch), "built and run")


# --- all of it


def check(only, reference_only, scratch):
    wants = lambda name: not only or name in only
    reference, newest = Path(os.environ["REFERENCE"]), Path(os.environ["NEWEST"])
    library = None if reference_only else Path(os.environ["LIBRARY"])
    established = reference / "include/mimalloc-3.4", reference / "lib"
    if wants("headers"):
        headers(established[0], scratch)
    if wants("headers") or wants("symbols"):
        row("prototypes of 3.6.2", lambda: check_newest(newest / "include", library, scratch))
    if wants("symbols"):
        row("symbols of the reference", lambda: check_symbols(reference / "lib/libmimalloc.so", NOT_IN_THE_REFERENCE))
        if library:
            row("symbols of ours", lambda: check_symbols(library, set()))
    ours = library and scratch / "ours"
    if ours:
        ours.mkdir()
        (ours / REFERENCE_SONAME).symlink_to(library)
    references = {"": established, "examples": established}
    references["newest"] = newest / "include", newest_library(newest, Path(os.environ["TARGET"]))
    for folder, against in references.items():
        for source in sorted(path for path in (HERE / folder).iterdir() if path.suffix in (".c", ".cpp") and path.stem != "prototypes"):
            name = str(source.relative_to(HERE)) if folder else source.stem
            if wants(name):
                row(name, lambda: check_program(source, against, ours, scratch))
    wanted = [name for name in PROJECTS if wants(name)]
    if library and wanted:
        try:
            projects(wanted, library, scratch)
        except Failure as failure:
            rows.append(("install", [], str(failure)))


def conclude():
    failed = [(name, why) for name, _, why in rows if why]
    for name, why in failed:
        print(f"\n-- {name}: {why}")
    print()
    for name, cells, why in rows:
        print(f"  {name:<26} {'FAILED' if why else 'ok':<7} {'; '.join(cells)}")
    print(f"\n{len(rows) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


class Tests(unittest.TestCase):
    def test_a_prototype_is_a_declaration_without_the_name(self):
        self.assertEqual(function("/* m.h:3:NC */ extern void mi_a (mi_fun (*), void *);"), ("mi_a", "void  (mi_fun (*), void *)"))
        defined = function("/* m.h:3:NF */ static _Bool mi_b (void (*f) (int), char *x); /* (f, x) … */")
        self.assertEqual(defined, ("mi_b", "_Bool  (void (*f) (int), char *x)"))
        self.assertEqual(function("/* m.h:3:NC */ extern mi_fun *mi_c (void);"), ("mi_c", "mi_fun * (void)"))
        self.assertIsNone(function("/* stdio.h:3:NC */ extern int puts (const char *);"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", type=lambda names: names.split(","), default=[])
    parser.add_argument("--reference-only", action="store_true")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferrimalloc-ctests-") as scratch:
        check(words.only, words.reference_only, Path(scratch))
    sys.exit(conclude())
