#!/bin/bash
# A session as an agent has it, without a network: a small project with its repository, tests, branches, an archive and
# a database. What it prints must be the same behind the wall and on the host, byte by byte.
set -euo pipefail
export LC_ALL=C.UTF-8 TZ=UTC PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0 GIT_CONFIG_NOSYSTEM=1 GIT_PAGER=cat
export GIT_AUTHOR_DATE='2024-02-03T04:05:06Z' GIT_COMMITTER_DATE='2024-02-03T04:05:06Z'
work=$(mktemp -d)
trap 'cd /; rm -rf "$work"' EXIT
cd "$work"
export HOME=$work
git config --global user.name Agent
git config --global user.email agent@example.org
git config --global init.defaultBranch main
git config --global advice.detachedHead false

section() {
  printf '\n== %s ==\n' "$1"
}

section project
mkdir -p project/{src/inventory,tests,data}
cd project
git init -q
cat >README.md <<'X'
# inventory

Counts what is in stock.
X
cat >src/inventory/__init__.py <<'X'
"""Counts what is in stock."""

from .store import Item, Store

__all__ = ["Item", "Store"]
X
cat >src/inventory/store.py <<'X'
import csv
import dataclasses
import io


@dataclasses.dataclass(order=True, frozen=True)
class Item:
    name: str
    count: int
    price_cents: int

    def value(self):
        return self.count * self.price_cents


class Store:
    def __init__(self, items=()):
        self._items = {item.name: item for item in items}

    @classmethod
    def from_csv(cls, text):
        rows = csv.DictReader(io.StringIO(text))
        return cls(Item(row["name"], int(row["count"]), int(row["price_cents"])) for row in rows)

    def total(self):
        return sum(item.value() for item in self._items.values())

    def most_valuable(self, number=3):
        return sorted(self._items.values(), key=Item.value, reverse=True)[:number]

    def __len__(self):
        return len(self._items)
X
cat >src/inventory/__main__.py <<'X'
import json
import sys

from . import Store

store = Store.from_csv(sys.stdin.read())
json.dump({"items": len(store), "total": store.total(), "top": [item.name for item in store.most_valuable()]}, sys.stdout)
print()
X
for i in $(seq 1 500); do
  printf 'item%03d,%d,%d\n' "$i" $((i * 7919 % 97)) $((i * 104729 % 4999))
done | sed '1i name,count,price_cents' >data/stock.csv
wc -l data/stock.csv
sha256sum data/stock.csv
PYTHONPATH=src /usr/bin/python3 -m inventory <data/stock.csv | tee data/summary.json
jq -r '.top | join(" ")' data/summary.json

section tests
cat >tests/test_store.py <<'X'
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from inventory import Item, Store

ROOT = pathlib.Path(__file__).resolve().parent.parent


class StoreTest(unittest.TestCase):
    def test_total(self):
        self.assertEqual(Store([Item("a", 2, 50), Item("b", 1, 7)]).total(), 107)

    def test_order(self):
        store = Store([Item("a", 1, 1), Item("b", 1, 3), Item("c", 1, 2)])
        self.assertEqual([item.name for item in store.most_valuable(2)], ["b", "c"])

    def test_bad_number(self):
        with self.assertRaisesRegex(ValueError, "invalid literal"):
            Store.from_csv("name,count,price_cents\na,x,1\n")


class CommandTest(unittest.TestCase):
    def run_command(self, text):
        return subprocess.run([sys.executable, "-m", "inventory"], input=text, capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(ROOT / "src")})

    def test_summary(self):
        done = self.run_command("name,count,price_cents\na,2,3\n")
        self.assertEqual((done.returncode, json.loads(done.stdout)["total"]), (0, 6))

    def test_failure(self):
        done = self.run_command("name,count\na,2\n")
        self.assertEqual(done.returncode, 1)
        self.assertTrue(done.stderr.endswith("KeyError: 'price_cents'\n"))

    def test_pipeline(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "sorted")
            sort = subprocess.Popen(["sort", "-r", "-o", path], stdin=subprocess.PIPE, text=True)
            subprocess.run(["seq", "9"], stdout=sort.stdin, check=True)
            sort.communicate()
            self.assertEqual(path.read_text().split(), [str(i) for i in range(9, 0, -1)])
            self.assertEqual(subprocess.call(["sh", "-c", "kill -TERM $$"]), -15)
X
run_tests() {
  PYTHONPATH=src /usr/bin/python3 -m unittest discover -s tests -v 2>&1 | sed -E 's/in [0-9.]+s/in some time/'
}
run_tests

