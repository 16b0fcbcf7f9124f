#!/bin/sh
# install.sh FROM PREFIX: what a C or C++ developer expects below `/usr/local`, of the libraries in the folder FROM (Cargo's `release`).
#   PREFIX/include/mimalloc*.h
#   PREFIX/lib/libferrimalloc.so.0.1.0        the shared library; libferrimalloc.so.0, .so, libmimalloc.so.3, .so point to it
#   PREFIX/lib/libferrimalloc-checks.so.0.1.0 checks copies; libferrimalloc-checks.so.0 and .so point to it; only if FROM has it
#   PREFIX/lib/ferrimalloc.o                  all of it in one object file; mimalloc.o is the same
#   PREFIX/lib/libferrimalloc.a               that object in an archive; libmimalloc.a is the same
#   PREFIX/lib/pkgconfig/{ferrimalloc,mimalloc}.pc
#   PREFIX/lib/cmake/{ferrimalloc,mimalloc}/
# The tree may be moved: nothing in it names PREFIX.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
from=$1 include=$2/include lib=$2/lib
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml" | head -n 1)
soname=libferrimalloc.so.0
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

mkdir -p "$include" "$lib"
cp "$here"/../include/* "$include"

# shared FILE NAME LINK…; not over the old one: a program may be running on it.
shared() {
    rm -f "$lib/$2"
    cp "$from/$1" "$lib/$2"
    target=$2
    shift 2
    for name; do ln -sf "$target" "$lib/$name"; done
}
shared libferrimalloc.so "libferrimalloc.so.$version" $soname libferrimalloc.so libmimalloc.so.3 libmimalloc.so
# A build of the library alone has not the one that checks copies.
[ ! -e "$from/libferrimalloc_checks.so" ] ||
    shared libferrimalloc_checks.so "libferrimalloc-checks.so.$version" libferrimalloc-checks.so.0 libferrimalloc-checks.so

# In the object file and the archive only the symbols that the shared library exports are global (and what a static library has besides: functions
# that the shared one leaves to the C library; weak), so that they don't meet those of another Rust library in the same program. C++'s operators,
# in all their forms, are weak there: a program may have some of its own.
nm --dynamic --defined-only --format=just-symbols "$from/libferrimalloc.so" | cut -d @ -f 1 >"$scratch/exported"
sed 's/^/--undefined=/' "$scratch/exported" >"$scratch/wanted"
{ cat "$scratch/exported"; printf '%s\n' strdup strndup reallocarray; } >"$scratch/keep"
grep -E '^(_Znwm|_Znam|_ZdlPv|_ZdaPv)' "$scratch/exported" >"$scratch/weak"
ld -r "@$scratch/wanted" "$from/libferrimalloc.a" -o "$lib/ferrimalloc.o"
# Embedded bitcode would be offered to linker plugins of other LLVM versions, which then see no symbols at all.
objcopy --remove-section=.llvmbc --remove-section=.llvmcmd --weaken-symbols="$scratch/weak" --keep-global-symbols="$scratch/keep" "$lib/ferrimalloc.o"
ln -sf ferrimalloc.o "$lib/mimalloc.o"
rm -f "$lib/libferrimalloc.a"
ar rcs "$lib/libferrimalloc.a" "$lib/ferrimalloc.o"
ln -sf libferrimalloc.a "$lib/libmimalloc.a"

# package NAME VARIABLE VERSION: how the library is found by pkg-config and CMake, with the version that it is asked for by.
package() {
    mkdir -p "$lib/pkgconfig" "$lib/cmake/$1"
    fill() { sed "s/@PACKAGE@/$1/g; s/@VARIABLE@/$2/g; s/@VERSION@/$3/g; s/@MAJOR@/${3%%.*}/g; s/@SONAME@/$soname/g" "$here/$4" >"$lib/$5"; }
    fill "$@" package.pc.in "pkgconfig/$1.pc"
    fill "$@" package-config.cmake.in "cmake/$1/$1-config.cmake"
    fill "$@" package-config-version.cmake.in "cmake/$1/$1-config-version.cmake"
}
package ferrimalloc FERRIMALLOC "$version"
package mimalloc MIMALLOC 3.6.2
