# redis-server under redis-benchmark with and without pipelining, saved and loaded again, then a known data set read back.
source "$PROGRAMS/matrix/common.sh"

cli() { redis-cli -h 127.0.0.1 -p "$PORT" "$@"; }
benchmark() { redis-benchmark -h 127.0.0.1 -p "$PORT" -q -c 20 "$@" >/dev/null; }

start() {
  redis-server --bind 127.0.0.1 --port "$PORT" --save '' --dir . --dbfilename dump.rdb --enable-debug-command local --daemonize no >server.log 2>&1 &
  server=$!
  await 20 cli ping
  must_have_library "$server"
}

known_data() {
  awk 'BEGIN {
    for (i = 0; i < 20000; i++) {
      v = sprintf("%0*d", i % 400 + 1, i)
      print "SET string:" i " " v
      print "HSET hash:" i % 500 " field" i " " v
      print "RPUSH list:" i % 100 " " v
      print "ZADD set:" i % 50 " " i * 7919 % 1000 " member" i
      print "APPEND grown:" i % 10 " " v
      if (i % 3 == 0) print "DEL string:" i
    } }' | cli --pipe >/dev/null
}

answers() {
  cli dbsize
  cli debug digest
  cli get string:19999 | md5sum
  cli hlen hash:77
  cli zrange set:7 0 5 withscores
  cli lrange list:42 0 3 | md5sum
  cli strlen grown:3
}

start
benchmark -n 60000 -t set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100 -d 100 -r 10000
benchmark -n 300000 -P 32 -t set,get,incr,lpush,hset -d 100 -r 100000
benchmark -n 5000 -t set,get -d 50000 -r 1000
cli flushall
known_data
answers
cli save
cli shutdown nosave || true
wait "$server"
start
answers
cli memory purge
cli memory doctor >/dev/null
cli shutdown nosave || true
wait "$server"
