"""code.py symbols|listing|probes|scaling LIBRARY [WORK]: the code of the built library, by what objdump, nm, readelf and callgrind say of it.

symbols: it exports what xtask/interfaces has recorded (FERRIMALLOC_RECORD=1 records what there is), and imports nothing but the C library.
listing: the fast paths of `malloc` and `free` have few instructions, nothing dear among them.
probes: those for tracers (`crates/prim/src/trace.rs`) are notes that lead to `nop`s, in slow paths alone, and docs/TRACING.md has them.
scaling: atomic read-modify-writes per allocation: what must wait for other processors when there are many of them (docs/SCALING.md).
"""
import os
import platform
import re
import subprocess
import sys
import unittest
from collections import Counter
from pathlib import Path

IS_X86 = platform.machine() == "x86_64"

# --- disassembly

# A path longer than this does not end.
LONGEST = 200
PREFIXES = "cs ds data16 rep repz repnz bnd notrack lock".split()


def read(*command, **more):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def mnemonic(text):
    """The operation without its prefixes."""
    return next((word for word in text.split() if word not in PREFIXES), "")


def locks(text):
    """Whether it is a locked operation; `xchg` with memory is one without a prefix."""
    return "lock" in text.split() or (mnemonic(text).startswith("xchg") and "(" in text)


def is_dear(text):
    """What a fast path must not contain: a call, a locked operation, any use of the stack but for the return address."""
    return mnemonic(text).startswith(("call", "push", "pop")) or locks(text) or "%rsp" in text


def functions(symbols):
    """`0000000000001234 000000000000002f T malloc@@V1`"""
    found = re.findall(r"^([0-9a-f]+) ([0-9a-f]+) \w ([^@\s]+)\S*$", symbols, re.MULTILINE)
    return {name: range(int(start, 16), int(start, 16) + int(size, 16)) for start, size, name in found}


class Code:
    def __init__(self, listing, symbols):
        # `    1234:	mov    %rax,%rbx`
        lines = re.findall(r"^ *([0-9a-f]+):\t(.*)$", listing, re.MULTILINE)
        self.text = {int(address, 16): text.strip() for address, text in lines}
        self.next = dict(zip(self.text, list(self.text)[1:]))
        self.functions = functions(symbols)

    @staticmethod
    def of(library):
        return Code(read("objdump", "--disassemble", "--no-show-raw-insn", library),
                    read("nm", "--dynamic", "--defined-only", "--print-size", library))

    def straight_path(self, function):
        """From the function's entry to the first `ret`: it takes no conditional jump, and follows unconditional ones within the function.
        Every instruction on it counts, padding (`nop`) too."""
        body, path = self.functions[function], []
        address = body.start
        while len(path) < LONGEST:
            text = self.text[address]
            path.append(address)
            if mnemonic(text) in ("ret", "retq"):
                return path
            if mnemonic(text) in ("jmp", "jmpq"):
                target = re.search(r"jmpq? +([0-9a-f]+)\b", text)
                if not target or int(target[1], 16) not in body:
                    raise ValueError(f"{function}: the straight path leaves the function: {text}")
                address = int(target[1], 16)
            else:
                address = self.next[address]
        raise ValueError(f"{function}: no ret within {LONGEST} instructions")


# --- symbols

# What the C library implements on top of `malloc` is left to it: the process may have another `malloc` than ours.
LEFT_TO_C = "strdup strndup reallocarray __strdup __strndup wcsdup realpath getline asprintf".split()
# Libraries that the dynamic linker may be asked for.
MAY_NEED = {"libc.so.6", "ld-linux-x86-64.so.2"}
RECORDED = Path("xtask/interfaces/libferrimalloc.so.txt")


def differences(recorded, found):
    """Lines that are gone have a `-`, new ones a `+`."""
    return [f"-{line}" for line in sorted(recorded - found)] + [f"+{line}" for line in sorted(found - recorded)]


def symbols(library):
    exported = {name.split("@")[0] for name in read("nm", "--dynamic", "--defined-only", "--format=just-symbols", library).split()}
    if taken := exported & set(LEFT_TO_C):
        sys.exit(f"exported, and not left to the C library: {taken}")
    if "FERRIMALLOC_RECORD" in os.environ:
        RECORDED.write_text("".join(f"{name}\n" for name in sorted(exported)))
    if lines := differences(set(RECORDED.read_text().splitlines()), exported):
        sys.exit("\n".join([*lines, f"{len(lines)} lines differ from {RECORDED} (FERRIMALLOC_RECORD=1 records what there is)"]))
    if foreign := set(re.findall(r"^ +NEEDED +(\S+)", read("objdump", "--private-headers", library), re.MULTILINE)) - MAY_NEED:
        sys.exit(f"needs {foreign}")
    return f"the {len(exported)} symbols that are recorded, libc alone imported"


