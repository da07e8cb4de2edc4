#!/usr/bin/env python3
"""File systems that a client has, mounted in live sandboxes, through both SDKs and by hand: run_virtual_mounts.py [NAME...]"""
import asyncio
import errno
import hashlib
import os
import pathlib
import random
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from run_mounts import EVERY_BYTE, ROOT, Mounted  # also finds the SDK
from cordon_sandbox import AsyncSandbox, DirEntry, FileStat, MemoryFS, RpcError, Sandbox, VirtualFileSystem
from typescript import needs_node, run_with_package

PATIENCE = 30  # seconds; nothing here takes one


class Folder:
    """All that a file system may have, over a directory of this host; counts what it was asked."""

    def __init__(self, root):
        self._root = pathlib.Path(root)
        self.asked = []

    def _at(self, name, path):
        self.asked.append((name, path))
        return self._root / path

    def stat(self, path):
        return os.lstat(self._at("stat", path))

    def readdir(self, path):
        return [entry.name for entry in os.scandir(self._at("readdir", path))]

    def read(self, path, offset, length):
        with open(self._at("read", path), "rb") as file:
            file.seek(offset)
            return file.read(length)

    def write(self, path, data, offset):
        with open(self._at("write", path), "r+b" if offset or (self._root / path).exists() else "wb") as file:
            file.seek(offset)
            return file.write(data)

    def create_file(self, path):
        self._at("create_file", path).touch(exist_ok=False)

    def truncate(self, path, size):
        os.truncate(self._at("truncate", path), size)

    def mkdir(self, path, mode):
        self._at("mkdir", path).mkdir(mode)

    def unlink(self, path):
        self._at("unlink", path).unlink()

    def rmdir(self, path):
        self._at("rmdir", path).rmdir()

    def rename(self, path, to):
        self._at("rename", path).rename(self._root / to)

    def symlink(self, target, path):
        self._at("symlink", path).symlink_to(target)

    def readlink(self, path):
        return os.readlink(self._at("readlink", path))

    def chmod(self, path, mode):
        self._at("chmod", path).chmod(mode)

    def utime(self, path, atime, mtime):
        os.utime(self._at("utime", path), (atime, mtime))


class Whole(VirtualFileSystem):
    """What has to be there, and nothing else."""

    def __init__(self):
        self.reads = 0

    def stat(self, path):
        return {"": FileStat("dir"), "file": FileStat("file", 300_000, mtime=981173106)}[path] if path in ("", "file") else None

    def readdir(self, path):
        return [DirEntry("file", "file")]

    def read_file(self, path):
        self.reads += 1
        return b"x" * 300_000


