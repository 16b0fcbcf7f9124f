#!/bin/bash
# Source: dmtcp#612 (OpenBLAS's prepare handler joins threads), jemalloc/jemalloc#1805, gperftools#904: pthread_atfork
# handlers that allocate, free, start and join allocating threads, registered before, at and after the allocator's.
# Right: no deadlock, no damage.
set -u
bad=0
gcc -O1 -w -fPIC -shared "$HERE/atfork/early.c" -o early.so -lpthread &&
  gcc -O1 -w -fPIC -shared -DCTOR=100 "$HERE/atfork/early.c" -o ctor.so -lpthread &&
  gcc -O1 -w "$HERE/atfork/main.c" -o main ./early.so -lpthread &&
  gcc -O1 -w "$HERE/atfork/main.c" -o mainc ./ctor.so -lpthread || exit 2
run() { # name preload program
  timeout 8 env LD_PRELOAD="$2" "$3" >out 2>&1
  local rc=$?
  [ $rc = 0 ] || { echo "FAIL $1: rc=$rc (124: hang) $(head -c 200 out)"; bad=1; }
}
run "handlers of main" "$ALLOC" ./main
run "100 handlers of a library's constructor" "$ALLOC" ./mainc
run "the same, preloaded after the allocator (constructed before it)" "$ALLOC:$PWD/ctor.so" ./main
run "the same, preloaded before the allocator" "$PWD/ctor.so:$ALLOC" ./main
exit $bad
