# redis-server under redis-benchmark. The client runs without the engine; the times are the server's own, the latency the client's.
. "$(dirname "$0")/common.sh"
SOCKET=$PWD/redis.sock
LD_PRELOAD="${ENGINE:-libc.so.6}" redis-server --port 0 --unixsocket "$SOCKET" --save '' --appendonly no --daemonize no >/dev/null &
SERVER=$!
ask() { redis-cli -s "$SOCKET" "$@"; }
tries=0
until ask ping >/dev/null 2>&1 || [ $tries -eq 100 ]; do sleep 0.05; tries=$((tries + 1)); done

redis-benchmark -s "$SOCKET" -q --csv -n "$(scaled 200000)" -c 20 -P 8 -r 50000 -d 128 -t set,get,lpush,hset >results.csv
info() { ask info "$1" | tr -d '\r' | awk -F: -v name="$2" '$1 == name { print $2 }'; }
awk -v user="$(info cpu used_cpu_user)" -v sys="$(info cpu used_cpu_sys)" \
    'BEGIN { printf "user_us=%d\nsystem_us=%d\n", user * 1e6, sys * 1e6 }'
awk '/VmHWM/ { print "peak_rss_kib=" $2 } /VmRSS/ { print "final_rss_kib=" $2 }' /proc/$SERVER/status
# Columns: test, requests per second, then latencies in ms: average, least, p50, p95, p99, worst.
tr -d '"' <results.csv | awk -F, 'NR > 1 { rps += $2; if ($7 > p99) p99 = $7 }
    END { printf "requests_per_second=%d\np99_us=%d\n", rps / (NR - 1), p99 * 1000 }'
ask hlen myhash | wc -l | checksum
kill $SERVER
wait $SERVER
exit 0
