#!/usr/bin/env python3
"""Makes packages of an installed tree (`cargo xtask install --prefix TREE`): Debian packages, a Python wheel, an npm package.

    python3 packaging/package.py TREE OUT [--tool COMMAND]      # COMMAND: the command `ferrimalloc`, for the Debian package of tools

The same tree gives the same bytes: times are those of SOURCE_DATE_EPOCH, or fixed ones. DEBFULLNAME and DEBEMAIL are the maintainer of the Debian packages;
without them the address is one at `localhost`, and `lintian` says so. `dpkg-deb`, `objdump` and `strip` are needed, nothing else.
"""

import argparse
import base64
import gzip
import hashlib
import io
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VERSION = re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(), re.M).group(1)
EPOCH = int(os.environ.get("SOURCE_DATE_EPOCH", "1767225600"))
MACHINE = platform.machine()
DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
NODE = {"x86_64": "x64", "aarch64": "arm64"}[MACHINE]
TRIPLET = f"{MACHINE}-linux-gnu"
SONAME = "libferrimalloc.so.0"
CHECKS = "libferrimalloc-checks.so.0"
SONAMES = [SONAME, CHECKS]
# A distribution's own first revision, 1, is newer.
REVISION = "0upstream1"
# Who makes the packages says so by Debian's own variables.
MAINTAINER = f"{os.environ.get('DEBFULLNAME', 'The ferrimalloc developers')} <{os.environ.get('DEBEMAIL', 'ferrimalloc@localhost')}>"


def shared(tree, soname=SONAME):
    """A shared library itself: the allocator, or what checks copies."""
    return (tree / "lib" / soname).resolve(strict=True)


