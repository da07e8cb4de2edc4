#!/usr/bin/env python3
"""Forks and snapshots of sandboxes that live, through the daemon and the SDKs: run_live_state.py [NAME...]"""
import asyncio
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORDON = str(ROOT / "build/cordon")
sys.path.insert(0, str(ROOT / "sdk/python"))
os.environ["CORDON"] = CORDON

from cordon_sandbox import AsyncSandbox, RpcError, Sandbox  # noqa: E402
from processes import alive, children, descendants, eventually  # noqa: E402

COUNT = """
import sys, time
n = 0
while True:
    n += 1
    if n % 20000 == 0:
        open("/tmp/count", "w").write(str(n))
"""


def read(sandbox, path):
    return sandbox.files.read(path).decode()


def number(sandbox, path):
    try:
        return int(read(sandbox, path) or 0)
    except (RpcError, ValueError):
        return 0


def goes_on(case, sandbox, path):
    """The number in a file grows."""
    before = number(sandbox, path)
    case.assertTrue(eventually(lambda: number(sandbox, path) > before), f"{path} stays at {before}")


class Fork(unittest.TestCase):
    def setUp(self):
        self.sandboxes = []
        self.sandbox = self.keep(Sandbox())

    def tearDown(self):
        for sandbox in self.sandboxes:
            sandbox.destroy()

    def keep(self, sandbox):
        self.sandboxes.append(sandbox)
        return sandbox

    def fork(self, sandbox=None):
        return self.keep((sandbox or self.sandbox).fork())

    def run_(self, command, sandbox=None):
        result = (sandbox or self.sandbox).commands.run(command)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def test_session(self):
        self.run_("cd /tmp; x='a b'; f() { echo \"f:$1\"; }; echo here >file; false")
        forked = self.fork()
        for sandbox in (self.sandbox, forked):
            self.assertEqual(self.run_('echo $? "$PWD" "$x"; f 2; cat file', sandbox), "1 /tmp a b\nf:2\nhere\n")
        self.run_("x=fork; cd /", forked)
        self.assertEqual(self.run_('echo "$x" $PWD'), "a b /tmp\n")
        self.assertEqual(self.run_('echo "$x" $PWD', forked), "fork /\n")

    def test_files_part(self):
        self.run_("mkdir /tmp/d; seq 100000 >/tmp/big; echo small >/tmp/small; ln /tmp/small /tmp/link; >/tmp/gone")
        forked = self.fork()
        self.run_("echo one >/tmp/one; echo changed >/tmp/small; printf X | dd of=/tmp/big bs=1 seek=300000 conv=notrunc 2>/dev/null; "
                  "rm /tmp/gone; mv /tmp/d /tmp/e")
        self.assertEqual(self.run_("ls /tmp; cat /tmp/link; md5sum </tmp/big", forked),
                         "big\nd\ngone\nlink\nsmall\nsmall\n" + self.run_("seq 100000 | md5sum"))
        self.run_("echo two >/tmp/two; printf Y | dd of=/tmp/big bs=1 seek=1 conv=notrunc 2>/dev/null; truncate -s 5 /tmp/small", forked)
        self.assertEqual(self.run_("ls /tmp; cat /tmp/link; head -c 2 /tmp/big"), "big\ne\nlink\none\nsmall\nchanged\n1\n")
        self.assertEqual(self.run_("cat /tmp/link; echo; head -c 2 /tmp/big", forked), "small\n1Y")

    def test_python_counts_on(self):
        self.sandbox.files.write("/tmp/count.py", COUNT)
        self.run_("python3 /tmp/count.py & true")
        goes_on(self, self.sandbox, "/tmp/count")
        forked = self.fork()
        for sandbox in (self.sandbox, forked):
            goes_on(self, sandbox, "/tmp/count")
        # The end of one is its own.
        self.run_("kill %1", forked)
        goes_on(self, self.sandbox, "/tmp/count")

    def test_parent_dies(self):
        self.sandbox.files.write("/tmp/count.py", COUNT)
        self.run_("python3 /tmp/count.py & true")
        goes_on(self, self.sandbox, "/tmp/count")
        forked = self.fork()
        second = self.fork(forked)
        self.sandbox.destroy()
        for sandbox in (forked, second):
            goes_on(self, sandbox, "/tmp/count")
            self.assertEqual(self.run_("echo lives", sandbox), "lives\n")
        forked.destroy()
        goes_on(self, second, "/tmp/count")
        third = self.fork(second)
        goes_on(self, third, "/tmp/count")

    def test_keeper_of_parent_is_killed(self):
        forked = self.fork()
        daemon = self.sandbox._daemon._process.pid
        keepers = children(daemon)
        self.assertEqual(len(keepers), 1)
        os.kill(keepers[0], signal.SIGKILL)
        self.assertEqual(self.run_("echo lives", forked), "lives\n")
        with self.assertRaises(RpcError):
            self.sandbox.commands.run("true")
        self.assertEqual(self.run_("sleep 0.1 | cat; echo still", self.fork(forked)), "still\n")

    def test_nothing_is_left(self):
        forked = self.fork()
        self.run_("sleep 100 & sleep 100 &", forked)
        daemon = self.sandbox._daemon._process.pid
        all_there = descendants(daemon)
        self.assertGreater(len(all_there), 8)
        self.sandbox.destroy()
        forked.destroy()
        self.assertFalse(eventually(lambda: not any(alive(pid) for pid in all_there)) is False)
        self.assertEqual([pid for pid in all_there if alive(pid)], [])

    def test_daemon_is_killed(self):
        forked = self.fork()
        self.run_("sleep 100 &", forked)
        all_there = descendants(self.sandbox._daemon._process.pid)
        self.sandbox._daemon._process.kill()
        eventually(lambda: not any(alive(pid) for pid in all_there))
        self.assertEqual([pid for pid in all_there if alive(pid)], [])

    def test_again_at_once(self):
        # What is stored may not have seen yet that it was stored, or restored, when it is wanted again.
        for _ in range(25):
            snapshot = self.sandbox.snapshot()
            for _ in range(3):
                self.sandbox.restore(snapshot)
            self.sandbox.delete_snapshot(snapshot)
        self.assertEqual(self.run_("echo lives"), "lives\n")

    def test_random_numbers(self):
        self.run_("echo $RANDOM")
        forks = [self.sandbox] + [self.fork() for _ in range(3)]
        shell = [self.run_("echo $RANDOM $RANDOM $RANDOM", sandbox) for sandbox in forks]
        self.assertEqual(len(set(shell)), 4, shell)
        device = [self.run_("head -c 16 /dev/urandom | od -An -tx1; python3 -c 'import os; print(os.urandom(8))'", sandbox)
                  for sandbox in forks]
        self.assertEqual(len(set(device)), 4)

    def test_pipe_in_flight(self):
        # The writer is ahead of the reader by what a pipe holds.
        self.run_("(seq 1 200000; echo end) | (sleep 1; md5sum >/tmp/sum) & true")
        time.sleep(0.3)
        forked = self.fork()
        wanted = self.run_("(seq 1 200000; echo end) | md5sum")
        for sandbox in (self.sandbox, forked):
            self.assertEqual(eventually(lambda: read(sandbox, "/tmp/sum") if sandbox.files.exists("/tmp/sum") else ""), wanted)

    def test_sleep_keeps_its_deadline(self):
        self.run_("(sleep 2; cat /proc/uptime >/tmp/woke) & python3 -c 'import time; print(time.monotonic())' >/tmp/start")
        time.sleep(1)
        forked = self.fork()
        for sandbox in (self.sandbox, forked):
            self.assertTrue(eventually(lambda: sandbox.files.exists("/tmp/woke") and read(sandbox, "/tmp/woke")))
            slept = float(read(sandbox, "/tmp/woke").split()[0]) - float(read(sandbox, "/tmp/start"))
            self.assertGreater(slept, 1.8)
            self.assertLess(slept, 4)

    def test_alarm_and_handlers(self):
        self.sandbox.files.write("/tmp/alarm.py", "import signal, time\n"
                                 "signal.signal(signal.SIGALRM, lambda *_: open('/tmp/rang', 'w').write('yes'))\n"
                                 "signal.alarm(2)\nopen('/tmp/set', 'w')\ntime.sleep(60)\n")
        self.run_("python3 /tmp/alarm.py & true")
        self.assertTrue(eventually(lambda: self.sandbox.files.exists("/tmp/set")))
        forked = self.fork()
        for sandbox in (self.sandbox, forked):
            self.assertTrue(eventually(lambda: sandbox.files.exists("/tmp/rang")))

    def test_stopped_process(self):
        self.sandbox.files.write("/tmp/count.py", COUNT)
        self.run_("python3 /tmp/count.py & true")
        goes_on(self, self.sandbox, "/tmp/count")
        self.run_("kill -STOP %1; sleep 0.2")
        forked = self.fork()
        stands = number(forked, "/tmp/count")
        time.sleep(0.3)
        self.assertEqual(number(forked, "/tmp/count"), stands)
        self.run_("kill -CONT %1", forked)
        goes_on(self, forked, "/tmp/count")
        self.assertEqual(number(self.sandbox, "/tmp/count"), stands)

    def test_during_a_run(self):
        done = []
        thread = threading.Thread(target=lambda: done.append(self.sandbox.commands.run(
            "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.2; done; x=$i; echo end >/tmp/end")))
        thread.start()
        time.sleep(0.6)
        forked = self.fork()
        thread.join()
        self.assertEqual(done[0].stdout, "1\n2\n3\n4\n5\n6\n7\n8\n")
        # In the copy the same command goes on, for nobody; the next one waits for its end.
        self.assertEqual(self.run_("cat /tmp/end; echo $x", forked), "end\n8\n")
        self.assertEqual(self.run_("echo $x"), "8\n")

    def test_process_with_input(self):
        process = self.sandbox.commands.spawn(["sh", "-c", "cat >/tmp/got; echo over >>/tmp/got"])
        process.write(b"before\n")
        self.assertTrue(eventually(lambda: self.sandbox.files.exists("/tmp/got") and read(self.sandbox, "/tmp/got")))
        forked = self.fork()
        # Nobody writes to the copy's: it sees the end.
        self.assertEqual(eventually(lambda: read(forked, "/tmp/got") == "before\nover\n" and read(forked, "/tmp/got")), "before\nover\n")
        process.write(b"after\n")
        process.close_stdin()
        self.assertEqual(process.wait(), 0)
        self.assertEqual(read(self.sandbox, "/tmp/got"), "before\nafter\nover\n")

    def test_threads_refuse(self):
        self.sandbox.files.write("/tmp/threads.py", "import threading, time\n"
                                 "threading.Thread(target=time.sleep, args=(60,)).start()\n"
                                 "open('/tmp/started', 'w')\nn = 0\n"
                                 "while True:\n    n += 1\n    open('/tmp/count', 'w').write(str(n))\n    time.sleep(0.01)\n")
        self.run_("python3 /tmp/threads.py & true")
        goes_on(self, self.sandbox, "/tmp/count")
        for take in (self.sandbox.fork, self.sandbox.snapshot):
            with self.assertRaisesRegex(RpcError, r"python3.* \(process \d+\) has 2 threads"):
                take()
            goes_on(self, self.sandbox, "/tmp/count")
        self.run_("kill %1; wait 2>/dev/null; echo x >/tmp/file")
        self.assertEqual(read(self.fork(), "/tmp/file"), "x\n")

    def test_many(self):
        self.sandbox.files.write("/tmp/shared", b"s" * 300000)
        forks = [self.fork() for _ in range(20)]
        for i, sandbox in enumerate(forks):
            self.run_(f"echo {i} >/tmp/own; printf {i} | dd of=/tmp/shared conv=notrunc 2>/dev/null", sandbox)
        for i, sandbox in enumerate(forks):
            self.assertEqual(read(sandbox, "/tmp/own"), f"{i}\n")
            self.assertEqual(read(sandbox, "/tmp/shared"), str(i) + "s" * (300000 - len(str(i))))
        self.assertFalse(self.sandbox.files.exists("/tmp/own"))

    def test_chain(self):
        sandbox = self.sandbox
        for i in range(8):
            self.run_(f"echo {i} >>/tmp/chain", sandbox)
            sandbox = self.fork(sandbox)
        self.assertEqual(read(sandbox, "/tmp/chain"), "".join(f"{i}\n" for i in range(8)))
        self.assertEqual(read(self.sandbox, "/tmp/chain"), "0\n")

    def test_under_load(self):
        # Processes come and go, files are written, pipes are full.
        self.run_("(i=0; while :; do echo $((i+=1)) >/tmp/i; seq 300 | sort -n | tail -1 >/dev/null; done) & "
                  "(while :; do cat /usr/bin/env >/tmp/c; rm /tmp/c; done) & true")
        for _ in range(10):
            goes_on(self, self.sandbox, "/tmp/i")
            forked = self.fork()
            goes_on(self, forked, "/tmp/i")
            forked.destroy()
        goes_on(self, self.sandbox, "/tmp/i")

    def test_terminal(self):
        process = self.sandbox.commands.spawn(["bash", "--norc", "-i"], terminal=(24, 80))
        process.write(b"echo be''fore >/tmp/seen; sleep 1; echo af''ter >>/tmp/seen\n")
        self.assertTrue(eventually(lambda: self.sandbox.files.exists("/tmp/seen")))
        forked = self.fork()
        for sandbox in (self.sandbox, forked):
            self.assertTrue(eventually(lambda: read(sandbox, "/tmp/seen") == "before\nafter\n"))
        process.write(b"exit 3\n")
        self.assertEqual(process.wait(), 3)

    def test_sealed_files_have_an_end(self):
        small = self.keep(Sandbox(limits={"memoryBytes": 64 << 20}))
        with self.assertRaisesRegex(RpcError, "take more than its memory limit"):
            for _ in range(8):
                small.commands.run("head -c 20000000 /dev/zero >/tmp/file")
                small.snapshot()
        self.assertEqual(small.commands.run("head -c 20000000 /dev/zero | cmp - /tmp/file && echo same").stdout, "same\n")

    def test_limits_hold_in_a_fork(self):
        small = self.keep(Sandbox(fs_limit_bytes=4 << 20, limits={"fileCount": 50}))
        small.commands.run("head -c 3000000 /dev/zero >/tmp/most")
        forked = self.fork(small)
        for sandbox in (small, forked):
            self.assertNotEqual(sandbox.commands.run("head -c 3000000 /dev/zero >/tmp/more").exit_code, 0)
            self.assertNotEqual(sandbox.commands.run("for i in $(seq 60); do : >/tmp/$i; done").stderr, "")


