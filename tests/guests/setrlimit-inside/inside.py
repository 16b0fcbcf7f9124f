import os, sys
def work(limit):
    import resource, threading
    keep = [bytearray(1000) for _ in range(1000)]
    resource.setrlimit(limit, (4 << 30, 4 << 30))
    size = [l for l in open("/proc/self/status") if l.startswith(("VmSize", "VmData"))]
    try:
        big = bytearray(200 << 20); many = [bytearray(50000) for _ in range(1000)]
    except MemoryError: return "blocks refused; " + " ".join(" ".join(size).split())
    try:
        t = [threading.Thread(target=lambda: [bytearray(9999) for _ in range(300)]) for _ in range(4)]
        [x.start() for x in t]; [x.join() for x in t]
    except RuntimeError as e: return "threads: %s; %s" % (e, " ".join(" ".join(size).split()))
    try:
        import ctypes, ssl, sqlite3, mmap
        mmap.mmap(-1, 10 << 20)
    except (ImportError, OSError) as e: return "shared libraries: %s" % e
    return None
bad = 0
import resource
for name in ("RLIMIT_AS", "RLIMIT_DATA"):
    r, w = os.pipe(); pid = os.fork()
    if pid == 0:
        m = work(getattr(resource, name)); os.write(w, (m or "").encode()); os._exit(m is not None)
    os.close(w); text = os.read(r, 1000).decode(); _, st = os.waitpid(pid, 0)
    if st: print("FAIL %s: %s (status %d)" % (name, text, st)); bad = 1
print("PASS" if not bad else ""); sys.exit(bad)
