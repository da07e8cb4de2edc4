#!/usr/bin/env python3
"""Files of sandboxes that live, through the SDKs: run_live_files.py [NAME...]"""
import os
import pathlib
import sys
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import RpcError, Sandbox  # noqa: E402


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sandbox = Sandbox()
        cls.files = cls.sandbox.files

    @classmethod
    def tearDownClass(cls):
        cls.sandbox.destroy()

    def test_read_and_write(self):
        data = os.urandom(9_000_000)
        self.files.write("/home/user/new/dir/large", data)
        self.assertEqual(self.files.read("new/dir/large"), data)
        self.assertEqual(self.files.read("new/dir/large", offset=5_000_001, length=10), data[5_000_001:5_000_011])
        self.files.write("new/small", "text")
        self.files.write("new/small", " more", append=True)
        self.assertEqual(self.sandbox.commands.run("cat new/small; stat -c '%U %a' new/small").stdout,
                         "text moreuser 644\n")
        self.files.write("new/script", "#!/bin/sh\necho ran\n", mode=0o755)
        self.assertEqual(self.sandbox.commands.run("new/script").stdout, "ran\n")
        self.files.write("new/script", "#!/bin/sh\necho again\n")
        self.assertEqual(self.sandbox.commands.run("new/script").stdout, "again\n")

    def test_a_writer_that_has_it_open_keeps_the_old_file(self):
        self.files.write("/tmp/open", "old")
        self.sandbox.commands.run("exec 7</tmp/open; kept=1")
        self.files.write("/tmp/open", "new")
        self.assertEqual(self.files.read("/tmp/open"), b"new")

    def test_list_and_stat(self):
        self.sandbox.commands.run("mkdir -p /tmp/l/d; printf 12345 > /tmp/l/f; ln -s f /tmp/l/s; for i in {1..500}; do : > /tmp/l/d/$i; done")
        entries = {entry.name: entry for entry in self.files.list("/tmp/l")}
        self.assertEqual(sorted(entries), ["d", "f", "s"])
        self.assertEqual((entries["f"].type, entries["f"].size, entries["s"].type, entries["s"].target),
                         ("file", 5, "symlink", "f"))
        self.assertEqual(len(self.files.list("/tmp/l/d")), 500)
        self.assertEqual(self.files.stat("/tmp/l/d").type, "dir")
        self.assertAlmostEqual(self.files.stat("/tmp/l/f").mtime, time.time(), delta=60)

    def test_changes(self):
        self.sandbox.commands.run("mkdir -p /tmp/c/sub; echo x > /tmp/c/sub/f; chmod 700 /tmp/c/sub/f; ln -s f /tmp/c/sub/l")
        self.files.copy("/tmp/c", "/tmp/c2")
        self.assertEqual(self.sandbox.commands.run("cat /tmp/c2/sub/l; stat -c %a /tmp/c2/sub/f").stdout, "x\n700\n")
        self.files.rename("/tmp/c2", "/tmp/c3")
        self.files.chmod("/tmp/c3/sub/f", 0o640)
        self.files.symlink("sub/f", "/tmp/c3/link")
        self.assertEqual(self.sandbox.commands.run("stat -Lc %a /tmp/c3/link").stdout, "640\n")
        self.files.rm("/tmp/c3")
        self.assertFalse(self.files.exists("/tmp/c3"))
        self.files.mkdir("/tmp/p/q/r")
        self.assertTrue(self.files.exists("/tmp/p/q/r"))

    def test_errors(self):
        for call, name in ((lambda: self.files.read("/nope"), "ENOENT"), (lambda: self.files.read("/tmp"), "EISDIR"),
                           (lambda: self.files.list("/etc/passwd"), "ENOTDIR"), (lambda: self.files.rm("/nope"), "ENOENT"),
                           (lambda: self.files.write("/tmp", b""), "EISDIR"),
                           (lambda: self.files.copy("/tmp", "/tmp/into/itself"), "EINVAL")):
            with self.assertRaises(RpcError) as caught:
                call()
            self.assertEqual((caught.exception.errno, caught.exception.code), (name, 1))

    def test_names_that_are_no_text(self):
        self.sandbox.commands.run("mkdir /tmp/odd; : > $'/tmp/odd/\\xff\\n'")
        self.assertEqual([entry.name for entry in self.files.list("/tmp/odd")], ["\udcff\n"])
        odd = "/tmp/odd/\udcff\n"
        self.files.write(odd, b"x" * (9 << 20))
        self.assertEqual(len(self.files.read(odd)), 9 << 20)
        self.files.rename(odd, odd + "2")
        self.files.copy(odd + "2", odd)
        self.files.symlink(odd, "/tmp/odd/\udcfe")
        self.assertEqual(self.sandbox.commands.run("readlink -n /tmp/odd/$'\\xfe'").stdout_bytes, b"/tmp/odd/\xff\n")
        self.files.chmod(odd, 0o600)
        self.assertEqual((self.files.stat(odd).mode, self.files.stat(odd).name), (0o600, "\udcff\n"))
        self.files.mkdir("/tmp/odd/\udcfd/deep")
        self.assertEqual(self.sandbox.commands.exec(["ls"], cwd="/tmp/odd/\udcfd").stdout, "deep\n")
        for path in (odd, odd + "2", "/tmp/odd/\udcfd", "/tmp/odd/\udcfe"):
            self.files.rm(path)
        self.assertEqual(self.files.list("/tmp/odd"), [])
        for wrong, why in ({"pathBase64": "/w=="}, "ENOENT"), ({"pathBase64": "AA=="}, "zero byte"), ({"pathBase64": "?"}, "no base64"), ({"pathBase64": 1}, "must be"), \
                          ({"path": "x", "offsetBase64": "AA=="}, "Unknown param"), ({"data": "x"}, "Unknown param"), ({"pathBase64": ""}, "no path"):
            with self.assertRaisesRegex(RpcError, why):
                self.sandbox._call("files.read", wrong)

    def test_nothing_leads_to_the_host(self):
        self.sandbox.commands.run("ln -s /../../../../etc/shadow /tmp/escape; ln -s / /tmp/root")
        for path in ("/tmp/escape", "/tmp/root/../../etc/shadow", "/../../../etc/shadow"):
            with self.assertRaises(RpcError):
                self.files.read(path)
        self.files.write("/tmp/root/../../tmp/written-inside", "x")
        self.assertFalse(os.path.exists("/tmp/written-inside"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
