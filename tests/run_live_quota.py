#!/usr/bin/env python3
"""What all sandboxes of a daemon have together: run_live_quota.py [NAME...]"""
import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import RpcError, Sandbox, SandboxError, SandboxPool  # noqa: E402
from processes import answers, eventually  # noqa: E402


def keeping(megabytes):
    """A process that has so much, says so, and goes on."""
    return ["python3", "-c", f"x = bytearray({megabytes} << 20)\nprint('there', flush=True)\ninput()"]


@contextlib.contextmanager
def limited(**limits):
    names = {"memory": "CORDON_MAX_TOTAL_MEMORY", "processes": "CORDON_MAX_TOTAL_PROCESSES"}
    for name, value in limits.items():
        os.environ[names[name]] = value
    try:
        yield
    finally:
        for name in limits:
            del os.environ[names[name]]


class Total(unittest.TestCase):
    def sandbox(self, **options):
        sandbox = Sandbox(**options)
        self.addCleanup(sandbox.destroy)
        return sandbox

    def refused(self, call):
        with self.assertRaises(RpcError) as caught:
            call()
        self.check_refusal(caught.exception)

    def check_refusal(self, error):
        self.assertEqual(error.errno, "LIMIT_EXCEEDED")
        self.assertIn("--max-total-", str(error))

    def refused_when_full(self, sandbox, others, call):
        """Once there is no room: the last ones made may use less than was expected of them."""
        for _ in range(20):
            others += self.fill(sandbox)
            try:
                made = call()
            except RpcError as error:
                return self.check_refusal(error)
            if isinstance(made, Sandbox):
                others.append(made)
        return self.fail("never refused")

    def total(self, sandbox):
        return sandbox.sandboxes.usage()["memoryBytes"]

    def fill(self, sandbox):
        """Sandboxes until one is refused."""
        made = []
        while len(made) < 60:
            try:
                made.append(sandbox.sandboxes.create())
            except RpcError as error:
                self.assertEqual(error.errno, "LIMIT_EXCEEDED")
                return made
        return self.fail("none was refused")

    def start(self, sandbox, megabytes):
        process = sandbox.commands.spawn(keeping(megabytes))
        said = next(iter(process), None)
        if said is None:
            raise SandboxError("ended before it had what it wanted")
        self.assertEqual(said, ("stdout", b"there\n"))
        return process

    def test_one_more_is_refused_and_has_room_later(self):
        with limited(memory="20MiB"):
            first = self.sandbox()
            more = self.fill(first)
            self.assertIn(len(more), range(2, 15))
            self.assertEqual(first.commands.run("echo lives").stdout, "lives\n")
            for sandbox in more:
                sandbox.destroy()
            first.sandboxes.create().destroy()

    def test_what_there_is_counts_and_not_what_may_be(self):
        with limited(memory="45MiB"):
            first = self.sandbox(limits={"memoryBytes": 1 << 30})
            snapshot = first.snapshot()
            without = []
            for call in (first.fork, first.snapshot, lambda: first.restore(snapshot)):
                self.refused_when_full(first, without, call)
            for sandbox in without:
                sandbox.destroy()
            process = self.start(first, 22)
            self.assertTrue(eventually(lambda: self.total(first) > 25 << 20))
            beside = self.fill(first)
            self.assertLess(len(beside), 15)
            for sandbox in beside:
                sandbox.destroy()
            process.write("\n")
            process.wait()
            self.assertTrue(eventually(lambda: self.total(first) < 10 << 20))
            for sandbox in self.fill(first):
                sandbox.destroy()
            first.restore(snapshot)

    def test_the_largest_is_ended(self):
        events = []
        with limited(memory="200MiB"):
            small = self.sandbox()
            large = small.sandboxes.create(on_audit_event=events.append)
            self.start(small, 60)
            with self.assertRaises(SandboxError) as caught:
                large.commands.run("python3 -c 'x = [bytearray(1 << 20) for i in range(400)]; input()' < <(sleep 60)")
            self.assertIn("all sandboxes of the daemon together took more than 200 MiB of memory", str(caught.exception))
            self.assertEqual(small.commands.run("echo lives").stdout, "lives\n")
            self.assertFalse(large.is_running())
            large.destroy()
        told = [(event["type"], event.get("limit")) for event in events]
        self.assertIn(("limit.exceeded", "totalMemoryBytes"), told)
        self.assertIn("together", [event for event in events if event["type"] == "sandbox.destroy"][0]["reason"])

    def test_many_small_ones_are_too_much_together(self):
        with limited(memory="160MiB"):
            first = self.sandbox()
            others = [first.sandboxes.create() for _ in range(5)]
            for sandbox in [first, *others]:
                with contextlib.suppress(SandboxError):
                    self.start(sandbox, 50)
            def living():
                return sum(sandbox.is_running() for sandbox in [first, *others])
            self.assertTrue(eventually(lambda: living() <= 3))
            self.assertGreaterEqual(living(), 1)
            for sandbox in others:
                sandbox.destroy()

    def test_what_forks_share_counts_once(self):
        with limited(memory="250MiB"):
            origin = self.sandbox()
            # The input of what runs in a fork ends.
            origin.commands.spawn(["python3", "-c", "import time\nx = bytearray(100 << 20)\ntime.sleep(1000)"])
            self.assertTrue(eventually(lambda: self.total(origin) > 100 << 20))
            forks = []
            for _ in range(5):
                forks.append(origin.fork())
                self.assertEqual(forks[-1].commands.run("echo x").stdout, "x\n")
            self.assertTrue(eventually(lambda: origin.sandboxes.usage()["processes"] == 18))
            self.assertLess(self.total(origin), 200 << 20)
            self.assertTrue(all(fork.is_running() for fork in [origin, *forks]))
            for fork in forks:
                fork.destroy()

    def test_files_count(self):
        with limited(memory="120MiB"):
            first = self.sandbox()
            self.assertEqual(first.commands.run("head -c 100000000 /dev/zero > /tmp/large").exit_code, 0)
            self.assertTrue(eventually(lambda: self.total(first) > 100_000_000))
            self.assertLess(len(self.fill(first)), 20)

    def test_processes(self):
        with limited(processes="20"):
            first = self.sandbox()
            other = first.sandboxes.create()
            other.commands.run("for i in 1 2 3 4; do sleep 300 & done")
            self.assertTrue(eventually(lambda: first.sandboxes.usage()["processes"] == 8))
            made = self.fill(first)
            self.assertEqual(len(made), 6)
            for sandbox in made:
                sandbox.destroy()
            self.assertTrue(eventually(lambda: first.sandboxes.usage()["processes"] == 8))
            # Whenever it is seen, it is the larger one.
            with self.assertRaises(SandboxError) as caught:
                first.commands.run("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do sleep 300 & done; sleep 300")
            self.assertIn("had more than 20 processes", str(caught.exception))
            self.assertEqual(other.commands.run("echo lives").stdout, "lives\n")

    def test_sandboxes_that_wait_count_too(self):
        with limited(memory="20MiB"):
            with self.assertRaises(SandboxError) as caught, SandboxPool(min_size=20, max_size=20):
                pass
            self.assertIn("LIMIT_EXCEEDED", str(caught.exception))

    def test_what_there_is_now(self):
        first = self.sandbox()
        self.assertEqual(first.sandboxes.usage(), {"sandboxes": 1})
        with limited(processes="100", memory="1GiB"):
            second = self.sandbox()
            self.assertTrue(eventually(lambda: second.sandboxes.usage() | {"memoryBytes": 0} == {
                "sandboxes": 1, "processes": 2, "memoryBytes": 0, "most": {"memoryBytes": 1 << 30, "processes": 100}}))

    def test_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = {**os.environ, "CORDON_SOCKET": f"{folder}/s", "HOME": folder}
            daemon = subprocess.Popen([CORDON, "serve", "--unix", f"{folder}/s", "--max-total-processes", "5"], env=environment)
            try:
                self.assertTrue(eventually(lambda: answers(f"{folder}/s")))
                def cordon(*words):
                    return subprocess.run([CORDON, *words], env=environment, capture_output=True, text=True, timeout=60, check=False)
                for _ in range(2):
                    self.assertEqual(cordon("create").returncode, 0)
                refused = cordon("create")
                self.assertEqual((refused.returncode, refused.stdout), (125, ""))
                self.assertIn("LIMIT_EXCEEDED: the daemon's sandboxes have 4 processes, and all together may have 5", refused.stderr)
                told = dict(line.rsplit(None, 1) for line in cordon("stats").stdout.splitlines())
                self.assertEqual((told["sandboxes"], told["processes"], told["processes, most"]), ("2", "4", "5"))
            finally:
                daemon.terminate()
                daemon.wait()

    def test_options(self):
        for words in (["--max-total-memory", "much"], ["--max-total-processes", "1"], ["--max-total-memory", "0"]):
            done = subprocess.run([CORDON, "serve", "--stdio", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 125, done)
            self.assertIn(words[0], done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
