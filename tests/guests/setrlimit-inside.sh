#!/bin/bash
# Source: sandboxes of untrusted Python programs, online judges, Apache's RLimitMEM: a process limits itself at run time,
# RLIMIT_AS or RLIMIT_DATA to 4 GiB. Right: threads, imports of shared libraries, 200 MB of blocks still work afterwards.
LD_PRELOAD="$ALLOC" exec /usr/bin/python3 "$HERE/setrlimit-inside/inside.py"