def stripped(library):
    """Its bytes without what only debuggers read."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / library.name
        subprocess.run(["strip", "--strip-unneeded", "-o", target, library], check=True)
        return target.read_bytes()


def symbols(library, pattern):
    """The first groups of what `pattern` finds in the table of dynamic symbols."""
    table = subprocess.run(["objdump", "-T", library], check=True, capture_output=True, text=True).stdout
    return re.findall(pattern, table, re.M)


def glibc_version(tree):
    """The oldest C library that has all that we import."""
    imported = [version for soname in SONAMES for version in symbols(shared(tree, soname), r"\(?GLIBC_(\d+\.\d+)")]
    return max(imported, key=lambda version: [int(part) for part in version.split(".")])


# ---- Debian

SUMMARY = "fast, compact memory allocator (mimalloc's design, in Rust)"
ABOUT = """ ferrimalloc is a general-purpose memory allocator on the design of mimalloc,
 version 3: pages of equal blocks, free lists sharded per page, and frees by
 other threads in one compare-and-swap. It takes the place of malloc and free
 in programs that are linked with it or run with it."""


def write(path, text, mode=0o644):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)


def copy(source, target, mode=0o644):
    write(target, source.read_bytes(), mode)


def link(target, name):
    name.parent.mkdir(parents=True, exist_ok=True)
    name.symlink_to(target)


def documents(root, package):
    """What every Debian package has: its licence and a changelog."""
    folder = root / "usr/share/doc" / package
    licence = (ROOT / "LICENSE").read_text().strip()
    paragraphs = "\n".join(f" {line.strip() or '.'}" for line in licence.splitlines()[1:])
    write(folder / "copyright", f"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: the ferrimalloc developers\nLicense: Expat\n{paragraphs}\n")
    date = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(EPOCH))
    entry = f"ferrimalloc ({VERSION}-{REVISION}) unstable; urgency=medium\n\n  * Release {VERSION}.\n\n -- {MAINTAINER}  {date}\n"
    write(folder / "changelog.Debian.gz", gzip.compress(entry.encode(), 9, mtime=EPOCH))


def debian_package(out, root, package, section, depends, what, more=""):
    """Writes the control files of the tree `root`, and makes the package."""
    documents(root, package)
    theirs = [path for path in root.rglob("*") if root / "DEBIAN" not in path.parents]
    files = sorted(path for path in theirs if path.is_file() and not path.is_symlink())
    size = sum((path.stat().st_size + 1023) // 1024 for path in files)
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(root)}\n" for path in files)
    control = (
        f"Package: {package}\nSource: ferrimalloc\nVersion: {VERSION}-{REVISION}\nArchitecture: {DEBIAN}\nMaintainer: {MAINTAINER}\n"
        f"Installed-Size: {size}\nDepends: {depends}\nSection: {section}\nPriority: optional\n{more}Description: {SUMMARY}{what}\n{ABOUT}\n"
    )
    write(root / "DEBIAN/control", control)
    write(root / "DEBIAN/md5sums", sums)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(0o755)
    target = out / f"{package}_{VERSION}-{REVISION}_{DEBIAN}.deb"
    command = ["dpkg-deb", "--build", "--root-owner-group", "-Zxz", root, target]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)})
    return target


def debian_library(tree, out, root):
    folder = root / "usr/lib" / TRIPLET
    listed = ""
    for soname in SONAMES:
        library = shared(tree, soname)
        write(folder / library.name, stripped(library))
        link(library.name, folder / soname)
        exported = sorted(set(symbols(library, r"^[0-9a-f]+ [gw ].{6} (?!\*UND\*)\S+\s+[0-9a-f]+\s+(?:Base\s+)?(\S+)$")))
        listed += f"{soname} libferrimalloc0 #MINVER#\n" + "".join(f" {name}@Base {VERSION}\n" for name in exported)
    write(root / "DEBIAN/symbols", listed)
    write(root / "DEBIAN/shlibs", "libferrimalloc 0 libferrimalloc0\nlibferrimalloc-checks 0 libferrimalloc0\n")
    write(root / "DEBIAN/triggers", "activate-noawait ldconfig\n")
    depends = f"libc6 (>= {glibc_version(tree)})"
    return debian_package(out, root, "libferrimalloc0", "libs", depends, "", "Multi-Arch: same\n")


def debian_development(tree, out, root):
    """Headers below a folder of their own: mimalloc's package has files of the same names."""
    folder, headers = root / "usr/lib" / TRIPLET, root / "usr/include/ferrimalloc"
    for header in (tree / "include").iterdir():
        copy(header, headers / header.name)
    link(shared(tree).name, folder / "libferrimalloc.so")
    link(shared(tree, CHECKS).name, folder / "libferrimalloc-checks.so")
    copy(tree / "lib/libferrimalloc.a", folder / "libferrimalloc.a")
    copy(tree / "lib/ferrimalloc.o", folder / "ferrimalloc.o")
    pc = (tree / "lib/pkgconfig/ferrimalloc.pc").read_text()
    pc = re.sub(r"(?ms)^# Where.*?^includedir=.*?$", f"prefix=/usr\nlibdir=/usr/lib/{TRIPLET}\nincludedir=/usr/include/ferrimalloc", pc)
    write(folder / "pkgconfig/ferrimalloc.pc", pc)
    for config in (tree / "lib/cmake/ferrimalloc").iterdir():
        text = config.read_text().replace('_LIBRARY_DIR}/../include"', '_LIBRARY_DIR}/../../include/ferrimalloc"')
        write(folder / "cmake/ferrimalloc" / config.name, text)
    depends = f"libferrimalloc0 (= {VERSION}-{REVISION}), libc6-dev"
    return debian_package(out, root, "libferrimalloc-dev", "libdevel", depends, ", development files", "Multi-Arch: same\n")


def manual(root, name, page):
    write(root / f"usr/share/man/man1/{name}.1.gz", gzip.compress(page, 9, mtime=EPOCH))


def debian_tools(out, root, tool):
    copy(HERE / "ferrimalloc-run", root / "usr/bin/ferrimalloc-run", 0o755)
    manual(root, "ferrimalloc-run", (HERE / "ferrimalloc-run.1").read_bytes())
    if tool:
        write(root / "usr/bin/ferrimalloc", stripped(tool), 0o755)
        manual(root, "ferrimalloc", subprocess.run([tool, "man"], check=True, capture_output=True).stdout)
    depends = f"libferrimalloc0 (>= {VERSION}-{REVISION}), libc6" + (", libgcc-s1" if tool else "")
    return debian_package(out, root, "ferrimalloc-tools", "utils", depends, ", tools")