class Everything(Mounted):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "sub").mkdir()
        (self.root / "file").write_text("from the client\n")
        (self.root / "sub/other").write_bytes(EVERY_BYTE)
        self.fs = Folder(self.root)
        self.sandbox = Sandbox(mounts=[{"path": "/mnt/v", "files": self.fs}])
        self.addCleanup(self.sandbox.destroy)

    def test_what_is_there(self):
        self.check("cat /mnt/v/file; ls /mnt/v; stat -c '%F %s %a' /mnt/v/sub/other",
                   f"from the client\nfile\nsub\nregular file 256 {(self.root / 'sub/other').stat().st_mode & 0o777:o}\n")
        self.assertEqual(self.run_("cat /mnt/v/sub/other").stdout_bytes, EVERY_BYTE)
        self.check("find /mnt/v | sort; grep -r client /mnt/v", "/mnt/v\n/mnt/v/file\n/mnt/v/sub\n/mnt/v/sub/other\n/mnt/v/file:from the client\n")
        self.check("cd /mnt/v/sub; pwd -P; cd ..; pwd -P; cd", "/mnt/v/sub\n/mnt/v\n")
        self.refused("cat /mnt/v/none\ncat /mnt/v/none/x", "No such file")
        self.refused("cat /mnt/v/file/x", "Not a directory")

    def test_every_method(self):
        self.check("cd /mnt/v; echo made > new; echo more >> new; mkdir -p a/b; mv new a/b/moved; cp file copy; ln -s copy link; "
                   "chmod 600 copy; touch -d '2001-02-03 04:05:06 UTC' copy; rm file; cat link; readlink link; cd", "from the client\ncopy\n")
        self.assertEqual((self.root / "a/b/moved").read_text(), "made\nmore\n")
        found = (self.root / "copy").stat()
        self.assertEqual((found.st_mode & 0o7777, int(found.st_mtime)), (0o600, 981173106))
        self.check("rm -r /mnt/v/a; ls /mnt/v", "copy\nlink\nsub\n")
        self.check("cd /mnt/v; python3 -c \"f = open('n', 'w+'); f.write('0123456789'); f.seek(3); f.write('x'); f.truncate(6); f.seek(0); "
                   "print(f.read())\"; cat n; cd", "012x45\n012x45")
        self.refused("mkfifo /mnt/v/pipe\nln /mnt/v/copy /mnt/v/hard", "not permitted")
        self.assertEqual({name for name, _ in self.fs.asked},
                         {"stat", "readdir", "read", "write", "create_file", "truncate", "mkdir", "unlink", "rmdir", "rename", "symlink",
                          "readlink", "chmod", "utime"})

    def test_much(self):
        data = os.urandom(3_000_001)
        (self.root / "big").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        self.assertEqual(self.run_("sha256sum < /mnt/v/big").stdout.split()[0], digest)
        self.run_("cp /mnt/v/big /mnt/v/copy")
        self.assertEqual(hashlib.sha256((self.root / "copy").read_bytes()).hexdigest(), digest)
        self.check("for i in $(seq 300); do echo $i; done | (cd /mnt/v/sub; split -l 1 -a 3 - part); ls /mnt/v/sub | wc -l; cat /mnt/v/sub/part* | wc -l",
                   "301\n300\n")
        for i in range(400):
            (self.root / f"sub/{'n' * 200}{i}").touch()
        self.check("ls /mnt/v/sub | wc -l", "701\n")

    def test_the_api(self):
        self.assertEqual(self.sandbox.files.read("/mnt/v/sub/other"), EVERY_BYTE)
        self.assertEqual([entry.name for entry in self.sandbox.files.list("/mnt/v")], ["file", "sub"])
        self.sandbox.files.write("/mnt/v/by-client", b"bytes")
        self.assertEqual((self.root / "by-client").read_bytes(), b"bytes")
        self.sandbox.files.rm("/mnt/v/by-client")
        self.assertFalse((self.root / "by-client").exists())

    def test_several_at_once(self):
        processes = [self.sandbox.commands.spawn(
            ["sh", "-c", f"for i in $(seq 20); do echo $i > /mnt/v/p{n}-$i; cat /mnt/v/p{n}-$i > /dev/null || exit 1; done"]) for n in range(10)]
        for process in processes:
            self.assertEqual(process.wait(), 0)
        self.assertEqual(len(list(self.root.glob("p*-*"))), 200)

    def test_copies(self):
        fork = self.sandbox.fork()
        self.addCleanup(fork.destroy)
        self.assertEqual(fork.commands.run("cat /mnt/v/file; echo fork > /mnt/v/by-fork").stdout, "from the client\n")
        self.check("cat /mnt/v/by-fork", "fork\n")
        self.sandbox.unmount("/mnt/v")
        self.assertEqual(fork.commands.run("cat /mnt/v/file").stdout, "from the client\n")
        self.sandbox.mount("/mnt/v", self.fs)
        self.sandbox.snapshot("s")
        self.run_("echo after > /mnt/v/file")
        self.sandbox.restore("s")
        # The client's files are the client's: they are not taken back.
        self.check("cat /mnt/v/file; echo restored > /mnt/v/file; cat /mnt/v/file", "after\nrestored\n")
        self.run_("while :; do cat /mnt/v/file; done > /dev/null & while :; do echo x > /mnt/v/busy; done &")
        busy = self.sandbox.fork()
        self.assertEqual(busy.commands.run("cat /mnt/v/file").stdout, "restored\n")
        busy.destroy()
        self.sandbox.restore("s")
        self.check("cat /mnt/v/file", "restored\n")

    def test_unmounted_while_open(self):
        self.run_("cd /mnt/v; exec 5< file")
        self.sandbox.unmount("/mnt/v")
        self.refused("cat <&5\nls", "I/O error")
        self.check("cd /mnt; exec 5<&-; ls /mnt/v; cd", "")

    def test_states_do_not_have_them(self):
        state = self.sandbox.export_state()
        with Sandbox() as other:
            other.import_state(state)
            self.assertEqual(other.commands.run("ls -A /mnt/v").stdout, "")

    def test_who_comes_back_mounts_again(self):
        kept = {}
        with Sandbox(mounts={"/mnt/v": self.fs}, storage={"save": kept.__setitem__, "load": kept.__getitem__}) as self.sandbox:
            self.sandbox.offload()
            self.sandbox.rehydrate()
            self.check("ls -A /mnt/v", "")
            self.sandbox.mount("/mnt/v", self.fs)
            self.check("cat /mnt/v/file", "from the client\n")

    def test_what_was_said_may_be_believed(self):
        (self.root / "cached").write_text("before\n")
        self.sandbox.mount("/mnt/c", self.fs, cache_ms=600_000)
        self.check("cat /mnt/c/cached", "before\n")
        (self.root / "cached").write_text("after!\n")
        self.fs.asked.clear()
        self.check("cat /mnt/c/cached", "before\n")
        self.assertEqual(self.fs.asked, [])
        self.check("echo x > /mnt/c/other; cat /mnt/c/cached; cat /mnt/v/cached", "after!\nafter!\n")
        data = os.urandom(5_000_000)
        (self.root / "big").write_bytes(data)
        self.fs.asked.clear()
        script = ("import hashlib, os; fd = os.open('/mnt/c/big', 0); h = hashlib.sha256(); "
                  "[h.update(piece) for piece in iter(lambda: os.read(fd, 4096), b'')]; print(h.hexdigest())")
        self.check(f"python3 -c \"{script}\"", hashlib.sha256(data).hexdigest() + "\n")
        self.assertLess(len(self.fs.asked), 20)