class Snapshot(unittest.TestCase):
    def setUp(self):
        self.sandbox = Sandbox()

    def tearDown(self):
        self.sandbox.destroy()

    def run_(self, command):
        result = self.sandbox.commands.run(command)
        self.assertEqual(result.stderr, "")
        return result.stdout

    def test_files_and_shell(self):
        self.run_("cd /tmp; x=1; f() { echo f; }; echo old >file; mkdir d; seq 50000 >big")
        snapshot = self.sandbox.snapshot()
        for i in range(3):
            self.run_("x=2; unset -f f; cd /; echo new >/tmp/file; rm -r /tmp/d; echo X >/tmp/big; echo more >/tmp/more")
            self.sandbox.restore(snapshot)
            self.assertEqual(self.run_("echo $x $PWD; f; cat file; ls; md5sum <big"),
                             "1 /tmp\nf\nold\nbig\nd\nfile\n" + self.run_("seq 50000 | md5sum"))

    def test_names(self):
        self.run_("echo 1 >/tmp/v")
        self.assertEqual(self.sandbox.snapshot("first"), "first")
        self.run_("echo 2 >/tmp/v")
        self.assertEqual(self.sandbox.snapshot("second"), "second")
        self.run_("echo 3 >/tmp/v")
        self.assertEqual([s["snapshotId"] for s in self.sandbox.snapshots()], ["first", "second"])
        with self.assertRaisesRegex(RpcError, "there is one of that name"):
            self.sandbox.snapshot("first")
        for name, value in (("first", "1\n"), ("second", "2\n"), ("first", "1\n")):
            self.sandbox.restore(name)
            self.assertEqual(self.run_("cat /tmp/v"), value)
        self.sandbox.delete_snapshot("first")
        for ask in (self.sandbox.restore, self.sandbox.delete_snapshot):
            with self.assertRaises(RpcError):
                ask("first")
        self.sandbox.restore("second")
        self.assertEqual(self.run_("cat /tmp/v"), "2\n")
        with self.assertRaisesRegex(RpcError, "a name of 1 to 100 bytes"):
            self.sandbox.snapshot("n" * 101)

    def test_restore_ends_what_runs(self):
        self.run_("sleep 100 & echo $! >/tmp/pid")
        snapshot = self.sandbox.snapshot()
        process = self.sandbox.commands.spawn(["sleep", "100"])
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.sandbox.commands.run("echo out; sleep 100")))
        thread.start()
        time.sleep(0.5)
        self.sandbox.restore(snapshot)
        thread.join(10)
        self.assertEqual((answers[0].exit_code, answers[0].error_class), (137, "CANCELLED"))
        self.assertEqual(process.wait(), 137)
        self.assertEqual(self.run_("kill -0 $(cat /tmp/pid) 2>/dev/null || echo ended; cat /proc/[0-9]*/comm | grep -c sleep; true"), "ended\n0\n")

    def test_waits_for_the_session(self):
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.sandbox.commands.run("sleep 1; echo done >/tmp/done")))
        thread.start()
        time.sleep(0.3)
        snapshot = self.sandbox.snapshot()
        self.assertTrue(self.sandbox.files.exists("/tmp/done"))
        thread.join()
        self.run_("rm /tmp/done")
        self.sandbox.restore(snapshot)
        self.assertTrue(self.sandbox.files.exists("/tmp/done"))

    def test_time_does_not_jump(self):
        self.run_("echo $SECONDS")
        snapshot = self.sandbox.snapshot()
        before = float(self.run_("cat /proc/uptime").split()[0])
        time.sleep(2)
        self.sandbox.restore(snapshot)
        after = float(self.run_("cat /proc/uptime").split()[0])
        self.assertLess(after - before, 1.5)

    def test_random_numbers(self):
        self.run_("echo $RANDOM")
        snapshot = self.sandbox.snapshot()
        drawn = []
        for _ in range(3):
            drawn.append(self.run_("echo $RANDOM $RANDOM"))
            self.sandbox.restore(snapshot)
        self.assertEqual(len(set(drawn)), 3, drawn)

    def test_with_forks(self):
        self.run_("echo base >/tmp/v")
        snapshot = self.sandbox.snapshot()
        self.run_("echo later >/tmp/v")
        forked = self.sandbox.fork()
        try:
            self.sandbox.restore(snapshot)
            self.assertEqual(self.run_("cat /tmp/v"), "base\n")
            self.assertEqual(forked.commands.run("cat /tmp/v").stdout, "later\n")
            self.assertEqual(forked.snapshots(), [])
            own = forked.snapshot("own")
            forked.commands.run("rm /tmp/v")
            forked.restore(own)
            self.assertEqual(forked.commands.run("cat /tmp/v").stdout, "later\n")
            again = self.sandbox.fork()
            self.assertEqual(again.commands.run("cat /tmp/v").stdout, "base\n")
            again.destroy()
        finally:
            forked.destroy()

    def test_many_and_their_limit(self):
        names = []
        for i in range(64):
            self.run_(f"echo {i} >/tmp/v")
            names.append(self.sandbox.snapshot())
        with self.assertRaisesRegex(RpcError, "at most 64"):
            self.sandbox.snapshot()
        for i in (0, 63, 17):
            self.sandbox.restore(names[i])
            self.assertEqual(self.run_("cat /tmp/v"), f"{i}\n")
        for name in names:
            self.sandbox.delete_snapshot(name)
        self.assertEqual(self.sandbox.snapshots(), [])
        daemon = self.sandbox._daemon._process.pid
        self.assertTrue(eventually(lambda: len(descendants(daemon)) < 12), descendants(daemon))


