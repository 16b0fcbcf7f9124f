# Sourced by every script of the matrix: strict mode and a few helpers.
set -euo pipefail

# In the preloaded run, every program started from here has the library in it.
if [ -n "$LIBRARY" ]; then
  grep -qF "$LIBRARY" /proc/self/maps || { echo "the library is not in /proc/self/maps" >&2; exit 1; }
fi

# must_have_library PID: a server that runs without the library proves nothing.
must_have_library() {
  [ -z "$LIBRARY" ] || grep -qF "$LIBRARY" "/proc/$1/maps" || { echo "process $1 has not loaded the library" >&2; exit 1; }
}

# await SECONDS COMMAND…: repeats the command until it succeeds.
await() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "gave up waiting for: $*" >&2; exit 1; }
    sleep 0.1
  done
}

# port_is_open: whether somebody listens on 127.0.0.1:$PORT.
port_is_open() { (: <"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; }
