#!/bin/bash
# Source: GrapheneOS/hardened_malloc#235; batch systems with h_vmem. Right: a program that fits into RLIMIT_AS with the C
# library's malloc starts and works with the allocator preloaded, however much address space that would like to reserve.
# Of that we may need $MORE MiB more (the library itself, slices of 64 KiB, a theap a thread; table in docs/TESTING.md).
set -u
MORE=2
bad=0
try() { # limit-in-MiB name command...
  local bytes=$(($1 * 1048576)) mib=$1 name=$2 rc
  shift 2
  # What fits, fits each time.
  for _ in 1 2 3; do
    timeout 15 prlimit --as=$bytes env -u LD_PRELOAD "$@" >/dev/null 2>&1 || return 1
  done
  timeout 15 prlimit --as=$((bytes + MORE * 1048576)) env LD_PRELOAD="$ALLOC" "$@" >/dev/null 2>err
  rc=$?
  if [ $rc -ne 0 ] || grep -qi 'error\|cannot' err; then
    echo "FAIL $name under $mib + $MORE MiB: rc=$rc $(head -c 200 err)"
    bad=1
  fi
}
# Threads that follow each other would be chance: a stack is there for the next one some time after the join.
work='lambda: [bytearray(5000) for _ in range(200)]'
one="import threading
t = threading.Thread(target=$work); t.start(); t.join()"
at_once="import threading
work, meet = $work, threading.Barrier(2)
t = [threading.Thread(target=lambda: (meet.wait(), work(), meet.wait())) for _ in range(2)]
[x.start() for x in t]; [x.join() for x in t]"
for mib in 16 24 32 33 34 36 48 64 96 128 256 512 1024 2048 8192; do
  try $mib echo /bin/echo Hello
  try $mib sort sh -c 'seq 20000 | sort -n | tail -1'
  try $mib perl perl -e 'my %h; $h{$_} = "x" x 20 for 1..20000; print scalar keys %h'
  try $mib thread /usr/bin/python3 -c "$one"
  try $mib "threads at once" /usr/bin/python3 -c "$at_once"
done
exit $bad