@unittest.skipUnless(os.geteuid() == 0, "is an ordinary user already")
class ManyAtOnce(unittest.TestCase):
    def test_each_has_its_answer(self):
        with Sandbox() as origin:
            origin.commands.run("x=5; sleep 300 & cd /tmp")
            forks = origin.fork(count=5)
            self.assertEqual([fork.commands.run("echo $x $PWD; jobs -r | wc -l").stdout for fork in forks], ["5 /tmp\n1\n"] * 5)
            self.assertEqual(len({fork.sandbox_id for fork in [origin, *forks]}), 6)
            more = origin.fork(count=60)
            made = [fork for fork in more if isinstance(fork, Sandbox)]
            refused = [error for error in more if isinstance(error, RpcError)]
            self.assertEqual((len(made), len(refused)), (58, 2))
            self.assertIn("Maximum of 64", str(refused[0]))
            for fork in [*forks, *made]:
                fork.destroy()
            self.assertEqual(len(origin.sandboxes.list()), 1)

    def test_why_none_could_be_made(self):
        with Sandbox() as origin:
            threads = origin.commands.spawn(["python3", "-c", "import threading, time\nthreading.Thread(target=time.sleep, args=(300,), daemon=True).start()\nprint(flush=True)\ntime.sleep(300)"])
            next(iter(threads))
            errors = origin.fork(count=2)
            self.assertEqual(len(errors), 2)
            for error in errors:
                self.assertIsInstance(error, RpcError)
                self.assertIn("threads", str(error))
            self.assertEqual(len(origin.sandboxes.list()), 1)
            threads.kill()
            threads.wait()
            (fork,) = origin.fork(count=1)
            fork.destroy()
            for count in (0, 1001, "many"):
                with self.assertRaises(RpcError):
                    origin.fork(count=count)

    def test_names_of_others(self):
        with Sandbox() as origin:
            snapshot = origin.create_snapshot("s")
            self.assertEqual([one["snapshotId"] for one in origin.list_snapshots()], [snapshot])

    def test_async(self):
        async def work():
            async with AsyncSandbox() as origin:
                await origin.commands.run("x=5")
                forks = await origin.fork(count=3)
                for fork in forks:
                    self.assertEqual((await fork.commands.run("echo $x")).stdout, "5\n")
                    await fork.destroy()
        asyncio.run(work())


