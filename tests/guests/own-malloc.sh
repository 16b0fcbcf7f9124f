#!/bin/bash
# Source: sharkdp/fd#2121 (2026), microsoft/mimalloc#21 (Firefox), #244 (Steam, Chromium), jemalloc#520: an allocator is
# preloaded into a program that has (and exports) a malloc of its own, or under a library that wraps malloc and puts a
# header before each block. Right: strdup, strndup, reallocarray … allocate with the malloc that is in effect, so that free
# gets what it expects.
set -u
bad=0
here="$HERE/own-malloc"
gcc -O1 -w -fno-builtin -DOWN -rdynamic "$here/user.c" "$here/wrap.c" -o own && gcc -O1 -w -fno-builtin "$here/user.c" -o user &&
  gcc -O1 -w -fno-builtin -fPIC -shared "$here/wrap.c" -o wrap.so -ldl || exit 2
try() { # name preload program what
  LD_PRELOAD="$2" timeout 10 "$3" "$4" >out 2>&1
  local rc=$?
  [ $rc = 0 ] || { echo "FAIL $1: $4, free: rc=$rc $(head -c 80 out)"; bad=1; }
}
for what in malloc strdup strndup wcsdup realpath asprintf getline reallocarray getcwd open_memstream free_sized reallocf; do
  try "program with its own malloc" "$ALLOC" ./own $what
  try "library that wraps malloc" "$PWD/wrap.so:$ALLOC" ./user $what
done
exit $bad
