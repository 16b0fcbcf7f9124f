#!/usr/bin/env python3
"""Runs the programs of RECIPES.md with the C library's allocator and with others, in turns, and prints a table row for each.

    python3 docs/recipes.py --engine ferrimalloc=target/release/libferrimalloc.so [--engine NAME=LIBRARY…] [PROGRAM…]

CPU is user and system time of the program and its children, without its clients. Memory is the largest sum of proportional set sizes (PSS)
that was seen, ten looks a second: so processes that share memory are not counted twice. Medians; what a program doesn't have is left out.
"""

import argparse
import glob
import os
import pwd
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


class Missing(Exception):
    """A program that isn't installed."""


def tool(name, *places):
    found = shutil.which(name) or next((path for place in places for path in glob.glob(place)), None)
    if not found:
        raise Missing(name)
    return found


def group_of(user):
    return pwd.getpwnam(user).pw_gid if user else None


def family(pid):
    """A process and all that descend from it."""
    try:
        children = [int(child) for task in os.listdir(f"/proc/{pid}/task") for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()]
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(child))]


def proportional(pid):
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def cpu(pid):
    """Of a process and the children that it has waited for, and of those that it still has."""
    total = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / TICK


class Watched:
    """A program that runs with an allocator; its memory is looked at until it ends."""

    def __init__(self, command, library, folder, user=None, environment=None):
        variables = {**os.environ, **(environment or {})}
        if library:
            variables["LD_PRELOAD"] = library
        log = open(Path(folder) / "log", "ab")
        self.process = subprocess.Popen(command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=user, group=group_of(user))
        self.peak = 0
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def watch(self):
        while self.process.returncode is None:
            self.peak = max(self.peak, sum(map(proportional, family(self.process.pid))))
            time.sleep(0.1)

    def finish(self):
        """CPU seconds and KiB of a program that ends by itself."""
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode:
            raise SystemExit(f"{self.process.args}: status {self.process.returncode}")
        return usage.ru_utime + usage.ru_stime, max(self.peak, usage.ru_maxrss if self.peak == 0 else 0)

    def stop(self, how=signal.SIGTERM):
        """The same of a server."""
        used = cpu(self.process.pid)
        self.process.send_signal(how)
        self.process.wait(60)
        return used, self.peak


def port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def quiet(command, **more):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, **more)


def ready(attempt):
    for _ in range(600):
        try:
            return attempt()
        except (OSError, subprocess.CalledProcessError):
            time.sleep(0.1)
    raise SystemExit("a server does not answer")


def connect(number):
    socket.create_connection(("127.0.0.1", int(number)), 1).close()


# ---- servers

def redis(library, folder):
    number = port()
    # Debian's redis is linked with jemalloc: to see the C library's allocator it has to be preloaded as well.
    system = library or glob.glob("/lib/*-linux-gnu/libc.so.6")[0]
    server = Watched([tool("redis-server"), "--port", number, "--bind", "127.0.0.1", "--save", ""], system, folder)
    ready(lambda: connect(number))
    client = [tool("redis-benchmark"), "-p", number, "-q", "-c", "20", "-P", "16", "-r", "100000"]
    quiet([*client, "-n", "250000", "-d", "200", "-t", "set,get,lpush,hset"])
    quiet([*client, "-n", "60000", "-d", "1500", "-t", "set"])
    return server.stop()


def memcached(library, folder):
    number = port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    server = Watched([tool("memcached"), "-p", number, "-l", "127.0.0.1", "-m", "256", "-t", "2", *user], library, folder)
    ready(lambda: connect(number))
    quiet([tool("memcslap"), f"--servers=127.0.0.1:{number}", "--concurrency=8", "--execute-number=20000", "--test=set"])
    return server.stop()


def nginx(library, folder):
    number = port()
    Path(folder, "html").mkdir()
    Path(folder, "html/page").write_text("<p>" + "words " * 2000)
    Path(folder, "conf").write_text(textwrap.dedent(f"""\
        daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/errors;
        events {{ worker_connections 1024; }}
        http {{ access_log off; gzip on; gzip_http_version 1.0; gzip_types *; gzip_min_length 1; default_type text/html;
          server {{ listen 127.0.0.1:{number}; root {folder}/html; }} }}"""))
    os.chmod(folder, 0o755)
    server = Watched([tool("nginx", "/usr/sbin/nginx"), "-p", folder, "-c", f"{folder}/conf"], library, folder)
    ready(lambda: connect(number))
    quiet([tool("ab"), "-n", "16000", "-c", "64", "-k", "-H", "Accept-Encoding: gzip", f"http://127.0.0.1:{number}/page"])
    return server.stop(signal.SIGQUIT)


