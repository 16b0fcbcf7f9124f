# memcached with several worker threads: clients that store, grow, read back and delete thousands of keys.
source "$PROGRAMS/matrix/common.sh"
memcached -l 127.0.0.1 -p "$PORT" -U 0 -m 200 -t 4 -u "$(id -un)" >server.log 2>&1 &
server=$!
await 20 port_is_open
must_have_library "$server"
/usr/bin/python3 "$PROGRAMS/matrix/memcached.py" "$PORT"
kill "$server"
wait "$server" || true
