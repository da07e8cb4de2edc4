#!/usr/bin/env python3
"""A daemon's socket in the file system: who may connect, when, and which daemon has it: run_daemon.py [NAME...]"""
import json
import os
import pathlib
import socket
import subprocess
import tempfile
import unittest

from processes import answers, eventually

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.path = str(self.folder / "s")

    def start(self, path=None):
        daemon = subprocess.Popen([CORDON, "serve", "--unix", path or self.path], stderr=subprocess.PIPE, text=True, cwd=self.folder)
        self.addCleanup(daemon.stderr.close)
        self.addCleanup(self.end, daemon)
        return daemon

    @staticmethod
    def end(daemon):
        if daemon.poll() is None:
            daemon.terminate()
        daemon.wait()

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def leave_stale(self):
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(self.path)


class Socket(Case):
    def test_whoever_sees_it_can_connect(self):
        for _ in range(20):
            daemon = self.start()
            while not os.path.exists(self.path):
                self.assertIsNone(daemon.poll())
            self.assertEqual((answers(self.path), os.stat(self.path).st_mode & 0o777), (True, 0o600))
            self.end(daemon)
            self.assertEqual(self.names(), [])

    def test_one_of_many(self):
        """Also where one that is gone has left its socket."""
        for prepare in (lambda: None, self.leave_stale):
            prepare()
            daemons = [self.start() for _ in range(6)]
            self.assertTrue(eventually(lambda: sum(daemon.poll() is not None for daemon in daemons) == 5))
            ended = [daemon for daemon in daemons if daemon.poll() is not None]
            self.assertEqual(len(ended), 5)
            for daemon in ended:
                self.assertEqual((daemon.returncode, "another daemon answers here" in daemon.stderr.read()), (125, True))
            self.assertTrue(answers(self.path))
            self.assertEqual(self.names(), ["s"])
            self.end(next(daemon for daemon in daemons if daemon not in ended))
            self.assertEqual(self.names(), [])

    def test_what_is_no_socket_stays(self):
        pathlib.Path(self.path).write_text("mine")
        daemon = self.start()
        self.assertEqual((daemon.wait(), "is there and is no socket" in daemon.stderr.read()), (125, True))
        self.assertEqual((pathlib.Path(self.path).read_text(), self.names()), ("mine", ["s"]))

    def test_paths(self):
        for path, text in (("x" * 108, "a socket's path has 1 to 107 bytes"), ("nowhere/s", "No such file")):
            daemon = self.start(path)
            self.assertEqual((daemon.wait(), text in daemon.stderr.read()), (125, True), path)
        self.start("relative")
        self.assertTrue(eventually(lambda: answers(self.folder / "relative")))


class Archives(Case):
    """Those that wait in a sandbox for a client that has gone."""

    def test_they_go_with_their_client(self):
        self.start()
        self.assertTrue(eventually(lambda: answers(self.path)))

        def ask(stream, method, **params):
            stream.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
            stream.flush()
            return json.loads(stream.readline())
        with self.connect() as owner:
            sandbox = ask(owner, "create", detached=True)["result"]["sandboxId"]
            for _ in range(3):
                with self.connect() as client:
                    for _ in range(4):
                        self.assertIn("result", ask(client, "blob.write", sandboxId=sandbox, data="x" * 1000))
                        self.assertIn("result", ask(client, "files.pack", sandboxId=sandbox, path="/tmp"))
                    self.assertIn("more than 8 archives", ask(client, "blob.write", sandboxId=sandbox, data="x")["error"]["message"])
                # It may be heard of later than what the next one asks.
                self.assertTrue(eventually(lambda: "result" in ask(owner, "blob.write", sandboxId=sandbox, data="own")))
                kept = ask(owner, "blob.write", sandboxId=sandbox, data="own")["result"]["blobId"]
                for blob in (kept - 1, kept):
                    self.assertIn("result", ask(owner, "blob.free", sandboxId=sandbox, blobId=blob))

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.path)
        stream = client.makefile("rw")
        client.close()  # with the stream
        return stream


if __name__ == "__main__":
    unittest.main(verbosity=2)
