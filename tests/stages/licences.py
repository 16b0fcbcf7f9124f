"""licences.py CRATE…: all crates of the workspace's Cargo.lock have licences that deny.toml allows, and come from the registry or lie here; what
these crates depend on, in every build, is the system's interfaces alone."""
import json
import re
import subprocess
import sys
import tomllib
import unittest
from pathlib import Path

# The system's interfaces, and what implements Rust's allocator interface for those who ask for it (a feature of `ferrimalloc`).
SYSTEM = {"libc", "windows-sys", "windows-link", "allocator-api2"}
REGISTRY = "registry+"


def is_allowed(expression, allowed):
    """Of alternatives one must be allowed, of what stands with `AND` each."""
    expression = expression.replace("/", " OR ")
    alternatives = re.sub(r"[()]", "", expression).split(" OR ") if ") AND" not in expression and "AND (" not in expression else None
    if alternatives is None:
        return all(is_allowed(part.strip(" ()"), allowed) for part in expression.split(" AND "))
    return any(all(word.strip() in allowed for word in alternative.split(" AND ")) for alternative in alternatives)


def needed(names, metadata):
    """The names of all crates that these are made of; what only tests, models or builds need does not count."""
    ids = {package["name"]: package["id"] for package in metadata["packages"] if not package["source"]}
    of = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    open_, seen = [ids[name] for name in names], set()
    while open_:
        one = open_.pop()
        if one not in seen:
            seen.add(one)
            open_ += [d["pkg"] for d in of[one]["deps"] if any(kind["kind"] is None and kind["target"] != "cfg(loom)" for kind in d["dep_kinds"])]
    return {package["name"] for package in metadata["packages"] if package["id"] in seen and package["source"]}


def main(names):
    licences = tomllib.loads(Path("deny.toml").read_text())["licenses"]
    exceptions = {exception["crate"]: exception["allow"] for exception in licences["exceptions"]}
    metadata = json.loads(subprocess.run(["cargo", "metadata", "--locked", "--format-version", "1"], check=True, stdout=subprocess.PIPE).stdout)
    for package in metadata["packages"]:
        told = f"{package['name']} {package['version']}"
        allowed = {*licences["allow"], *exceptions.get(package["name"], [])}
        if not is_allowed(package["license"] or "none", allowed):
            sys.exit(f"{told}: the licence {package['license']} is not allowed")
        if package["source"] and not package["source"].startswith(REGISTRY):
            sys.exit(f"{told} comes from {package['source']}")
    if more := needed(names, metadata) - SYSTEM:
        sys.exit(f"the crates depend on {sorted(more)}")
    print(f"{len(metadata['packages'])} crates with licences that are allowed")


class Tests(unittest.TestCase):
    def test_one_alternative_and_all_of_a_list_must_be_allowed(self):
        allowed = {"MIT", "Unicode-3.0", "Apache-2.0"}
        for expression in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(MIT OR GPL-3.0) AND Unicode-3.0", "MIT AND Apache-2.0"]:
            self.assertTrue(is_allowed(expression, allowed), expression)
        for expression in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "none"]:
            self.assertFalse(is_allowed(expression, allowed), expression)


if __name__ == "__main__":
    main(sys.argv[1:])
