#!/usr/bin/env python3
"""Commands of a sandbox that a client serves, by hand, and guests that say anything to the host: run_host_protocol.py [NAME...]"""
import base64
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import Extension, Sandbox  # noqa: E402
from processes import answers, eventually  # noqa: E402

EVERY_BYTE = bytes(range(256))


class Connection:
    """A client of the socket, by hand."""

    def __init__(self, path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(path)
        self.file = self.stream.makefile("rb")
        self.others = []
        self.last = 0

    def send(self, message):
        self.stream.sendall(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")

    def receive(self):
        return json.loads(self.file.readline())

    def start(self, method, **params):
        self.last += 1
        self.send({"id": self.last, "method": method, "params": params})
        return self.last

    def wait(self, wanted):
        """The first message for which this holds; others are kept."""
        for message in self.others:
            if wanted(message):
                self.others.remove(message)
                return message
        while True:
            message = self.receive()
            if wanted(message):
                return message
            self.others.append(message)

    def answer(self, number):
        message = self.wait(lambda one: one.get("id") == number)
        return message.get("result", message.get("error"))

    def ask(self, method, **params):
        return self.answer(self.start(method, **params))

    def request(self, method="extension.invoke"):
        return self.wait(lambda one: one.get("method") == method)

    def close(self):
        self.file.close()
        self.stream.close()


class Protocol(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "socket")
        self.daemon = subprocess.Popen([CORDON, "serve", "--unix", self.path])
        self.addCleanup(self.daemon.wait)
        self.addCleanup(self.daemon.terminate)
        self.assertTrue(eventually(lambda: answers(self.path)))

    def connect(self):
        connection = Connection(self.path)
        self.addCleanup(connection.close)
        return connection

    def served(self, *names, **create):
        client = self.connect()
        sandbox = client.ask("create", **create)["sandboxId"]
        self.assertEqual(client.ask("extension.register", extensions=[{"name": name} for name in names]), {"names": list(names)})
        return client, sandbox

    def test_a_call_step_by_step(self):
        client, sandbox = self.served("f")
        run = client.start("run", command="printf 'abc' | f x $'\\377'; echo $?")
        call = client.request()
        self.assertRegex(call["id"], r"^cb_\d+$")
        params = call["params"]
        self.assertEqual((params["sandboxId"], params["name"], params["args"], params["cwd"]),
                         (sandbox, "f", ["x", "\ufffd"], "/home/user"))
        self.assertEqual([base64.b64decode(one) for one in params["argsBase64"]], [b"x", b"\xff"])
        here = {"callId": call["id"]}
        self.assertEqual(client.ask("extension.read", **here, length=2), {"dataBase64": "YWI=", "end": False})
        self.assertEqual(client.ask("extension.read", **here), {"dataBase64": "Yw==", "end": False})
        self.assertEqual(client.ask("extension.read", **here), {"dataBase64": "", "end": True})
        self.assertEqual(client.ask("extension.write", **here, data="out"), {})
        self.assertEqual(client.ask("extension.write", **here, data="err", stream="stderr"), {})
        client.send({"id": call["id"], "result": {"exitCode": 259, "stdout": "put", "stderr": "or"}})
        result = client.answer(run)
        self.assertEqual((result["stdout"], result["stderr"]), ("output3\n", "error"))
        self.assertEqual(client.ask("extension.write", **here, data="late")["data"]["errno"], "EPIPE")

    def test_answers_that_make_no_sense(self):
        client, _ = self.served("f")
        for answer, status, text in (
                ({"error": {"code": 5, "message": "own words"}}, 1, "f: own words\n"),
                ({"error": "text"}, 1, "f: an error without a message\n"),
                ({"result": None}, 125, "f: the host function gave no {exitCode, stdout, stderr}\n"),
                ({"result": {"exitCode": "0"}}, 125, "f: the host function gave no {exitCode, stdout, stderr}\n"),
                ({"result": {"exitCode": 0, "stdout": 5}}, 125, "f: the host function gave no {exitCode, stdout, stderr}\n"),
                ({"result": {"exitCode": 0, "stdoutBase64": "="}}, 125, "f: the host function gave no {exitCode, stdout, stderr}\n"),
        ):
            run = client.start("run", command="f")
            call = client.request()
            client.send({"id": "cb_999999", "result": {"exitCode": 9}})  # of nobody
            client.send({"id": call["id"], **answer})
            client.send({"id": call["id"], "result": {"exitCode": 0}})  # a second one
            result = client.answer(run)
            self.assertEqual((result["exitCode"], result["stderr"]), (status, text), answer)

    def test_one_read_and_one_write_at_a_time(self):
        client, _ = self.served("f")
        process = client.ask("spawn", argv=["f"])["processId"]
        call = client.request()
        here = {"callId": call["id"]}
        first = client.start("extension.read", **here)
        self.assertEqual(client.ask("extension.read", **here)["message"], "A read of this call is still going on")
        client.ask("process.write", processId=process, data="x")
        self.assertEqual(client.answer(first), {"dataBase64": "eA==", "end": False})
        self.assertIn("EPIPE", client.ask("extension.read", callId="cb_0")["message"])
        self.assertEqual(client.ask("extension.read")["message"], "Missing required param: callId")
        waiting = client.start("extension.read", **here)
        client.ask("process.kill", processId=process)
        self.assertEqual(client.answer(waiting)["data"]["errno"], "EPIPE")
        self.assertEqual(client.request("extension.cancel")["params"]["callId"], call["id"])

    def test_a_client_that_goes(self):
        client, sandbox = self.served("f", detached=True)
        other = self.connect()
        run = other.start("run", sandboxId=sandbox, command="echo in | f; echo ${PIPESTATUS[1]}")
        client.request()
        client.close()
        result = other.answer(run)
        self.assertEqual((result["stdout"], result["stderr"]), ("125\n", "f: the client that served it has gone\n"))
        result = other.ask("run", sandboxId=sandbox, command="f; echo $?")
        self.assertEqual((result["stdout"], result["stderr"]), ("125\n", "f: the client that served it has gone\n"))
        # Somebody else may serve it now.
        other.ask("extension.register", sandboxId=sandbox, extensions=[{"name": "f"}])
        run = other.start("run", sandboxId=sandbox, command="f")
        other.send({"id": other.request()["id"], "result": {"exitCode": 0, "stdout": "mine\n"}})
        self.assertEqual(other.answer(run)["stdout"], "mine\n")
        third = self.connect()
        answer = third.ask("extension.register", sandboxId=sandbox, extensions=[{"name": "f"}])
        self.assertEqual(answer["message"], "Another client serves this extension: f")
        other.ask("sandbox.destroy", sandboxId=sandbox)

    def test_parameters(self):
        client, _ = self.served()
        for extensions, reason in (
                (None, "array"), ([1], "objects"), ([{}], "Invalid extension name"),
                ([{"name": "x", "description": 5}], "must be a string: description"),
                ([{"name": "x", "examples": "y"}], "examples"),
                ([{"name": "x", "pythonPackage": {}}], "no version"),
                ([{"name": "x", "pythonPackage": {"version": "1", "files": {"a": None}}}], "No contents"),
                ([{"name": f"x{i}"} for i in range(65)], "at most 64")):
            self.assertIn(reason, client.ask("extension.register", extensions=extensions)["message"])
        self.assertEqual(client.ask("extension.list"), {"extensions": []})

    def test_packed_messages(self):
        try:
            from pip._vendor import msgpack
        except ImportError:
            self.skipTest("no MessagePack here: pip brings one")
        stream = socket.socket(socket.AF_UNIX)
        self.addCleanup(stream.close)
        stream.connect(self.path)
        file = stream.makefile("rb")
        self.addCleanup(file.close)

        def send(**message):
            data = msgpack.packb({"jsonrpc": "2.0", **message})
            stream.sendall(struct.pack(">I", len(data)) + data)

        def receive():
            length, = struct.unpack(">I", file.read(4))
            return msgpack.unpackb(file.read(length))

        def ask(method, **params):
            send(id=method, method=method, params=params)
            return receive()["result"]

        ask("create")
        ask("extension.register", extensions=[{"name": "f", "pythonPackage": {"version": "1", "files": {"__init__.py": b"x = 1\n"}}}])
        send(id="run", method="run", params={"command": "f; python3 -c 'import f; print(f.x)'", "stdin": EVERY_BYTE})
        call = receive()
        self.assertEqual((call["method"], call["params"]["cwd"]), ("extension.invoke", b"/home/user"))
        self.assertEqual(ask("extension.read", callId=call["id"]), {"data": EVERY_BYTE, "end": False})
        self.assertEqual(ask("extension.write", callId=call["id"], data=EVERY_BYTE), {})
        send(id=call["id"], result={"exitCode": 0, "stdout": b"\xff"})
        self.assertEqual(receive()["result"]["stdout"], EVERY_BYTE + b"\xff1\n")


# Programs of a guest that has opened the channel itself; CALL is a call of `f`.
HOSTILE = """
import os, struct, sys
def frame(kind, data, size=None):
    return struct.pack('<II', kind, len(data) if size is None else size) + data
CALL = frame(1, struct.pack('<II', 0, 0) + b'f\\0/\\0')
def channel():
    return os.open('/dev/cordon/call', os.O_RDWR)
def put(data):
    fd = channel()
    try:
        os.write(fd, data)
        while os.read(fd, 65536): pass
    except OSError as error:
        print(error.strerror)
    os.close(fd)
"""


class Hostile(unittest.TestCase):
    def setUp(self):
        self.calls = []
        self.sandbox = Sandbox(extensions=[Extension("f", "", lambda call: self.calls.append(call) or "fine\n", stdin="none"),
                                           Extension("eat", "", lambda stdin: str(sum(map(len, stdin))), stdin="stream")])
        self.addCleanup(self.sandbox.destroy)

    def attack(self, code, **options):
        result = self.sandbox.commands.run(f"python3 - <<'PROGRAM'\n{HOSTILE}\n{code}\nPROGRAM", **options)
        alive = self.sandbox.commands.run("f; f")
        self.assertEqual((alive.stdout, alive.stderr), ("fine\nfine\n", ""), result.stderr)
        return result

    def test_frames_that_break_the_rules(self):
        for bad in ("os.urandom(1000)", "b'\\xff' * 8", "frame(1, b'', 2**32 - 1)", "frame(1, b'', 1 << 21)", "frame(2, b'x')",
                    "frame(3, b'')", "CALL + CALL", "CALL + frame(2, b'x' * 1000)", "CALL + frame(9, b'')", "frame(1, b'')",
                    "frame(1, struct.pack('<II', 2**32 - 1, 2**32 - 1) + b'f\\0/\\0')",
                    "frame(1, struct.pack('<II', 0, 0) + b'../x\\0/\\0')", "frame(1, struct.pack('<II', 0, 0) + b'f\\0/\\0more\\0')"):
            result = self.attack(f"put({bad})")
            self.assertEqual(result.exit_code, 0, bad + result.stderr)

    def test_frames_in_pieces_and_ends_in_the_middle(self):
        self.attack("for size in range(len(CALL) + 1):\n    fd = channel()\n    os.write(fd, CALL[:size])\n    os.close(fd)")
        self.attack("fd = channel()\nfor i in range(len(CALL)):\n    os.write(fd, CALL[i:i + 1])\n"
                    "assert os.read(fd, 8) == struct.pack('<II', 2, 5)\nassert os.read(fd, 5) == b'fine\\n'")

    def test_channels_that_are_opened_and_left(self):
        result = self.attack("""
fds = []
try:
    while True: fds.append(channel())
except OSError as error:
    print(len(fds), error.strerror)
""")
        self.assertEqual(result.stdout, "16 Resource busy\n")
        self.attack("for _ in range(3000): os.close(channel())")
        before = len(self.calls)
        self.attack("""
for _ in range(300):
    fd = None
    while fd is None:
        try: fd = channel()
        except OSError: pass
    os.write(fd, CALL)
    os.close(fd)
""")
        self.assertGreaterEqual(len(self.calls), before)

    def test_a_flood(self):
        # Whatever is written after a frame that breaks the rules goes nowhere.
        result = self.attack("""
import signal
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
fd = channel()
done = 0
try:
    while done < 1 << 28: done += os.write(fd, b'\\xff' * 65536)
except OSError as error:
    print(error.strerror)
""", timeout_ms=2000)
        self.assertIn(result.error_class, (None, "TIMEOUT"))

    def test_input_beyond_what_was_wanted(self):
        self.sandbox.commands.run("true")
        self.attack("""
fd = channel()
os.write(fd, frame(1, struct.pack('<II', 0, 0) + b'eat\\0/\\0'))
kind, size = struct.unpack('<II', os.read(fd, 8))
wanted, = struct.unpack('<I', os.read(fd, 4))
assert (kind, size, wanted) == (1, 4, 131072), (kind, size, wanted)
for _ in range(wanted // 65536): pass
os.write(fd, struct.pack('<II', 2, wanted + 1))
assert os.read(fd, 8) == b''
""")

    def test_a_channel_that_many_have(self):
        self.attack("""
fd = channel()
for _ in range(20):
    if os.fork() == 0:
        try:
            for _ in range(50): os.write(fd, CALL)
        except OSError: pass
        os._exit(0)
""")


if __name__ == "__main__":
    unittest.main(verbosity=2)
