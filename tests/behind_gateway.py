"""Commands behind a gateway and nothing else of a wall (behind_gateway.cc), for the tests of the network plane."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time

from network_world import BUILD, WORLD, enter_world, run_here


class Inside:
    """A command that ran behind a gateway."""

    def __init__(self, rules, command, seconds=20, **options):
        if isinstance(command, str):
            command = ["bash", "-c", command]
        with tempfile.TemporaryDirectory() as folder:
            log = pathlib.Path(folder, "log")
            begin = time.monotonic()
            self.done = subprocess.run([BUILD / "tests/behind_gateway", BUILD / "cordon-gateway", log, *rules, "--", *command],
                                       capture_output=True, timeout=seconds, stdin=subprocess.DEVNULL, **options)
            self.seconds = time.monotonic() - begin
            self.out = self.done.stdout.decode(errors="replace")
            self.err = self.done.stderr.decode(errors="replace")
            self.log = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        found = re.search(r"^behind_gateway: (\d+ hosts? allowed.*)$", self.err, re.MULTILINE)
        self.summary = found.group(1) if found else None
        assert self.summary, f"no gateway at the end: {self.err}"

    def flows(self, verdict):
        return [line for line in self.log if line["event"] == "flow" and line["verdict"] == verdict]


def python(text):
    return ["python3", "-I", "-c", "import hashlib, os, socket, struct, sys, time, threading\n" + text]


def start(rules, command):
    return subprocess.Popen([BUILD / "tests/behind_gateway", BUILD / "cordon-gateway", "/dev/null", *rules, "--", *command],
                            stdout=subprocess.PIPE, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_tests(tests, title, names, script):
    """The exit status. As root they run twice, the second time as an ordinary user."""
    if WORLD:
        return run_here(tests, names, (0,), lambda _: WORLD, lambda function, *_: function())
    sums = [enter_world(who, names, script) for who in (["root"] if os.getuid() == 0 else []) + ["user"]]
    passed, failed = (sum(column) for column in zip(*sums))
    print(f"{title}: {passed} passed, {failed} failed")
    return 1 if failed else 0
