#!/usr/bin/env python3
"""A daemon, as who speaks its protocol sees it: errors, limits, what outlives it, sandboxes that wait, its socket: run_live_daemon.py [NAME...]"""
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")

from processes import DAEMONIZED, answers, children, descendants, eventually, wait_until_gone


class Daemon(unittest.TestCase):
    def start(self, *arguments):
        process = subprocess.Popen([CORDON, "serve", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def ask(self, process, line):
        process.stdin.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    def test_protocol_errors(self):
        process = self.start("--stdio")
        def error(line):
            return self.ask(process, line)["error"]
        self.assertEqual(error(b"{nonsense\n")["code"], -32700)
        self.assertEqual(error(b"[1]\n")["code"], -32600)
        self.assertEqual(error(b'{"jsonrpc":"1.0","id":1,"method":"run"}\n')["code"], -32600)
        self.assertEqual(error(b"[" * 100_000 + b"\n")["code"], -32600)
        self.assertEqual(error({"jsonrpc": "2.0", "id": 1, "method": "nope"})["message"], "Method not found: nope")
        self.assertEqual(error({"jsonrpc": "2.0", "id": 1, "method": "run", "params": [1]})["code"], -32602)
        self.assertEqual(error({"jsonrpc": "2.0", "id": 1, "method": "run"})["message"], "No sandbox: call create first")
        self.assertEqual(error({"jsonrpc": "2.0", "id": 1, "method": "run", "params": {"sandboxId": "x"}})["message"],
                         "Unknown sandboxId: x")
        self.assertEqual(error(b"x" * (9 << 20) + b"\n")["message"], "Request too large")
        self.ask(process, {"jsonrpc": "2.0", "id": 2, "method": "create"})
        self.assertEqual(error({"jsonrpc": "2.0", "id": 3, "method": "run"})["message"], "Missing required param: command")
        answer = self.ask(process, {"jsonrpc": "2.0", "id": "text", "method": "run", "params": {"command": "echo hi"}})
        self.assertEqual((answer["id"], answer["result"]["stdout"]), ("text", "hi\n"))

    def test_limit_of_sandboxes(self):
        process = self.start("--stdio", "--max-sandboxes", "2")
        for _ in range(2):
            self.assertIn("result", self.ask(process, {"jsonrpc": "2.0", "id": 1, "method": "create"}))
        answer = self.ask(process, {"jsonrpc": "2.0", "id": 1, "method": "create"})
        self.assertEqual(answer["error"]["message"], "Maximum of 2 concurrent sandboxes reached")

    def test_nothing_outlives_the_daemon(self):
        for end in (lambda process: process.kill(), lambda process: process.stdin.close(),
                    lambda process: process.terminate()):
            process = self.start("--stdio")
            self.ask(process, {"jsonrpc": "2.0", "id": 1, "method": "create"})
            self.ask(process, {"jsonrpc": "2.0", "id": 2, "method": "run",
                               "params": {"command": f"{DAEMONIZED} sleep 1000 & while :; do :; done & sleep 0.1"}})
            pids = descendants(process.pid)
            self.assertGreater(len(pids), 3)
            end(process)
            process.wait(10)
            self.assertEqual(wait_until_gone(pids), [])

    def test_kill_ends_the_daemon_of_one_client(self):
        for created in (1, 0):
            process = self.start("--stdio")
            for _ in range(created):
                self.ask(process, {"jsonrpc": "2.0", "id": 1, "method": "create"})
            pids = descendants(process.pid)
            self.assertEqual(self.ask(process, {"jsonrpc": "2.0", "id": 2, "method": "kill"})["result"], {})
            self.assertEqual(process.wait(10), 0)
            self.assertEqual(wait_until_gone(pids), [])

    def test_a_keeper_that_dies_takes_one_sandbox(self):
        process = self.start("--stdio")
        ids = [self.ask(process, {"jsonrpc": "2.0", "id": 1, "method": "create"})["result"]["sandboxId"] for _ in range(2)]
        os.kill(min(children(process.pid)), signal.SIGKILL)
        answers = [self.ask(process, {"jsonrpc": "2.0", "id": 2, "method": "run",
                                      "params": {"sandboxId": one, "command": "echo hi"}}) for one in ids]
        self.assertEqual(sum("result" in answer for answer in answers), 1)

    def test_packed_messages(self):
        try:
            from pip._vendor import msgpack
        except ImportError:
            self.skipTest("no MessagePack here: pip brings one")
        process = self.start("--stdio")

        def send(message):
            process.stdin.write(struct.pack(">I", len(message)) + message)
            process.stdin.flush()
            length, = struct.unpack(">I", process.stdout.read(4))
            return msgpack.unpackb(process.stdout.read(length))

        def ask(method, **params):
            answer = send(msgpack.packb({"jsonrpc": "2.0", "id": method, "method": method, "params": params}))
            self.assertEqual((answer["jsonrpc"], answer["id"]), ("2.0", method))
            return answer.get("result", answer.get("error"))

        self.assertEqual(set(ask("create")), {"sandboxId"})
        every = bytes(range(256)) * 1000
        self.assertEqual(ask("files.write", path="/tmp/f", data=every), {})
        self.assertEqual(ask("files.read", path="/tmp/f"), {"data": every, "size": len(every)})
        result = ask("run", command="head -c 300 /tmp/f; cat >&2", stdin=b"\xff\0")
        self.assertEqual((result["stdout"], result["stderr"], result["exitCode"]), (every[:300], b"\xff\0", 0))
        self.assertEqual(ask("files.list", path="/tmp")["entries"][0]["name"], b"f")
        self.assertEqual(ask("nope")["message"], "Method not found: nope")
        self.assertEqual(send(b"\x91" * 100_000)["error"]["message"], "Request too deep")
        self.assertEqual(send(b"\xc1")["error"]["code"], -32700)
        self.assertEqual(send(b"x" * (9 << 20))["error"]["message"], "Request too large")
        self.assertEqual(ask("run", command="echo alive")["stdout"], b"alive\n")

    def test_one_that_waited_is_as_a_new_one(self):
        process = self.start("--stdio", "--pool", "1")

        def ask(method, **params):
            answer = self.ask(process, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
            return answer["result"]

        # Two tell of the session's lines, of which every command but the first has some before it.
        changing = "_|BASH_LINENO|BASHPID|EPOCHREALTIME|EPOCHSECONDS|PPID|RANDOM|SECONDS|SRANDOM"
        look = f"echo $?; jobs; echo ${{!-none}}; history; set | grep -vE '^({changing})='; ls -A /tmp ~"

        def seen_first():
            sandbox = ask("create")["sandboxId"]
            return ask("run", sandboxId=sandbox, command=look)

        new = seen_first()
        # Answered when it is there.
        ask("pool.fill", size=1)
        waited = seen_first()
        self.assertEqual(new["stderr"], "")
        self.assertIn("HOME=/home/user\n", new["stdout"])
        self.assertEqual(waited["stdout"], new["stdout"])

    def test_sandboxes_that_wait(self):
        process = self.start("--stdio", "--pool", "2")

        def create(**params):
            return self.ask(process, {"jsonrpc": "2.0", "id": 1, "method": "create", "params": params})["result"]["sandboxId"]

        def run(sandbox, command):
            params = {"sandboxId": sandbox, "command": command}
            return self.ask(process, {"jsonrpc": "2.0", "id": 2, "method": "run", "params": params})["result"]["stdout"]

        def wait_for(count):
            deadline = time.monotonic() + 30
            while len(children(process.pid)) != count and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual(len(children(process.pid)), count)
            time.sleep(0.5)

        sandboxes = [create()]
        wait_for(3)
        for _ in range(2):
            sandboxes.append(create())
            self.assertGreater(float(run(sandboxes[-1], "cat /proc/uptime").split()[0]), 0.4)
        for number, sandbox in enumerate(sandboxes):
            self.assertEqual(run(sandbox, f"ls /tmp; echo {number} >/tmp/{number}; echo $PWD"), "/home/user\n")
        wait_for(5)
        # Of another kind: what was made for the former ends.
        other = create(env={"X": "1"}, limits={"fileCount": 100})
        self.assertLess(float(run(other, "cat /proc/uptime").split()[0]), 0.4)
        self.assertEqual(run(other, "echo $X $HOME"), "1 /home/user\n")
        wait_for(6)
        again = create(env={"X": "1"}, limits={"fileCount": 100})
        self.assertGreater(float(run(again, "cat /proc/uptime").split()[0]), 0.4)
        self.assertEqual(run(again, "echo $X; for i in {1..200}; do : >/tmp/$i || break; done 2>&1 | wc -l"), "1\n1\n")
        # One that died is nobody's.
        wait_for(7)
        for pid in sorted(children(process.pid))[-2:]:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        self.assertEqual(run(create(env={"X": "1"}, limits={"fileCount": 100}), "echo $X"), "1\n")
        pids = descendants(process.pid)
        process.stdin.close()
        process.wait(10)
        self.assertEqual(wait_until_gone(pids), [])

    def test_socket(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = folder + "/s"
        process = self.start("--unix", path)
        self.assertTrue(eventually(lambda: answers(path)))
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        second = subprocess.run([CORDON, "serve", "--unix", path], capture_output=True, text=True)
        self.assertEqual(second.returncode, 125)
        self.assertIn("another daemon answers here", second.stderr)

        def connect():
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            self.addCleanup(client.close)
            return client, client.makefile("rw")

        def ask(stream, method, **params):
            stream.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
            stream.flush()
            return json.loads(stream.readline())

        (one, first), (_, other) = connect(), connect()
        private = ask(first, "create")["result"]["sandboxId"]
        shared = ask(first, "create", detached=True)["result"]["sandboxId"]
        self.assertEqual(ask(other, "run", sandboxId=private, command="id")["error"]["message"],
                         "Unknown sandboxId: " + private)
        self.assertEqual(ask(other, "run", sandboxId=shared, command="echo hi")["result"]["stdout"], "hi\n")
        # A client that asks for much, takes nothing and goes harms nobody.
        for _ in range(20):
            first.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "run", "params": {
                "command": "head -c 3000000 /dev/zero", "sandboxId": private}}) + "\n")
        first.flush()
        self.assertEqual(ask(other, "run", sandboxId=shared, command="echo hi")["result"]["stdout"], "hi\n")
        first.close()
        one.close()
        for _ in range(500):
            if len(ask(other, "sandbox.list")["result"]["sandboxes"]) == 1:
                break
            time.sleep(0.01)
        self.assertEqual(ask(other, "run", sandboxId=shared, command="echo hi")["result"]["stdout"], "hi\n")
        process.terminate()
        process.wait(10)
        self.assertFalse(os.path.exists(path))


if __name__ == "__main__":
    unittest.main(verbosity=2)
