#!/usr/bin/env python3
"""One TCP stream and the time to connect, through the gateway and through its peers: JSON for run.py.

Runs itself in a network namespace, in which the server is the host's; each way goes from another namespace to it.
"""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build"
STREAM = str(BUILD / "cordon-bench-stream")
HERE, NEXT, PORT = "20.0.0.1", "20.0.0.254", "7200"
ROUNDS = 4


def number(command):
    """A group of its own: what it starts ends with it, also when its time is over."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0)
    try:
        out, err = process.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode != 0:
        raise RuntimeError(err.strip().splitlines()[-1] if err.strip() else f"status {process.returncode}")
    return float(out.split()[-1])


def plain(what):
    return number([STREAM, what, HERE, PORT])


def gateway(what):
    return number([BUILD / "tests/behind_gateway", BUILD / "cordon-gateway", "/dev/null", f"private={HERE}:{PORT}", "--",
                   STREAM, what, HERE, PORT])


def slirp4netns(what):
    """The host's loopback is 10.0.2.2 there."""
    inside = subprocess.Popen(["unshare", "--user", "--map-root-user", "--net", "sh", "-c", 'echo; read _; exec "$@"', "sh",
                               STREAM, what, "10.0.2.2", PORT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    inside.stdout.readline()
    ready, told = os.pipe()
    network = subprocess.Popen(["slirp4netns", "--configure", "--mtu=65520", f"--ready-fd={told}", str(inside.pid), "tap0"], pass_fds=[told],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(told)
    try:
        if not os.read(ready, 1):
            raise RuntimeError("slirp4netns did not start")
        out, _ = inside.communicate("\n", timeout=15)
        return float(out.split()[-1])
    finally:
        os.close(ready)
        inside.kill()
        network.kill()
        network.wait()


def pasta(what):
    """The next router's address is the host's loopback there."""
    return number(["pasta", "--config-net", "--quiet", "--", STREAM, what, NEXT, PORT])


WAYS = {"loopback": plain, "gateway": gateway, "slirp4netns": slirp4netns, "pasta": pasta}


def make_world():
    for command in (["lo", "up"], ["add", "w0", "type", "veth", "peer", "name", "w1"], ["w0", "up"], ["w1", "up"]):
        subprocess.run(["ip", "link", *(["set"] if command[0] != "add" else []), *command], check=True)
    subprocess.run(["ip", "address", "add", f"{HERE}/24", "dev", "w0"], check=True)
    subprocess.run(["ip", "route", "add", "default", "via", NEXT], check=True)


def main():
    if "CORDON_BENCH_WORLD" not in os.environ:
        return subprocess.run(["unshare", "--net", sys.executable, __file__], env={**os.environ, "CORDON_BENCH_WORLD": "1"}).returncode
    make_world()
    server = subprocess.Popen([STREAM, "serve", PORT], stdout=subprocess.PIPE)
    server.stdout.readline()
    figures = {}
    for name, way in WAYS.items():
        if name in ("slirp4netns", "pasta") and not shutil.which(name):
            figures[name] = {"missing": "not installed"}
    for _ in range(ROUNDS):
        for name, way in WAYS.items():
            row = figures.setdefault(name, {})
            if "missing" in row:
                continue
            try:
                row["gbit"] = max(row.get("gbit", 0), way("rate"))
                row["us"] = min(row.get("us", 1e9), way("connect"))
            except (RuntimeError, OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
                row["missing"] = str(error)
        time.sleep(0.2)
    server.kill()
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
