# faces.sh LIBRARY RELEASE WORK: one C program on the library in each way that a program can get it. The program asks the dynamic linker whose
# `malloc` it calls, so that a silent fall back to glibc is noticed.
set -euo pipefail
library=$1 release=$2 work=$3
sources=xtask/programs/faces
compile() { gcc -O1 -g -Wall -fno-builtin -pthread -o "$work/$1" "$sources/$2.c" "${@:3}"; }

echo preloaded
compile preloaded owner
LD_PRELOAD=$library "$work/preloaded" "$library"

echo linked
# By its full path; the program asks for it by its soname, wherever it has one.
compile linked owner -Wl,--no-as-needed "$library" -Wl,-rpath,"$(dirname "$library")"
soname=$(objdump -p "$library" | awk '$1 == "SONAME" { print $2 }')
[ -z "$soname" ] || [ -e "$(dirname "$library")/$soname" ] || ln "$library" "$(dirname "$library")/$soname"
"$work/linked" "$library"

echo dlopen
compile dlopen dlopen -ldl
"$work/dlopen" "$library"
if [ -n "${FERRIMALLOC_SO:-}" ]; then
    echo "preloaded, linked, dlopen"
    exit
fi

echo linked where it was built
# As somebody does who has just built it: a plain build leaves a link of the soname beside the library.
compile built owner -Wl,--no-as-needed -L"$release" -lferrimalloc -Wl,-rpath,"$release"
"$work/built" "$release/libferrimalloc.so"

echo static
# The program's own `malloc` is then the library's: it is told its own path.
compile static owner "$release/libferrimalloc.a"
"$work/static" "$work/static"
echo "preloaded, linked, linked where it was built, dlopen, static"