# --- listing

# At most so many instructions. `operator new` and `operator delete` are as short as `malloc` and `free`, and so are frees that are told
# the size.
FAST_PATHS = {"malloc": 15, "free": 16, "_Znwm": 15, "_ZdlPv": 16, "mi_free": 16, "mi_free_size": 16, "mi_free_csize": 16, "mi_free_small": 16,
              "mi_free_small_local_nonnull": 16, "mi_wmalloc_small": 16, "mi_theap_malloc": 20}


def listing(library):
    if not IS_X86:
        return "not checked: the limits are for x86-64"
    code, counts = Code.of(library), []
    for function, most in FAST_PATHS.items():
        path = code.straight_path(function)
        dear = [code.text[step] for step in path if is_dear(code.text[step])]
        if dear or len(path) > most:
            lines = "\n".join(f"      {step:x}: {code.text[step]}" for step in path)
            sys.exit(f"{function}: {len(path)} instructions, at most {most}; dear: {dear}\n{lines}")
        counts.append(f"{function} {len(path)} of at most {most}")
    return ", ".join(counts)


# --- probes

# How many words each is given.
PROBES = {"ferrimalloc:arena_reserved": 3, "ferrimalloc:page_made": 3, "ferrimalloc:page_stolen": 3, "ferrimalloc:purged": 3,
          "otel_memory:alloc": 3, "otel_memory:free": 1}
# Those of OpenTelemetry have their arguments where a function has its own.
CALL_REGISTERS = ["8@%rdi", "8@%rsi", "8@%rdx"] if IS_X86 else ["8@x0", "8@x1", "8@x2"]
NOTE = r"Provider: (\S+)\s+Name: (\S+)\s+Location: 0x([0-9a-f]+), .*\s+Arguments: (.*)"


def check_note(name, arguments):
    if name not in PROBES or len(arguments) != PROBES[name] or not all(word.startswith("8@") for word in arguments):
        sys.exit(f"{name} has the arguments {arguments}")
    if name.startswith("otel_memory") and arguments != CALL_REGISTERS[: len(arguments)]:
        sys.exit(f"{name} has its arguments in {arguments}")


def check_document(text):
    """It has a row for each probe, and asks for no others."""
    for name in PROBES:
        title = name.removeprefix("ferrimalloc:")
        if f"\n| `{title}` |" not in text:
            sys.exit(f"docs/TRACING.md has no row for {title}")
    for asked in re.findall(r":((?:ferrimalloc|otel_memory):\w*)", text):
        if asked not in PROBES:
            sys.exit(f"docs/TRACING.md asks for {asked}, no probe")


def probes(library):
    if not IS_X86 and platform.machine() != "aarch64":
        return "not checked: there are none on this machine"
    notes = read("readelf", "--wide", "--notes", library)
    found = re.findall(NOTE, notes)
    names, places = {f"{provider}:{name}" for provider, name, *_ in found}, {int(place, 16) for _, _, place, _ in found}
    if names != set(PROBES) or len(found) != notes.count("Provider: "):
        sys.exit(f"the library has the probes {sorted(names)}, and {notes.count('Provider: ')} notes")
    for provider, name, _, arguments in found:
        check_note(f"{provider}:{name}", arguments.split())
    check_document(Path("docs/TRACING.md").read_text())
    code = Code.of(library)
    for place in places:
        if code.text[place] != "nop":
            sys.exit(f"at {place:#x} is no nop: {code.text[place]}")
    for function in ("malloc", "free", "_Znwm", "_ZdlPv") if IS_X86 else ():
        if places & set(code.straight_path(function)):
            sys.exit(f"{function} has a probe")
    return f"{len(names)} probes in {len(places)} places, each a nop"


# --- scaling

# Threads, two scales of a workload, and how many read-modify-writes an allocation and its free may have: what one thread keeps to itself
# costs next to none; blocks that another thread frees go home in chains, whether that thread allocates, too, or not.
CASES = {"micro-pair-mixed": (1, 0.005, 0.01, 0.001), "micro-live-20k": (1, 0.01, 0.02, 0.03), "micro-medium": (1, 0.01, 0.02, 0.03),
         "batches-shared": (2, 0.02, 0.04, 0.25), "handoff-pairs": (2, 0.01, 0.02, 0.15)}