section history
printf '%s\n' '__pycache__/' '*.tmp' >.gitignore
git add -A
git commit -qm 'Count what is in stock'
git ls-files | sort
git checkout -qb discount
sed -i 's/return self.count \* self.price_cents/return self.count * self.price_cents * 9 \/\/ 10/' src/inventory/store.py
sed -i 's/107)/96)/; s/(0, 6)/(0, 5)/' tests/test_store.py
git diff --stat
run_tests | tail -n 3
git commit -qam 'A discount of a tenth'
git checkout -q main
git mv data/summary.json data/report.json
cat >>README.md <<'X'

    python3 -m inventory <data/stock.csv
X
git commit -qam 'Say how it is used'
git merge -q discount -m 'Merge the discount'
git log --graph --pretty='%h %an %ad %s' --date=short
git checkout -qb conflict HEAD~1
sed -i 's/Counts what/Knows what/' README.md
git commit -qam 'Other words'
git checkout -q main
sed -i 's/Counts what/Sums up what/' README.md
git commit -qam 'Better words'
git merge conflict >/dev/null || git diff --name-only --diff-filter=U
git checkout -q --ours README.md
git commit -qam 'Merge other words, keep the better ones'
git show --stat --format='%h %s' HEAD~1
git shortlog -s -n HEAD | tr -s ' \t' ' '
git blame -s README.md | cut -c 1-20
git tag -a v1.0 -m 'First' && git describe --tags
git clone -q . ../copy && git -C ../copy rev-list --count HEAD && git fsck --no-progress

section database
sqlite3 stock.db <<'X'
.mode csv
.import data/stock.csv stock
.mode column
CREATE INDEX by_name ON stock(name);
SELECT count(*) AS items, sum(count * price_cents) AS total FROM stock;
SELECT name, count * price_cents AS value FROM stock ORDER BY value DESC, name LIMIT 5;
WITH bucket(b, v) AS (SELECT CAST(count AS INTEGER) / 25, price_cents FROM stock)
  SELECT b, count(*), avg(v) FROM bucket GROUP BY b ORDER BY b;
PRAGMA integrity_check;
X
sqlite3 -json stock.db 'SELECT name, CAST(count AS INTEGER) AS count FROM stock WHERE count > 94 ORDER BY name' |
  jq -c 'group_by(.count) | map({count: .[0].count, names: map(.name)})'

section text
awk -F, 'NR > 1 { n[$2 % 10]++; v[$2 % 10] += $3 } END { for (i = 0; i < 10; i++) printf "%d %d %.2f\n", i, n[i], v[i] / n[i] }' data/stock.csv
cut -d, -f2 data/stock.csv | tail -n +2 | sort -n | uniq -c | sort -k1,1nr -k2,2n | sed -n 1,5p
grep -c '9,' data/stock.csv
find . -path ./.git -prune -o -type f -name '*.py' -print | sort | xargs wc -l
diff <(git show HEAD~2:README.md) README.md || true
paste -d: <(seq 3) <(printf "%s\n" a b c) | tr : "\t"
perl -lne '$n{length $1}++ while /(\w+)/g; END { print join " ", map { "$_:$n{$_}" } sort { $a <=> $b } keys %n }' README.md
for word in alpha beta gamma; do printf '%-6s|%6s|\n' "$word" "${word^^}"; done

section archive
tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=go=rX,u+rw -cf - src data tests | zstd -q -12 -o ../project.tar.zst
zstd -dc ../project.tar.zst | tar -tvf - | awk '{ print $1, $3, $6 }'
mkdir ../unpacked && tar -C ../unpacked --zstd -xf ../project.tar.zst && diff -r src ../unpacked/src && echo unpacked
zstd -dc ../project.tar.zst | sha256sum
gzip -9nc data/stock.csv | gunzip | cmp - data/stock.csv && xz -9c data/stock.csv | xz -dc | md5sum
base64 -w 60 data/report.json | tee ../b64 | base64 -d | cmp - data/report.json && cat ../b64

section processes
for i in 3 1 2; do (sleep "0.$i"; echo "job $i") & done
wait
(trap 'echo terminated; exit 7' TERM; while :; do sleep 0.05; done) & job=$!
sleep 0.3
kill -TERM $job
wait $job || echo "status $?"
seq 100000 | head -n 1 || echo "status $?"
timeout 0.2 sleep 5 || echo "status $?"
make -s -f - all <<'X'
all: a b ; @echo linked $^
a b: ; @echo made $@
X