# ---- Python

def wheel(tree, out):
    """A wheel, as PEP 427 describes it; its platform is the oldest C library that will do."""
    glibc = glibc_version(tree).replace(".", "_")
    tag = f"py3-none-manylinux_{glibc}_{MACHINE}"
    info = f"ferrimalloc-{VERSION}.dist-info"
    members = {f"ferrimalloc/{source.name}": source.read_text().replace("@VERSION@", VERSION).encode() for source in sorted((HERE / "python/ferrimalloc").glob("*.py"))}
    members.update({f"ferrimalloc/{soname}": stripped(shared(tree, soname)) for soname in SONAMES})
    readme = (HERE / "python/README.md").read_text()
    members[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: ferrimalloc\nVersion: {VERSION}\nSummary: The memory allocator ferrimalloc, for Python programs\nLicense: MIT\n"
        f"Requires-Python: >=3.8\nClassifier: Operating System :: POSIX :: Linux\nDescription-Content-Type: text/markdown\n\n{readme}"
    ).encode()
    members[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: ferrimalloc\nRoot-Is-Purelib: false\nTag: {tag}\n".encode()
    members[f"{info}/entry_points.txt"] = b"[console_scripts]\nferrimalloc-run = ferrimalloc.__main__:run_program\n"
    members[f"{info}/licenses/LICENSE"] = (ROOT / "LICENSE").read_bytes()
    members[f"{info}/RECORD"] = record(members, info)
    target = out / f"ferrimalloc-{VERSION}-{tag}.whl"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, time.gmtime(EPOCH)[:6])
            entry.external_attr = (0o100755 if name.endswith(tuple(SONAMES)) else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return target


def record(members, info):
    """The list of what the wheel has, with digests."""
    digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    lines = [f"{name},sha256={digest(data)},{len(data)}\n" for name, data in members.items()]
    return "".join([*lines, f"{info}/RECORD,,\n"]).encode()


# ---- npm

def npm(tree, out):
    """What `npm pack` would make."""
    described = (HERE / "npm/package.json").read_text().replace("@VERSION@", VERSION).replace("@CPU@", NODE)
    members = {
        "package.json": (described.encode(), 0o644),
        "README.md": ((HERE / "npm/README.md").read_bytes(), 0o644),
        "LICENSE": ((ROOT / "LICENSE").read_bytes(), 0o644),
        "run.js": ((HERE / "npm/run.js").read_bytes(), 0o755),
        **{soname: (stripped(shared(tree, soname)), 0o755) for soname in SONAMES},
    }
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (data, mode) in members.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode, entry.mtime = len(data), mode, EPOCH
            archive.addfile(entry, io.BytesIO(data))
    target = out / f"ferrimalloc-run-{VERSION}.tgz"
    target.write_bytes(gzip.compress(packed.getvalue(), 9, mtime=EPOCH))
    return target


# Recipes of other package managers that can't ask Cargo.toml.
HAVE_VERSION = ["meson.build", "packaging/rpm/ferrimalloc.spec", "packaging/vcpkg/ferrimalloc/vcpkg.json"]


def check_versions():
    for name in HAVE_VERSION:
        if VERSION not in (ROOT / name).read_text():
            raise SystemExit(f"{name} has not the version {VERSION} of Cargo.toml")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--tool", type=Path)
    args = parser.parse_args()
    check_versions()
    shutil.rmtree(args.out, ignore_errors=True)
    args.out.mkdir(parents=True)
    made = [wheel(args.tree, args.out), npm(args.tree, args.out)]
    if shutil.which("dpkg-deb"):
        with tempfile.TemporaryDirectory() as scratch:
            roots = [Path(scratch) / name for name in ("library", "development", "tools")]
            made.append(debian_library(args.tree, args.out, roots[0]))
            made.append(debian_development(args.tree, args.out, roots[1]))
            made.append(debian_tools(args.out, roots[2], args.tool))
    print("\n".join(f"{path.stat().st_size // 1024:6} KiB  {path}" for path in made))


if __name__ == "__main__":
    main()
