"""python -m ferrimalloc run [--python-malloc] [--checks] script.py [ARGUMENT…]"""

import os
import sys

from . import environment, library

USAGE = """usage: python -m ferrimalloc run [OPTION...] SCRIPT [ARGUMENT...]
       python -m ferrimalloc run [OPTION...] -m MODULE [ARGUMENT...]
       python -m ferrimalloc library

run      runs Python with ferrimalloc as the allocator. Options:
         --python-malloc  for small objects, too, which Python otherwise
                          allocates in pools of its own
         --checks         with a library that keeps memcpy, strcpy and their kin
                          inside of their blocks
library  prints where the library is
"""


def usage():
    sys.stderr.write(USAGE)
    return 2


def main():
    command, *arguments = sys.argv[1:] or [""]
    if command == "library" and not arguments:
        print(library())
        return 0
    chosen = set()
    while arguments[:1] and arguments[0] in ("--python-malloc", "--checks"):
        chosen.add(arguments.pop(0))
    env = environment(checks="--checks" in chosen)
    if "--python-malloc" in chosen:
        env["PYTHONMALLOC"] = "malloc"
    if command != "run" or not arguments:
        return usage()
    os.execve(sys.executable, [sys.executable, *arguments], env)


def run_program():
    """The command `ferrimalloc-run`."""
    line = sys.argv[1:]
    checks = line[:1] == ["--checks"]
    if checks:
        del line[0]
    if not line:
        sys.stderr.write("usage: ferrimalloc-run [--checks] PROGRAM [ARGUMENT...]\n")
        return 2
    try:
        os.execvpe(line[0], line, environment(checks=checks))
    except OSError as error:
        sys.stderr.write(f"ferrimalloc-run: {line[0]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main())
