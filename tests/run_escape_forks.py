#!/usr/bin/env python3
"""Native code in a sandbox that is forked: it changes nothing that others share, and reaches nobody of its family.

A template in which sethostname runs a piece of tests/escape/fork_attempts.cc takes the place of cordon-template.
"""
import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("CORDON_BUILD", ROOT / "build"))
sys.path.insert(0, str(ROOT / "sdk/python"))

from cordon_sandbox import RpcError, Sandbox, SandboxError  # noqa: E402

NOTHING, SOMETHING, TOO_MUCH = 0, 1, 2  # what a piece found, by the errno that it fails with
KEPT = b"kept " * 60000


class Escape(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(dir=BUILD / "tests")
        here = pathlib.Path(cls.folder.name)
        os.link(BUILD / "cordon", here / "cordon")
        shutil.copy(BUILD / "tests/cordon-template-fork-escape", here / "cordon-template")
        (here / "userland.img").symlink_to(BUILD / "userland.img")
        cls.program = str(here / "cordon")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def setUp(self):
        self.sandbox = Sandbox(program=self.program)
        self.sandboxes = [self.sandbox]
        self.sandbox.files.write("/tmp/kept", KEPT)

    def tearDown(self):
        for sandbox in self.sandboxes:
            sandbox.destroy()

    def fork(self, sandbox=None):
        self.sandboxes.append((sandbox or self.sandbox).fork())
        return self.sandboxes[-1]

    def attempt(self, name, sandbox=None):
        code = f"import socket\ntry:\n    socket.sethostname('{name}')\nexcept OSError as e:\n    print(e.errno)\nelse:\n    print(0)"
        result = (sandbox or self.sandbox).commands.exec(["python3", "-c", code])
        self.assertEqual(result.stderr, "")
        return int(result.stdout)

    def is_whole(self, sandbox):
        self.assertEqual(sandbox.files.read("/tmp/kept"), KEPT)
        self.assertEqual(sandbox.commands.run("md5sum </tmp/kept; echo lives").stdout.split()[-1], "lives")

    def test_nothing_is_given_outside_of_a_fork(self):
        self.assertEqual(self.attempt("ask-for-parts"), NOTHING)
        forked = self.fork()
        for sandbox in (self.sandbox, forked):
            # What it gave up itself is its own: the sealed generation and the present one.
            self.assertIn(self.attempt("ask-for-parts", sandbox), (NOTHING, SOMETHING))
            self.is_whole(sandbox)

    def test_who_keeps_the_blocks_is_noticed(self):
        self.assertEqual(self.attempt("hold-blocks"), NOTHING)
        for take in (self.sandbox.fork, self.sandbox.snapshot):
            with self.assertRaisesRegex(RpcError, "keeps its files writable"):
                take()
            self.is_whole(self.sandbox)
            self.sandbox.files.write("/tmp/more", b"more")
            self.assertEqual(self.sandbox.commands.run("cat /tmp/more").stdout, "more")

    def test_nobody_has_two_sandboxes(self):
        self.assertEqual(self.attempt("ask-while-mapped"), NOTHING)
        time.sleep(0.2)
        try:
            forked = self.fork()
        except RpcError:
            forked = None  # it was in the way, which is its own loss
        self.assertEqual(self.attempt("read-note"), SOMETHING)
        self.is_whole(self.sandbox)
        if forked is not None:
            self.is_whole(forked)

    def test_sealed_blocks_stay(self):
        forked = self.fork()
        self.assertEqual(self.attempt("remove-sealed", forked), NOTHING)
        self.assertEqual(self.attempt("change-privately", forked), SOMETHING)
        for sandbox in (self.sandbox, forked):
            self.is_whole(sandbox)
        with self.assertRaises(SandboxError):
            forked.commands.exec(["python3", "-c", "import socket; socket.sethostname('write-sealed')"])
            forked.commands.run("true")
        self.is_whole(self.sandbox)
        self.is_whole(self.fork())

    def test_nobody_changes_code_that_is_added(self):
        origin = Sandbox(program=self.program, package_policy={"enabled": True})
        self.sandboxes.append(origin)
        for sandbox in (origin, self.fork(origin)):
            self.assertEqual(self.attempt("change-window", sandbox), NOTHING)
            self.assertEqual(sandbox.commands.run("echo lives").stdout, "lives\n")

    def test_snapshots_stay(self):
        snapshot = self.sandbox.snapshot()
        self.assertEqual(self.attempt("remove-sealed"), NOTHING)
        self.assertEqual(self.attempt("change-privately"), SOMETHING)
        self.sandbox.commands.run("rm /tmp/kept")
        self.sandbox.restore(snapshot)
        self.is_whole(self.sandbox)

    def test_kicks_hurt_nobody_else(self):
        forked = self.fork()
        self.sandbox.commands.run("(i=0; while :; do echo $((i+=1)) >/tmp/i; done) & true")
        other = self.fork()
        try:
            self.attempt("kick-everybody", forked)
        except SandboxError:
            pass  # it may have ended itself
        for sandbox in (self.sandbox, other):
            before = int(sandbox.files.read("/tmp/i") or 0)
            time.sleep(0.5)
            self.assertGreater(int(sandbox.files.read("/tmp/i") or before + 1), before)
            self.is_whole(sandbox)


if __name__ == "__main__":
    unittest.main(verbosity=2)
