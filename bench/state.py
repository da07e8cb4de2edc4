#!/usr/bin/env python3
"""Times of forks and snapshots as a client of the daemon sees them: state.py fork | snapshot | restore. Prints the median in
milliseconds. state.py forks: milliseconds until a hundred copies of one request are there, and have then answered one after the other, and MiB of
each (proportional set size)."""
import statistics
import sys

from run import descendants, proportional_kib
from session import Client

FILES = "mkdir -p /tmp/d; cd /tmp/d; for i in $(seq {count}); do echo $i >$i; done; cd"
# Python with 10 MB of its own, that waits.
PYTHON = """python3 -c 'import time
data = bytearray(10 << 20)
for i in range(0, len(data), 4096): data[i] = 1
open("/tmp/ready", "w")
time.sleep(1000)' & until [ -e /tmp/ready ]; do sleep 0.1; done"""
ROUNDS = 30


def times_of_fork(client, sandbox):
    client.ask("run", sandboxId=sandbox, command=FILES.format(count=1000), timeoutMs=0)
    client.ask("run", sandboxId=sandbox, command=PYTHON, timeoutMs=0)
    for _ in range(ROUNDS):
        # The copy has answered when a request to it has.
        elapsed, result = client.timed(("sandbox.fork", {"sandboxId": sandbox}))
        asked, usage = client.timed(("usage", {"sandboxId": result["sandboxId"]}))
        if usage["processes"] != 2:
            sys.exit(f"state.py: {usage}")
        client.ask("sandbox.destroy", sandboxId=result["sandboxId"])
        yield elapsed + asked


def times_of_snapshot(client, sandbox, what):
    client.ask("run", sandboxId=sandbox, command=FILES.format(count=10_000), timeoutMs=0)
    change = {"command": "cd /tmp/d; for i in $(seq 100); do echo changed >$i; done; cd", "sandboxId": sandbox}
    for _ in range(ROUNDS):
        client.ask("run", **change)
        stored, result = client.timed(("snapshot.create", {"sandboxId": sandbox}))
        name = {"sandboxId": sandbox, "snapshotId": result["snapshotId"]}
        client.ask("run", **change)
        restored, _ = client.timed(("snapshot.restore", name))
        client.ask("snapshot.delete", **name)
        yield stored if what == "snapshot" else restored


def hundred_forks():
    client = Client("--max-sandboxes", "200")
    sandbox = client.ask("create")["sandboxId"]
    client.ask("run", sandboxId=sandbox, command=FILES.format(count=1000), timeoutMs=0)
    client.ask("run", sandboxId=sandbox, command=PYTHON, timeoutMs=0)
    pids = [client.process.pid, *descendants(client.process.pid)]
    before = proportional_kib(pids)
    elapsed, answer = client.timed(("sandbox.fork", {"sandboxId": sandbox, "count": 100}))
    copies = [fork["sandboxId"] for fork in answer["forks"]]
    asked, _ = client.timed(*[("usage", {"sandboxId": copy}) for copy in copies])
    after = proportional_kib([client.process.pid, *descendants(client.process.pid)])
    client.process.stdin.close()
    client.process.wait()
    print(f"{elapsed:.1f} {elapsed + asked:.1f} {(after - before) / 100 / 1024:.2f}")


def main(what):
    if what == "forks":
        return hundred_forks()
    client = Client()
    sandbox = client.ask("create", limits={"fileCount": 20_000})["sandboxId"]
    times = times_of_fork(client, sandbox) if what == "fork" else times_of_snapshot(client, sandbox, what)
    print(f"{statistics.median(list(times)):.3f}")
    client.process.stdin.close()
    client.process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