def executions(report, library):
    """How often each instruction of `library` was executed, by its address in the file: callgrind's format, in which a line `0x12 3 45` or
    `+4 3 45` is an instruction and its executions (addresses may be relative to the last one), `ob=` names the file that it is in, and the line
    after `calls=` tells of another function."""
    names, times, is_library, is_call, address = {}, Counter(), False, False, 0
    for line in report.splitlines():
        if found := re.match(r"(c?)ob=(\(\d+\))(?: (.*))?$", line):
            names.setdefault(found[2], found[3])
            if not found[1]:
                is_library = names[found[2]] == library
        elif line.startswith("calls="):
            is_call = True
        elif found := re.match(r"([+-]?)(0x[0-9a-f]+|\d+|\*) \S+ (\d+)$", line):
            distance = 0 if found[2] == "*" else int(found[2], 0)
            address = address + distance if found[1] == "+" or found[2] == "*" else address - distance if found[1] else distance
            if not is_call and is_library:
                times[address] += int(found[3])
            is_call = False
    return times


def scaling(library, work):
    """Every executed instruction with a `lock` prefix, and every `xchg` with memory, counts; the calls of `malloc` and `calloc` are the
    executions of their first instructions. A process's start is left out by the difference of two runs."""
    if not IS_X86:
        return "not checked: counts the locked instructions of x86-64"
    read("make", "--silent", "-C", "bench/workloads")
    code, report, counts = Code.of(library), f"{work}/callgrind.out", []
    locked = [address for address, text in code.text.items() if locks(text)]

    def run(workload, threads, scale):
        read("valgrind", "--tool=callgrind", "--dump-instr=yes", f"--callgrind-out-file={report}", "target/bench/workload", workload,
             str(threads), str(scale), env={**os.environ, "LD_PRELOAD": library})
        times = executions(Path(report).read_text(), library)
        return sum(times[code.functions[name].start] for name in ("malloc", "calloc")), sum(times[address] for address in locked)

    for workload, (threads, few, more, most) in CASES.items():
        (fewer, begun), (allocations, done) = run(workload, threads, few), run(workload, threads, more)
        if allocations <= fewer:
            sys.exit(f"{workload}: a longer run does not allocate more")
        each = max(done - begun, 0) / (allocations - fewer)
        if each > most:
            sys.exit(f"{workload}: {each:.4f} read-modify-writes per allocation, at most {most}")
        counts.append(f"{workload} {each:.4f} of at most {most}")
    return ", ".join(counts)


class Tests(unittest.TestCase):
    def path(self, *lines):
        return Code("\n".join(lines), "0000000000000000 0000000000000020 T f").straight_path("f")

    def test_the_path_follows_jumps_and_ends_at_ret(self):
        path = self.path("  0:\tcmp    $0x1,%rax", "  4:\tjne    30 <slow>", "  6:\tjmp    10 <f+0x10>", "  8:\tud2", "  10:\tret")
        self.assertEqual(path, [0, 4, 6, 0x10])

    def test_a_tail_jump_is_an_error(self):
        self.assertRaises(ValueError, self.path, "  0:\tjmp    40 <g>")

    def test_dear_instructions_are_told(self):
        for dear in ["push   %rbx", "call   40 <g>", "lock cmpxchg %rcx,(%rdx)", "xchg   %rax,(%rdi)", "sub    $0x8,%rsp"]:
            self.assertTrue(is_dear(dear), dear)
        for cheap in ["xchg   %ax,%ax", "mov    %fs:0x0,%rax", "cs nopw 0x0(%rax,%rax,1)", "dec    %ecx"]:
            self.assertFalse(is_dear(cheap), cheap)

    def test_symbols_lose_their_version(self):
        self.assertEqual(functions("0000000000000010 0000000000000005 T malloc@@V1"), {"malloc": range(0x10, 0x15)})

    def test_lines_that_come_and_go_are_told(self):
        self.assertEqual(differences(set("abc"), set("bcd")), ["-a", "+d"])
        self.assertEqual(differences(set("ab"), set("ba")), [])

    def test_executions_are_those_of_the_library_alone(self):
        report = ("events: Ir\nob=(1) /lib/ours.so\nfn=(1) malloc\n0x10 5 3\n+4 5 2\ncob=(2) /lib/other.so\ncfn=(2) f\n"
                  "calls=1 0x99 1\n* 5 700\n-4 6 1\n\nob=(2)\n0x10 1 9\nob=(1)\n0x20 1 4\n")
        self.assertEqual(executions(report, "/lib/ours.so"), {0x10: 4, 0x14: 2, 0x20: 4})


if __name__ == "__main__":
    print({"symbols": symbols, "listing": listing, "probes": probes, "scaling": scaling}[sys.argv[1]](*sys.argv[2:]))
