"""The memory allocator ferrimalloc, for Python programs.

    python -m ferrimalloc run script.py     # Python with the allocator
    ferrimalloc-run program                 # any program with it
    ferrimalloc-run --checks program        # and with a library that keeps memcpy, strcpy and their kin inside their blocks

In such a process `stats()` tells what the allocator holds, and `collect()` gives unused memory back.
"""

import ctypes
import json
import os

__all__ = ["library", "checks_library", "environment", "is_active", "stats", "collect"]
__version__ = "@VERSION@"


def _beside(name):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), name)


def library():
    """The path of the shared library."""
    return _beside("libferrimalloc.so.0")


def checks_library():
    """The path of the library that checks copies. It is preloaded behind the first."""
    return _beside("libferrimalloc-checks.so.0")


def environment(base=None, checks=False):
    """A copy of the environment `base` (of this process, without one) in which programs use the allocator.

    With `checks`, their copies are checked.
    """
    env = dict(os.environ if base is None else base)
    ours = [library(), checks_library()]
    others = [path for path in env.get("LD_PRELOAD", "").split(":") if path and path not in ours]
    env["LD_PRELOAD"] = ":".join([*(ours if checks else ours[:1]), *others])
    return env


def _process():
    """The functions of this process; None if another allocator is in use."""
    process = ctypes.CDLL(None)
    return process if hasattr(process, "mi_stats_get_json") else None


def is_active():
    """Whether this process uses the allocator."""
    return _process() is not None


def stats():
    """The statistics of this process, as mimalloc's JSON has them; None if another allocator is in use."""
    process = _process()
    if process is None:
        return None
    get, free = process.mi_stats_get_json, process.mi_free
    get.argtypes, get.restype = [ctypes.c_size_t, ctypes.c_void_p], ctypes.c_void_p
    free.argtypes, free.restype = [ctypes.c_void_p], None
    text = get(0, None)
    if not text:
        raise MemoryError("no memory for the statistics")
    try:
        return json.loads(ctypes.string_at(text))
    finally:
        free(text)


def collect(force=True):
    """Gives unused memory back to the system. Does nothing if another allocator is in use."""
    process = _process()
    if process is not None:
        process.mi_collect(ctypes.c_bool(force))
