# nginx with two workers under wrk: small and big files, compressed answers, errors; the files compared afterwards.
source "$PROGRAMS/matrix/common.sh"
mkdir -p site temp
seq 1 400000 >site/numbers.txt
seq 1 50 >site/small.txt
head -c 3000000 </dev/zero >site/zeroes.bin
cat >nginx.conf <<CONF
$([ "$(id -u)" = 0 ] && echo "user root;")
daemon off; worker_processes 2; pid $PWD/nginx.pid; error_log $PWD/error.log;
events { worker_connections 512; }
http {
  access_log off; gzip on; gzip_min_length 100; gzip_types text/plain; default_type text/plain; types { }
  client_body_temp_path $PWD/temp/1; proxy_temp_path $PWD/temp/2; fastcgi_temp_path $PWD/temp/3;
  uwsgi_temp_path $PWD/temp/4; scgi_temp_path $PWD/temp/5;
  server { listen 127.0.0.1:$PORT; root $PWD/site; location /again/ { proxy_pass http://127.0.0.1:$PORT/; } }
}
CONF
nginx -c "$PWD/nginx.conf" -e "$PWD/error.log" &
server=$!
await 20 port_is_open
must_have_library "$server"

base="http://127.0.0.1:$PORT"
load() { wrk -t 2 -c 16 -d 2s "$@" >wrk.log && ! grep -E 'Non-2xx|Socket errors: .*(connect|read|write) [1-9]' wrk.log >&2; }
load "$base/small.txt"
load -H 'Accept-Encoding: gzip' "$base/numbers.txt"
load "$base/again/small.txt"
load -H 'Connection: close' "$base/small.txt"
kill -HUP "$server"
sleep 0.3
await 20 port_is_open
for file in numbers.txt small.txt zeroes.bin again/numbers.txt; do
  curl -sS --compressed "$base/$file" | md5sum
done
curl -sS -o /dev/null -w '%{http_code}\n' "$base/nothing"
kill -QUIT "$server"
wait "$server"
