"""Small objects of many kinds, made and dropped: a tree, dicts of strings, JSON there and back, text."""

import json
import sys


class Node:
    __slots__ = ("left", "right", "value")

    def __init__(self, value, left=None, right=None):
        self.value, self.left, self.right = value, left, right


def tree(depth):
    if depth == 0:
        return Node(1)
    return Node(depth, tree(depth - 1), tree(depth - 1))


def total(node):
    return 0 if node is None else node.value + total(node.left) + total(node.right)


def records(count):
    return [{"id": i, "name": f"user{i}", "tags": [f"t{i % 7}", f"g{i % 13}"], "score": i * 0.5} for i in range(count)]


def words(count):
    text = " ".join(f"{(i * 7919) % 10007:x}" for i in range(count))
    found = {}
    for word in text.split():
        found[word] = found.get(word, 0) + 1
    return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:5]


def one_round(seed):
    restored = json.loads(json.dumps(records(6000 + seed)))
    by_name = {record["name"]: record for record in restored}
    return total(tree(13)), len(by_name), words(40000)


for number in range(int(sys.argv[1])):
    print(one_round(number))
