#!/usr/bin/env python3
"""What an interpreter's allocator has to do, in eight small programs after pyperformance's.

    python workloads.py NAME        # prints CPU seconds and peak resident KiB
    python workloads.py --list
"""

import asyncio
import gc
import json
import queue
import random
import resource
import sys
import threading
import time


def parallel(count, work):
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def tree(depth):
    return (tree(depth - 1), tree(depth - 1)) if depth else (None, None)


def nodes(node):
    return 1 + sum(nodes(child) for child in node if child is not None)


def binary_trees():
    """Many small tuples, most of which die young."""
    kept = tree(16)
    for _ in range(12):
        assert nodes(tree(14)) == 2**15 - 1
    assert nodes(kept) == 2**17 - 1


def json_documents():
    """Strings, dictionaries and lists of every size."""
    random.seed(1)
    entry = {"id": 1, "name": "x" * 20, "tags": ["a", "b", "c"], "at": [1.5, 2.5], "more": {str(i): i for i in range(20)}}
    text = json.dumps([entry | {"id": i, "name": "n" * random.randrange(200)} for i in range(4000)])
    for _ in range(6):
        assert len(json.dumps(json.loads(text))) == len(text)


class Body:
    __slots__ = ("x", "v", "__weakref__")

    def __init__(self, x):
        self.x, self.v = x, 0.0


class Task:
    def __init__(self, number, follower):
        self.number, self.follower, self.log = number, follower, []

    def step(self, value):
        self.log.append(Body(value))
        if len(self.log) > 8:
            self.log = self.log[4:]
        return self.follower


def objects():
    """Instances with and without dictionaries, method calls, floats."""
    first = last = Task(0, None)
    for number in range(1, 500):
        first = Task(number, first)
    last.follower = first
    task = first
    for i in range(1_000_000):
        task = task.step(i * 0.5)


def dictionaries():
    """Tables that grow, with keys that are made on the way."""
    for repeat in range(4):
        words = {}
        for i in range(300_000):
            key = f"k{i * 7919 % 50021}-{repeat}"
            words[key] = words.get(key, 0) + i
        assert len(words) == 50021
        assert sum(len(group) for group in [[k for k in words if k.endswith(str(n) + f"-{repeat}")] for n in range(10)]) == 50021


class Node:
    def __init__(self, number):
        self.number, self.edges = number, []


def collector():
    """Cycles for the collector, beside a large heap that stays."""
    kept = [Node(i) for i in range(150_000)]
    for a, b in zip(kept, reversed(kept)):
        a.edges.append(b)
    for _ in range(10):
        ring = [Node(i) for i in range(20_000)]
        for a, b in zip(ring, ring[1:] + ring[:1]):
            a.edges.append(b)
        del ring, a, b
        gc.collect()
    assert len(kept) == 150_000


def coroutines():
    """Frames, futures and callbacks."""

    async def leaf(i):
        await asyncio.sleep(0)
        return [i] * 10

    async def branch(i):
        return sum(map(len, await asyncio.gather(*(leaf(i + j) for j in range(10)))))

    async def main():
        for _ in range(20):
            assert sum(await asyncio.gather(*(branch(i) for i in range(200)))) == 20_000

    asyncio.run(main())


def threads_trees():
    """Four threads, each with objects of its own."""

    def work(_):
        for _ in range(5):
            assert nodes(tree(14)) == 2**15 - 1

    parallel(4, work)


def threads_pipeline():
    """Two threads make what two others free."""
    ways = [queue.SimpleQueue() for _ in range(2)]

    def work(i):
        way = ways[i // 2]
        for j in range(2000):
            if i % 2 == 0:
                way.put([{"key": f"{j}-{k}", "value": [k, float(k)]} for k in range(40)])
                if j % 50 == 49:
                    while way.qsize() > 100:
                        time.sleep(0.0005)
            else:
                assert len(way.get()) == 40

    parallel(4, work)


WORKLOADS = [binary_trees, json_documents, objects, dictionaries, collector, coroutines, threads_trees, threads_pipeline]


def main():
    if sys.argv[1] == "--list":
        print(*(work.__name__ for work in WORKLOADS), sep="\n")
        return
    [work] = [work for work in WORKLOADS if work.__name__ == sys.argv[1]]
    begin = time.process_time()
    work()
    seconds = time.process_time() - begin
    print(f"{seconds:.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}")


if __name__ == "__main__":
    main()