class OrdinaryUser(unittest.TestCase):
    def test_forks(self):
        names = ["Fork.test_session", "Fork.test_python_counts_on", "Fork.test_parent_dies", "Fork.test_nothing_is_left",
                 "Snapshot.test_files_and_shell"]
        done = subprocess.run(["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups", sys.executable, __file__, *names],
                              capture_output=True, text=True, timeout=200, env={**os.environ, "HOME": "/nowhere"})
        self.assertEqual(done.returncode, 0, done.stderr)


class Sdks(unittest.TestCase):
    def test_async(self):
        async def run():
            async with AsyncSandbox() as sandbox:
                await sandbox.commands.run("x=5")
                forked = await sandbox.fork()
                snapshot = await forked.snapshot("s")
                await forked.commands.run("x=6")
                self.assertEqual((await forked.commands.run("echo $x")).stdout, "6\n")
                await forked.restore(snapshot)
                self.assertEqual((await forked.commands.run("echo $x")).stdout, "5\n")
                self.assertEqual(len(await forked.snapshots()), 1)
                await sandbox.destroy()
                self.assertEqual((await forked.commands.run("echo $x")).stdout, "5\n")
                await forked.delete_snapshot(snapshot)
                await forked.destroy()
        asyncio.run(run())

    def test_typescript(self):
        done = subprocess.run(["node", ROOT / "tests/sdk/state.mjs"], capture_output=True, timeout=60, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2, argv=[sys.argv[0]] + [
        name if re.match(r"(Fork|Snapshot|Sdks|ManyAtOnce|OrdinaryUser)\b", name) else f"Fork.{name}" for name in sys.argv[1:]])