class Little(Mounted):
    def test_files_of_memory(self):
        files = MemoryFS({"a": "one\n", "d/b": EVERY_BYTE}, writable=True)
        with Sandbox(mounts={"/mnt/rw": files, "/mnt/ro": MemoryFS({"c": "c\n"}), "/mnt/plain": {"d": "plain\n"}}) as self.sandbox:
            self.check("cat /mnt/*/[acd] 2>/dev/null; find /mnt/rw | sort", "plain\nc\none\n/mnt/rw\n/mnt/rw/a\n/mnt/rw/d\n/mnt/rw/d/b\n")
            self.check("cd /mnt/rw; echo two >> a; mkdir -p x/y; echo z > x/y/z; mv x w; rm d/b; rmdir d; find . | sort; cd",
                       ".\n./a\n./w\n./w/y\n./w/y/z\n")
            self.assertEqual(files.files, {"a": b"one\ntwo\n", "w/y/z": b"z\n"})
            self.refused("echo x > /mnt/ro/c\nrm /mnt/ro/c\nmkdir /mnt/ro/d\nmv /mnt/ro/c /mnt/ro/d", "Read-only file system")

    def test_only_what_has_to_be_there(self):
        fs = Whole()
        with Sandbox(mounts=[("/mnt/v", fs)]) as self.sandbox:
            self.check("stat -c '%s %Y' /mnt/v/file; wc -c < /mnt/v/file", "300000 981173106\n300000\n")
            # In pieces, and asked for once.
            self.check("cat /mnt/v/file | wc -c", "300000\n")
            self.assertLessEqual(fs.reads, 2)
            self.refused("cat /mnt/v/none", "No such file")
            self.refused("echo x > /mnt/v/file\nrm /mnt/v/file", "Read-only file system")
            self.sandbox.mount("/mnt/w", fs, writable=True)
            self.refused("echo x > /mnt/w/file", "Read-only file system")  # as its method says
            self.refused("mkdir /mnt/w/d\nrm /mnt/w/file\nmv /mnt/w/file /mnt/w/x\nln -s x /mnt/w/l\nchmod 600 /mnt/w/file", "Function not implemented")

    def test_errors(self):
        class Bad(Whole):
            def read_file(self, path):
                raise PermissionError("no")

            def stat(self, path):
                if path in ("", "denied"):
                    return super().stat("") if path == "" else FileStat("file", 5)
                raise OSError(int(path), "by number")

        with Sandbox(mounts=[("/mnt/v", Bad())]) as self.sandbox:
            self.refused("cat /mnt/v/denied", "Permission denied")
            self.refused(f"cat /mnt/v/{errno.ENOSPC}", "No space left")
            self.refused(f"cat /mnt/v/{errno.ENAMETOOLONG}", "ilename too long")
            self.refused("cat /mnt/v/100000", "I/O error")
            self.check("echo alive", "alive\n")

    def test_what_a_method_gets_wrong_is_shown(self):
        shown = []
        before, sys.excepthook = sys.excepthook, lambda kind, error, _: shown.append(str(error))
        self.addCleanup(setattr, sys, "excepthook", before)

        class Bad(Whole):
            def read_file(self, path):
                raise ValueError("a mistake")

        with Sandbox(mounts=[("/mnt/v", Bad())]) as self.sandbox:
            self.refused("cat /mnt/v/file", "I/O error")
        self.assertIn("a mistake", shown)

    def test_parameters(self):
        with Sandbox() as self.sandbox:
            for params in ({"socketPath": "relative", "key": "1"}, {"socketPath": "/no/such/socket", "key": "1"}, {"socketPath": "/etc/passwd", "key": "1"},
                           {"socketPath": "/tmp/x"}, {"socketPath": "/" + "x" * 200, "key": "1"}, {"socketPath": 5, "key": "1"},
                           {"socketPath": "/tmp/x", "key": "1", "timeoutMs": 0}, {"socketPath": "/tmp/x", "key": "1", "timeoutMs": 10_001},
                           {"socketPath": "/tmp/x", "key": "1", "cacheMs": -1}):
                with self.assertRaises(RpcError, msg=params):
                    self.sandbox._call("mount", {"path": "/mnt/bad", **params})
            self.check("ls /mnt/bad 2>/dev/null; echo alive", "alive\n")

    def test_python_async(self):
        class Slow:
            def __init__(self):
                self.now = self.most = 0

            async def stat(self, path):
                return {"type": "file", "size": 4} if path else {"type": "dir"}

            async def readdir(self, path):
                return ["a", "b"]

            async def read_file(self, path):
                self.now += 1
                self.most = max(self.most, self.now)
                try:
                    # Until another one is asked for at the same time.
                    while self.most < 2:
                        await asyncio.sleep(0.001)
                finally:
                    self.now -= 1
                return f"{path:<4}"

        async def work():
            fs = Slow()
            async with AsyncSandbox(mounts={"/mnt/v": fs}) as sandbox:
                result = await sandbox.commands.run("cat /mnt/v/a & cat /mnt/v/b & wait; ls /mnt/v")
                self.assertEqual(sorted(result.stdout.split()), ["a", "a", "b", "b"])
                await sandbox.mount("/mnt/m", MemoryFS({"f": "memory\n"}))
                self.assertEqual((await sandbox.commands.run("cat /mnt/m/f")).stdout, "memory\n")
                fork = await sandbox.fork()
                self.assertEqual((await fork.commands.run("cat /mnt/m/f")).stdout, "memory\n")
                await fork.destroy()
            self.assertEqual(fs.most, 2)
        asyncio.run(work())

    def test_coroutines_of_a_program_that_waits(self):
        class Notes(Whole):
            async def read_file(self, path):
                await asyncio.sleep(0)
                return b"later\n"

        with Sandbox(mounts=[("/mnt/v", Notes())]) as self.sandbox:
            self.check("cat /mnt/v/file", "later\n")

    @needs_node
    def test_typescript(self):
        run_with_package(self, "virtual_mounts.mjs")


