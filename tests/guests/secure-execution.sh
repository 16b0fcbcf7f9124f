#!/bin/bash
# Source: ld.so(8), "secure-execution mode"; GrapheneOS/hardened_malloc. Right: a set-user-ID program is not led by the
# environment of whoever starts it: options in variables are ignored, as the C library ignores MALLOC_ and GLIBC_TUNABLES.
set -u
[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || { echo "needs root and setpriv"; exit 77; }
soname=$([ -z "$ALLOC" ] || objdump -p "$ALLOC" | awk '$1 == "SONAME" { print $2 }')
[ -z "$ALLOC" ] || cp "$ALLOC" "$soname" || exit 2
gcc -O1 -w "$HERE/secure-execution/program.c" -o program ${ALLOC:+-Wl,--no-as-needed,-rpath,$PWD "./$soname"} || exit 2
chmod 755 . && chmod 4755 program
run() { MIMALLOC_SHOW_STATS=1 MIMALLOC_VERBOSE=2 MALLOC_TRACE=$PWD/trace setpriv --reuid=65534 --clear-groups "$@" 2>err; }
secure=$(run ./program)
case $secure in 0) echo "set-user-ID programs are not honoured in $PWD"; exit 77;; 1) ;; *) echo "FAIL $secure"; exit 1;; esac
[ -s err ] && { echo "FAIL the environment was obeyed: $(head -c 200 err)"; exit 1; }
chmod 755 program
[ "$(run ./program)" = 0 ] || { echo FAIL; exit 1; }
[ -z "$ALLOC" ] || [ -s err ] || { echo "FAIL options have no effect in an ordinary program either"; exit 1; }
