#!/usr/bin/env python3
"""Many sandboxes of one daemon at once: many.py [SANDBOXES [CLIENTS]], 1000 and 50 unless said otherwise.

Every client creates its share and keeps it; then one client asks sandboxes one after the other, then all clients ask all of
theirs at the same time. Every answer is looked at. Prints a table; memory is the proportional set size over all processes.
"""
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from run import CORDON, descendants, proportional_kib


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rw")
        self.sandboxes = []

    def ask(self, method, **params):
        self.stream.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
        self.stream.flush()
        answer = json.loads(self.stream.readline())
        if "result" not in answer:
            raise RuntimeError(answer["error"]["message"])
        return answer["result"]

    def create(self, count):
        for _ in range(count):
            self.sandboxes.append(self.ask("create")["sandboxId"])

    def greet(self, sandbox):
        """Milliseconds until a command has answered."""
        start = time.perf_counter()
        result = self.ask("run", sandboxId=sandbox, command=f"x={sandbox}; echo $x")
        elapsed = (time.perf_counter() - start) * 1000
        if result["stdout"] != sandbox + "\n":
            raise RuntimeError(f"another answer: {result}")
        return elapsed


def together(work, clients):
    """Seconds until all have done it, and what each returned."""
    results = [None] * len(clients)

    def one(number):
        results[number] = work(clients[number])
    threads = [threading.Thread(target=one, args=(number,)) for number in range(len(clients))]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if None in results:
        raise RuntimeError("a client failed")
    return time.perf_counter() - start, results


def spread(times):
    cuts = statistics.quantiles(times, n=100)
    return f"{statistics.median(times):.2f}, {cuts[94]:.2f}, {cuts[98]:.2f}"


def main(count, most):
    with tempfile.TemporaryDirectory() as folder:
        path = folder + "/socket"
        daemon = subprocess.Popen([CORDON, "serve", "--unix", path, "--max-sandboxes", str(count)])
        try:
            while not pathlib.Path(path).exists():
                time.sleep(0.01)
            clients = [Client(path) for _ in range(most)]
            share = count // most
            created, _ = together(lambda client: client.create(share) or 0, clients)
            time.sleep(2)
            kib = proportional_kib([daemon.pid, *descendants(daemon.pid)])
            alone = [clients[0].greet(sandbox) for sandbox in clients[0].sandboxes for _ in range(10)]
            asked, times = together(lambda client: [client.greet(sandbox) for sandbox in client.sandboxes], clients)
            everyone = [elapsed for mine in times for elapsed in mine]
            print("| what | |\n|---|---|")
            print(f"| sandboxes, clients | {share * most}, {most} |")
            print(f"| created, all clients at once | {created:.1f} s, {created / share / most * 1000:.1f} ms each |")
            print(f"| memory, all processes; each sandbox | {kib / 1024:.0f} MiB; {kib / 1024 / share / most:.2f} MiB |")
            print(f"| an answer, one client (median, of 95 %, of 99 %) | {spread(alone)} ms |")
            print(f"| an answer, all clients at once | {spread(everyone)} ms; {len(everyone) / asked:.0f} in a second |")
        finally:
            daemon.terminate()
            daemon.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000, int(sys.argv[2]) if len(sys.argv) > 2 else 50)
