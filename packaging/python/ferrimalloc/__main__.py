"""python -m ferrimalloc run [--python-malloc] script.py [ARGUMENT…]"""

import os
import sys

from . import environment, library

USAGE = """usage: python -m ferrimalloc run [--python-malloc] SCRIPT [ARGUMENT...]
       python -m ferrimalloc run [--python-malloc] -m MODULE [ARGUMENT...]
       python -m ferrimalloc library

run      runs Python with ferrimalloc as the allocator; with --python-malloc for
         small objects, too, which Python otherwise allocates in pools of its own
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
    env = environment()
    if arguments[:1] == ["--python-malloc"]:
        arguments = arguments[1:]
        env["PYTHONMALLOC"] = "malloc"
    if command != "run" or not arguments:
        return usage()
    os.execve(sys.executable, [sys.executable, *arguments], env)


def run_program():
    """The command `ferrimalloc-run`."""
    if len(sys.argv) < 2:
        sys.stderr.write("usage: ferrimalloc-run PROGRAM [ARGUMENT...]\n")
        return 2
    try:
        os.execvpe(sys.argv[1], sys.argv[1:], environment())
    except OSError as error:
        sys.stderr.write(f"ferrimalloc-run: {sys.argv[1]}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main())
