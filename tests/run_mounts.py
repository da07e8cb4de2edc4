#!/usr/bin/env python3
"""Files in memory and directories of the host in live sandboxes: run_mounts.py [NAME...]"""
import asyncio
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, RpcError, Sandbox  # noqa: E402
from typescript import needs_node, run_with_package  # noqa: E402

EVERY_BYTE = bytes(range(256))


class Mounted(unittest.TestCase):
    def run_(self, command, **options):
        return self.sandbox.commands.run(command, **options)

    def check(self, command, output):
        result = self.run_(command)
        self.assertEqual((result.stdout, result.stderr, result.exit_code), (output, "", 0), command)

    def refused(self, command, reason):
        """All of the commands fail for this reason."""
        for one in command.splitlines():
            result = self.run_(one)
            self.assertNotEqual(result.exit_code, 0, one)
            self.assertIn(reason, result.stderr, one)


class Memory(Mounted):
    def setUp(self):
        self.sandbox = Sandbox(mounts=[
            {"path": "/mnt/tools", "files": {"run.sh": "echo ran $1\n", "deep/er/data": EVERY_BYTE, "empty": b""}},
            {"path": "/home/user/work", "files": {"notes.txt": "first\n", "sub/x": "x"}, "writable": True}])
        self.addCleanup(self.sandbox.destroy)

    def test_what_is_there(self):
        self.check("cd /mnt/tools; find . | sort; sh run.sh it; cd", ".\n./deep\n./deep/er\n./deep/er/data\n./empty\n./run.sh\nran it\n")
        self.assertEqual(self.run_("cat /mnt/tools/deep/er/data").stdout_bytes, EVERY_BYTE)
        self.assertEqual(self.sandbox.files.read("/mnt/tools/deep/er/data"), EVERY_BYTE)
        self.check("cd /mnt/tools/deep/er; pwd -P; cd ../..; pwd -P; cd ..; ls; cd", "/mnt/tools/deep/er\n/mnt/tools\ntools\n")
        self.check("wc -c < /mnt/tools/empty; test -r /mnt/tools/run.sh && echo yes", "0\nyes\n")

    def test_nobody_changes_it(self):
        self.refused("""echo x > /mnt/tools/new
echo x > /mnt/tools/run.sh
echo x >> /mnt/tools/run.sh
rm -f /mnt/tools/run.sh
rm -rf /mnt/tools/deep
mkdir /mnt/tools/d
mv /mnt/tools/run.sh /mnt/tools/other
ln -s x /mnt/tools/link
ln /mnt/tools/run.sh /mnt/tools/hard
chmod 777 /mnt/tools/run.sh
touch /mnt/tools/run.sh
truncate -s 0 /mnt/tools/run.sh
mkfifo /mnt/tools/pipe
python3 -c 'open("/mnt/tools/run.sh", "r+")'
python3 -c 'import os; os.chown("/mnt/tools/run.sh", 1000, 1000)'
python3 -c 'import os; fd = os.open("/mnt/tools", os.O_RDONLY); os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd)'
cp /bin/ls /mnt/tools/""", "Read-only file system")
        self.refused("mv /mnt/tools/run.sh /tmp/\nln /mnt/tools/run.sh /tmp/hard", "")
        for call in (lambda: self.sandbox.files.write("/mnt/tools/run.sh", b"x"), lambda: self.sandbox.files.rm("/mnt/tools/run.sh"),
                     lambda: self.sandbox.files.mkdir("/mnt/tools/a/b")):
            with self.assertRaises(RpcError) as caught:
                call()
            self.assertEqual(caught.exception.errno, "EROFS")
        self.check("sh /mnt/tools/run.sh still; test -w /mnt/tools/run.sh || echo no", "ran still\nno\n")

    def test_nobody_reaches_what_lies_behind(self):
        self.refused("ls /run/cordon-mounts\ncat /run/cordon-mounts/1/run.sh\nmv /run/cordon-mounts /tmp/x", "Permission denied")

    def test_what_is_writable_is_the_sandboxs_own(self):
        self.check("cd ~/work; echo second >> notes.txt; rm -r sub; cat notes.txt; ls; cd", "first\nsecond\nnotes.txt\n")

    def test_large_files_and_many(self):
        data = os.urandom(9 << 20)
        self.sandbox.mount("/mnt/large", {"big": data, **{f"d{i % 10}/f{i}": str(i) for i in range(300)}})
        self.assertEqual(self.run_("sha256sum < /mnt/large/big").stdout.split()[0], hashlib.sha256(data).hexdigest())
        self.check("find /mnt/large -type f | wc -l; cat /mnt/large/d7/f297", "301\n297")

    def test_unmount_and_again(self):
        self.run_("mkdir -p /tmp/at; echo below > /tmp/at/file")
        self.sandbox.mount("/tmp/at", {"above": "1"})
        self.check("ls /tmp/at", "above\n")
        with self.assertRaises(RpcError) as caught:
            self.sandbox.mount("/tmp/at", {})
        self.assertEqual(caught.exception.errno, "EBUSY")
        self.sandbox.unmount("/tmp/at")
        self.check("ls /tmp/at; cat /tmp/at/file", "file\nbelow\n")
        with self.assertRaises(RpcError) as caught:
            self.sandbox.unmount("/tmp/at")
        self.assertEqual(caught.exception.errno, "EINVAL")
        self.sandbox.mount("/tmp/at", {"again": "2"})
        self.check("cat /tmp/at/again", "2")

    def test_parameters(self):
        for path in ("../x", "/x", "a//b", "a/..", ""):
            with self.assertRaises(RpcError):
                self.sandbox.mount("/mnt/bad", {path: ""})
            with self.assertRaises(RpcError):
                self.sandbox._call("mount", {"path": "/mnt/bad", "files": {path: ""}})
        for params in ({"path": "/mnt/bad", "stageId": 99}, {"path": "/", "files": {}}, {"path": "/mnt/bad", "files": 5},
                       {"path": "/etc/passwd", "files": {}}, {"path": "/mnt/bad", "hostPath": "relative"},
                       {"path": "/mnt/bad", "hostPath": "/no/such/place"}, {"path": "/mnt/bad", "hostPath": "/etc/passwd"}):
            with self.assertRaises(RpcError, msg=params):
                self.sandbox._call("mount", params)
        self.sandbox._call("mount", {"path": "/mnt/plain", "files": {"a/b": "text"}, "filesBase64": {"c": "/w=="}})
        self.check("cat /mnt/plain/a/b; od -An -tx1 /mnt/plain/c", "text ff\n")

    def test_copies_have_them(self):
        self.sandbox.snapshot("s")
        fork = self.sandbox.fork()
        self.addCleanup(fork.destroy)
        self.assertEqual(fork.commands.run("sh /mnt/tools/run.sh fork; echo x > /mnt/tools/new").stdout, "ran fork\n")
        self.sandbox.unmount("/mnt/tools")
        self.check("ls /mnt/tools", "")
        self.sandbox.restore("s")
        self.check("sh /mnt/tools/run.sh restored", "ran restored\n")
        self.refused("rm /mnt/tools/run.sh", "Read-only file system")

    def test_states_do_not_have_them(self):
        state = self.sandbox.export_state()
        with Sandbox() as other:
            other.import_state(state)
            self.assertEqual(other.commands.run("ls /mnt/tools; ls /run; cat ~/work/notes.txt").stdout.splitlines()[-1], "first")


