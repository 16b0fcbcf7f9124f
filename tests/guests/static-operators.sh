#!/bin/bash
# partial-new and new-handler, linked with the archive: into a program that loads the C library, and into a static one.
set -u
bad=0
for program in partial-new new-handler; do
  for how in "" -static; do
    g++ -O1 -fno-builtin -w -pthread $how "$HERE/$program.cpp" -o program ${STATIC_A:-} || exit 2
    ./program >out 2>&1
    rc=$?
    [ $rc = 0 ] || { echo "FAIL $program $how: rc=$rc $(head -c 300 out)"; bad=1; }
  done
done
exit $bad
