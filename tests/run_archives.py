#!/usr/bin/env python3
"""How archives get in and out of a daemon: as descriptors over its socket, and through the process that reads them: run_archives.py [NAME...]"""
import asyncio
import fcntl
import gc
import io
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tarfile
import tempfile
import unittest
import unittest.mock

from processes import answers, eventually

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = str(BUILD / "cordon")

from cordon_sandbox import AsyncSandbox, RpcError, Sandbox, SandboxError, _channel  # noqa: E402


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

    def test_an_export_into_a_file_of_the_client(self):
        self.client.ask("run", command="head -c 3000000 /dev/urandom > /tmp/large; sha256sum < /tmp/large > /tmp/sum")
        with tempfile.NamedTemporaryFile() as file:
            # Only its own part of the process is open: the answer has no number of an archive that waits.
            report = self.client.ask("persistence.export", file.fileno(), intoFile=True)
            self.assertNotIn("blobId", report)
            self.assertEqual(os.fstat(file.fileno()).st_size, report["size"])
            with tarfile.open(file.name) as tar:
                index = json.load(tar.extractfile("index.json"))
                self.assertEqual(index["manifests"][0]["digest"], report["digest"])
            other = self.client.ask("create")["sandboxId"]
            blob = self.client.ask("blob.give", memory(file.read()), sandboxId=other)["blobId"]
            self.client.ask("persistence.import", sandboxId=other, blobId=blob)
            self.assertEqual(self.client.ask("run", sandboxId=other, command="sha256sum < /tmp/large | cmp - /tmp/sum && echo same")["stdout"], "same\n")

    def test_files_that_no_export_goes_into(self):
        def refusal(descriptor):
            try:
                return self.client.ask("persistence.export", descriptor, intoFile=True)
            finally:
                os.close(descriptor)
        with tempfile.NamedTemporaryFile() as file:
            for flags in (os.O_RDONLY, os.O_WRONLY | os.O_APPEND):
                self.assertIn("an empty regular file that is open for writing", refusal(os.open(file.name, flags)))
            os.pwrite(file.fileno(), b"mine", 0)
            self.assertIn("an empty regular file", refusal(os.open(file.name, os.O_WRONLY)))
            self.assertEqual(pathlib.Path(file.name).read_bytes(), b"mine")
        reader, writer = os.pipe()
        self.assertIn("an empty regular file", refusal(writer))
        os.close(reader)
        self.assertEqual(self.client.ask("persistence.export", intoFile=True), "No descriptor came with the request")
        self.assertIn("an empty regular file", refusal(os.open("/dev/full", os.O_WRONLY)))
        # Nothing of them is taken for what comes next.
        self.assertEqual(self.client.ask("files.unpack", path="/tmp/t", blobId=self.give(memory(tar_of(f=b"hello")))["blobId"])["entries"], 1)

    def test_a_disk_that_is_full(self):
        script = f"""
            mount -t tmpfs -o size=2m none /mnt && cd /mnt && export CORDON_SOCKET={self.path}.full
            {BUILD}/cordon serve --unix $CORDON_SOCKET & while ! [ -S $CORDON_SOCKET ]; do sleep 0.01; done
            id=$({BUILD}/cordon create); {BUILD}/cordon exec --sandbox $id -- bash -c 'head -c 4000000 /dev/urandom > large'
            {BUILD}/cordon export $id state.tar; echo "status $?, left: $(ls -A)"; {BUILD}/cordon exec --sandbox $id -- wc -c large
            kill $!; wait $!"""
        told = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", script], capture_output=True, text=True)
        self.assertIn("No space left on device", told.stderr)
        self.assertEqual(told.stdout, "status 125, left: \n4000000 large\n", told.stderr)

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