class Host(Mounted):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.world = pathlib.Path(folder.name)
        self.root = self.world / "root"
        (self.root / "sub").mkdir(parents=True)
        (self.root / "file").write_text("from the host\n")
        (self.root / "sub/other").write_bytes(EVERY_BYTE)
        (self.world / "secret").write_text("outside\n")
        self.sandbox = Sandbox(mounts=[{"path": "/mnt/ro", "host_path": self.root},
                                       {"path": "/mnt/rw", "host_path": self.root, "writable": True}])
        self.addCleanup(self.sandbox.destroy)

    def test_what_is_there_at_every_moment(self):
        self.check("cat /mnt/ro/file; ls /mnt/ro; stat -c '%F %s %a' /mnt/ro/sub/other",
                   f"from the host\nfile\nsub\nregular file 256 {(self.root / 'sub/other').stat().st_mode & 0o777:o}\n")
        (self.root / "later").write_text("later\n")
        self.check("cat /mnt/ro/later", "later\n")
        (self.root / "later").unlink()
        self.refused("cat /mnt/ro/later", "No such file")
        self.check("cd /mnt/ro/sub; pwd -P; cd ..; pwd -P; cd ../..; pwd; cd", "/mnt/ro/sub\n/mnt/ro\n/\n")
        self.assertEqual(self.sandbox.files.read("/mnt/ro/sub/other"), EVERY_BYTE)
        self.assertEqual([entry.name for entry in self.sandbox.files.list("/mnt/ro")], ["file", "sub"])
        self.check("find /mnt/ro | sort; grep -r host /mnt/ro", "/mnt/ro\n/mnt/ro/file\n/mnt/ro/sub\n/mnt/ro/sub/other\n"
                   "/mnt/ro/file:from the host\n")
        self.assertGreater(int(self.run_("df --output=size /mnt/ro | tail -n 1").stdout), 0)

    def test_read_only(self):
        self.refused("""echo x > /mnt/ro/new
echo x > /mnt/ro/file
rm -f /mnt/ro/file
mkdir /mnt/ro/d
mv /mnt/ro/file /mnt/ro/g
ln -s x /mnt/ro/link
chmod 777 /mnt/ro/file
touch /mnt/ro/file
truncate -s 0 /mnt/ro/file
python3 -c 'open("/mnt/ro/file", "r+")'""", "Read-only file system")
        with self.assertRaises(RpcError) as caught:
            self.sandbox.files.write("/mnt/ro/file", b"x")
        self.assertEqual(caught.exception.errno, "EROFS")
        self.assertEqual((self.root / "file").read_text(), "from the host\n")

    def test_changes_arrive(self):
        self.check("cd /mnt/rw; echo made > new; echo more >> new; mkdir -p a/b; mv new a/b/moved; cp file copy; ln -s copy link; "
                   "chmod 600 copy; touch -d '2001-02-03 04:05:06 UTC' copy; rm file; cat link; cd", "from the host\n")
        self.assertEqual((self.root / "a/b/moved").read_text(), "made\nmore\n")
        self.assertEqual(os.readlink(self.root / "link"), "copy")
        self.assertFalse((self.root / "file").exists())
        stat = (self.root / "copy").stat()
        self.assertEqual((stat.st_mode & 0o7777, int(stat.st_mtime)), (0o600, 981173106))
        self.check("rm -r /mnt/rw/a; ls /mnt/rw", "copy\nlink\nsub\n")
        self.check("cd /mnt/rw; python3 -c \"f = open('n', 'w+'); f.write('0123456789'); f.seek(3); f.write('x'); f.truncate(6); f.seek(0); "
                   "print(f.read())\"; cat n; cd", "012x45\n012x45")
        self.check("cd /mnt/rw; for i in $(seq 200); do echo $i > f$i; done; ls | wc -l; rm f*; ls | wc -l; cd", "204\n4\n")
        self.sandbox.files.write("/mnt/rw/by-client", b"bytes")
        self.assertEqual((self.root / "by-client").read_bytes(), b"bytes")

    def test_never_more_than_permissions(self):
        self.run_("cd /mnt/rw; echo x > s; chmod 6777 s; cp --preserve=mode s t; mkdir -m 7777 d; mknod dev c 1 3; mkfifo pipe; cd")
        for name in ("s", "t", "d"):
            self.assertEqual((self.root / name).stat().st_mode & 0o7000, 0, name)
        self.assertFalse((self.root / "dev").exists() or (self.root / "pipe").exists())

    def test_many_bytes(self):
        data = os.urandom(20_000_000)
        (self.root / "big").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        self.check("sha256sum < /mnt/ro/big; cp /mnt/ro/big /mnt/rw/copied; cmp /mnt/ro/big /mnt/rw/copied", f"{digest}  -\n")
        self.assertEqual(hashlib.sha256((self.root / "copied").read_bytes()).hexdigest(), digest)
        self.check("dd if=/mnt/ro/big bs=4096 status=none | sha256sum", f"{digest}  -\n")

    def test_many_names(self):
        for i in range(3000):
            (self.root / f"{i:04}-{'n' * 100}").touch()
        self.check("ls /mnt/ro | wc -l; ls /mnt/ro | tail -n 3 | head -n 1 | cut -c1-4", "3002\n2999\n")

    def test_programs(self):
        (self.root / "script").write_text("#!/bin/sh\necho script $1\n")
        (self.root / "script").chmod(0o755)
        (self.root / "mod.py").write_text("x = 7\n")
        self.check("/mnt/ro/script one; python3 -c 'import sys; sys.path.insert(0, \"/mnt/ro\"); import mod; print(mod.x)'", "script one\n7\n")
        # Programs are those of the userland; a copy of one is none here.
        self.refused("cp /bin/true /mnt/rw/true; /mnt/ro/true", "cannot execute")

    def test_links_lead_into_the_sandbox(self):
        (self.root / "absolute").symlink_to(self.world / "secret")
        (self.root / "relative").symlink_to("../secret")
        (self.root / "passwd").symlink_to("/etc/passwd")
        (self.root / "up").symlink_to("..")
        self.refused("cat /mnt/ro/absolute\ncat /mnt/ro/relative\ncat /mnt/ro/up/secret", "No such file")
        # What is named is the sandbox's own.
        self.check("cmp /mnt/ro/passwd /etc/passwd && ls /mnt/ro/up/", "ro\nrw\n")
        self.run_("cd /mnt/rw; ln -s /etc/passwd planted; echo x > planted; ln -s ../../.. far; cat far/etc/passwd > got; cd")
        self.assertEqual(os.readlink(self.root / "planted"), "/etc/passwd")
        self.assertNotEqual((self.root / "got").read_text(), pathlib.Path("/etc/passwd").read_text())

    def test_directories_that_become_links(self):
        (self.root / "swap").mkdir()
        (self.root / "swap/secret").write_text("harmless\n")
        (self.root / "other").symlink_to(self.world)
        stops = threading.Event()

        def swap():
            while not stops.is_set():
                os.rename(self.root / "swap", self.root / "third")
                os.rename(self.root / "other", self.root / "swap")
                os.rename(self.root / "swap", self.root / "other")
                os.rename(self.root / "third", self.root / "swap")

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            result = self.run_("for i in $(seq 400); do cat /mnt/rw/swap/secret; echo harmless > /mnt/rw/swap/secret; done 2>/dev/null | sort -u")
        finally:
            stops.set()
            thread.join()
        self.assertIn(result.stdout, ("harmless\n", ""))
        self.assertEqual((self.world / "secret").read_text(), "outside\n")

    def test_what_is_no_file_is_not_shown(self):
        os.mkfifo(self.root / "pipe")
        self.check("ls /mnt/ro", "file\nsub\n")
        self.refused("cat /mnt/ro/pipe\necho x > /mnt/rw/pipe", "Permission denied")

    def test_removed_while_open(self):
        # A name is what the host has under it, as with a file server of a network.
        self.check("exec 5< /mnt/ro/file; head -c 4 <&5; echo", "from\n")
        (self.root / "file").unlink()
        self.refused("sleep 0.3; cat <&5", "No such file")
        self.run_("exec 5<&-")
        (self.root / "sub/other").unlink()
        (self.root / "sub").rmdir()
        (self.root / "sub").write_text("a file now")
        self.check("cat /mnt/ro/sub", "a file now")

    def test_unmounted_while_open(self):
        self.run_("cd /mnt/ro; exec 5< file")
        self.sandbox.unmount("/mnt/ro")
        self.refused("cat <&5\nls", "I/O error")
        self.check("cd /mnt; exec 5<&-; ls /mnt/ro; cat /mnt/rw/file; cd", "from the host\n")

    def test_the_directory_itself_goes(self):
        shutil.rmtree(self.root)
        self.refused("cat /mnt/ro/file", "No such file")
        result = self.run_("echo x > /mnt/rw/new")
        self.assertNotEqual(result.exit_code, 0)
        self.check("echo alive", "alive\n")

    def test_several_at_once(self):
        processes = [self.sandbox.commands.spawn(
            ["sh", "-c", f"for i in $(seq 50); do echo $i > /mnt/rw/p{n}-$i; cat /mnt/ro/p{n}-$i > /dev/null || exit 1; done"])
            for n in range(10)]
        for process in processes:
            self.assertEqual(process.wait(), 0)
        self.assertEqual(len(list(self.root.glob("p*-*"))), 500)
        self.check("seq 500 | xargs -P 8 -n 25 sh -c 'cat /mnt/ro/p1-1 /mnt/ro/file' | wc -l", "40\n")

    def test_locks(self):
        self.check("python3 -c 'import fcntl; fcntl.flock(open(\"/mnt/rw/file\"), fcntl.LOCK_EX); print(\"locked\")'; sqlite3 /mnt/rw/db 'create table t(x); insert into t values(5); "
                   "select x from t'", "locked\n5\n")

    def test_copies(self):
        fork = self.sandbox.fork()
        self.addCleanup(fork.destroy)
        self.assertEqual(fork.commands.run("cat /mnt/ro/file; echo fork > /mnt/rw/by-fork").stdout, "from the host\n")
        self.check("cat /mnt/rw/by-fork", "fork\n")
        self.sandbox.unmount("/mnt/ro")
        self.assertEqual(fork.commands.run("cat /mnt/ro/file").stdout, "from the host\n")
        self.sandbox.snapshot("s")
        self.run_("echo after > /mnt/rw/file")
        self.sandbox.restore("s")
        # The host's files are the host's: they are not taken back.
        self.check("cat /mnt/rw/file; echo restored > /mnt/rw/file; cat /mnt/rw/file", "after\nrestored\n")
        for _ in range(5):
            self.sandbox.restore("s")
            self.check("cat /mnt/rw/file", "restored\n")

    def test_there_is_an_end(self):
        done = 0
        with self.assertRaises(RpcError) as caught:
            while True:
                self.sandbox.mount(f"/mnt/n{done}", host_path=self.root)
                done += 1
        self.assertEqual((caught.exception.errno, done), ("ENOSPC", 30))
        self.check("cat /mnt/n29/file", "from the host\n")

    def test_killed_in_the_middle(self):
        self.run_("timeout 0.5 sh -c 'while :; do cat /mnt/ro/file /mnt/ro/sub/other > /dev/null; done'")
        self.assertEqual(self.run_("while :; do ls -lR /mnt/ro > /dev/null; done", timeout_ms=500).error_class, "TIMEOUT")
        self.check("cat /mnt/ro/file", "from the host\n")


class Sdks(unittest.TestCase):
    def test_python_async(self):
        async def work(folder):
            pathlib.Path(folder, "f").write_text("host\n")
            async with AsyncSandbox(mounts=[{"path": "/mnt/h", "host_path": folder}]) as sandbox:
                await sandbox.mount("/mnt/m", {"f": "memory\n"})
                self.assertEqual((await sandbox.commands.run("cat /mnt/?/f")).stdout, "host\nmemory\n")
                await sandbox.unmount("/mnt/m")
                self.assertEqual((await sandbox.commands.run("ls /mnt/m")).stdout, "")
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(work(folder))

    @needs_node
    def test_typescript(self):
        run_with_package(self, "mounts.mjs")


if __name__ == "__main__":
    unittest.main(verbosity=2)
