#!/usr/bin/env python3
"""Commands and files that a client serves, and directories of the host: mounts.py read | random | stream [python | node [cached]] | call | pipe.
Prints a rate or milliseconds. python, node: of a file system that such a client has; cached: which allows to believe what it said."""
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = str(ROOT / "build/cordon")

from cordon_sandbox import Extension, Sandbox  # noqa: E402

BYTES = 256 << 20
READS = 20_000
PIPED = 8 << 20
# In the sandbox: a file read from the beginning to the end, or anywhere, 4 KiB at a time.
READ = """
import os, random, sys, time
fd, size = os.open(sys.argv[-2], os.O_RDONLY), 4096
places = range(0, {reads} * size, size)
if sys.argv[-1] == "random":
    places = [random.randrange(0, {total} - size) for _ in places]
start = time.perf_counter()
for place in places:
    assert len(os.pread(fd, size, place)) == size
print({reads} / (time.perf_counter() - start))
"""


class Zeros:
    """Files of zeros."""

    def __init__(self):
        self._all = bytes(BYTES)

    def stat(self, path):
        return {"type": "file", "size": BYTES} if path else {"type": "dir"}

    def readdir(self, path):
        return []

    def read(self, path, offset, length):
        return self._all[offset:offset + length]


def by_client(what, client, cached):
    """The same, of files that this program or one for Node has."""
    command = ("dd if=/mnt/v/data of=/dev/null bs=1M status=none" if what == "stream" else
               f"python3 -c '{READ.format(reads=READS, total=BYTES)}' /mnt/v/data {what}")
    if client == "node":
        return subprocess.run(["node", ROOT / "bench/mounts.mjs", command, str(BYTES), cached], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    with Sandbox(timeout_ms=120_000) as sandbox:
        said = []
        for _ in range(3):
            # Anew: nothing is known yet.
            sandbox.mount("/mnt/v", Zeros(), cache_ms=int(cached))
            start = time.perf_counter()
            result = sandbox.commands.run(command)
            said.append(result.stdout.strip() or time.perf_counter() - start)
            sandbox.unmount("/mnt/v")
            if result.exit_code != 0:
                sys.exit(result.stderr)
        return said


def median_by_client(what, client, cached):
    numbers = [float(one) for one in by_client(what, client, "600000" if cached else "0")]
    return statistics.median(BYTES / 1e6 / number if what == "stream" else number for number in numbers)


def mounted(folder, what):
    (pathlib.Path(folder) / "data").write_bytes(bytes(BYTES))
    (pathlib.Path(folder) / "read.py").write_text(READ.format(reads=READS, total=BYTES))
    with Sandbox(timeout_ms=120_000, mounts=[{"path": "/mnt/h", "host_path": folder}]) as sandbox:
        rates = []
        for _ in range(5):
            if what == "stream":
                start = time.perf_counter()
                result = sandbox.commands.run("dd if=/mnt/h/data of=/dev/null bs=1M status=none")
                rates.append(BYTES / 1e6 / (time.perf_counter() - start))
            else:
                result = sandbox.commands.run(f"python3 /mnt/h/read.py /mnt/h/data {what}")
                rates.append(float(result.stdout))
            if result.exit_code != 0:
                sys.exit(result.stderr)
        return statistics.median(rates)


def served(what):
    extensions = [Extension("say", "", lambda: "x\n", stdin="none"), Extension("copy", "", lambda stdin: stdin, stdin="stream")]
    with Sandbox(timeout_ms=120_000, extensions=extensions) as sandbox:
        times = []
        for _ in range(200 if what == "call" else 3):
            start = time.perf_counter()
            result = sandbox.commands.run("say" if what == "call" else f"head -c {PIPED} /dev/zero | copy | wc -c")
            times.append(time.perf_counter() - start)
            if result.exit_code != 0:
                sys.exit(result.stderr)
        return statistics.median(times) * 1000 if what == "call" else (PIPED) / 1e6 / statistics.median(times)


def main(what, client=None, cached=None):
    if client is not None:
        print(f"{median_by_client(what, client, cached):.0f}")
        return
    if what in ("call", "pipe"):
        print(f"{served(what):.2f}")
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"{mounted(folder, what):.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
