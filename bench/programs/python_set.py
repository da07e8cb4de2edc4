"""What Python programs spend their time on, a row each: name and seconds, the best of five. Run by both interpreters."""
import json
import math
import random
import re
import time


class Record:
    def __init__(self, kind, value, following=None):
        self.kind, self.value, self.following = kind, value, following


def records():
    """Attributes, calls, branches, small integers."""
    def step(record, glob, number):
        copy = Record(record.kind, record.value + number, record.following)
        if copy.kind == "even" and glob["flag"]:
            copy.value = copy.value % 1000 + 2
        else:
            copy.kind = "even" if copy.value % 2 == 0 else "odd"
        glob["count"] += 1
        return copy
    record, glob = Record("even", 1), {"flag": True, "count": 0}
    for number in range(40000):
        record = step(record, glob, number)
    return glob["count"]


DOCUMENT = [{"id": i, "name": f"name {i}", "tags": ["a", "bc", "déf"], "position": {"x": i / 7, "y": -i, "on": i % 3 == 0},
             "list": list(range(20))} for i in range(300)]
TEXT = json.dumps(DOCUMENT)
WORDS = [f"{i * 7919 % 100003:x}" for i in range(30000)]
PROSE = " ".join(WORDS[:8000])


def dumps():
    return [json.dumps(DOCUMENT) for _ in range(5)]


def loads():
    return [json.loads(TEXT) for _ in range(5)]


def regex():
    return len(re.findall(r"\b([0-9a-f]*)e([0-9]+)\b", PROSE)) + len(re.sub(r"(\w)(\d)", r"\2\1", PROSE))


def nbody():
    bodies = [[math.cos(i), math.sin(i * 2), i / 10, 0.0, 0.0, 0.0, 1.0 + i] for i in range(5)]
    for _ in range(1500):
        for i, a in enumerate(bodies):
            for b in bodies[i + 1:]:
                dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
                magnitude = 0.001 / ((dx * dx + dy * dy + dz * dz) ** 1.5 + 0.01)
                for k, d in ((3, dx), (4, dy), (5, dz)):
                    a[k] -= d * b[6] * magnitude
                    b[k] += d * a[6] * magnitude
        for body in bodies:
            for k in range(3):
                body[k] += 0.001 * body[k + 3]
    return bodies


def fannkuch(n=7):
    best, permutation, counts, flips = 0, list(range(n)), list(range(1, n + 1)), 0
    while True:
        current, flips = permutation[:], 0
        while current[0]:
            k = current[0] + 1
            current[:k] = current[k - 1::-1] if k < n else current[::-1]
            flips += 1
        best = max(best, flips)
        r = 1
        while r < n:
            permutation.insert(r, permutation.pop(0))
            counts[r] -= 1
            if counts[r] > 0:
                break
            counts[r] = r + 1
            r += 1
        else:
            return best


def strings():
    counted = {}
    for word in WORDS:
        key = word.upper().replace("F", "-").strip("0")
        counted[key] = counted.get(key, 0) + len(word)
    return "".join(f"{key}={value};" for key, value in counted.items()).split(";")


def sort():
    numbers = random.Random(1).sample(range(10**6), 30000)
    return sorted(WORDS), sorted(numbers), sorted(WORDS, key=len)


def integers():
    a, b = 0, 1
    for _ in range(4000):
        a, b = b, a + b
    return len(str(a)) + pow(3, 2000, 10**40) + sum(i * i % 7 for i in range(30000))


for function in (records, dumps, loads, regex, nbody, fannkuch, strings, sort, integers):
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begin)
    print(function.__name__, min(seconds))