class Python(unittest.TestCase):
    """The SDK, whose daemon is at the other end of a socket of its own."""

    def setUp(self):
        before = self.open_files()
        # What was opened here is closed again.
        self.addCleanup(lambda: self.assertEqual(self.open_files(), before))

    @staticmethod
    def open_files():
        gc.collect()
        return sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))

    def asked(self, daemon):
        """Methods that a daemon is asked from now on."""
        methods = []
        name = "start" if hasattr(daemon, "start") else "call"
        real = getattr(daemon, name)

        def record(method, *rest, **more):
            methods.append(method)
            return real(method, *rest, **more)
        setattr(daemon, name, record)
        return methods

    def there_and_back(self, sandbox, other):
        data = random.Random(1).randbytes(9_000_000)
        sandbox.files.write("/tmp/d/data", data)
        asked = self.asked(sandbox._daemon), self.asked(other._daemon)
        other.import_state(sandbox.export_state())
        self.assertEqual(other.files.read("/tmp/d/data"), data)
        other.files.unpack("/tmp/e", sandbox.files.pack("/tmp/d"))
        self.assertEqual(other.commands.run("cmp /tmp/d/data /tmp/e/data && echo same").stdout, "same\n")
        return [{method for method in methods if method.startswith("blob.")} for methods in asked]

    def test_archives_go_as_descriptors(self):
        with Sandbox() as sandbox, Sandbox() as other:
            self.assertEqual(self.there_and_back(sandbox, other), [{"blob.take", "blob.free"}, {"blob.give"}])

    def test_and_in_pieces_where_there_are_none(self):
        with unittest.mock.patch.object(_channel, "HAS_DESCRIPTORS", False), Sandbox() as sandbox, Sandbox() as other:
            self.assertEqual(self.there_and_back(sandbox, other), [{"blob.read", "blob.free"}, {"blob.write"}])

    def test_what_is_refused(self):
        with Sandbox(fs_limit_bytes=2 << 20) as sandbox:
            for data, words in ((b"", "archive"), (b"nonsense", "archive"), (tar_of(f=b"x" * (4 << 20)), "")):
                with self.assertRaisesRegex(RpcError, words):
                    sandbox.import_state(data)
            with self.assertRaises(RpcError):
                sandbox.files.pack("/nowhere")
            # Of an answer that is a refusal nothing was to be taken.
            with self.assertRaises(RpcError):
                sandbox._take_blob({"blobId": 77, "size": 1})
            sandbox.files.unpack("/tmp/t", memoryview(tar_of(f=b"hello")))
            self.assertEqual(sandbox.files.read("/tmp/t/f"), b"hello")
            with self.assertRaises(TypeError):
                sandbox.import_state("text")

    def test_a_daemon_that_is_gone(self):
        sandbox = Sandbox()
        sandbox._daemon._process.kill()
        sandbox._daemon._process.wait()
        with self.assertRaisesRegex(SandboxError, "ended"):
            sandbox.import_state(tar_of(f=b"hello"))
        sandbox._daemon.close()

    def test_asyncio(self):
        data = random.Random(2).randbytes(3_000_000)

        async def use():
            async with AsyncSandbox() as sandbox:
                copies = await sandbox.fork(count=4)
                methods = self.asked(sandbox._daemon)
                archives = [tar_of(f=data, n=str(number).encode()) for number in range(4)]

                async def work(copy, number):
                    # More than the socket holds, so that descriptors wait for their turn.
                    await asyncio.gather(*(copy.files.write(f"/tmp/{name}", data) for name in "abc"),
                                         copy.files.unpack("/tmp/t", archives[number]))
                    state = await copy.export_state()
                    self.assertEqual(await copy.files.read("/tmp/t/n"), str(number).encode())
                    await copy.import_state(state)
                    done = await copy.commands.run("cat /tmp/t/n; cmp /tmp/a /tmp/t/f && cmp /tmp/b /tmp/c && echo same")
                    await copy.destroy()
                    return done.stdout
                words = await asyncio.gather(*(work(copy, number) for number, copy in enumerate(copies)))
                return words, {method for method in methods if method.startswith("blob.")}
        self.assertEqual(asyncio.run(use()), ([f"{number}same\n" for number in range(4)], {"blob.give", "blob.take", "blob.free"}))

    def test_asyncio_that_is_given_up(self):
        """An archive that nobody waits for any more is closed when it comes, and the next one is the next one's."""
        async def use():
            async with AsyncSandbox() as sandbox:
                await sandbox.files.write("/tmp/d/data", b"first")
                report = await sandbox._call("files.pack", {"path": "/tmp/d"})
                task = asyncio.ensure_future(sandbox._call("blob.take", {"blobId": report["blobId"]}, takes=True))
                await asyncio.sleep(0)  # it is sent
                task.cancel()
                with self.assertRaises(asyncio.CancelledError):
                    await task
                await sandbox.files.write("/tmp/d/data", b"second")
                with tarfile.open(fileobj=io.BytesIO(await sandbox.files.pack("/tmp/d"))) as tar:
                    return tar.extractfile("data").read()
        self.assertEqual(asyncio.run(use()), b"second")

    def test_asyncio_and_a_daemon_that_is_gone(self):
        async def use():
            sandbox = await AsyncSandbox.create()
            sandbox._daemon._process.kill()
            await sandbox._daemon._process.wait()
            with self.assertRaisesRegex(SandboxError, "ended"):
                await sandbox.import_state(tar_of(f=b"hello"))
            await sandbox._daemon.close()
        asyncio.run(use())


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