def postgres(library, folder):
    binaries = os.path.dirname(tool("initdb", "/usr/lib/postgresql/*/bin/initdb"))
    user = "nobody" if os.getuid() == 0 else None
    shutil.chown(folder, user)
    as_user = dict(user=user, group=group_of(user), cwd=folder, env={**os.environ, "HOME": folder, "PATH": f"{binaries}:{os.environ['PATH']}"})
    quiet(["initdb", "-D", "data", "-U", "test", "--no-sync", "--locale=C"], **as_user)
    server = Watched([f"{binaries}/postgres", "-D", "data", "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "jit=off"], library, folder, user)
    sql = ["psql", "-h", folder, "-U", "test", "-d", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c"]
    ready(lambda: quiet([*sql, "select 1"], **as_user))
    quiet(["pgbench", "-h", folder, "-U", "test", "-i", "-s", "2", "-q", "postgres"], **as_user)
    quiet(["pgbench", "-h", folder, "-U", "test", "-c", "8", "-j", "2", "-t", "1000", "postgres"], **as_user)
    quiet([*sql, "set work_mem='256MB'; select word, count(*), array_agg(i) from (select i, md5((i % 50003)::text) word from generate_series(1, 600000) i) t group by word order by 2 desc"], **as_user)
    quiet([*sql, "select jsonb_array_length(jsonb_agg(to_jsonb(a))) from pgbench_accounts a"], **as_user)
    time.sleep(0.5)      # its processes for the clients have ended, and are counted as its own
    return server.stop(signal.SIGINT)


def mariadb(library, folder):
    user = "nobody" if os.getuid() == 0 else None
    shutil.chown(folder, user)
    os.chmod(folder, 0o755)
    common = [f"--datadir={folder}/data", "--no-defaults", *([f"--user={user}"] if user else [])]
    quiet([tool("mariadb-install-db"), common[1], common[0], *common[2:], "--auth-root-authentication-method=normal", "--skip-test-db"])
    server = Watched([tool("mariadbd", "/usr/sbin/mariadbd"), common[1], common[0], *common[2:], f"--socket={folder}/socket", "--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M"], library, folder)
    ready(lambda: quiet([tool("mariadb"), f"--socket={folder}/socket", "-uroot", "-e", "select 1"]))
    quiet([tool("mariadb-slap"), f"--socket={folder}/socket", "-uroot", "--concurrency=8", "--number-of-queries=12000", "--auto-generate-sql", "--auto-generate-sql-load-type=mixed", "--auto-generate-sql-guid-primary"])
    sql = "select length(group_concat(a.seq order by b.seq)) from seq_1_to_300 a join seq_1_to_1000 b group by a.seq; select count(distinct md5(seq)) from seq_1_to_400000"
    quiet([tool("mariadb"), f"--socket={folder}/socket", "-uroot", "-e", f"create database d; use d; set tmp_table_size=200000000; {sql}"])
    return server.stop()


# ---- programs

def program(library, folder, command, environment=None):
    return Watched(command, library, folder, environment=environment).finish()


def node(library, folder):
    script = """
        let kept = [];
        for (let round = 0; round < 30; round++) {
          const rows = Array.from({length: 20000}, (_, i) => ({id: i, name: 'row ' + i, tags: [i % 7, String(i)]}));
          kept.push(Buffer.from(JSON.stringify(JSON.parse(JSON.stringify(rows)))));
          if (kept.length > 6) kept.shift();
        }
        const zlib = require('zlib');
        for (let i = 0; i < 60; i++) zlib.inflateSync(zlib.deflateSync(kept[i % kept.length].subarray(0, 300000), {level: 1}));
        """
    return program(library, folder, [tool("node"), "-e", script])


PYTHON_SCRIPT = """
import json
rows = [{"id": i, "name": f"row {i}", "tags": [str(i % 7), i], "score": i / 3} for i in range(150_000)]
for _ in range(3):
    text = json.dumps(rows)
    rows = json.loads(text)
words = {}
for row in rows:
    words.setdefault(row["name"][-3:], []).append(row)
print(len(words), sum(len(group) for group in words.values()))
"""


def python(library, folder):
    return program(library, folder, [sys.executable, "-c", PYTHON_SCRIPT])


def python_malloc(library, folder):
    return program(library, folder, [sys.executable, "-c", PYTHON_SCRIPT], {"PYTHONMALLOC": "malloc"})


def ruby(library, folder):
    script = """
        require 'json'
        rows = (0...60000).map { |i| { 'id' => i, 'name' => "row #{i} " + 'x' * (i % 100), 'tags' => [i % 7, i.to_s] } }
        4.times { rows = JSON.parse(JSON.generate(rows)) }
        groups = rows.group_by { |row| row['name'][0, 7] }
        puts groups.size, groups.values.map { |g| g.map { |r| r['name'].upcase.split(' ').join('-') }.join.size }.sum
        """
    return program(library, folder, [tool("ruby"), "-e", script])


def java(library, folder):
    source = Path(folder, "Main.java")
    source.write_text(textwrap.dedent("""\
        import java.util.*; import java.util.zip.*; import java.nio.*;
        public class Main { public static void main(String[] a) throws Exception {
          var kept = new ArrayDeque<ByteBuffer>(); var data = new byte[1 << 20]; new Random(1).nextBytes(data); long sum = 0;
          for (int i = 0; i < 400; i++) { var b = ByteBuffer.allocateDirect(100_000 + i * 500); b.put(0, (byte) i); kept.add(b); if (kept.size() > 50) kept.poll();
            if (i % 8 == 0) { var d = new Deflater(1); d.setInput(data); d.finish(); var out = new byte[1 << 21]; sum += d.deflate(out); d.end(); } }
          System.out.println(sum); } }"""))
    return program(library, folder, [tool("java"), "-Xmx256m", "-XX:+UseSerialGC", "Main.java"])


def duckdb(library, folder):
    script = """
import duckdb
db = duckdb.connect(); db.execute("set threads = 2")
db.execute("create table t as select i, md5((i % 100003)::varchar) w, i % 97 g, random() r from range(2000000) s(i)")
print(len(db.execute("select w, count(*), avg(r), list(i)[1] from t group by w order by 2, 1").fetchall()))
print(db.execute("select sum(a.r) from t a join t b on a.i = b.i * 3").fetchone() is not None)
print(len(db.execute("select g, string_agg(w, '') from t group by g").fetchall()))
"""
    if subprocess.run([sys.executable, "-c", "import duckdb"], capture_output=True).returncode:
        raise Missing("duckdb")
    return program(library, folder, [sys.executable, "-c", script])


def rocksdb(library, folder):
    run = [tool("db_bench"), "--benchmarks=fillrandom,readrandom,overwrite,seekrandom", "--num=100000", "--reads=40000", "--value_size=200", "--threads=2", "--cache_size=33554432", f"--db={folder}/db", "--compression_type=none", "--seed=1"]
    return program(library, folder, run)


def blender(library, folder):
    script = Path(folder, "scene.py")
    script.write_text(textwrap.dedent(f"""\
        import bpy
        for i in range(3):
            bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=5, location=(i * 3, 0, 0))
            bpy.ops.object.modifier_add(type='SUBSURF'); bpy.ops.object.modifier_apply(modifier=bpy.context.object.modifiers[0].name)
        bpy.ops.object.select_all(action='SELECT'); bpy.ops.object.join()
        print(len(bpy.context.object.data.vertices))
        bpy.ops.wm.save_as_mainfile(filepath='{folder}/scene.blend')
        """))
    return program(library, folder, [tool("blender"), "--background", "--factory-startup", "--python-exit-code", "1", "--python", str(script)])


def inkscape(library, folder):
    shapes = "".join(f'<path d="M{i % 100 * 10} {i // 100 * 10} q5 -8 9 1 t-3 7 z" fill="#{i * 977 % 4096:03x}" opacity=".7"/>' for i in range(6000))
    Path(folder, "in.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="600">{shapes}</svg>')
    return program(library, folder, [tool("inkscape"), "in.svg", "--export-type=pdf", "--export-filename=out.pdf"], {"HOME": folder})


PROGRAMS = [redis, memcached, nginx, postgres, mariadb, rocksdb, duckdb, node, python, python_malloc, ruby, java, blender, inkscape]


def measure(what, engines, rounds):
    """Medians of CPU seconds and MiB, by engine."""
    found = {name: [] for name in engines}
    for number in range(rounds):
        names = list(engines)
        for name in names[number % len(names):] + names[: number % len(names)]:
            with tempfile.TemporaryDirectory(prefix="recipe-") as folder:
                found[name].append(what(engines[name], folder))
    return {name: [statistics.median(column) for column in zip(*runs)] for name, runs in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", action="append", default=[], metavar="NAME=LIBRARY")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    args = parser.parse_args()
    engines = {"glibc": None, **{name: str(Path(library).resolve()) for name, library in (engine.split("=", 1) for engine in args.engine)}}
    print("| program |" + "".join(f" {name} |" for name in engines))
    print("|---|" + "---:|" * len(engines))
    for what in PROGRAMS:
        if args.programs and what.__name__ not in args.programs:
            continue
        try:
            figures = measure(what, engines, args.rounds)
        except Missing as missing:
            print(f"{what.__name__}: {missing} is not installed", file=sys.stderr)
            continue
        cells = "".join(f" {seconds:.2f} s, {kib / 1024:.0f} MiB |" for seconds, kib in figures.values())
        print(f"| {what.__name__.replace('_', ', ')} |{cells}", flush=True)


if __name__ == "__main__":
    main()
