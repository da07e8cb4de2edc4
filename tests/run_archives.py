#!/usr/bin/env python3
"""How archives get in and out of a daemon: as descriptors over its socket, and through the process that reads them: run_archives.py [NAME...]"""
import fcntl
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import tarfile
import tempfile
import unittest

from processes import answers, eventually

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
sys.path.insert(0, str(ROOT / "sdk/python"))

from cordon_sandbox import RpcError, Sandbox  # noqa: E402


def tar_of(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def memory(data, seals=SEALS):
    fd = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.descriptors = []

    def ask(self, method, descriptor=None, **params):
        """The result, or the text of the refusal."""
        line = (json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n").encode()
        if descriptor is None:
            self.socket.sendall(line)
        else:
            # With its first byte.
            socket.send_fds(self.socket, [line[:1]], [descriptor])
            self.socket.sendall(line[1:])
        answer = b""
        while not answer.endswith(b"\n"):
            data, descriptors, _, _ = socket.recv_fds(self.socket, 1 << 16, 4)
            assert data, "the daemon has closed the connection"
            answer += data
            self.descriptors += descriptors
        answer = json.loads(answer)
        return answer["result"] if "result" in answer else answer["error"]["message"]

    def close(self):
        self.socket.close()
        for descriptor in self.descriptors:
            os.close(descriptor)


class Handed(unittest.TestCase):
    """Archives as sealed files in memory."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = folder.name + "/s"
        self.daemon = subprocess.Popen([BUILD / "cordon", "serve", "--unix", self.path])
        self.addCleanup(self.daemon.wait)
        self.addCleanup(self.daemon.terminate)
        self.assertTrue(eventually(lambda: answers(self.path)))
        self.client = Client(self.path)
        self.addCleanup(self.client.close)
        self.client.ask("create", fsLimitBytes=8 << 20)

    def give(self, descriptor):
        try:
            return self.client.ask("blob.give", descriptor)
        finally:
            os.close(descriptor)

    def test_in_and_out(self):
        blob = self.give(memory(tar_of(f=b"hello", g=b"x" * 300_000)))["blobId"]
        self.assertEqual(self.client.ask("files.unpack", path="/tmp/t", blobId=blob)["entries"], 2)
        self.assertEqual(self.client.ask("run", command="cat /tmp/t/f; wc -c < /tmp/t/g")["stdout"], "hello300000\n")
        report = self.client.ask("files.pack", path="/tmp/t")
        self.assertEqual(self.client.ask("blob.take", blobId=report["blobId"]), {})
        [taken] = self.client.descriptors
        data = os.pread(taken, report["size"] + 1, 0)
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            self.assertEqual((len(data), sorted(tar.getnames()), tar.extractfile("f").read()), (report["size"], ["f", "g"], b"hello"))
        # It is the keeper's own, too.
        with self.assertRaises(PermissionError):
            os.pwrite(taken, b"x", 0)
        self.assertEqual(self.client.ask("blob.free", blobId=report["blobId"]), {})

    def test_what_somebody_may_change_is_refused(self):
        self.assertEqual(self.client.ask("blob.give"), "No descriptor came with the request")
        tar = tar_of(f=b"hello")
        for seals in (0, fcntl.F_SEAL_WRITE, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW):
            self.assertIn("that is sealed", self.give(memory(tar, seals)))
        with tempfile.TemporaryFile() as file:
            file.write(tar)
            file.flush()
            self.assertIn("that is sealed", self.client.ask("blob.give", file.fileno()))
        reader, writer = os.pipe()
        self.assertIn("that is sealed", self.give(reader))
        os.close(writer)
        self.assertIn("blobId", self.give(memory(tar)))

    def test_no_more_than_the_sandbox_may_have(self):
        large = os.memfd_create("test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(large, 1 << 40)
        fcntl.fcntl(large, fcntl.F_ADD_SEALS, SEALS)
        self.assertIn("more bytes than the sandbox may have", self.give(large))
        for _ in range(8):
            self.assertIn("blobId", self.give(memory(b"x")))
        self.assertIn("more than 8 archives", self.give(memory(b"x")))

    def test_descriptors_that_nobody_wants_are_closed(self):
        before = len(os.listdir(f"/proc/{self.daemon.pid}/fd"))
        descriptor = memory(b"x")
        for _ in range(40):
            self.assertIn("version", self.client.ask("version", descriptor))
        os.close(descriptor)
        self.assertLessEqual(len(os.listdir(f"/proc/{self.daemon.pid}/fd")), before + 8)
        # They go with their client.
        self.client.close()
        self.client.descriptors = []
        self.assertTrue(eventually(lambda: len(os.listdir(f"/proc/{self.daemon.pid}/fd")) < before))

    def test_not_over_pipes(self):
        with subprocess.Popen([BUILD / "cordon", "serve", "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as daemon:
            def ask(method, **params):
                daemon.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
                daemon.stdin.flush()
                return json.loads(daemon.stdout.readline())
            ask("create")
            blob = ask("files.pack", path="/tmp")["result"]["blobId"]
            self.assertEqual(ask("blob.take", blobId=blob)["error"]["message"], "No descriptor can go over this connection")
            self.assertEqual(ask("blob.give")["error"]["message"], "No descriptor came with the request")
            daemon.stdin.close()


class Reader(unittest.TestCase):
    """cordon-unpack, or what a hostile archive may have made of it."""

    def sandbox_with(self, text):
        folder = tempfile.TemporaryDirectory(dir=BUILD / "tests")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        os.link(BUILD / "cordon", self.folder / "cordon")
        for program in ("cordon-template", "cordon-compile", "userland.img"):
            (self.folder / program).symlink_to(BUILD / program)
        if text is not None:
            reader = self.folder / "cordon-unpack"
            reader.write_text("#!/bin/sh\n" + text + "\n")
            reader.chmod(0o755)
        sandbox = Sandbox(program=str(self.folder / "cordon"))
        self.addCleanup(sandbox.kill)
        return sandbox

    def test_whatever_becomes_of_it_nothing_is_left_behind(self):
        for text, refusal in (("kill -SEGV $$", "archive: its reader was ended by signal 11 SIGSEGV before it was done"),
                              ("exit 0", "archive: its reader ended with status 0 before it was done"),
                              ("cat /proc/self/status", "archive: its reader says nonsense"),
                              (None, "posix_spawn")):
            sandbox = self.sandbox_with(text)
            sandbox.commands.run("mkdir /tmp/into; echo kept > /tmp/into/f")
            look = "find / -xdev 2>/dev/null | sort | sha256sum; cat /tmp/into/f"
            before = sandbox.commands.run(look).stdout
            for attempt in (lambda: sandbox.files.unpack("/tmp/into", tar_of(f=b"new", g=b"x")),
                            lambda: sandbox.import_state(tar_of(f=b"new"))):
                with self.assertRaises(RpcError) as caught:
                    attempt()
                self.assertIn(refusal, str(caught.exception))
                self.assertEqual(sandbox.commands.run(look).stdout, before)
            sandbox.kill()

    def test_one_that_dies_between_two_files_says_so(self):
        """The real one, ended in the middle of what it says: what it has said is there, and the error is clear."""
        sandbox = self.sandbox_with(f'[ "$4" = 1 ] && exec {BUILD}/cordon-unpack "$@"\n{BUILD}/cordon-unpack "$@" | head -c 120; kill -SEGV $$')
        with self.assertRaises(RpcError) as caught:
            sandbox.files.unpack("/tmp/into", tar_of(f=b"new", g=b"x" * 100_000))
        # How it ended may be heard of by whoever looks after the sandbox's processes meanwhile.
        self.assertRegex(str(caught.exception), "archive: its reader (was ended by signal 11 SIGSEGV|ended) before it was done")
        self.assertEqual(sandbox.commands.run("cat /tmp/into/f; test -e /tmp/into/g; echo $?").stdout, "new1\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
