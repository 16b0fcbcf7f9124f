# Shared by the scripts of real programs. The engine comes in LD_PRELOAD; the helpers around the measured program run
# without it. SCALE multiplies the work.
ENGINE=${LD_PRELOAD:-}
unset LD_PRELOAD
SCALE=${SCALE:-1}

# A whole number: $1 times SCALE, at least 1.
scaled() { awk -v n="$1" -v s="$SCALE" 'BEGIN { v = int(n * s); print v < 1 ? 1 : v }'; }

# Runs a command on the engine. Some of Debian's programs link jemalloc: the C library is then preloaded as the baseline.
on_engine() { LD_PRELOAD="${ENGINE:-libc.so.6}" "$@"; }

checksum() { printf 'checksum=%s\n' "$(cksum | cut -d' ' -f1)"; }