REQUEST = struct.Struct("<IIIIQQII")
KINDS = {"stat": 1, "readlink": 2, "read": 3, "list": 4}


def answer(number, result, data=b""):
    return struct.pack("<IIq", 12 + len(data), number, result) + data


def stat_of(kind=stat.S_IFREG, mode=0o644, size=10):
    return struct.pack("<IIQq", kind, mode, size, 0)


def entry(name, kind=stat.S_IFREG):
    return struct.pack("<II", kind, len(name)) + name


class Peer:
    """A client that says what the test wants: reply(op, path, number) gives bytes, or None for silence."""

    def __init__(self, test, reply):
        folder = tempfile.TemporaryDirectory()
        test.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "s")
        self.reply = reply
        self.asked = threading.Semaphore(0)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        test.addCleanup(self._listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, connection.makefile("rb") as requests:
            while True:
                head = requests.read(REQUEST.size)
                if len(head) < REQUEST.size:
                    return
                size, number, op, path_bytes, offset, *_ = REQUEST.unpack(head)
                path = requests.read(size + 4 - REQUEST.size)[:path_bytes]
                if op == 0:
                    continue
                # Every file has ten bytes.
                is_end = op == KINDS["read"] and offset >= 10
                said = answer(number, 0) if is_end else self.reply(op, path, number)
                self.asked.release()
                try:
                    if said is not None:
                        connection.sendall(said)
                except OSError:
                    return


def well_behaved(op, path, number):
    if op == KINDS["stat"]:
        return answer(number, 0, stat_of(stat.S_IFREG if path else stat.S_IFDIR))
    if op == KINDS["list"]:
        return answer(number, 0, entry(b"file"))
    return answer(number, 10, b"0123456789") if op == KINDS["read"] else answer(number, -errno.ENOSYS)


class Hostile(Mounted):
    def setUp(self):
        self.sandbox = Sandbox()
        self.addCleanup(self.sandbox.destroy)

    def mount(self, reply, path="/mnt/v", **more):
        peer = Peer(self, reply)
        self.sandbox._call("mount", {"path": path, "socketPath": peer.path, "key": "k", **more})
        return peer

    def still_works(self):
        self.mount(well_behaved, "/mnt/good")
        self.check("cat /mnt/good/file; ls /mnt/good; echo mine > /tmp/x; cat /tmp/x", "0123456789file\nmine\n")
        self.sandbox.unmount("/mnt/good")

    def test_names_that_lead_elsewhere(self):
        names = [b"", b".", b"..", b"a/b", b"/etc", b"a\0b", b"x" * 256]
        current = []
        self.mount(lambda op, path, number: answer(number, 0, entry(current[0])) if op == KINDS["list"] else well_behaved(op, path, number))
        for name in names:
            current[:] = [name]
            self.refused("ls /mnt/v", "I/O error")
        for listing in (entry(b"a") + entry(b"a"), entry(b"a")[:8], entry(b"fifo", stat.S_IFIFO), b"\xff" * 100, entry(b"a", 0)):
            current[:] = []
            self.sandbox.unmount("/mnt/v")
            self.mount(lambda op, path, number: answer(number, 0, listing) if op == KINDS["list"] else well_behaved(op, path, number))
            self.refused("ls /mnt/v", "I/O error")
        self.still_works()

    def test_files_that_are_none(self):
        facts = [stat_of(stat.S_IFCHR), stat_of(stat.S_IFIFO), stat_of(stat.S_IFSOCK), stat_of(0), stat_of(mode=0o4755), stat_of(size=2**64 - 1), b"", b"short",
                 stat_of() + b"x"]
        current = []
        self.mount(lambda op, path, number: answer(number, 0, current[0]) if path else well_behaved(op, path, number))
        for one in facts:
            current[:] = [one]
            self.refused("cat /mnt/v/file\nsh /mnt/v/file", "I/O error")
        self.still_works()

    def test_sizes_that_lie(self):
        says = []
        self.mount(lambda op, path, number: says[0](number) if op == KINDS["read"] else well_behaved(op, path, number))
        for lie in (lambda n: answer(n, 11, b"0123456789"), lambda n: answer(n, 9, b"0123456789"), lambda n: answer(n, 2**62),
                    lambda n: answer(n, -(2**62)), lambda n: answer(n, -512), lambda n: answer(n, -4096), lambda n: answer(n, 10),
                    lambda n: answer(n, 2 << 20, b"x" * (2 << 20))):
            says[:] = [lie]
            self.refused("cat /mnt/v/file", "I/O error")
        # More than the size that stat said is simply read, and less too.
        says[:] = [lambda n: answer(n, 20, b"x" * 20)]
        self.assertEqual(self.run_("cat /mnt/v/file").stdout, "x" * 20)
        self.still_works()

    def test_answers_to_nobody(self):
        def reply(op, path, number):
            return answer(number + 7, 0) + answer(number, -errno.ENOENT) + answer(number, 0, stat_of()) + answer(0, 0) + answer(2**32 - 1, 5, b"12345")
        self.mount(reply)
        for _ in range(20):
            self.refused("cat /mnt/v/file", "No such file")
        self.still_works()

    def test_frames_that_are_none(self):
        for bytes_ in (b"\xff" * 64, b"\0" * 64, struct.pack("<I", 5 << 20) + b"x" * 100, struct.pack("<I", 11) + b"x" * 11):
            self.mount(lambda op, path, number, said=bytes_: said)
            self.refused("cat /mnt/v/file\nls /mnt/v", "I/O error")
            self.sandbox.unmount("/mnt/v")
        self.still_works()

    def test_nonsense_at_random(self):
        dice = random.Random(4)

        def reply(op, path, number):
            data = bytes(dice.randrange(256) for _ in range(dice.randrange(60)))
            choice = dice.randrange(6)
            if choice == 0:
                return answer(number, dice.choice([0, 1, 10, len(data), -2, -5, 2**40]), data)
            if choice == 1:
                return answer(number, 0, stat_of(dice.choice([stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK]), dice.randrange(0o1000), dice.randrange(2**54)))
            if choice == 2:
                return answer(number, 0, b"".join(entry(bytes([dice.randrange(256)]) * dice.randrange(4)) for _ in range(dice.randrange(4))))
            if choice == 3:
                return answer(number, len(data), data)
            return well_behaved(op, path, number)

        peer = self.mount(reply, writable=True)
        self.assertEqual(self.run_("for i in $(seq 60); do ls -lR /mnt/v; cat /mnt/v/file /mnt/v/a/b; echo x > /mnt/v/n; ln -s x /mnt/v/l; readlink /mnt/v/file; "
                                   "mv /mnt/v/file /mnt/v/g; rm -rf /mnt/v/a; stat -f /mnt/v; done > /tmp/out 2>&1; echo done").stdout, "done\n")
        self.assertTrue(peer.asked.acquire(timeout=PATIENCE))
        self.still_works()

    def test_links_lead_into_the_sandbox(self):
        def reply(op, path, number):
            if op == KINDS["stat"] and path == b"link":
                return answer(number, 0, stat_of(stat.S_IFLNK, 0o777))
            if op == KINDS["readlink"]:
                return answer(number, 13, b"/etc/hostname")
            return well_behaved(op, path, number)
        self.mount(reply)
        self.check("cmp /mnt/v/link /etc/hostname && echo same", "same\n")

    def test_silence(self):
        silent = self.mount(lambda *_: None, timeoutMs=200)
        start = time.monotonic()
        self.refused("cat /mnt/v/file", "I/O error")
        self.assertGreaterEqual(time.monotonic() - start, 0.2)
        self.assertTrue(silent.asked.acquire(timeout=PATIENCE))
        # Many that wait are in nobody else's way: they are ended, and others go on meanwhile.
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "f").write_text("host\n")
            self.sandbox.mount("/mnt/h", host_path=folder)
            self.sandbox.mount("/mnt/slow", Sleeper())
            process = self.sandbox.commands.spawn(["sh", "-c", "for i in $(seq 20); do cat /mnt/slow/f & done; wait"])
            self.check("cat /mnt/h/f; echo x > /tmp/x", "host\n")
            process.kill()
            process.wait()
            self.check("cat /mnt/h/f", "host\n")
        self.assertEqual(self.run_("cat /mnt/slow/f", timeout_ms=300).error_class, "TIMEOUT")

    def test_silence_towards_the_api(self):
        self.mount(lambda *_: None)
        with self.assertRaises(RpcError) as caught:
            self.sandbox.files.read("/mnt/v/a/b/c")
        self.assertEqual(caught.exception.errno, "EIO")
        self.still_works()

    def test_who_accepts_nobody(self):
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            listener.bind(folder + "/s")
            listener.listen(0)
            done = 0
            try:
                for done in range(20):
                    self.sandbox._call("mount", {"path": f"/mnt/n{done}", "socketPath": folder + "/s", "key": "k", "timeoutMs": 100})
            except RpcError as error:
                self.assertEqual(error.errno, "EAGAIN")
            self.assertLess(done, 19)
        self.still_works()

    def test_killed_in_the_middle(self):
        program = ("import sys; sys.path.insert(0, sys.argv[1]); from cordon_sandbox import virtual; import time\n"
                   "class Fs:\n"
                   "    def stat(self, path): return {'type': 'file' if path else 'dir', 'size': 1 << 40}\n"
                   "    def readdir(self, path): return []\n"
                   "    def read(self, path, offset, length): return bytes(length)\n"
                   "told = virtual.FileHost().add(Fs(), False); print(told['socketPath'], told['key'], flush=True); time.sleep(600)\n")
        client = subprocess.Popen([sys.executable, "-c", program, str(ROOT / "sdk/python")], stdout=subprocess.PIPE, text=True)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        path, key = client.stdout.readline().split()
        self.sandbox._call("mount", {"path": "/mnt/v", "socketPath": path, "key": key})
        # Endless, until nobody answers any more.
        process = self.sandbox.commands.spawn(["sh", "-c", "cat /mnt/v/zeros > /dev/null; echo ended $?; cat /mnt/v/zeros"])
        self.check("head -c 3000000 /mnt/v/zeros | wc -c", "3000000\n")
        client.send_signal(signal.SIGKILL)
        self.assertEqual(process.wait(), 1)
        self.refused("cat /mnt/v/zeros\nls /mnt/v", "I/O error")
        fork = self.sandbox.fork()
        self.assertIn("I/O error", fork.commands.run("cat /mnt/v/zeros").stderr)
        fork.destroy()
        self.still_works()


class Sleeper(Whole):
    """Answers when it is too late for everybody."""

    def stat(self, path):
        time.sleep(0.05 if path == "" else 5)
        return super().stat("")


if __name__ == "__main__":
    unittest.main(verbosity=2)
