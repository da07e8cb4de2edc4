#!/usr/bin/env python3
"""Times of a live sandbox as a client of the daemon sees them: session.py create | pool | run. Prints the median in milliseconds."""
import json
import pathlib
import statistics
import subprocess
import sys
import time

CORDON = str(pathlib.Path(__file__).resolve().parent.parent / "build/cordon")


class Client:
    def __init__(self, *options):
        self.process = subprocess.Popen([CORDON, "serve", "--stdio", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, method, **params):
        line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n"
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["result"]

    def timed(self, *requests):
        start = time.perf_counter()
        for method, params in requests:
            result = self.ask(method, **params)
        return (time.perf_counter() - start) * 1000, result


def main(what):
    client = Client(*(["--pool", "2"] if what == "pool" else []))
    times = []
    hello = ("run", {"command": "echo hi"})
    for _ in range(1000 if what == "run" else 40):
        if what != "run":
            elapsed, result = client.timed(("create", {}), hello)
            client.ask("sandbox.destroy")
            time.sleep(0.05 if what == "pool" else 0)
        else:
            if not times:
                client.ask("create")
            elapsed, result = client.timed(hello)
        if result["stdout"] != "hi\n":
            sys.exit(f"session.py: {result}")
        times.append(elapsed)
    client.process.stdin.close()
    client.process.wait()
    print(f"{statistics.median(times):.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
