#!/bin/bash
# The program of rlimit-data.c under a limit that is there from the start, as ulimit -d and systemd's LimitDATA= set it.
gcc -O1 -fno-builtin -w -pthread "$HERE/rlimit-data.c" -o rlimit-data || exit 2
exec prlimit --data=734003200 env LD_PRELOAD="$ALLOC" ./rlimit-data
