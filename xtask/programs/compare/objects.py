"""Builds and drops object graphs: lists, dictionaries, strings of many sizes, JSON texts, big integers."""
import json
import random

random.seed(2026)


def record(number):
    name = "item-%d" % number
    return {"id": number, "name": name * random.randint(1, 6), "tags": [name + str(k) for k in range(random.randint(1, 9))],
            "position": [random.random() for _ in range(3)], "blob": "x" * random.choice((10, 100, 1000, 5000))}


table = {}
for number in range(60_000):
    table[number] = record(number)
    if number % 3 == 0:
        table.pop(random.randrange(number + 1), None)

text = json.dumps(list(table.values()))
again = json.loads(text)
assert len(again) == len(table)

words = {}
for entry in again:
    for tag in entry["tags"]:
        words[tag] = words.get(tag, 0) + 1

total = 1
for factor in range(2, 1500):
    total *= factor
print(len(text), len(words), total % 1_000_000_007)
