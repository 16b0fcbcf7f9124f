# postgresql: initdb, pgbench with several clients, sorting and hashing; as an unprivileged user, on a Unix socket only.
source "$PROGRAMS/matrix/common.sh"
PATH="$(echo /usr/lib/postgresql/*/bin):$PATH"

if [ "$(id -u)" = 0 ]; then
  chown -R nobody .
  as_user() { setpriv --reuid nobody --regid nogroup --clear-groups env HOME="$PWD" "$@"; }
else
  as_user() { "$@"; }
fi
sql() { as_user psql -h "$PWD" -U test -d postgres -XAtq -v ON_ERROR_STOP=1 "$@"; }

as_user initdb -D data -U test --no-sync --locale=C.UTF-8 >initdb.log 2>&1 || { cat initdb.log >&2; exit 1; }
as_user postgres -D data -k "$PWD" -c listen_addresses= -c fsync=off -c jit=off -c max_connections=30 >server.log 2>&1 &
await 30 sql -c 'select 1'
must_have_library "$(head -n 1 data/postmaster.pid)"

as_user pgbench -h "$PWD" -U test -i -s 2 -q postgres >/dev/null 2>&1
as_user pgbench -h "$PWD" -U test -c 8 -j 2 -t 400 postgres >pgbench.log 2>&1 || { cat pgbench.log >&2; exit 1; }
sql <<'SQL'
select count(*), (select sum(delta) from pgbench_history) = (select sum(abalance) from pgbench_accounts) from pgbench_history;
create table words as select i, md5((i % 5003)::text) word, repeat('x', i % 300) filler from generate_series(1, 150000) i;
select word, count(*), sum(length(filler)) from words group by word order by 2 desc, 1 limit 3;
set work_mem = '256MB';
select md5(string_agg(word, ',' order by word, i)) from words;
select count(*) from words a join words b using (word) where a.i < 2000;
create index on words (word, i);
select jsonb_array_length(jsonb_agg(to_jsonb(words))) from words where i < 20000;
with recursive steps(n, text) as (select 1, 'a' union all select n + 1, text || 'b' from steps where n < 2000)
  select max(length(text)) from steps;
SQL
kill -INT "$(head -n 1 data/postmaster.pid)"
wait || true
